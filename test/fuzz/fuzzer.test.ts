import { describe, expect, test } from "vitest";
import { attempt, fuzz, shrink } from "./fuzzer.ts";
import { mutate } from "./mutation.ts";
import { describeFailure } from "./report.ts";
import { Draws } from "./draws.ts";

/** Breaks when a byte 0x80 or above is followed, anywhere, by a zero. */
const fragile = {
  name: "fragile",
  seeds: [Uint8Array.of(1, 2, 3, 4)],
  run(input: Uint8Array) {
    const high = input.findIndex((byte) => byte >= 0x80);
    if (high >= 0 && input.indexOf(0, high) > high) throw new Error("a zero behind a high byte");
  },
};

describe("fuzz", () => {
  test("finds a bug, and the same one again from the same seed", async () => {
    const first = await fuzz(fragile, { seed: 7, runs: 100_000 });
    const second = await fuzz(fragile, { seed: 7, runs: 100_000 });
    expect(first.failure?.error).toBeInstanceOf(Error);
    expect(second.runs).toBe(first.runs);
    expect(second.failure?.found).toEqual(first.failure?.found);
  });

  test("another seed gives other inputs", async () => {
    const inputs = async (seed: number): Promise<string[]> => {
      const seen: string[] = [];
      await fuzz({ ...fragile, run: (input) => void seen.push(input.join()) }, { seed, runs: 100 });
      return seen;
    };
    expect(await inputs(1)).toEqual(await inputs(1));
    expect(await inputs(1)).not.toEqual(await inputs(2));
  });

  test("seeds and the empty input come first; then it stops when time is up", async () => {
    const seen: number[][] = [];
    const target = { ...fragile, run: (input: Uint8Array) => void seen.push([...input]) };
    const { runs, failure } = await fuzz(target, { seed: 1, expired: () => true });
    expect(seen.slice(0, 2)).toEqual([[], [1, 2, 3, 4]]);
    expect(failure).toBeUndefined();
    expect(runs).toBeLessThanOrEqual(16);
  });

  test("a promise that rejects is a failure", async () => {
    const target = { name: "later", seeds: [], run: () => Promise.reject(new Error("later")) };
    expect((await fuzz(target, { seed: 1, runs: 1 })).failure?.error).toEqual(new Error("later"));
  });

  test("the target cannot spoil the input that is reported", async () => {
    const target = {
      name: "eraser",
      seeds: [Uint8Array.of(9)],
      run(input: Uint8Array) {
        const broken = input[0] === 9;
        input.fill(0);
        if (broken) throw new Error("nine");
      },
    };
    expect((await fuzz(target, { seed: 1, runs: 2 })).failure?.input).toEqual(Uint8Array.of(9));
  });
});

test("shrinking leaves what is needed", async () => {
  const long = Uint8Array.from([5, 6, 0x90, 7, 8, 0, 9, 0x85, 1, 0, 4]);
  expect(await attempt(fragile, long)).toBeDefined();
  const short = await shrink(fragile, long);
  expect(short).toHaveLength(2);
  expect(await attempt(fragile, short)).toBeDefined();
});

test("mutations stay within the longest length and leave their bases alone", () => {
  const random = new Draws(3);
  const base = Uint8Array.from({ length: 40 }, (_, index) => index);
  const other = new Uint8Array(50).fill(7);
  const lengths = new Set<number>();
  for (let count = 0; count < 2000; count++) lengths.add(mutate(base, other, random, 60).length);
  expect(Math.max(...lengths)).toBe(60);
  expect(lengths.size).toBeGreaterThan(30);
  expect([...base]).toEqual(Array.from({ length: 40 }, (_, index) => index));
  expect(other.every((byte) => byte === 7)).toBe(true);
});

test("a failure is told with its input and the command that replays it", () => {
  const failure = { error: new Error("broken"), input: Uint8Array.of(0xab, 1), found: Uint8Array.of(0xab, 1, 2) };
  const text = describeFailure("fragile", 7, failure);
  expect(text).toContain("seed 7");
  expect(text).toContain("node scripts/soak.mjs fragile --input ab01");
  expect(text).toContain("broken");
});
