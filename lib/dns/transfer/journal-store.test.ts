import { createMemoryKv } from "@tesserae/kv/memory";
import { expect, test } from "vitest";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import { Zones } from "../authoritative/zones.ts";
import { nameFromText } from "../name-bytes.ts";
import { printRecord } from "../record/text.ts";
import type { WireRecord } from "../wire-record.ts";
import { soaOf } from "./difference.ts";
import { differenceOf, Journal } from "./journal.ts";
import { decodeDifference, encodeDifference, JournalStore } from "./journal-store.ts";
import { withSerial } from "./soa.ts";

const apex = nameFromText("Example.");
const soa: WireRecord = {
  ...{ owner: apex, type: 6, class: 1, ttl: 300 },
  data: Uint8Array.of(...nameFromText("ns.example."), ...nameFromText("a.example."), ...new Uint8Array(20)),
};
const host = (text: string): WireRecord => {
  return { owner: nameFromText(text), type: 1, class: 1, ttl: 60, data: Uint8Array.of(192, 0, 2, 1) };
};
function zoneOf(serial: number): Zone {
  const builder = new ZoneBuilder(apex);
  builder.add(withSerial(soa, serial));
  const built = builder.finish();
  if (!built.ok) throw new Error(built.message);
  return built.zone;
}
const textOf = (zone: Zone | undefined) => [...(zone?.records() ?? [])].map(printRecord).sort();

function started(kv = createMemoryKv()) {
  const zones = new Zones();
  const journal = new Journal({ zones });
  return { kv, zones, journal, store: new JournalStore({ kv, journal }) };
}

/** Adds a host as an update does. */
function change({ zones, journal }: ReturnType<typeof started>, name: string, kind: "add" | "remove" = "add"): void {
  const zone = zones.get(apex)!;
  const next = withSerial(soaOf(zone), zone.serial + 1);
  const changes: ZoneChange[] = [
    { kind, record: host(name) },
    { kind: "add", record: next },
  ];
  journal.apply(zone, differenceOf(zone, changes), changes);
}

test("what was changed is there after a restart, also when many changes became one", async () => {
  for (const count of [1, 5, 200]) {
    const first = started();
    first.zones.replace(zoneOf(1));
    for (let index = 0; index < count; index++) change(first, `h${index}.example.`);
    change(first, "h0.example.", "remove");
    await first.store.flush();
    expect((await first.kv.list()).length).toBeLessThanOrEqual(65);
    const second = started(first.kv);
    const restored = await second.store.restore(zoneOf(1));
    expect(restored.serial).toBe(count + 2);
    expect(textOf(restored)).toEqual(textOf(first.zones.get(apex)));
  }
});

test("a crash between writing the one and deleting the many loses nothing", async () => {
  const first = started();
  first.zones.replace(zoneOf(1));
  for (let index = 0; index < 4; index++) change(first, `h${index}.example.`);
  await first.store.flush();
  const whole = first.journal.condensed(apex)!;
  await first.kv.set("dns-journal/=example./1-5", encodeDifference(whole));
  const restored = await started(first.kv).store.restore(zoneOf(1));
  expect(textOf(restored)).toEqual(textOf(first.zones.get(apex)));
});

test("changes of an older file are left, and what cannot be read", async () => {
  const first = started();
  first.zones.replace(zoneOf(1));
  change(first, "h.example.");
  await first.store.flush();
  await first.kv.set("dns-journal/=example./7-8", new Uint8Array(50));
  const second = started(first.kv);
  expect((await second.store.restore(zoneOf(50))).serial).toBe(50);
  expect(await first.kv.list()).toEqual([]);
});

test("a store that refuses is known to who waits for it", async () => {
  const first = started(createMemoryKv({ capacity: 10 }));
  first.zones.replace(zoneOf(1));
  change(first, "h.example.");
  await expect(first.store.flush()).rejects.toThrow();
  await first.store.flush();
});

test("bytes that are no difference are none", () => {
  const good = encodeDifference({ from: soa, to: withSerial(soa, 2), removed: [], added: [host("a.example.")] });
  expect(decodeDifference(good)?.added.length).toBe(1);
  for (let length = 0; length < good.length; length++) expect(decodeDifference(good.slice(0, length))).toBeUndefined();
  const many = good.slice();
  many[4] = 255;
  expect(decodeDifference(many)).toBeUndefined();
});
