import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import type { WritableKv } from "@tesserae/device/kv";
import { createMemoryKv } from "@tesserae/kv/memory";
import { createCrypto } from "@tesserae/node/crypto";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { Zones } from "../authoritative/zones.ts";
import { nameFromText } from "../name-bytes.ts";
import { parseRecordData, printRecord } from "../record/text.ts";
import type { WireRecord } from "../wire-record.ts";
import { soaOf } from "./difference.ts";
import { differenceOf, Journal } from "./journal.ts";
import { ZonePolicies } from "./policy.ts";
import { Secondaries } from "./secondaries.ts";
import { withSerial } from "./soa.ts";
import { ZoneStore } from "./zone-store.ts";

const apex = nameFromText("e.");
const crypto = createCrypto();

function zoneOf(serial: number, hosts: number): Zone {
  const builder = new ZoneBuilder(apex);
  // Refresh 100 s, retry 20 s, expire 500 s.
  const data = parseRecordData(6, `ns.e. admin.e. ${serial} 100 20 500 60`);
  if (!data.ok) throw new Error("no data");
  builder.add({ owner: apex, type: 6, class: 1, ttl: 60, data: data.data });
  for (let index = 0; index < hosts; index++) builder.add(host(index));
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}

function host(index: number): WireRecord {
  return {
    owner: nameFromText(`h${index}.e.`),
    type: 1,
    class: 1,
    ttl: 60,
    data: Uint8Array.of(10, 0, index >> 8, index),
  };
}

const textOf = (zone: Zone | undefined) => [...(zone?.records() ?? [])].map(printRecord).sort();

/** The version after one, with another host, and the difference between them. */
function next(zone: Zone, index: number) {
  const changes: ZoneChange[] = [
    { kind: "add", record: host(index) },
    { kind: "add", record: withSerial(soaOf(zone), zone.serial + 1) },
  ];
  return { zone: zone.update(changes), difference: differenceOf(zone, changes) };
}

const open = (kv: WritableKv) => new ZoneStore({ kv, crypto });

describe("zones that are kept", () => {
  test("are there again, in many pieces and with every difference, and differences become a whole version", async () => {
    const kv = createMemoryKv();
    const store = open(kv);
    let zone = zoneOf(1, 300);
    // 3 MB.
    const long = Array.from({ length: 100 }, (_, index): ZoneChange => {
      const data = Uint8Array.from({ length: 256 * 120 }, (_, at) => (at % 256 === 0 ? 255 : index));
      return { kind: "add", record: { ...host(index), type: 16, data } };
    });
    zone = zone.update(long);
    store.keep(zone, undefined, 1000);
    await store.flush();
    expect((await kv.list()).length).toBeGreaterThan(4);
    for (let step = 0; step < 100; step++) {
      const after = next(zone, 300 + step);
      zone = after.zone;
      store.keep(zone, after.difference, 1001 + step);
    }
    await store.flush();
    const kept = await open(kv).read(apex);
    expect(kept?.confirmed).toBe(1100);
    expect(kept?.zone.serial).toBe(101);
    expect(textOf(kept?.zone)).toEqual(textOf(zone));
    const small = open(kv);
    small.keep(zoneOf(900, 3), undefined, 2000);
    await small.flush();
    // A piece, its head, and when it was confirmed.
    expect(await kv.list()).toHaveLength(3);
    expect(textOf((await open(kv).read(apex))?.zone)).toEqual(textOf(zoneOf(900, 3)));
    small.forget(apex);
    await small.flush();
    expect(await kv.list()).toEqual([]);
  });

  test("have a bound on their differences", async () => {
    const kv = createMemoryKv();
    const store = open(kv);
    let zone = zoneOf(1, 10);
    store.keep(zone, undefined, 1);
    for (let step = 0; step < 1200; step++) {
      const after = next(zone, 10 + (step % 200));
      zone = after.zone;
      store.keep(zone, after.difference, 1);
    }
    await store.flush();
    const differences = (await kv.list()).filter((key) => key.includes("/difference/"));
    // 64 KiB of differences of 120 bytes.
    expect(differences.length).toBeLessThan(700);
    expect(textOf((await open(kv).read(apex))?.zone)).toEqual(textOf(zone));
  });

  test("a difference that does not follow what was kept makes the whole version be written", async () => {
    const kv = createMemoryKv();
    const store = open(kv);
    const first = zoneOf(1, 2);
    store.keep(first, undefined, 1);
    const third = next(next(first, 5).zone, 6);
    store.keep(third.zone, third.difference, 2);
    await store.flush();
    expect(textOf((await open(kv).read(apex))?.zone)).toEqual(textOf(third.zone));
  });

  test("damaged anywhere: a version that there was, or none", async () => {
    const kv = createMemoryKv();
    const store = open(kv);
    let zone = zoneOf(1, 20);
    const versions = [textOf(zone).join("\n")];
    store.keep(zone, undefined, 1000);
    for (let step = 0; step < 4; step++) {
      const after = next(zone, 20 + step);
      zone = after.zone;
      versions.push(textOf(zone).join("\n"));
      store.keep(zone, after.difference, 1000);
    }
    await store.flush();
    const entries = new Map<string, Uint8Array>();
    for (const key of await kv.list()) entries.set(key, (await kv.get(key))!);
    const keys = [...entries.keys()];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...keys),
        fc.nat(),
        fc.constantFrom("flip", "cut", "delete", "swap"),
        async (key, at, how) => {
          const copy = createMemoryKv();
          for (const [each, bytes] of entries) await copy.set(each, bytes);
          const bytes = entries.get(key)!.slice();
          if (how === "flip") bytes[at % bytes.length]! ^= 1 << (at % 8);
          if (how === "delete") await copy.delete(key);
          else
            await copy.set(
              key,
              how === "cut"
                ? bytes.subarray(0, at % bytes.length)
                : how === "swap"
                  ? entries.get(keys[at % keys.length]!)!
                  : bytes,
            );
          const kept = await open(copy).read(apex);
          if (kept === undefined) expect(await copy.list()).toEqual([]);
          else expect(versions).toContain(textOf(kept.zone).join("\n"));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a store that refuses is told of, and the whole version is written next", async () => {
    const kv = createMemoryKv();
    let fails = false;
    const set = kv.set.bind(kv);
    kv.set = (key, bytes) => (fails ? Promise.reject(new Error("no room")) : set(key, bytes));
    const store = open(kv);
    const first = zoneOf(1, 2);
    store.keep(first, undefined, 1);
    await store.flush();
    fails = true;
    const second = next(first, 5);
    store.keep(second.zone, second.difference, 2);
    await expect(store.flush()).rejects.toThrow("no room");
    fails = false;
    const third = next(second.zone, 6);
    store.keep(third.zone, third.difference, 3);
    await store.flush();
    expect(textOf((await open(kv).read(apex))?.zone)).toEqual(textOf(third.zone));
  });
});

/** A secondary in virtual time that starts `later` seconds after its zone was kept; nobody answers it. */
async function restarted(later: number, seconds: number, damage?: (kv: WritableKv) => Promise<void>) {
  const origin = 1_800_000_000_000;
  const kv = createMemoryKv();
  const before = open(kv);
  before.keep(zoneOf(7, 2), undefined, origin);
  await before.flush();
  await damage?.(kv);
  const clock = new VirtualClock({ origin: origin + later * 1000 });
  const timers = new Scheduler(clock, { onError: () => undefined });
  const zones = new Zones();
  const secondaries = new Secondaries(
    {
      ...{ zones, policies: new ZonePolicies(), crypto, timers, random: new SeededRandom(1), store: open(kv) },
      exchange: () => Promise.resolve("unreachable"),
      tcp: {
        connect: () => Promise.reject(new FlowError("refused", "nobody is there")),
        listen: () => Promise.reject(new FlowError("permission", "nobody listens")),
      },
    },
    new Journal({ zones }),
  );
  secondaries.add(apex, { primaries: [{ address: IpAddress.loopback4 }] });
  expect(zones.has(apex)).toBe(true);
  const states: boolean[] = [];
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const watch = async (): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await sleep(timers, 1000);
      states.push(zones.get(apex)?.serial === 7);
    }
  };
  await runVirtual({ clock, schedulers: [timers], turn }, watch());
  secondaries.close();
  return states;
}

describe("a secondary that was started again", () => {
  test("serves what it had at once, until that expires as it would have", async () => {
    const states = await restarted(300, 300);
    expect(states.slice(0, 190)).not.toContain(false);
    expect(states.slice(-60)).not.toContain(true);
  });

  test("serves nothing that has expired meanwhile, or was damaged", async () => {
    expect(await restarted(501, 5)).not.toContain(true);
    const damage = async (kv: WritableKv): Promise<void> => {
      for (const key of await kv.list()) await kv.set(key, (await kv.get(key))!.subarray(1));
    };
    expect(await restarted(1, 5, damage)).not.toContain(true);
  });
});
