import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Crypto } from "@tesserae/device/crypto";
import { keyDigest, keyTag } from "@tesserae/dns/dnssec/key";
import { createZoneKey, signRrset } from "@tesserae/dns/dnssec/signature";
import { base32Hex, nsec3Hash } from "@tesserae/dns/dnssec/nsec3-hash";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { keyFromText } from "@tesserae/dns/recursive/name-key";
import { nsecCovers } from "@tesserae/dns/recursive/denial";
import { parseTrustAnchor, rootAnchors } from "@tesserae/dns/recursive/trust-anchor";
import { createValidator } from "@tesserae/dns/recursive/validator";
import type { WireMessage } from "@tesserae/dns/wire-message";
import type { WireRecord } from "@tesserae/dns/wire-record";
import { createCrypto } from "@tesserae/node/crypto";
import { describe, expect, test } from "vitest";
import { Internet, message } from "./internet.ts";

const crypto = createCrypto();
const dnskey = 48;
const nsec = 47;
const nsec3 = 50;
const root = nameFromText(".");

/** A root zone with one key, and everything signed by it on the way out. */
class SignedRoot {
  readonly key = createZoneKey(crypto.generateKey("ed25519", new SeededRandom(5)), true);
  readonly data = this.key.data;
  readonly internet = new Internet();
  /** Signatures that were checked. */
  verified = 0;
  /** Hashes that were computed. */
  hashed = 0;

  get anchor(): string {
    const digest = keyDigest(crypto, "sha256", root, this.data);
    return `. IN DS ${keyTag(this.data)} 15 2 ${Buffer.from(digest).toString("hex")}`;
  }

  resolver(insecure: readonly string[] = []) {
    const counting: Crypto = {
      hmac: (...args) => crypto.hmac(...args),
      timingSafeEqual: (...args) => crypto.timingSafeEqual(...args),
      generateKey: (...args) => crypto.generateKey(...args),
      importKey: (...args) => crypto.importKey(...args),
      exportKey: (key) => crypto.exportKey(key),
      sign: (...args) => crypto.sign(...args),
      hash: (algorithm, bytes) => {
        this.hashed++;
        return crypto.hash(algorithm, bytes);
      },
      verify: (...args) => {
        this.verified++;
        return crypto.verify(...args);
      },
    };
    return this.internet.resolver({
      validator: createValidator({ crypto: counting, anchors: [this.anchor], insecure }),
    });
  }

  /** The records with their signature behind them. */
  signed(records: readonly WireRecord[]): WireRecord[] {
    const [first] = records;
    const now = Math.floor(this.internet.clock.wall() / 1000);
    const validity = { inception: now - 3600, expiration: now + 86_400 };
    const data = records.map((record) => record.data);
    return [...records, signRrset(crypto, this.key, root, { ...first!, ttl: 300, data }, validity)];
  }

  keys(more: readonly Uint8Array[] = []): WireRecord[] {
    return this.signed([this.data, ...more].map((data) => ({ owner: root, type: dnskey, class: 1, ttl: 300, data })));
  }

  soa(): WireRecord[] {
    const data = Uint8Array.from([0, 0, ...new Uint8Array(16), 0, 0, 0, 60]);
    return this.signed([{ owner: root, type: 6, class: 1, ttl: 300, data }]);
  }

  serve(say: (query: WireMessage, type: number) => Uint8Array | undefined): void {
    this.internet.twist("198.51.100.1", (query) => {
      const { type } = query.questions[0]!;
      if (type === dnskey) return [message(query, { answers: this.keys() })];
      return [say(query, type) ?? message(query, { authorities: this.soa() })];
    });
  }
}

const address = (owner: string): WireRecord => {
  return { owner: nameFromText(owner), type: 1, class: 1, ttl: 300, data: Uint8Array.of(192, 0, 2, 1) };
};

describe("a signed root", () => {
  test("RFC 4035 §5: what is signed is secure, what is changed or has no signature is bogus", async () => {
    for (const [change, security] of [
      [(records: WireRecord[]) => records, "secure"],
      [(records: WireRecord[]) => records.slice(0, 1), "bogus"],
      [(records: WireRecord[]) => [{ ...records[0]!, data: Uint8Array.of(192, 0, 2, 2) }, records[1]!], "bogus"],
    ] as const) {
      const zone = new SignedRoot();
      zone.serve((query, type) =>
        type === 1 ? message(query, { answers: change(zone.signed([address("www")])) }) : undefined,
      );
      const resolver = zone.resolver();
      expect((await zone.internet.run(resolver.resolve("www", 1))).security).toBe(security);
    }
  });

  test("CVE-2023-50387 (KeyTrap): many keys with one tag, and many signatures, cost a few checks", async () => {
    const zone = new SignedRoot();
    const tag = keyTag(zone.data);
    // The same sum: 16-bit words in another order.
    const pairs = Array.from({ length: 15 }, (_, one) =>
      Array.from({ length: one }, (__, other) => [one, other] as const),
    );
    const alike = pairs.flat().map(([one, other]) => {
      const data = zone.data.slice();
      data.set(zone.data.subarray(4 + 2 * one, 6 + 2 * one), 4 + 2 * other);
      data.set(zone.data.subarray(4 + 2 * other, 6 + 2 * other), 4 + 2 * one);
      return data;
    });
    expect(alike.every((data) => keyTag(data) === tag)).toBe(true);
    expect(alike.length).toBeGreaterThan(20);
    const keys = zone.keys(alike.slice(0, 60));
    const [www, signature] = zone.signed([address("www")]);
    const bad = Array.from({ length: 100 }, (_, at) => {
      const data = signature!.data.slice();
      data[data.length - 1 - (at % 60)]! ^= 1 + at;
      return { ...signature!, data };
    });
    zone.internet.twist("198.51.100.1", (query) => {
      return [message(query, { answers: query.questions[0]!.type === dnskey ? keys : [www!, ...bad] })];
    });
    const resolver = zone.resolver();
    expect((await zone.internet.run(resolver.resolve("www", 1))).security).toBe("bogus");
    expect(zone.verified).toBeGreaterThan(2);
    expect(zone.verified).toBeLessThanOrEqual(128);
  });

  test("CVE-2023-50868: NSEC3 records with many iterations are not hashed, others only so often", async () => {
    for (const iterations of [40, 2500]) {
      const zone = new SignedRoot();
      const record = (name: string): WireRecord[] => {
        const data = [1, 0, iterations >>> 8, iterations & 255, 1, 0xaa, 20, ...new Uint8Array(20).fill(255)];
        return zone.signed([
          { owner: nameFromText(name), type: nsec3, class: 1, ttl: 60, data: Uint8Array.from(data) },
        ]);
      };
      zone.serve((query) =>
        message(query, {
          rcode: 3,
          authorities: [...zone.soa(), ...record("0".repeat(32)), ...record("1".repeat(32))],
        }),
      );
      const resolver = zone.resolver();
      const name = `${"a.".repeat(100)}x`;
      const { security } = await zone.internet.run(resolver.resolve(name, 1));
      expect(security).toBe(iterations > 50 ? "insecure" : "bogus");
      expect(zone.hashed).toBeLessThan(2500);
    }
  });

  test("RFC 4035 §5.3.4: a wildcard's answer needs proof that there is nothing closer", async () => {
    for (const withProof of [true, false]) {
      const zone = new SignedRoot();
      const [wild, signature] = zone.signed([address("*")]);
      const next = Uint8Array.from([...nameFromText("zz"), 0, 1, 0x40]);
      const proof = zone.signed([{ owner: nameFromText("*"), type: nsec, class: 1, ttl: 60, data: next }]);
      const answers = [wild!, signature!].map((each) => ({ ...each, owner: nameFromText("any") }));
      zone.serve((query, type) =>
        type === 1 ? message(query, { answers, authorities: withProof ? proof : [] }) : undefined,
      );
      const { security } = await zone.internet.run(zone.resolver().resolve("any", 1));
      expect(security).toBe(withProof ? "secure" : "bogus");
    }
  });

  test("RFC 8198: what lies between the names of an NSEC record is denied without a question", async () => {
    const zone = new SignedRoot();
    const range = (owner: string, next: string): WireRecord[] => {
      const data = Uint8Array.from([...nameFromText(next), 0, 6, 0x40, 0, 0, 0, 0, 3]);
      return zone.signed([{ owner: nameFromText(owner), type: nsec, class: 1, ttl: 60, data }]);
    };
    zone.serve((query) =>
      message(query, { rcode: 3, authorities: [...zone.soa(), ...range("b", "y"), ...range(".", "b")] }),
    );
    const resolver = zone.resolver();
    expect(await zone.internet.run(resolver.resolve("hello", 1))).toMatchObject({ rcode: 3, security: "secure" });
    zone.internet.take();
    for (const name of ["world", "c", "x", "www.deep.x"]) {
      expect(await zone.internet.run(resolver.resolve(name, 16))).toMatchObject({ rcode: 3, security: "secure" });
    }
    expect(zone.internet.take()).toEqual([]);
    expect(await zone.internet.run(resolver.resolve("b", 16))).toMatchObject({ rcode: 0, security: "secure" });
    expect(zone.internet.take()).toEqual([]);
    expect(resolver.statistics.synthesised).toBe(5);
    await zone.internet.run(resolver.resolve("z", 1));
    expect(zone.internet.take()).not.toEqual([]);
    zone.internet.pass(61_000);
    await zone.internet.run(resolver.resolve("world2", 1));
    expect(zone.internet.take()).not.toEqual([]);
  });

  test("RFC 7646: below a negative trust anchor nothing is validated", async () => {
    const zone = new SignedRoot();
    zone.serve((query, type) => (type === 1 ? message(query, { answers: [address("www")] }) : undefined));
    expect((await zone.internet.run(zone.resolver(["www"]).resolve("www", 1))).security).toBe("insecure");
    expect((await zone.internet.run(zone.resolver(["other"]).resolve("www", 1))).security).toBe("bogus");
  });

  test("RFC 8020: below a name that is denied there is nothing", async () => {
    const zone = new SignedRoot();
    const data = Uint8Array.from([...nameFromText("y"), 0, 1, 0x40]);
    const proof = zone.signed([{ owner: nameFromText("!"), type: nsec, class: 1, ttl: 60, data }]);
    const wild = zone.signed([
      { owner: root, type: nsec, class: 1, ttl: 60, data: Uint8Array.of(1, 0x21, 0, 0, 1, 2) },
    ]);
    zone.serve((query) => message(query, { rcode: 3, authorities: [...zone.soa(), ...proof, ...wild] }));
    const resolver = zone.resolver();
    await zone.internet.run(resolver.resolve("hello", 1));
    zone.internet.take();
    const below = await zone.internet.run(resolver.resolve("a.b.hello", 1));
    expect([below.rcode, below.security, zone.internet.take()]).toEqual([3, "secure", []]);
    expect(resolver.statistics.synthesised).toBe(0);
  });

  test("without a good DNSKEY set everything is bogus, and says why", async () => {
    const zone = new SignedRoot();
    zone.internet.twist("198.51.100.1", (query) => [message(query, { answers: zone.signed([address("www")]) })]);
    const failed = await zone.internet.run(zone.resolver().resolve("www", 1));
    expect([failed.security, failed.failure?.code]).toEqual(["bogus", 9]);
  });
});

test("RFC 5155 appendix A: the hashes of its example", () => {
  const salt = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd);
  const hash = (name: string) => base32Hex(nsec3Hash(crypto, nameFromText(name), salt, 12));
  expect(hash("example")).toBe("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
  expect(hash("a.example")).toBe("35mthgpgcu1qg68fab165klnsnk3dpvl");
  expect(hash("*.w.example")).toBe("r53bq7cc2uvmubfu5ocmm6pers9tk9en");
});

test("RFC 4034 §6.1: what an NSEC record covers, also the last one", () => {
  const covers = (owner: string, next: string, name: string) => {
    return nsecCovers(keyFromText(owner), keyFromText(next), keyFromText(name));
  };
  expect(covers("a.example", "c.example", "b.example")).toBe(true);
  expect(covers("a.example", "c.example", "x.a.example")).toBe(true);
  expect(covers("a.example", "c.example", "c.example")).toBe(false);
  expect(covers("a.example", "c.example", "a.example")).toBe(false);
  expect(covers("z.example", "example", "zz.example")).toBe(true);
  expect(covers("z.example", "example", "b.example")).toBe(false);
});

test("trust anchors in text", () => {
  expect(rootAnchors.map((text) => parseTrustAnchor(text).data.length)).toEqual([36, 36]);
  expect([...parseTrustAnchor("example. 3600 IN DS 258 13 2 0a 0B").data]).toEqual([1, 2, 13, 2, 10, 11]);
  for (const text of ["", ". IN DS", ". IN DS 99999 8 2 00", ". IN A 192.0.2.1", ". DS 1 8 2 abc"]) {
    expect(() => parseTrustAnchor(text)).toThrow("is no DS record");
  }
});
