import { createCrypto } from "@tesserae/node/crypto";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createZoneKey } from "../dnssec/signature.ts";
import { nameFromText } from "../name-bytes.ts";
import { printRecord } from "../record/text.ts";
import { childKeyRecords } from "./child-keys.ts";
import { KeyFileError, parseKeyFile, printKeyFile } from "./key-file.ts";
import { keysAt, type KeyTimes, type ScheduledKey } from "./key-schedule.ts";

const crypto = createCrypto();
const owner = nameFromText("example.org.");

// Made by dnssec-keygen -a ECDSAP256SHA256 -f KSK.
const publicText = `; This is a key-signing key, keyid 39217, for example.org.
example.org. IN DNSKEY 257 3 13 IyvFVVKsKdIuhpnvLgXSnyYNUExyjAIrmHnUgtlWS0Smk0zeSxCwPXdbbXZWhEoPykcuROxtZZPbmRVwn8hYqg==
`;

describe("key files", () => {
  test.each(["ecdsa-p256-sha256", "ecdsa-p384-sha384", "ed25519", "ed448"] as const)(
    "%s: read as written",
    (algorithm) => {
      const key = createZoneKey(crypto.generateKey(algorithm, new SeededRandom(4)), true);
      const times: KeyTimes = {
        created: 1_700_000_000,
        publish: 1_700_000_001,
        delete: 1_800_000_000,
        syncPublish: 1_700_000_500,
      };
      const printed = printKeyFile(crypto, owner, { key, times });
      expect(printed.name).toBe(`Kexample.org.+0${key.algorithm}+${String(key.tag).padStart(5, "0")}`);
      expect(printed.privateText).toContain("Publish: 20231114221321\n");
      const read = parseKeyFile(crypto, printed.publicText, printed.privateText, printed.name);
      expect(read.owner).toEqual(owner);
      expect(read.times).toEqual(times);
      expect(read.key.data).toEqual(key.data);
      expect(read.key.isEntryPoint).toBe(true);
    },
  );

  test("what is wrong is told with the file and the field", () => {
    const key = createZoneKey(crypto.generateKey("ed25519", new SeededRandom(4)), false);
    const { publicText: good, privateText } = printKeyFile(crypto, owner, { key, times: {} });
    const fault = (one: string, other: string): string => {
      try {
        parseKeyFile(crypto, one, other, "K");
      } catch (error) {
        if (error instanceof KeyFileError) return error.message;
      }
      return "";
    };
    expect(fault("", privateText)).toBe("K.key: there is no record");
    expect(fault("x A 192.0.2.1", privateText)).toBe("K.key: the record is no DNSKEY record");
    expect(fault("x DNSKEY 257", privateText)).toMatch(/^K\.key: /);
    expect(fault(good, "Algorithm: 8 (RSASHA256)\n")).toMatch(
      /^K\.private: Algorithm: "8 \(RSASHA256\)" cannot sign here/,
    );
    expect(fault(good, "Algorithm: 15\n")).toBe("K.private: PrivateKey: there is none");
    expect(fault(good, "Algorithm: 15\nPrivateKey: AAAA\n")).toMatch(/^K\.private: PrivateKey: /);
    expect(fault(publicText, privateText)).toBe("K.private: is of another key than the DNSKEY record");
    expect(fault(good, `${privateText}Publish: soon\n`)).toBe('K.private: Publish: "soon" is no time: YYYYMMDDHHmmSS');
  });

  test("nothing but a KeyFileError is thrown, whatever the texts", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constant(publicText)), fc.string(), fc.nat(20), (one, other, algorithm) => {
        try {
          parseKeyFile(crypto, one, `Algorithm: ${algorithm}\nPrivateKey: ${other}`, "K");
        } catch (error) {
          expect(error).toBeInstanceOf(KeyFileError);
        }
      }),
    );
  });
});

describe("keys by their times", () => {
  const key = (byte: number, isEntryPoint = false, algorithm: "ed25519" | "ecdsa-p256-sha256" = "ed25519") =>
    createZoneKey(crypto.importKey(algorithm, new Uint8Array(32).fill(byte)), isEntryPoint);
  const one: ScheduledKey = { key: key(1), times: { inactive: 200, delete: 300 } };
  const two: ScheduledKey = { key: key(2), times: { publish: 100, activate: 200 } };

  test.each([
    [0, [one], [one], 100],
    [100, [one, two], [one], 200],
    [200, [one, two], [two], 300],
    [300, [two], [two], undefined],
  ] as const)(
    "RFC 6781 §4.1.1.1: a key is there before it signs, and after it signed: at %d",
    (now, published, signing, until) => {
      const set = keysAt([one, two], now);
      expect(set.published).toEqual(published.map((each) => each.key));
      expect(set.signing).toEqual(signing.map((each) => each.key));
      expect(set.until).toBe(until);
    },
  );

  test("RFC 6781 §4.1.4: the signatures of a new algorithm come before its key", () => {
    const other: ScheduledKey = { key: key(3, true, "ecdsa-p256-sha256"), times: { activate: 50, publish: 100 } };
    const set = keysAt([one, other], 60);
    expect(set.published).toEqual([one.key]);
    expect(set.signing).toEqual([one.key, other.key]);
  });

  test("RFC 4035 §2.2: an algorithm that is published signs, even when its time to do so is over", () => {
    const set = keysAt([one], 250);
    expect(set.signing).toEqual([one.key]);
    expect(keysAt([one], 300).signing).toEqual([]);
  });

  test("RFC 7344 §4: the parent is told while it is to be told", () => {
    const entry: ScheduledKey = { key: key(4, true), times: { syncPublish: 10, syncDelete: 20 } };
    expect([9, 10, 19, 20].map((now) => keysAt([entry], now).announced.length)).toEqual([0, 1, 1, 0]);
    const lines = childKeyRecords(crypto, owner, [entry.key], 60).map((each) =>
      printRecord(each).replaceAll("\t", " "),
    );
    expect(lines[0]).toMatch(new RegExp(`^example.org. 60 IN CDS ${entry.key.tag} 15 2 [0-9A-F]{64}$`));
    expect(lines[1]).toMatch(/^example.org. 60 IN CDNSKEY 257 3 15 \S+$/);
  });

  test("RFC 8078 §4: a zone asks not to be signed any more", () => {
    const lines = childKeyRecords(crypto, owner, "delete", 60).map((each) => printRecord(each).replaceAll("\t", " "));
    expect(lines).toEqual(["example.org. 60 IN CDS 0 0 0 00", "example.org. 60 IN CDNSKEY 0 3 0 AA=="]);
  });
});
