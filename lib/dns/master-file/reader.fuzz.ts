import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { rootName } from "../name-bytes.ts";
import { isValidData } from "../record/data.ts";
import { parseRecordData, printRecord, printRecordData } from "../record/text.ts";
import { MasterFileError, MasterFileReader } from "./reader.ts";

const seeds = [
  "$ORIGIN example.org.\n$TTL 1h\n@ IN SOA ns admin ( 1 2h 3 4w 5 ) ; c\n NS ns\nns A 192.0.2.1\n AAAA 2001:db8::1\n",
  '$TTL 5\na. TXT "x\\"y" z\\032\n\tMX 10 b.\n$GENERATE 1-3/2 h${0,3,x} A 192.0.2.$\n$INCLUDE f g.\n',
  'a. 1 SVCB 1 . alpn="h2,h3" port=53 mandatory=alpn\na. 1 APL 1:192.0.2.0/24 !2:ff00::/8\na. 1 TYPE731 \\# 2 ABCD\n',
  "a. 1 RRSIG A 13 2 3600 20300101000000 20250101000000 1 b. AA==\na. 1 NSEC c. A NS TYPE1234\n",
  "a. 1 NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A\na. 1 LOC 42 21 54 N 71 06 18 W -24m 30m\n",
];

/** Any text: read or refused with a place, and each record that is read is printed so that it can be read again. */
export const fuzz: FuzzTarget = {
  name: "dns-master-file",
  seeds: seeds.map((text) => new TextEncoder().encode(text)),
  run(input) {
    const middle = input.length >>> 1;
    const reader = new MasterFileReader([input.subarray(0, middle), input.subarray(middle)], {
      origin: rootName,
      include: (file) => (file === "f" ? "x A 192.0.2.9\n" : undefined),
    });
    for (let count = 0; count < 2000; count++) {
      const item = reader.next();
      if (item === undefined) return;
      if (item instanceof MasterFileError) {
        if (item.line < 1 || item.column < 1) throw new Error(`an error without a place: ${item.toString()}`);
        continue;
      }
      const text = printRecord(item);
      if (!isValidData(item.type, item.data)) throw new Error(`data that are not valid: ${text}`);
      const again = parseRecordData(item.type, printRecordData(item.type, item.data));
      if (!again.ok) throw new Error(`printed, but not read again: ${text}: ${again.what}`);
      if (String(again.data) !== String(item.data)) throw new Error(`read differently the second time: ${text}`);
    }
  },
};
