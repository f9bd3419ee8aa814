import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { canonicalData, expandData, isValidData } from "./data.ts";
import { formatOf } from "./registry.ts";
import { parseRecordData, printRecord, printRecordData } from "./text.ts";
import { classFromText, className, typeFromText, typeName } from "./type-name.ts";

type TypeName = keyof typeof recordType;

const origin = nameFromText("example.org");

function scan(type: TypeName, text: string): Uint8Array {
  const scanned = parseRecordData(recordType[type], text, origin);
  if (!scanned.ok) throw new Error(`${type} ${text}: ${scanned.what} at ${scanned.column}`);
  return scanned.data;
}

const b64 = "AwEAAcZ0Xw==";

/** Text as it is printed again, by type. */
const examples: readonly (readonly [TypeName, string])[] = [
  ["A", "192.0.2.1"],
  ["AAAA", "2001:db8::1"],
  ["NS", "ns.example.org."],
  ["CNAME", "."],
  ["SOA", "ns.example.org. admin\\.x.example.org. 1 7200 3600 1209600 3600"],
  ["PTR", "a\\032b.example.org."],
  ["HINFO", '"RFC8482" ""'],
  ["MX", "10 mail.example.org."],
  ["TXT", '"v=spf1 -all" "a\\"b\\\\c\\000\\255;"'],
  ["RP", "admin.example.org. ."],
  ["AFSDB", "1 afs.example.org."],
  ["X25", "311061700956"],
  ["ISDN", '"150862028003217" "004"'],
  ["ISDN", '"150862028003217"'],
  ["RT", "10 relay.example.org."],
  ["PX", "10 a.example.org. b.example.org."],
  ["KEY", `256 3 8 ${b64}`],
  ["SIG", `TYPE0 8 2 3600 20300101000000 20250101000000 12345 example.org. ${b64}`],
  ["LOC", "42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m"],
  ["LOC", "0 0 0.000 N 0 0 0.001 E 0.05m 0.10m 0m 90000000m"],
  ["SRV", "0 5 5060 sip.example.org."],
  ["NAPTR", '100 10 "U" "E2U+sip" "!^.*$!sip:info@example.org!" .'],
  ["KX", "10 kx.example.org."],
  ["CERT", `1 12345 8 ${b64}`],
  ["DNAME", "example.net."],
  ["APL", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8 1:0.0.0.0/0"],
  ["APL", ""],
  ["DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"],
  ["SSHFP", "4 2 0123456789ABCDEF"],
  ["IPSECKEY", `10 1 2 192.0.2.38 ${b64}`],
  ["IPSECKEY", `10 0 2 . ${b64}`],
  ["IPSECKEY", `10 3 2 gw.example.org. ${b64}`],
  ["IPSECKEY", `10 2 2 2001:db8::2000:1 ${b64}`],
  ["RRSIG", `A 13 3 86400 20300322173103 20250220173103 2642 example.org. ${b64}`],
  ["NSEC", "host.example.org. A MX RRSIG NSEC TYPE1234"],
  ["DNSKEY", `257 3 13 ${b64}`],
  ["CDNSKEY", "0 3 0 AA=="],
  ["CDS", "0 0 0 00"],
  ["DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="],
  ["NSEC3", "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR MX DNSKEY NS SOA NSEC3PARAM RRSIG"],
  ["NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR"],
  ["NSEC3PARAM", "1 0 0 -"],
  ["TLSA", "3 1 1 0123456789ABCDEF"],
  ["SMIMEA", "3 1 1 0123456789ABCDEF"],
  ["HIP", `2 200100107B1A74DF365639CC39F1D578 ${b64} rvs.example.org.`],
  ["OPENPGPKEY", b64],
  ["CSYNC", "66 3 A NS AAAA"],
  ["ZONEMD", "2018031900 1 1 C68090D90A7AED716BC459F9340E3D7C1370D4D24B7E2FC3A1DDC0B9A87153B9"],
  ["SVCB", '1 svc.example.org. alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1'],
  ["SVCB", '16 foo.example.org. mandatory=alpn,ipv4hint alpn="h2,h3-19" ipv4hint=192.0.2.1'],
  ["SVCB", '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"'],
  ["SVCB", '1 foo.example.org. key667="hello\\210qoo"'],
  ["HTTPS", "0 pool.example.org."],
  ["HTTPS", '1 . alpn="h2" no-default-alpn ech=AEj+DQBE dohpath="/q{?dns}" ohttp'],
  ["SPF", '"v=spf1 -all"'],
  ["NID", "10 0014:4fff:ff20:ee64"],
  ["L32", "10 10.1.2.0"],
  ["L64", "10 2001:0db8:1140:1000"],
  ["LP", "10 l64-subnet1.example.org."],
  ["EUI48", "00-00-5e-00-53-2a"],
  ["EUI64", "00-00-5e-ef-10-00-00-2a"],
  ["TKEY", `gss-tsig. 20250101000000 20250102000000 3 0 7 ${b64} 0`],
  ["TSIG", `hmac-sha256. 1700000000 300 7 ${b64} 12345 0 0`],
  ["URI", '10 1 "ftp://ftp1.example.org/public"'],
  ["CAA", '0 issue "ca.example.net; policy=ev"'],
  ["AVC", '"app-name:WOLFGANG|app-class:OAM"'],
];

describe("text of record data", () => {
  test.each(examples)("%s %s", (type, text) => {
    const data = scan(type, text);
    expect(isValidData(recordType[type], data)).toBe(true);
    const printed = printRecordData(recordType[type], data);
    const sorted = (each: string): string => (/^(NSEC|CSYNC)/.test(type) ? each.split(" ").sort().join(" ") : each);
    expect(sorted(printed)).toBe(sorted(text));
    expect(scan(type, printed)).toEqual(data);
    // RFC 3597 §5: the generic form is understood for all types.
    const hex = Buffer.from(data).toString("hex");
    expect(scan(type, `\\# ${data.length} ${hex}`)).toEqual(data);
  });

  test("every type that is known has an example", () => {
    const shown = new Set<string>(examples.map(([type]) => type));
    const obsolete = ["MB", "MG", "MR", "MINFO", "NULL", "TA", "DLV"];
    const missing = Object.entries(recordType)
      .filter(([name, code]) => formatOf(code) !== undefined && !shown.has(name) && !obsolete.includes(name))
      .map(([name]) => name);
    expect(missing).toEqual([]);
  });

  test.each<readonly [TypeName, string, string]>([
    ["MX", "ten mail", 'preference: "ten" is not a number from 0 to 65535'],
    ["MX", "65536 mail", "preference"],
    ["MX", "10", "exchange is missing"],
    ["MX", "10 a b", "more than the data of a MX record"],
    ["MX", "10 a..b", "has an empty label"],
    ["NS", "x".repeat(64), "a label longer than 63 bytes"],
    ["NS", "abcdefg.".repeat(32), "longer than 255 bytes"],
    ["NS", `${"abcdefg.".repeat(31)}xy`, "longer than 255 bytes with its origin"],
    ["A", "192.0.2", "not an IPv4 address"],
    ["A", "192.0.2.256", "not an IPv4 address"],
    ["A", "192.0.02.1", "not an IPv4 address"],
    ["A", "1.2.3.4.5", "not an IPv4 address"],
    ["AAAA", "192.0.2.1", "not an IPv6 address"],
    ["SOA", "a b 1 1x 1 1 1", 'refresh: "1x" is not a time'],
    ["TXT", '"a', "a quote that does not end"],
    ["TXT", `"${"x".repeat(256)}"`, "a string of 256 bytes"],
    ["TXT", '"\\256"', "a number above 255"],
    ["DS", "1 2 3 ABC", "cut off"],
    ["DS", "1 2 3 XY", '"X" is not hexadecimal'],
    ["DNSKEY", "256 3 8 AwE=A", "not base 64"],
    ["DNSKEY", "256 3 8 AwE", "cut off"],
    ["RRSIG", "NOPE 1 1 1 1 1 1 . AA==", "covered: not a record type"],
    ["RRSIG", "A 1 1 1 20250231000000 1 1 . AA==", "is no time"],
    ["NSEC", "a A NOPE", '"NOPE" is not a record type'],
    ["LOC", "91 N 0 E 0", "latitude"],
    ["APL", "3:192.0.2.0/24", "is not an address prefix"],
    ["APL", "1:192.0.2.0/33", "is not an address prefix"],
    ["EUI48", "00-00-5e-00-53", "not 6 bytes"],
    ["SVCB", "1 a alpn=h2 alpn=h3", "is there twice"],
    ["SVCB", "1 a mandatory=port", "a key that is not among the parameters"],
    ["SVCB", "1 a port=65536", "a number from 0 to 65535"],
    ["SVCB", "1 a frobnicate=1", "is not a key"],
    ["SVCB", "1 a ipv4hint=2001:db8::1", "a list of IPv4 addresses"],
    ["A", "\\# 3 010203", "are not data of a A record"],
    ["A", "\\# 4 0102", "4 bytes are announced, and 2 are there"],
    ["NULL", "x", "\\# LENGTH HEX"],
  ])("%s %s is refused", (type, text, what) => {
    const scanned = parseRecordData(recordType[type], text, origin);
    expect(scanned.ok ? "accepted" : scanned.what).toContain(what);
  });

  test("RFC 9460 D.2: the examples in the forms that they may be written in", () => {
    expect(scan("SVCB", "1 foo.example.com. key667=hello")).toEqual(scan("SVCB", '1 foo.example.com. key667="hello"'));
    expect(Buffer.from(scan("SVCB", "16 foo.example.com. port=53")).toString("hex")).toBe(
      "001003666f6f076578616d706c6503636f6d00000300020035",
    );
    const escaped = Buffer.from(scan("SVCB", "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2"));
    expect(escaped.toString("hex")).toBe("001003666f6f076578616d706c65036f726700000100" + "0c08665c6f6f2c626172026832");
    expect(scan("SVCB", '16 foo.example.org. alpn="f\\\\\\\\oo\\\\,bar,h2"')).toEqual(Uint8Array.from(escaped));
    const sorted = Buffer.from(
      scan("SVCB", "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1"),
    );
    expect(sorted.toString("hex")).toBe(
      "001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d31390004000" + "4c0000201",
    );
  });

  test("RFC 3597 §5: types and classes that are not known", () => {
    expect(printRecord({ owner: origin, type: 731, class: 32, ttl: 5, data: Uint8Array.of(0xab, 0xcd) })).toBe(
      "example.org.\t5\tCLASS32\tTYPE731\t\\# 2 ABCD",
    );
    expect(typeFromText("type731")).toBe(731);
    expect(typeFromText("TYPE65536")).toBeUndefined();
    expect(typeFromText("aaaa")).toBe(28);
    expect(typeName(28)).toBe("AAAA");
    expect(classFromText("CLASS32")).toBe(32);
    expect(classFromText("ch")).toBe(3);
    expect(className(1)).toBe("IN");
    // Data that are none of their type are printed all the same.
    expect(printRecordData(recordType.A, Uint8Array.of(1))).toBe("\\# 1 01");
  });

  test("any data that are valid are printed, and read again", () => {
    const codes = [...new Set(examples.map(([type]) => recordType[type])), 731];
    const valid = fc
      .constantFrom(...examples)
      .map(([type, text]) => ({ type: recordType[type], data: scan(type, text) }));
    const damaged = fc
      .tuple(valid, fc.array(fc.tuple(fc.nat(100), fc.nat(255)), { maxLength: 4 }), fc.nat(3))
      .map(([{ type, data }, changes, cut]) => {
        const copy = data.slice(0, Math.max(0, data.length - (cut === 3 ? 1 : 0)));
        for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
        return { type, data: copy };
      });
    const random = fc.record({ type: fc.constantFrom(...codes), data: fc.uint8Array({ maxLength: 80 }) });
    fc.assert(
      fc.property(fc.oneof(damaged, random), ({ type, data }) => {
        const text = printRecordData(type, data);
        const again = parseRecordData(type, text, origin);
        if (!isValidData(type, data)) {
          expect(text.startsWith("\\#")).toBe(true);
          return;
        }
        expect(again).toEqual({ ok: true, data });
      }),
      { numRuns: 1000 },
    );
  });

  test("any text is read, or refused with a place", () => {
    const words = fc.constantFrom(
      "1",
      "a",
      '"',
      "(",
      ")",
      ";",
      "\\",
      "\\#",
      "\\0",
      " ",
      "=",
      ",",
      "\n",
      "alpn",
      "-",
      ".",
      "@",
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...examples),
        fc.array(words, { maxLength: 8 }),
        fc.nat(60),
        ([type, text], noise, at) => {
          const mixed = text.slice(0, at) + noise.join("") + text.slice(at);
          const scanned = parseRecordData(recordType[type], mixed, origin);
          if (scanned.ok) expect(isValidData(recordType[type], scanned.data)).toBe(true);
          else expect(scanned.column).toBeGreaterThan(0);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("record data as bytes", () => {
  test("names in messages are written out", () => {
    const good = Uint8Array.from([0, 7, ...nameFromText("example.org"), 0, 10, 4, 109, 97, 105, 108, 0xc0, 2]);
    const at = 15;
    expect(expandData(recordType.MX, good, at, 8, 0, good.length)).toBeUndefined();
    expect(expandData(recordType.MX, good, at, good.length - at, 0, good.length)).toEqual(scan("MX", "10 mail"));
    expect(expandData(recordType.A, good, at, 4, 0, good.length)).toEqual(good.slice(at, at + 4));
    expect(expandData(recordType.A, good, at, 5, 0, good.length)).toBeUndefined();
    expect(expandData(731, good, at, 5, 0, good.length)).toEqual(good.slice(at, at + 5));
  });

  test("RFC 4034 §6.2 and RFC 6840 §5.1: which names are folded", () => {
    expect(canonicalData(recordType.MX, scan("MX", "10 MAIL"))).toEqual(
      scan("MX", "10 mail.EXAMPLE.org".toLowerCase() + "."),
    );
    expect(canonicalData(recordType.SRV, scan("SRV", "1 2 3 A."))).toEqual(scan("SRV", "1 2 3 a."));
    const rrsig = `A 13 3 86400 20300322173103 20250220173103 2642 Example.ORG. ${b64}`;
    expect(canonicalData(recordType.RRSIG, scan("RRSIG", rrsig))).toEqual(
      scan("RRSIG", rrsig.replace("Example.ORG", "example.org")),
    );
    const nsec = scan("NSEC", "HOST.example.org. A");
    expect(canonicalData(recordType.NSEC, nsec)).toBe(nsec);
    const svcb = scan("SVCB", "1 HOST.");
    expect(canonicalData(recordType.SVCB, svcb)).toBe(svcb);
    const txt = scan("TXT", '"ABC"');
    expect(canonicalData(recordType.TXT, txt)).toBe(txt);
  });
});
