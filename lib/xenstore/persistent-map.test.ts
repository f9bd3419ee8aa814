import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PersistentMap } from "./persistent-map.ts";

const steps = fc.array(
  fc.record({ key: fc.integer({ min: 0, max: 40 }).map(String), value: fc.option(fc.nat(), { nil: undefined }) }),
  { maxLength: 200 },
);

describe("a persistent map", () => {
  test("holds what a Map would, in order, whatever is set and deleted", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const model = new Map<string, number>();
        let map = PersistentMap.empty<number>();
        for (const { key, value } of all) {
          if (value === undefined) {
            model.delete(key);
            map = map.without(key);
          } else {
            model.set(key, value);
            map = map.with(key, value);
          }
        }
        expect([...map]).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)));
        expect(map.size).toBe(model.size);
        for (const key of model.keys()) expect(map.get(key)).toBe(model.get(key));
      }),
    );
  });

  test("is not changed by what is made of it", () => {
    fc.assert(
      fc.property(steps, steps, (first, second) => {
        let map = PersistentMap.empty<number>();
        for (const { key, value } of first) map = map.with(key, value ?? 0);
        const before = [...map];
        let other = map;
        for (const { key, value } of second) other = value === undefined ? other.without(key) : other.with(key, value);
        expect([...map]).toEqual(before);
      }),
    );
  });

  test("stays shallow when keys come in order", () => {
    let map = PersistentMap.empty<number>();
    for (let index = 0; index < 20_000; index++) map = map.with(String(index).padStart(6, "0"), index);
    for (let index = 0; index < 19_990; index++) map = map.without(String(index).padStart(6, "0"));
    // Were it a list, the recursion of the first loop would not come to its end.
    expect([...map].map(([, value]) => value)).toEqual([
      19990, 19991, 19992, 19993, 19994, 19995, 19996, 19997, 19998, 19999,
    ]);
  });
});
