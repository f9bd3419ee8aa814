import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { nameFromText } from "../name-bytes.ts";
import { parseWireMessage } from "../wire-message.ts";
import type { WireRecord } from "../wire-record.ts";
import { decodeDifference, encodeDifference } from "./journal-store.ts";
import { TransferReader, typeIxfr } from "./incoming.ts";
import { transferMessages } from "./outgoing.ts";
import { withSerial } from "./soa.ts";

const apex = nameFromText("e.");
const first: WireRecord = {
  ...{ owner: apex, type: 6, class: 1, ttl: 60 },
  data: Uint8Array.of(0, 0, ...new Uint8Array(20)),
};
const [second, third] = [withSerial(first, 1), withSerial(first, 2)];
const host: WireRecord = { owner: nameFromText("h.e."), type: 1, class: 1, ttl: 60, data: Uint8Array.of(1, 2, 3, 4) };

/** Messages with their lengths in front, as on a stream. */
function stream(records: readonly WireRecord[], limit: number): Uint8Array {
  const transfer = { id: 1, question: { name: apex, type: typeIxfr, class: 1 }, limit };
  const parts = [...transferMessages(transfer, records)];
  return Uint8Array.from(parts.flatMap((part) => [part.length >>> 8, part.length & 255, ...part]));
}

const difference = { from: first, to: second, removed: [host], added: [host] };

/** A stream gives one outcome at most, and of what it gives each difference can be kept. */
export const fuzz: FuzzTarget = {
  name: "dns-transfer",
  seeds: [
    stream([third, host, third], 500),
    stream([third, first, host, second, second, third, host, third], 90),
    stream([second], 500),
    encodeDifference(difference),
  ],
  run(input) {
    const kept = decodeDifference(input);
    if (kept !== undefined && encodeDifference(kept).length !== input.length) throw new Error("kept differently");
    for (const have of [undefined, 0, 1]) {
      const reader = new TransferReader(1, apex, have, { records: 1000, bytes: 100_000 });
      for (let at = 0; at + 2 <= input.length;) {
        const length = ((input[at] ?? 0) << 8) | (input[at + 1] ?? 0);
        const parsed = parseWireMessage(input.slice(at + 2, at + 2 + length));
        at += 2 + length;
        if (!parsed.ok) break;
        const result = reader.read(parsed.value);
        if (result === undefined) continue;
        if (result.kind === "differences") {
          for (const each of result.differences) {
            if (decodeDifference(encodeDifference(each)) === undefined) throw new Error("cannot be kept");
          }
        }
        break;
      }
    }
  },
};
