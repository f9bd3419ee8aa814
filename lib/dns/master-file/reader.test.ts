import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import { printRecord } from "../record/text.ts";
import { MasterFileError, type MasterFileOptions, parseMasterFile } from "./reader.ts";

const origin = nameFromText("example.org");

/** Records as printed, and errors as text; tabs as blanks. */
function read(input: Parameters<typeof parseMasterFile>[0], options: MasterFileOptions = { origin }): string[] {
  return [...parseMasterFile(input, options)].map((item) =>
    item instanceof MasterFileError ? item.toString() : printRecord(item).replaceAll("\t", " "),
  );
}

describe("RFC 1035 §5.1: master files", () => {
  test("§5.3: the example", () => {
    const text = `@   IN  SOA     VENERA      Action\\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        NS      VAXA
        MX      10      VENERA
        MX      20      VAXA

A       A       26.3.0.103

VENERA  A       10.1.0.52
        A       128.9.0.32

VAXA    A       10.2.0.27
        A       128.9.0.33


$INCLUDE <SUBSYS>ISI-MAILBOXES.TXT
`;
    const mailboxes = `MOE     MB      A.ISI.EDU.
LARRY   MB      A.ISI.EDU.
CURLEY  MB      A.ISI.EDU.
STOOGES MG      MOE
        MG      LARRY
        MG      CURLEY
`;
    const include = (file: string) => (file === "<SUBSYS>ISI-MAILBOXES.TXT" ? mailboxes : undefined);
    expect(read(text, { origin: nameFromText("ISI.EDU"), include })).toEqual([
      "ISI.EDU. 60 IN SOA VENERA.ISI.EDU. Action\\.domains.ISI.EDU. 20 7200 600 3600000 60",
      "ISI.EDU. 60 IN NS A.ISI.EDU.",
      "ISI.EDU. 60 IN NS VENERA.ISI.EDU.",
      "ISI.EDU. 60 IN NS VAXA.ISI.EDU.",
      "ISI.EDU. 60 IN MX 10 VENERA.ISI.EDU.",
      "ISI.EDU. 60 IN MX 20 VAXA.ISI.EDU.",
      "A.ISI.EDU. 60 IN A 26.3.0.103",
      "VENERA.ISI.EDU. 60 IN A 10.1.0.52",
      "VENERA.ISI.EDU. 60 IN A 128.9.0.32",
      "VAXA.ISI.EDU. 60 IN A 10.2.0.27",
      "VAXA.ISI.EDU. 60 IN A 128.9.0.33",
      "MOE.ISI.EDU. 60 IN MB A.ISI.EDU.",
      "LARRY.ISI.EDU. 60 IN MB A.ISI.EDU.",
      "CURLEY.ISI.EDU. 60 IN MB A.ISI.EDU.",
      "STOOGES.ISI.EDU. 60 IN MG MOE.ISI.EDU.",
      "STOOGES.ISI.EDU. 60 IN MG LARRY.ISI.EDU.",
      "STOOGES.ISI.EDU. 60 IN MG CURLEY.ISI.EDU.",
    ]);
  });

  test("class and time to live in either order, or not at all; mnemonics in either case", () => {
    const text =
      "a 5 IN A 192.0.2.1\na IN 1m a 192.0.2.2\na in A 192.0.2.3\na 7 type1 192.0.2.4\na CLASS1 TYPE1 \\# 4 c0000205";
    expect(read(text)).toEqual([
      "a.example.org. 5 IN A 192.0.2.1",
      "a.example.org. 60 IN A 192.0.2.2",
      "a.example.org. 60 IN A 192.0.2.3",
      "a.example.org. 7 IN A 192.0.2.4",
      "a.example.org. 7 IN A 192.0.2.5",
    ]);
  });

  test("RFC 2308 §4: $TTL is for records without one of their own", () => {
    expect(read("$TTL 1h30m\na A 192.0.2.1\na 5 A 192.0.2.2\na A 192.0.2.3\n$ttl 9\na A 192.0.2.4")).toEqual([
      "a.example.org. 5400 IN A 192.0.2.1",
      "a.example.org. 5 IN A 192.0.2.2",
      "a.example.org. 5400 IN A 192.0.2.3",
      "a.example.org. 9 IN A 192.0.2.4",
    ]);
    expect(read("a A 192.0.2.1")).toEqual(["zone:1:1: no time to live: neither here, nor before, nor a $TTL"]);
    expect(read("a A 192.0.2.1", { origin, ttl: 3 })).toEqual(["a.example.org. 3 IN A 192.0.2.1"]);
  });

  test("names: relative ones, the root, wildcards, escapes, types as owners", () => {
    const text = '$TTL 1\n@ NS .\n* TXT a;b\nin\\032\\.x TXT "; ( \\" )"\nA A 192.0.2.1\n\tTXT \\"x\\; "" (\n "y" )\n';
    expect(read(text)).toEqual([
      "example.org. 1 IN NS .",
      '*.example.org. 1 IN TXT "a"',
      'in\\032\\.x.example.org. 1 IN TXT "; ( \\" )"',
      "A.example.org. 1 IN A 192.0.2.1",
      'A.example.org. 1 IN TXT "\\"x;" "" "y"',
    ]);
    expect(read("$TTL 1\n$ORIGIN a\nx A 192.0.2.1\n$ORIGIN b.\nx A 192.0.2.1\n")).toEqual([
      "x.a.example.org. 1 IN A 192.0.2.1",
      "x.b. 1 IN A 192.0.2.1",
    ]);
  });

  test("lines end in CR LF or LF, the last one in nothing; blank and commented lines do not matter", () => {
    expect(read("$TTL 1\r\n\r\n ; c\r\n\t\r\na A 192.0.2.1\r\n;\n; (\n b A 192.0.2.2 ; x")).toEqual([
      "a.example.org. 1 IN A 192.0.2.1",
      'zone:8:2: "b" is not a record type (as in A, or TYPE65280)',
    ]);
  });

  test("$INCLUDE: its origin and owner end with it", () => {
    const files: Record<string, string> = {
      sub: "x A 192.0.2.2\n$ORIGIN deeper\ny A 192.0.2.3\n$INCLUDE inner",
      inner: " A 192.0.2.4\nz A oops\n",
    };
    const text = "$TTL 1\na A 192.0.2.1\n$INCLUDE sub sub\n A 192.0.2.5\nb A 192.0.2.6\n$INCLUDE missing\n";
    const from: string[] = [];
    const include = (file: string, by: string) => {
      from.push(`${by} ${file}`);
      return files[file];
    };
    expect(read(text, { origin, include, source: "top" })).toEqual([
      "a.example.org. 1 IN A 192.0.2.1",
      "x.sub.example.org. 1 IN A 192.0.2.2",
      "y.deeper.sub.example.org. 1 IN A 192.0.2.3",
      "y.deeper.sub.example.org. 1 IN A 192.0.2.4",
      'inner:2:5: address: "oops" is not an IPv4 address (as in 192.0.2.1)',
      "a.example.org. 1 IN A 192.0.2.5",
      "b.example.org. 1 IN A 192.0.2.6",
      'top:6:10: "missing" cannot be read',
    ]);
    expect(from).toEqual(["top sub", "sub inner", "top missing"]);
    expect(read("$INCLUDE a")).toEqual(["zone:1:1: $INCLUDE is not allowed here"]);
  });

  test("$INCLUDE is bounded in depth and number", () => {
    const deep = read("$INCLUDE a", { origin, include: () => "$INCLUDE a" });
    expect(deep).toEqual(["a:1:1: $INCLUDE more than 10 deep"]);
    const wide = read("$INCLUDE a", { origin, include: () => "$INCLUDE a\n".repeat(8) });
    expect(wide.at(-1)).toBe("a:8:1: more than 1000 files included");
  });

  test("$GENERATE", () => {
    const text = `$TTL 1
$GENERATE 1-3 host$ A 192.0.2.$
$GENERATE 0-4/2 \${1,3} 5 IN CNAME \${-0,2,x}.$$.\\$
$GENERATE 10-11 \${0,4,X} MX "10 mail\${0,0,o}"
$GENERATE 31-31 \${0,7,n} PTR a.
$GENERATE 1-1 t TXT "one text"
$GENERATE 1-1 t TXT "two" "texts $"
`;
    expect(read(text)).toEqual([
      "host1.example.org. 1 IN A 192.0.2.1",
      "host2.example.org. 1 IN A 192.0.2.2",
      "host3.example.org. 1 IN A 192.0.2.3",
      "001.example.org. 5 IN CNAME 00.\\$.\\$.example.org.",
      "003.example.org. 5 IN CNAME 02.\\$.\\$.example.org.",
      "005.example.org. 5 IN CNAME 04.\\$.\\$.example.org.",
      "000A.example.org. 1 IN MX 10 mail12.example.org.",
      "000B.example.org. 1 IN MX 10 mail13.example.org.",
      "f.1.0.0.example.org. 1 IN PTR a.",
      't.example.org. 1 IN TXT "one" "text"',
      't.example.org. 1 IN TXT "two" "texts 1"',
    ]);
  });

  test.each<readonly [string, string]>([
    ["$GENERATE 1 a A 192.0.2.$", '1:11: "1" is not a range (as in 1-100 or 0-30/2)'],
    ["$GENERATE 3-1 a A 192.0.2.$", '1:11: "3-1" ends before it starts'],
    ["$GENERATE 0-2000000 a A 192.0.2.$", "1:11: more than 1048576 records"],
    ["$GENERATE 1-2 ${1,2,q} A 192.0.2.$", '1:15: "${1,2,q}" is not ${offset,width,base}, base one of d o x X n N'],
    ["$GENERATE 1-2 a$ B c", "1:21: type is missing"],
    ["$GENERATE 1-1 ${-2} A 192.0.2.1", "1:1: $GENERATE at 1: an offset makes the number negative"],
    ["$GENERATE 256-256 a A 192.0.2.$", '1:1: $GENERATE at 256: address: "192.0.2.256" is not an IPv4 address'],
    ["$FROB x", '1:1: "$FROB" is not a directive ($ORIGIN, $TTL, $INCLUDE, $GENERATE)'],
    ["$TTL x", '1:6: $TTL: "x" is not a time'],
    ["$TTL 5 6", "1:8: more than the directive takes"],
    ["$TTL 4000000000", "1:6: not a time to live: 0 to 2147483647 seconds"],
    ["$ORIGIN", "1:8: origin is missing"],
    ["a A", "1:4: address is missing"],
    ["a IN", "1:5: the record's type is missing"],
    ["a 5 6 A 192.0.2.1", '1:5: "6" is not a record type'],
    ["a IN CH A 192.0.2.1", "1:6: a second class"],
    ["a CH A 192.0.2.1", "1:3: the class CH in a zone of class IN"],
    ["a ANY 192.0.2.1", "1:3: ANY is not a type that zones have"],
    ["a OPT \\# 0", "1:3: OPT is not a type that zones have"],
    ["a 2147483648 A 192.0.2.1", "1:3: not a time to live: 0 to 2147483647 seconds"],
    ["a A 192.0.2.1 x", "1:15: more than the data of a A record"],
    ["a TYPE731 abc", "1:11: the data of TYPE731 are written \\# LENGTH HEX"],
    [" A 192.0.2.1", "1:2: a blank at the start of the line, and no record before it"],
    ["a..b A 192.0.2.1", '1:1: owner: "a..b" has an empty label'],
    ["a A ) 192.0.2.1", '1:5: ")" without "("'],
    ['a TXT "x\nb TXT y', "1:7: a quote that does not end on its line"],
    ["a SOA b c (\n1 2 3 4", "2:8: the file ends inside parentheses"],
    ["a TXT x\\", "a backslash with nothing behind it"],
  ])("%j is wrong", (text, error) => {
    const lines = read(text, { origin, ttl: 1 });
    expect(lines.some((line) => line.startsWith("zone:") && line.includes(error))).toBe(true);
  });

  test("after an error the next entry is read", () => {
    const text = '$TTL 1\na A x\nb A 192.0.2.1\nc TXT "x\nd A 192.0.2.2\ne A (\n ) ) \nf A 192.0.2.3\n';
    expect(read(text).filter((line) => !line.startsWith("zone:"))).toEqual([
      "b.example.org. 1 IN A 192.0.2.1",
      "d.example.org. 1 IN A 192.0.2.2",
      "f.example.org. 1 IN A 192.0.2.3",
    ]);
  });

  test("an entry without end is refused without being held", () => {
    function* endless(): Generator<string> {
      yield "a TXT (\n";
      for (let count = 0; count < 100; count++) yield "x ".repeat(50_000);
    }
    expect(read(endless(), { origin, ttl: 1 })).toEqual([
      'zone:1:1: an entry longer than 1048576 bytes: is a ")" missing?',
    ]);
  });

  test("without an origin relative names are refused", () => {
    expect(read("a. 1 NS b.\na 1 NS b.\n", {})).toEqual([
      "a. 1 IN NS b.",
      'zone:2:1: owner: "a" is relative, and there is no $ORIGIN',
    ]);
  });

  test("where the pieces of a file end does not matter", () => {
    const text =
      '$TTL 1h\n@ SOA a b (1 2\n3 ; c "\n 4 5) ; d\n NS "x y"\nb\\032c TXT "a;b" d\\;e ( f\r\n g )\nbad A 1\n$GENERATE 1-2 g$ A 192.0.2.$\nlast 5 AAAA ::1';
    const whole = read(text);
    const bytes = new TextEncoder().encode(text);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
        const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
        expect(read(pieces)).toEqual(whole);
      }),
    );
    expect(read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
  });
});
