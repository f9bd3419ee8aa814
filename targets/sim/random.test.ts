import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SeededRandom } from "./random.ts";

describe("SeededRandom", () => {
  test("gives the numbers that it gave when it was written: on every machine", () => {
    const random = new SeededRandom("tesserae");
    expect(Array.from({ length: 4 }, () => random.uint32())).toMatchInlineSnapshot(`
      [
        3446142778,
        3958208801,
        1431554337,
        3723752528,
      ]
    `);
    expect(new SeededRandom("").uint32()).toMatchInlineSnapshot(`1297617535`);
    expect(new SeededRandom("tesserae").fork("host a").uint32()).toMatchInlineSnapshot(`864978307`);
  });

  test("follows xoshiro128** as published, from a known state", () => {
    // The reference implementation's recurrence, written out with BigInt.
    const random = new SeededRandom("reference");
    const state = stateOf("reference");
    for (let step = 0; step < 1000; step++) expect(random.uint32()).toBe(reference(state));
  });

  test("the same seed gives the same stream, another seed another", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        const draw = (seed: string) => {
          const bytes = new Uint8Array(19);
          new SeededRandom(seed).fill(bytes);
          return bytes.join();
        };
        expect(draw(one)).toBe(draw(one));
        if (one !== other) expect(draw(one)).not.toBe(draw(other));
      }),
    );
  });

  test("a fork does not depend on how much was drawn before", () => {
    const random = new SeededRandom("s");
    const early = random.fork("x").uint32();
    random.uint32();
    expect(random.fork("x").uint32()).toBe(early);
    expect(random.fork("y").uint32()).not.toBe(early);
  });

  test("below is in range and reaches every value evenly", () => {
    const random = new SeededRandom("even");
    const counts = new Array<number>(6).fill(0);
    for (let draw = 0; draw < 60_000; draw++) counts[random.below(6)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(() => random.below(0)).toThrow("bound 0");
    expect(() => random.below(1.5)).toThrow(RangeError);
  });

  test("chance 0 draws nothing, 1 always comes true", () => {
    const random = new SeededRandom("c");
    const same = new SeededRandom("c");
    expect(random.chance(0)).toBe(false);
    expect(random.uint32()).toBe(same.uint32());
    for (let draw = 0; draw < 1000; draw++) expect(random.chance(1)).toBe(true);
  });

  test("every bit is set half the time", () => {
    const random = new SeededRandom("bits");
    const ones = new Array<number>(32).fill(0);
    for (let draw = 0; draw < 20_000; draw++) {
      const word = random.uint32();
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (word >>> bit) & 1;
    }
    for (const count of ones) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });
});

/** The state after seeding, found by undoing nothing: seeding is repeated with BigInt arithmetic. */
function stateOf(seed: string): bigint[] {
  const mask = 0xffffffffn;
  const times = (a: bigint, b: bigint) => (a * b) & mask;
  let hash = 0x811c9dc5n;
  for (const unit of seed) {
    const code = BigInt(unit.charCodeAt(0));
    hash = times(hash ^ (code & 0xffn), 0x01000193n);
    hash = times(hash ^ (code >> 8n), 0x01000193n);
  }
  hash = times(hash ^ (hash >> 16n), 0x85ebca6bn);
  hash = times(hash ^ (hash >> 13n), 0xc2b2ae35n);
  let state = hash ^ (hash >> 16n);
  const words = Array.from({ length: 4 }, () => {
    state = (state + 0x9e3779b9n) & mask;
    let z = times(state ^ (state >> 16n), 0x21f0aaadn);
    z = times(z ^ (z >> 15n), 0x735a2d97n);
    return z ^ (z >> 15n);
  });
  words[3] = words[3]! | 1n;
  return words;
}

function reference(s: bigint[]): number {
  const mask = 0xffffffffn;
  const rotate = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & mask;
  const result = (rotate((s[1]! * 5n) & mask, 7n) * 9n) & mask;
  const t = (s[1]! << 9n) & mask;
  s[2]! ^= s[0]!;
  s[3]! ^= s[1]!;
  s[1]! ^= s[2]!;
  s[0]! ^= s[3]!;
  s[2]! ^= t;
  s[3] = rotate(s[3]!, 11n);
  return Number(result);
}
