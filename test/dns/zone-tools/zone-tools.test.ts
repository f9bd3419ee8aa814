// Master files and signed zones, as the tools of BIND, NSD, Knot and ldns understand them.
import { execFileSync, spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createZoneKey } from "@tesserae/dns/dnssec/signature";
import { signZone, type SignZoneOptions } from "@tesserae/dns/dnssec/sign-zone";
import { verifyZone } from "@tesserae/dns/dnssec/verify-zone";
import { MasterFileError, parseMasterFile } from "@tesserae/dns/master-file/reader";
import { compareNames, lowerName, nameFromText, nameToText } from "@tesserae/dns/name-bytes";
import { printRecord } from "@tesserae/dns/record/text";
import { recordType } from "@tesserae/dns/wire";
import type { WireRecord } from "@tesserae/dns/wire-record";
import { createCrypto } from "@tesserae/node/crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../../namespace/namespace.ts";

const missing = unavailable(
  ...["named-checkzone", "dnssec-signzone", "dnssec-verify", "dnssec-keygen", "nsd-checkzone", "kzonecheck"],
  ...["ldns-read-zone", "ldns-verify-zone", "ldns-signzone", "ldns-keygen"],
);
const apex = nameFromText("example.org");
const crypto = createCrypto();

function readZone(text: string | Uint8Array): { readonly records: WireRecord[]; readonly errors: string[] } {
  const records: WireRecord[] = [];
  const errors: string[] = [];
  for (const item of parseMasterFile(text, { origin: apex, include: () => "included TXT yes\n" })) {
    if (item instanceof MasterFileError) errors.push(item.toString());
    else records.push(item);
  }
  return { records, errors };
}

/** One line a record in the order of names, equal for what says the same. */
function lines(records: readonly WireRecord[]): string[] {
  const sorted = records.toSorted((a, b) => compareNames(a.owner, b.owner) || a.type - b.type);
  const text = sorted.map((record) => printRecord({ ...record, owner: lowerName(record.owner) }));
  return [...new Set(text)].sort();
}

/** Without what not every tool of Debian 12 knows. */
const plain = `$ORIGIN example.org.
$TTL 1h
@ 1D IN SOA ns1 hostmaster.mail ( 2024010101 ; serial
  2h 15m ; refresh, retry
  2w 30m )
  NS ns1
  IN NS ns2.example.net.
  MX 10 mail ; the first
  5 MX 20 mail2
  TXT "v=spf1 -all" "semi;colon" "quo\\"te" unquoted \\065\\\\
  CAA 0 issue "ca.example.net; policy=ev"
ns1 A 192.0.2.1
 AAAA 2001:db8::1
mail IN 300 A 192.0.2.2
mail2 300 IN A 192.0.2.3
$GENERATE 1-20/3 host-\${0,3,d} A 192.0.2.$
$GENERATE 0-3 \${0,2,x} CNAME host-00$
_sip._tcp SRV 1 2 5060 mail
*.wild TXT wild
sub NS ns.sub
ns.sub A 192.0.2.4
secure NS ns.sub
 DS 60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
old DNAME other.example.net.
a.deep.name PTR ns1
esc\\.aped\\032name TXT "x"
UPPER.Case A 192.0.2.5
enum NAPTR 100 10 "U" "E2U+sip" "!^.*$!sip:info@example.org!" .
host HINFO PC "Plan 9"
rp RP admin.example.org. txt.example.org.
afs AFSDB 1 ns1
loc LOC 42 21 54 N 71 06 18 W -24m 30m
ssh SSHFP 4 2 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08
_443._tcp TLSA 3 1 1 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08
kx KX 5 ns1
cert CERT 1 12345 8 AwEAAcZ0Xw==
apl APL 1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8
ipsec IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
nid NID 10 0014:4fff:ff20:ee64
l32 L32 10 10.1.2.0
l64 L64 10 2001:0DB8:1140:1000
lp LP 10 l64
eui EUI48 00-00-5e-00-53-2a
eui EUI64 00-00-5e-ef-10-00-00-2a
uri URI 10 1 "ftp://ftp1.example.org/public"
pgp OPENPGPKEY AwEAAcZ0Xw==
csync CSYNC 66 3 A NS AAAA
unknown TYPE731 \\# 6 abcdef 012345
generic TYPE1 \\# 4 C0000207
`;
/** What ldns does not know: an extension of BIND's, and the class in front of the time to live. */
const forLdns = plain.replaceAll(/^\$GENERATE.*\n/gm, "").replace("IN 300", "300 IN");
const newer = `hip HIP 2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e1 ns1
svc SVCB 1 svc.example.net. alpn=h2,h3 port=8443 ipv4hint=192.0.2.1 mandatory=port
@ HTTPS 0 pool.example.net.
web HTTPS 1 . alpn="h2" no-default-alpn ipv6hint=2001:db8::1,2001:db8::2 key667="a b"
`;

describe.skipIf(missing !== undefined)(
  `zones as others understand them${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    let folder = "";
    const file = (name: string, text: string): string => {
      const place = path.join(folder, name);
      writeFileSync(place, text);
      return place;
    };
    beforeAll(() => {
      folder = mkdtempSync(path.join(tmpdir(), "tesserae-zones-"));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    const run = (
      command: string,
      ...parameters: readonly string[]
    ): { readonly isGood: boolean; readonly text: string } => {
      const { status, stdout, stderr } = spawnSync(command, parameters, { encoding: "utf8", cwd: folder });
      return { isGood: status === 0, text: `${stdout}${stderr}` };
    };

    test("named-checkzone -D reads the same records out of a zone with everything in it", () => {
      const name = file("plain", `${plain}${newer}`);
      const output = path.join(folder, "bind");
      const { isGood, text } = run(
        "named-checkzone",
        ...["-i", "none", "-k", "ignore", "-D", "-o", output, "example.org", name],
      );
      expect(isGood, text).toBe(true);
      const ours = readZone(`${plain}${newer}`);
      expect(ours.errors).toEqual([]);
      // BIND makes one time to live of a set's.
      const ttls = (each: readonly WireRecord[]) => each.map((record) => ({ ...record, ttl: 0 }));
      const theirs = readZone(readFileSync(output));
      expect(theirs.errors).toEqual([]);
      expect(lines(ttls(ours.records))).toEqual(lines(ttls(theirs.records)));
    });

    test("ldns-read-zone reads the same records, and what we print is read by all", () => {
      const withoutGenerate = forLdns;
      const name = file("ldns", withoutGenerate);
      const { isGood, text } = run("ldns-read-zone", name);
      expect(isGood, text).toBe(true);
      const theirs = readZone(text);
      expect(theirs.errors).toEqual([]);
      const ours = readZone(withoutGenerate);
      expect(lines(ours.records)).toEqual(lines(theirs.records));
      const printed = file("printed", `${readZone(`${plain}${newer}`).records.map(printRecord).join("\n")}\n`);
      const bind = run("named-checkzone", "-i", "none", "-k", "ignore", "example.org", printed);
      expect(bind.isGood, bind.text).toBe(true);
      // NSD 4.6 and Knot 3.2 do not know HIP.
      writeFileSync(printed, readFileSync(printed, "utf8").replaceAll(/^hip.*\n/gm, ""));
      const nsd = run("nsd-checkzone", "example.org", printed);
      expect(nsd.isGood, nsd.text).toBe(true);
      const knot = run("kzonecheck", "-o", "example.org", printed);
      expect(knot.isGood, knot.text).toBe(true);
    });

    test.each([
      "a A 192.0.2.256",
      "a A",
      "a A 192.0.2.1 192.0.2.2",
      "a AAAA 2001:db8::g",
      "a MX mail",
      "a MX 70000 mail",
      'a TXT "open',
      `a TXT "${"x".repeat(256)}"`,
      `${"x".repeat(64)} A 192.0.2.1`,
      "a..b A 192.0.2.1",
      "a TYPE731 \\# 3 abcd",
      "a FROB 1",
      "a SOA ns1 (",
      "a ) A 192.0.2.1",
      "$FROB x",
      "$TTL never",
      "$ORIGIN",
      "a DS 1 13 2 XYZ",
      "a DNSKEY 256 3 13 ====",
      "a CH A 192.0.2.1",
      "a SVCB 1 . alpn=h2 alpn=h3",
      "a LOC 100 N 0 E 0m",
      "a APL 1:192.0.2.0/33",
      "a EUI48 00-00-5e-00-53",
      "a NSEC b FROB",
      "$GENERATE 5-1 a$ A 192.0.2.$",
    ])("%j is refused by named-checkzone, and by us at its line", (line) => {
      const text = `$TTL 60\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.1\n${line}\n`;
      const { isGood } = run("named-checkzone", "-i", "none", "-k", "ignore", "example.org", file("broken", text));
      expect(isGood).toBe(false);
      expect(readZone(text).errors[0]).toMatch(/^zone:[56]:\d+: /);
    });

    const now = Math.floor(Date.now() / 1000);
    const validity = { inception: now - 3600, expiration: now + 30 * 86_400 };
    const random = { fill: (bytes: Uint8Array) => void randomFillSync(bytes), uint32: () => 0 };
    const key = (algorithm: "ecdsa-p256-sha256" | "ed25519", isEntryPoint: boolean) =>
      createZoneKey(crypto.generateKey(algorithm, random), isEntryPoint);
    const keys = [key("ecdsa-p256-sha256", true), key("ecdsa-p256-sha256", false)];
    const nsec3 = { iterations: 0, salt: new Uint8Array(0), optOut: false };
    test.each<readonly [string, SignZoneOptions]>([
      ["NSEC", { ...validity, keys }],
      ["NSEC with Ed25519 and a ZONEMD record", { ...validity, keys: [key("ed25519", true)], zonemd: 1 }],
      ["NSEC3", { ...validity, keys, nsec3 }],
      [
        "NSEC3 with salt, iterations and a ZONEMD record",
        { ...validity, keys, nsec3: { ...nsec3, iterations: 5, salt: Uint8Array.of(1, 2) }, zonemd: 2 },
      ],
      ["NSEC3 with opt-out", { ...validity, keys, nsec3: { ...nsec3, optOut: true } }],
    ])("what we sign verifies: %s", (_, options) => {
      const signed = signZone(crypto, readZone(plain).records, apex, options);
      const name = file("signed", `${signed.map(printRecord).join("\n")}\n`);
      const bind = run("dnssec-verify", ...(options.keys.length === 1 ? ["-z"] : []), "-o", "example.org", name);
      expect(bind.isGood, bind.text).toBe(true);
      const ldns = run("ldns-verify-zone", ...(options.zonemd === undefined ? [] : ["-Z"]), name);
      expect(ldns.isGood, ldns.text).toBe(true);
      const knot = run("kzonecheck", "-o", "example.org", "-d", "on", name);
      expect(knot.isGood, knot.text).toBe(true);
      expect(verifyZone(crypto, signed, apex, now)).toEqual([]);
    });

    describe("what others sign verifies", () => {
      const read = (name: string): WireRecord[] => {
        const { records, errors } = readZone(readFileSync(path.join(folder, name)));
        expect(errors).toEqual([]);
        return records;
      };
      // Their signatures hold from when they are made.
      const later = now + 3600;
      const check = (records: readonly WireRecord[]): void => {
        expect(verifyZone(crypto, records, apex, later)).toEqual([]);
        // And not when a record says something else.
        const first = records.findIndex(({ type }) => type === recordType.A);
        const changed = records.filter((_, index) => index !== first);
        expect(verifyZone(crypto, changed, apex, later)).not.toEqual([]);
      };

      test.each<readonly [string, string, readonly string[]]>([
        ["NSEC", "ECDSAP256SHA256", []],
        ["NSEC3", "RSASHA256", ["-3", "-"]],
        ["NSEC3 with salt and opt-out", "ED25519", ["-3", "AABB", "-H", "3", "-A"]],
      ])("dnssec-signzone: %s, %s", (_, algorithm, parameters) => {
        const bits = algorithm.startsWith("RSA") ? ["-b", "1024"] : [];
        const keyFolder = mkdtempSync(path.join(folder, "keys-"));
        for (const flags of [["-f", "KSK"], []]) {
          execFileSync("dnssec-keygen", ["-q", "-K", keyFolder, "-a", algorithm, ...bits, ...flags, "example.org"], {
            stdio: "ignore",
          });
        }
        const name = file("unsigned", `${plain}${newer}`);
        const made = run(
          "dnssec-signzone",
          ...["-S", "-K", keyFolder, "-o", "example.org", ...parameters, "-f", `${name}.bind`, name],
        );
        expect(made.isGood, made.text).toBe(true);
        check(read("unsigned.bind"));
      });

      test.each<readonly [string, string, readonly string[]]>([
        ["NSEC", "ECDSAP384SHA384", []],
        ["NSEC3", "ED25519", ["-n", "-t", "0"]],
        ["NSEC and ZONEMD", "ECDSAP256SHA256", ["-z", "1:1"]],
      ])("ldns-signzone: %s, %s", (_, algorithm, parameters) => {
        const made = [["-k"], []].map((flags) => {
          const { text } = run("ldns-keygen", "-a", algorithm, ...flags, "example.org");
          return text.trim().split("\n").at(-1)!;
        });
        const bare = forLdns;
        const name = file("unsigned-ldns", bare);
        const output = path.join(folder, "signed-ldns");
        const { isGood, text } = run("ldns-signzone", ...parameters, "-f", output, name, ...made);
        expect(isGood, `${text} ${readdirSync(folder).join(" ")}`).toBe(true);
        check(read("signed-ldns"));
      });
    });

    test("names in canonical order are in the order that dnssec-signzone gives them", () => {
      const { records } = readZone(readFileSync(path.join(folder, "unsigned.bind")));
      const next = new Map<string, string>();
      for (const { owner, type, data } of records) {
        if (type === recordType.NSEC) next.set(nameToText(owner), nameToText(data));
      }
      for (const [from, to] of next) {
        if (to !== "example.org.") expect(compareNames(nameFromText(from), nameFromText(to))).toBeLessThan(0);
      }
    });
  },
);
