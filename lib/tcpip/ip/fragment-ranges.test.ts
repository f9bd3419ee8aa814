import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressEntry, AddressTable } from "./address-table.ts";
import { FragmentRanges } from "./fragment-ranges.ts";

test("ranges are as a set of bytes would have it", () => {
  const length = 64;
  const truth = Uint8Array.from({ length }, (_, index) => index + 1);
  const range = fc.tuple(fc.nat(length - 1), fc.integer({ min: 1, max: 12 })).map(([start, size]) => ({
    start,
    end: Math.min(length, start + size),
  }));
  fc.assert(
    fc.property(fc.array(range, { maxLength: 40 }), fc.boolean(), (pieces, lies) => {
      const ranges = new FragmentRanges(41);
      const to = new Uint8Array(length);
      const from = Uint8Array.from(truth, (value, index) => (lies && index % 7 === 0 ? 0 : value));
      const there = new Set<number>();
      for (const { start, end } of pieces) {
        const bytes = Array.from({ length: end - start }, (_, index) => start + index);
        const known = bytes.filter((each) => there.has(each)).length;
        const placed = ranges.place(start, end, from, start, to, 0);
        if (known === 0) {
          expect(placed).toBe("placed");
          for (const each of bytes) there.add(each);
        } else if (placed === "duplicate") {
          expect(known).toBe(bytes.length);
        } else expect(placed).toBe("overlap");
        let head = 0;
        while (there.has(head)) head++;
        expect(ranges.head).toBe(head);
        expect(ranges.end).toBe(there.size === 0 ? 0 : Math.max(...there) + 1);
      }
      for (const each of there) expect(to[each]).toBe(from[each]);
    }),
  );
});

class Row extends AddressEntry {}

test("the address table is a map", () => {
  const address = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)).map((words) => new IpAddress(6, ...words));
  fc.assert(
    fc.property(fc.array(fc.tuple(address, fc.boolean()), { maxLength: 200 }), (steps) => {
      const table = new AddressTable<Row>(new SeededRandom(1));
      const model = new Map<string, Row>();
      const bytes = new Uint8Array(16);
      for (const [key, adds] of steps) {
        const known = model.get(key.toString());
        expect(table.get(key)).toBe(known);
        for (const [index, word] of [key.w0, key.w1, key.w2, key.w3].entries()) bytes[index * 4 + 3] = word;
        expect(table.read(bytes, 0)).toBe(known);
        if (adds && known === undefined) {
          const made = new Row(key);
          table.add(made);
          model.set(key.toString(), made);
        } else if (!adds && known !== undefined) {
          table.remove(known);
          table.remove(known);
          model.delete(key.toString());
        }
        expect(table.size).toBe(model.size);
      }
      expect(new Set(table.entries())).toEqual(new Set(model.values()));
    }),
  );
});
