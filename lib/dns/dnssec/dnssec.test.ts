import { createCrypto, createRepeatableCrypto } from "@tesserae/node/crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MasterFileError, parseMasterFile } from "../master-file/reader.ts";
import { nameFromText, nameToText } from "../name-bytes.ts";
import { bitmapTypes, typeBitmap } from "../record/type-bitmap.ts";
import { parseRecordData, printRecord, printRecordData } from "../record/text.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { bitmapHas } from "./bitmap.ts";
import { digestAlgorithm, keyDigest, keyTag } from "./key.ts";
import { base32Hex, nsec3Hash } from "./nsec3-hash.ts";
import { createZoneKey, signRrset, verifyRrset } from "./signature.ts";
import { signZone, type SignZoneOptions } from "./sign-zone.ts";
import { verifyZone } from "./verify-zone.ts";
import { verifyZonemd } from "./zone-digest.ts";
import { zoneNames } from "./zone-names.ts";

const crypto = createCrypto();
const repeatable = createRepeatableCrypto();

function records(text: string, origin: string): WireRecord[] {
  return [...parseMasterFile(text, { origin: nameFromText(origin) })].map((item) => {
    if (item instanceof MasterFileError) throw new Error(item.toString());
    return item;
  });
}

function data(type: keyof typeof recordType, text: string): Uint8Array {
  const scanned = parseRecordData(recordType[type], text);
  if (!scanned.ok) throw new Error(scanned.what);
  return scanned.data;
}

const zone = `$TTL 3600
@ SOA ns1 admin 5 7200 3600 1209600 900
@ NS ns1
@ MX 10 MAIL
ns1 A 192.0.2.1
mail A 192.0.2.2
*.wild TXT "w"
a.b.c TXT "below names that have nothing"
signed NS ns.signed
signed DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
ns.signed A 192.0.2.3
plain NS ns.plain
ns.plain AAAA 2001:db8::1
deep.under NS ns.elsewhere.
alias DNAME other.example.
hidden.alias A 192.0.2.9
`;
const apex = nameFromText("Example.Org");
const validity = { inception: 1_700_000_000, expiration: 1_900_000_000 };
const now = 1_800_000_000;
const keyPair = (byte: number, isEntryPoint: boolean) =>
  createZoneKey(repeatable.importKey("ecdsa-p256-sha256", new Uint8Array(32).fill(byte)), isEntryPoint);
const keys = [keyPair(1, true), keyPair(2, false)];
const nsec3 = { iterations: 0, salt: new Uint8Array(0), optOut: false };
const waysToSign: readonly (readonly [string, SignZoneOptions])[] = [
  ["NSEC", { ...validity, keys }],
  ["NSEC3", { ...validity, keys, nsec3 }],
  ["NSEC3 with opt-out", { ...validity, keys, nsec3: { ...nsec3, optOut: true } }],
  ["NSEC3 with salt", { ...validity, keys, nsec3: { iterations: 10, salt: Uint8Array.of(1, 2), optOut: false } }],
  ["ZONEMD", { ...validity, keys, zonemd: 1 }],
  ["one key for all", { ...validity, keys: keys.slice(0, 1) }],
];

describe("RFC 4034: keys and digests", () => {
  const key = data(
    "DNSKEY",
    "256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
  );

  test("§5.4: the tag of a key, and its digest", () => {
    expect(keyTag(key)).toBe(60485);
    const owner = nameFromText("dskey.EXAMPLE.com");
    const digest = keyDigest(crypto, digestAlgorithm(1)!, owner, key);
    expect(Buffer.from(digest).toString("hex")).toBe("2bb183af5f22588179a53b0a98631fad1a292118");
    // RFC 4509 §2.3.
    const sha256 = keyDigest(crypto, digestAlgorithm(2)!, owner, key);
    expect(Buffer.from(sha256).toString("hex")).toBe(
      "d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
    );
  });

  test("§4.1.2: bitmaps of types", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(0xffff), { maxLength: 40 }), (types) => {
        const bitmap = typeBitmap(types);
        expect(bitmapTypes(bitmap, 0, bitmap.length)).toEqual(types.toSorted((a, b) => a - b));
        for (const type of types) expect(bitmapHas(bitmap, 0, type)).toBe(true);
        expect(bitmapHas(bitmap, 0, 0x1234)).toBe(types.includes(0x1234));
      }),
    );
    const example = data("NSEC", "host.example.com. A MX RRSIG NSEC TYPE1234");
    expect(Buffer.from(example.subarray(18)).toString("hex")).toBe(
      "0006400100000003041b0000000000000000000000000000000000000000000000000000" + "20",
    );
  });
});

test("RFC 5155 appendix A: hashes of names", () => {
  const salt = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd);
  const hash = (name: string) => base32Hex(nsec3Hash(crypto, nameFromText(name), salt, 12));
  expect(hash("example")).toBe("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
  expect(hash("a.EXAMPLE")).toBe("35mthgpgcu1qg68fab165klnsnk3dpvl");
  expect(hash("*.w.example")).toBe("r53bq7cc2uvmubfu5ocmm6pers9tk9en");
});

describe("RFC 4034 §3: signatures", () => {
  test("RFC 8080 §6.1: an Ed25519 signature", () => {
    const key = data("DNSKEY", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=");
    const owner = nameFromText("example.com");
    const set = { owner, type: recordType.MX, data: [data("MX", "10 mail.example.com.")] };
    const signature = data(
      "RRSIG",
      "MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
    );
    expect(keyTag(key)).toBe(3613);
    expect(verifyRrset(crypto, signature, set, owner, [key], 1_439_000_000)).toBeUndefined();
    expect(verifyRrset(crypto, signature, set, owner, [key], 1_440_021_601)).toBe("expired");
    expect(verifyRrset(crypto, signature, set, owner, [key], 1_438_207_199)).toBe("not yet valid");
    expect(verifyRrset(crypto, signature, set, nameFromText("com"), [key], 1_439_000_000)).toBe("another zone");
    expect(verifyRrset(crypto, signature, { ...set, type: 1 }, owner, [key], 1_439_000_000)).toBe("another type");
    expect(verifyRrset(crypto, signature, set, owner, [], 1_439_000_000)).toBe("no such key");
    const other = { ...set, data: [data("MX", "11 mail.example.com.")] };
    expect(verifyRrset(crypto, signature, other, owner, [key], 1_439_000_000)).toBe("wrong signature");
    expect(verifyRrset(crypto, signature.subarray(0, 20), set, owner, [key], 1_439_000_000)).toBe("malformed");
    const revoked = Uint8Array.from(key);
    revoked[1] = 0x81;
    expect(verifyRrset(crypto, signature, set, owner, [revoked], 1_439_000_000)).toBe("no such key");
  });

  test("what is signed verifies, whatever the order and case of the set, and for names that a wildcard stands for", () => {
    for (const algorithm of ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "ed25519", "ed448"] as const) {
      const random = {
        fill: (bytes: Uint8Array) => void bytes.fill(7),
        uint32: () => 7,
      };
      const key = createZoneKey(crypto.generateKey(algorithm, random), false);
      const name = nameFromText("*.example.org");
      const [one, two] = [data("NS", "a.example.org."), data("NS", "b.example.org.")];
      const set = { owner: name, type: recordType.NS, class: 1, ttl: 60, data: [one, two] };
      const signature = signRrset(crypto, key, apex, set, validity);
      const shuffled = { ...set, owner: nameFromText("X.Example.org"), data: [data("NS", "B.example.org."), one] };
      expect(verifyRrset(crypto, signature.data, shuffled, apex, [key.data], now)).toBeUndefined();
      const less = { ...set, data: [one] };
      expect(verifyRrset(crypto, signature.data, less, apex, [key.data], now)).toBe("wrong signature");
    }
  });
});

describe("RFC 4035 §2: whole zones", () => {
  test.each(waysToSign)("%s: what is signed verifies", (_, options) => {
    const signed = signZone(repeatable, records(zone, "Example.Org"), apex, options);
    expect(verifyZone(crypto, signed, apex, now)).toEqual([]);
    // Signing it again makes the same of it.
    const again = signZone(repeatable, signed, apex, options);
    expect(again.map(printRecord)).toEqual(signed.map(printRecord));
  });

  test("what is said of each name: NSEC", () => {
    const signed = signZone(repeatable, records(zone, "Example.Org"), apex, { ...validity, keys });
    const chain = signed
      .filter(({ type }) => type === recordType.NSEC)
      .map(({ owner, ttl, data: each }) => `${nameToText(owner)} ${ttl} ${printRecordData(recordType.NSEC, each)}`);
    expect(chain).toEqual([
      "example.org. 900 alias.example.org. NS SOA MX RRSIG NSEC DNSKEY",
      "alias.example.org. 900 a.b.c.example.org. DNAME RRSIG NSEC",
      "a.b.c.example.org. 900 mail.example.org. TXT RRSIG NSEC",
      "mail.example.org. 900 ns1.example.org. A RRSIG NSEC",
      "ns1.example.org. 900 plain.example.org. A RRSIG NSEC",
      "plain.example.org. 900 signed.example.org. NS RRSIG NSEC",
      "signed.example.org. 900 deep.under.example.org. NS DS RRSIG NSEC",
      "deep.under.example.org. 900 *.wild.example.org. NS RRSIG NSEC",
      "*.wild.example.org. 900 example.org. TXT RRSIG NSEC",
    ]);
    const covered = (name: string) =>
      signed
        .filter(({ owner, type }) => type === recordType.RRSIG && nameToText(owner) === `${name}example.org.`)
        .map(({ data: each }) => printRecordData(recordType.RRSIG, each).split(" ")[0]);
    expect(covered("")).toEqual(["NS", "SOA", "MX", "NSEC", "DNSKEY"]);
    expect(covered("plain.")).toEqual(["NSEC"]);
    expect(covered("signed.")).toEqual(["DS", "NSEC"]);
    expect(covered("ns.signed.")).toEqual([]);
    expect(covered("hidden.alias.")).toEqual([]);
  });

  test("RFC 5155 §7.1: NSEC3 has names without records, and with opt-out no delegations without DS", () => {
    const count = (optOut: boolean) =>
      signZone(repeatable, records(zone, "Example.Org"), apex, {
        ...validity,
        keys,
        nsec3: { ...nsec3, optOut },
      }).filter(({ type }) => type === recordType.NSEC3).length;
    // The names of the NSEC chain, and b.c, c, under and wild; less plain, deep.under and under.
    expect(count(false)).toBe(13);
    expect(count(true)).toBe(10);
  });

  test.each(waysToSign)("%s: any record that is taken away, added or changed is found out", (_, options) => {
    const signed = signZone(repeatable, records(zone, "Example.Org"), apex, options);
    const inside = signed.filter(
      ({ owner, type }) =>
        !/^(ns\.signed|ns\.plain|hidden\.alias)\./.test(nameToText(owner)) &&
        // Whether an insecure delegation is there, opting out leaves open.
        !(options.nsec3?.optOut === true && /^(plain|deep\.under)\./.test(nameToText(owner))) &&
        !(type === recordType.NS && nameToText(owner) !== "example.org."),
    );
    fc.assert(
      fc.property(fc.constantFrom(...inside), fc.nat(), fc.boolean(), (target, at, removes) => {
        const changed = new Uint8Array(target.data);
        const index = at % changed.length;
        changed[index] = (changed[index] ?? 0) ^ 1;
        const damaged = signed.flatMap((each) => {
          if (each !== target) return [each];
          return removes ? [] : [{ ...each, data: changed }];
        });
        expect(verifyZone(crypto, damaged, apex, now)).not.toEqual([]);
      }),
      { numRuns: 60 },
    );
    const added = [...signed, ...records("new 5 A 192.0.2.77", "example.org")];
    expect(verifyZone(crypto, added, apex, now)).not.toEqual([]);
    expect(verifyZone(crypto, signed, apex, validity.expiration + 1)).not.toEqual([]);
  });

  test("a zone without keys, or without a start, is none", () => {
    expect(verifyZone(crypto, records(zone, "Example.Org"), apex, now)).toEqual(["example.org. DNSKEY: there is none"]);
    expect(verifyZone(crypto, [], apex, now)).toEqual(["example.org. SOA: there is none"]);
    expect(() => signZone(crypto, [], apex, { ...validity, keys })).toThrow("no SOA record");
    expect(() => signZone(crypto, records(zone, "Example.Org"), apex, { ...validity, keys: [] })).toThrow("keys");
    const many = { iterations: 501, salt: new Uint8Array(0), optOut: false };
    expect(() => signZone(crypto, records(zone, "Example.Org"), apex, { ...validity, keys, nsec3: many })).toThrow(
      "501 iterations",
    );
  });
});

describe("RFC 8976: ZONEMD", () => {
  const digest = "c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c";
  const text = (serial: number, zonemd: string) => `$TTL 86400
@ IN SOA ns1 admin ${serial} 1800 900 604800 86400
@ IN NS ns1
@ IN NS ns2
${zonemd}
ns1 3600 IN A 203.0.113.63
ns2 3600 IN AAAA 2001:db8::63
`;
  const check = (each: string) =>
    verifyZonemd(crypto, zoneNames(records(each, "example"), nameFromText("example")), nameFromText("example"));

  test("A.1: the digest of a simple zone", () => {
    expect(check(text(2018031900, `@ ZONEMD 2018031900 1 1 ${digest}`))).toBe("right");
    expect(check(text(2018031900, `@ ZONEMD 2018031900 1 1 ${digest.replace("c6", "c7")}`))).toBe("wrong");
    expect(check(text(2018031901, `@ ZONEMD 2018031900 1 1 ${digest}`))).toBe("serial");
    expect(check(text(2018031900, `@ ZONEMD 2018031900 1 241 ${digest}`))).toBe("unsupported");
    expect(check(text(2018031900, ""))).toBe("absent");
  });
});
