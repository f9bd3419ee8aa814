import { IpAddress } from "@tesserae/device/address";
import type { WritableKv } from "@tesserae/device/kv";
import { createMemoryKv } from "@tesserae/kv/memory";
import { createCrypto } from "@tesserae/node/crypto";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { keyTag } from "../dnssec/key.ts";
import { createZoneKey, signRrset, type ZoneKey } from "../dnssec/signature.ts";
import { nameFromText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { dsData } from "../signing/child-keys.ts";
import { createAnchorKeeper, decodeKeys } from "./anchor-keeper.ts";
import { DeniedRanges } from "./denied-ranges.ts";
import type { Kept } from "./kept.ts";
import { limitsWith } from "./limits.ts";
import { nextLook, observe, type ManagedKey } from "./managed-anchor.ts";
import { keyFromText } from "./name-key.ts";
import type { Lookups } from "./recursive.ts";

const crypto = createCrypto();
const apex = nameFromText("example.");
const origin = 1_800_000_000_000;
const day = 86_400;
const keyOf = (byte: number): ZoneKey =>
  createZoneKey(crypto.importKey("ed25519", new Uint8Array(32).fill(byte)), true);
const [one, two, three] = [keyOf(1), keyOf(2), keyOf(3)] as const;

/** The same key, revoked. */
function revokedKey(key: ZoneKey): ZoneKey {
  const data = key.data.slice();
  data[1] = (data[1] ?? 0) | 0x80;
  return { ...key, data, tag: keyTag(data) };
}

function anchorText(key: ZoneKey): string {
  return `example. IN DS ${key.tag} 15 2 ${Buffer.from(dsData(crypto, apex, key).subarray(4)).toString("hex")}`;
}

/** What the zone's server says at a time: keys, and who signs them; undefined says nothing. */
type Said = { readonly keys: readonly ZoneKey[]; readonly signers: readonly ZoneKey[] } | undefined;

/** Runs a keeper for some days, starting at one, and gives the states at the end of each. */
async function run(
  kv: WritableKv,
  days: readonly [number, number],
  says: (day: number) => Said,
  anchors: readonly ZoneKey[] = [one],
) {
  const clock = new VirtualClock({ origin: origin + days[0] * day * 1000 });
  const timers = new Scheduler(clock);
  let looks = 0;
  let changes = 0;
  const lookups: Lookups = {
    lookup: () => Promise.reject(new Error("not asked")),
    fresh(name, type): Promise<Kept> {
      looks++;
      const now = timers.wall() / 1000;
      const said = says(Math.floor((now - origin / 1000) / day));
      const common = {
        name,
        type,
        more: [],
        proof: [],
        zone: name,
        received: timers.now(),
        ttl: day,
        security: "unchecked" as const,
      };
      if (said === undefined) return Promise.resolve({ ...common, kind: "failed" });
      const set = { owner: apex, type: recordType.DNSKEY, class: 1, ttl: day, data: said.keys.map(({ data }) => data) };
      const signatures = said.signers.map((key) => {
        return signRrset(crypto, key, apex, set, { inception: now - 60, expiration: now + 10 * day }).data;
      });
      const rrset = { name: keyFromText("example."), type, ttl: day, data: set.data, signatures };
      return Promise.resolve({ ...common, kind: "positive", rrset, server: IpAddress.loopback4 });
    },
    denied: new DeniedRanges(timers),
    timers,
    limits: limitsWith({}),
  };
  const keeper = await createAnchorKeeper({ crypto, timers, kv, anchors: anchors.map(anchorText) });
  keeper.start(lookups, () => changes++);
  const states: string[] = [];
  const tags = new Map([one, two, three].map((key, index) => [key.data.join(), ["one", "two", "three"][index]]));
  const watch = async (): Promise<void> => {
    for (let at = days[0]; at < days[1]; at++) {
      await sleep(timers, day * 1000);
      states.push(
        keeper
          .keys("example.")
          .map(({ data, state }) => `${tags.get(data.join())} ${state}`)
          .join(", "),
      );
    }
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  await runVirtual({ clock, schedulers: [timers], turn, limit: 1000 * day * 1000 }, watch());
  const trusted = keeper.anchors.map(({ data }) => ((data[0] ?? 0) << 8) | (data[1] ?? 0));
  await keeper.close();
  return { states, looks, changes, trusted };
}

const both = (signers: readonly ZoneKey[]): Said => ({ keys: [one, two], signers });

describe("RFC 5011", () => {
  test("§2.4.1: a new key is trusted once it was there for 30 days, over restarts too", async () => {
    const kv = createMemoryKv();
    const first = await run(kv, [0, 20], (at) => (at < 5 ? { keys: [one], signers: [one] } : both([one])));
    expect(first.states[3]).toBe("one valid");
    expect(first.states[5]).toBe("one valid, two pending");
    expect(first.states[19]).toBe("one valid, two pending");
    expect(first.trusted).toEqual([one.tag]);
    const second = await run(kv, [20, 40], () => both([one]));
    expect(second.states[13]).toBe("one valid, two pending");
    expect(second.states[16]).toBe("one valid, two valid");
    expect(second.trusted).toEqual([one.tag, two.tag]);
    // What was kept counts more than what is configured.
    const third = await run(kv, [40, 42], () => ({ keys: [two], signers: [two] }));
    expect(third.states[1]).toBe("one missing, two valid");
    expect(third.trusted).toEqual([one.tag, two.tag]);
  });

  test("§2.2: a key that is not always there, or that no trusted key signs, is never trusted", async () => {
    const flickering = await run(createMemoryKv(), [0, 60], (at) =>
      at === 20 ? { keys: [one], signers: [one] } : both([one]),
    );
    expect(flickering.states[34]).toBe("one valid, two pending");
    const forged = await run(createMemoryKv(), [0, 60], (at) =>
      at < 3 ? { keys: [one], signers: [one] } : both([two]),
    );
    expect(new Set(forged.states)).toEqual(new Set(["one valid"]));
    const unsigned = await run(createMemoryKv(), [0, 40], () => both([]));
    expect(new Set(unsigned.states)).toEqual(new Set([""]));
    expect(unsigned.trusted).toEqual([one.tag]);
  });

  test("§2.1: a key that revokes itself is trusted no more, and nobody else can revoke it", async () => {
    const kv = createMemoryKv();
    await run(kv, [0, 35], () => both([one]));
    const gone = revokedKey(one);
    const others = await run(kv, [35, 37], () => ({ keys: [gone, two], signers: [two] }));
    expect(others.states[1]).toBe("one missing, two valid");
    const itself = await run(kv, [37, 39], () => ({ keys: [gone, two], signers: [gone, two] }));
    expect(itself.states[1]).toBe("one revoked, two valid");
    expect(itself.trusted).toEqual([two.tag]);
    expect(itself.changes).toBeGreaterThan(0);
    // It does not come back, not even without the flag.
    const back = await run(kv, [39, 45], () => both([one, two]));
    expect(back.states[5]).toBe("one revoked, two valid");
    // After 30 days it is forgotten.
    const later = await run(kv, [45, 80], () => ({ keys: [two], signers: [two] }));
    expect(later.states[34]).toBe("two valid");
    // §5: the last key that goes takes trust with it.
    const last = await run(kv, [80, 82], () => ({ keys: [revokedKey(two)], signers: [revokedKey(two)] }));
    expect(last.trusted).toEqual([]);
  });

  test("§2.3: the zone is asked after half of the set's time, and sooner when nothing came", async () => {
    const { looks } = await run(createMemoryKv(), [0, 10], () => ({ keys: [one], signers: [one] }));
    // At both ends, too.
    expect(looks).toBe(21);
    const silent = await run(createMemoryKv(), [0, 1], () => undefined);
    expect(silent.looks).toBe(25);
    expect(nextLook(true, 60 * day, 50 * day)).toBe(15 * day);
    expect(nextLook(true, 60, 50 * day)).toBe(3600);
    expect(nextLook(false, 60 * day, 50 * day)).toBe(day);
  });

  test("what was kept and is damaged is not believed: trust begins where it is configured", async () => {
    const kv = createMemoryKv();
    await run(kv, [0, 35], () => both([one]));
    for (const key of await kv.list()) await kv.set(key, Uint8Array.of(1, 2, 3));
    const { states } = await run(kv, [35, 37], () => both([one]));
    expect(states[1]).toBe("one valid, two pending");
    fc.assert(
      fc.property(fc.string(), (text) => {
        const keys = decodeKeys(new TextEncoder().encode(text));
        if (keys !== undefined) for (const { since } of keys) expect(since).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  test("whatever is seen, a key is trusted only 30 days after it came, and there are never more than 16", () => {
    const keys = Array.from({ length: 20 }, (_, index) => keyOf(index + 10).data);
    const seen = fc.record({
      days: fc.integer({ min: 0, max: 20 }),
      keys: fc.subarray(keys),
      revoking: fc.subarray(keys, { maxLength: 2 }),
    });
    fc.assert(
      fc.property(fc.array(seen, { maxLength: 30 }), (all) => {
        let known: ManagedKey[] = [{ data: keys[0]!, state: "valid", since: 0 }];
        let now = 0;
        const first = new Map<string, number>();
        for (const each of all) {
          now += each.days * day;
          const before = known;
          known = observe(known, { keys: each.keys, revoking: each.revoking, ttl: day }, now);
          expect(known.length).toBeLessThanOrEqual(16);
          for (const { data, state, since } of known) {
            const id = data.join();
            if (state === "pending" && since === now) first.set(id, now);
            const was = before.find((other) => other.data.join() === id)?.state;
            if (state === "valid" && was === "pending")
              expect(now - (first.get(id) ?? now)).toBeGreaterThanOrEqual(30 * day);
            if (was === "revoked") expect(state).toBe("revoked");
          }
        }
      }),
    );
  });
});
