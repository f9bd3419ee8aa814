import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Demux, DemuxEntry, kindConnection } from "./demux.ts";

class Entry extends DemuxEntry {
  readonly kind = kindConnection;
}

describe("Demux", () => {
  const local = IpAddress.parse("10.0.0.1");
  const entry = (id: number): Entry =>
    new Entry(local, 80 + (id & 1), id & 2 ? IpAddress.v4(id * 7) : new IpAddress(6, id, 0, 0, 1), 1000 + id);
  const find = (demux: Demux, e: Entry) => demux.find(e.local, e.localPort, e.remote, e.remotePort);

  test("finds exactly what was inserted and not removed", () => {
    const step = fc.tuple(fc.integer({ min: 0, max: 300 }), fc.boolean());
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 500 }), (seed, steps) => {
        const demux = new Demux(new SeededRandom(seed), 200);
        const model = new Map<number, Entry>();
        for (const [id, insert] of steps) {
          const known = model.get(id);
          if (insert && known === undefined) {
            const made = entry(id);
            expect(demux.insert(made)).toBe(model.size < 200);
            if (model.size < 200) model.set(id, made);
          } else if (!insert && known !== undefined) {
            demux.remove(known);
            demux.remove(known);
            model.delete(id);
          }
          expect(find(demux, entry(id))).toBe(model.get(id) ?? null);
        }
        expect(demux.size).toBe(model.size);
        for (let id = 0; id <= 300; id++) expect(find(demux, entry(id))).toBe(model.get(id) ?? null);
        expect(new Set(demux.entries())).toEqual(new Set(model.values()));
      }),
    );
  });

  test("an entry can take another's place", () => {
    const demux = new Demux(new SeededRandom(1), 10);
    const [one, two] = [entry(1), entry(1)];
    demux.insert(one);
    expect(find(demux, one)).toBe(one);
    demux.replace(one, two);
    expect(find(demux, one)).toBe(two);
    demux.remove(one);
    expect(demux.size).toBe(1);
  });

  test("peers that differ in one bit spread evenly", () => {
    const demux = new Demux(new SeededRandom(5), 65_536);
    for (let port = 0; port < 20_000; port++) demux.insert(new Entry(local, 80, local, port));
    const hashes = new Map<number, number>();
    for (const each of demux.entries()) hashes.set(each.hash & 32_767, (hashes.get(each.hash & 32_767) ?? 0) + 1);
    // Chance alone puts at most about seven in one place of 32,768.
    expect(Math.max(...hashes.values())).toBeLessThan(12);
  });

  test("a table of more than 131,072 places has more bits of hash, and finds the same on the way up and down", () => {
    const demux = new Demux(new SeededRandom(9), 1_048_576);
    const entries = Array.from({ length: 150_000 }, (_, id) => new Entry(local, 80, IpAddress.v4(id >>> 8), id & 0xff));
    const taken = entries.filter((each) => demux.insert(each));
    const found = entries.filter((each) => find(demux, each) === each);
    expect([taken.length, found.length]).toEqual([150_000, 150_000]);
    const places = new Map<number, number>();
    for (const each of entries) places.set(each.hash, (places.get(each.hash) ?? 0) + 1);
    // 17 bits have room for 131,072 hashes, and chance would use 90,000 of them.
    const most = [...places.values()].reduce((a, b) => Math.max(a, b));
    expect(most).toBeLessThan(9);
    expect(places.size).toBeGreaterThan(110_000);
    for (const each of entries.splice(1000)) demux.remove(each);
    for (const each of entries) expect(find(demux, each)).toBe(each);
    expect(demux.size).toBe(1000);
  });
});
