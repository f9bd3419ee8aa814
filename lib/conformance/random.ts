import type { Random } from "@tesserae/device/random";
import { ensure, ensureEqual } from "./assert.ts";
import { defineCase, type Suite } from "./suite.ts";

/** The contract of `Random`. The odds of a false alarm are below one in a billion. */
export const randomSuite: Suite<Random> = [
  defineCase("uint32 is an integer from 0 to 2³²−1", (random) => {
    for (let round = 0; round < 10_000; round++) {
      const value = random.uint32();
      ensure(Number.isInteger(value) && value >= 0 && value <= 0xffffffff, `uint32() is ${String(value)}`);
    }
  }),

  defineCase("every bit of uint32 is set half of the time", (random) => {
    const ones = new Array<number>(32).fill(0);
    for (let round = 0; round < 10_000; round++) {
      const value = random.uint32();
      for (let bit = 0; bit < 32; bit++) ones[bit] = (ones[bit] ?? 0) + ((value >>> bit) & 1);
    }
    // Seven standard deviations are 350.
    for (const [bit, count] of ones.entries())
      ensure(Math.abs(count - 5000) < 350, `bit ${String(bit)}: ${String(count)}`);
  }),

  defineCase("every byte value comes as often from fill", (random) => {
    const bytes = new Uint8Array(256 * 400);
    random.fill(bytes);
    const counts = new Array<number>(256).fill(0);
    for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1;
    // Eight standard deviations are 160.
    for (const [value, count] of counts.entries())
      ensure(Math.abs(count - 400) < 160, `${String(value)}: ${String(count)}`);
  }),

  defineCase("fill fills all of a view and nothing beside it", (random) => {
    for (const length of [0, 1, 2, 3, 4, 5, 31, 32, 33, 1000, 70_000]) {
      const memory = new Uint8Array(length + 16);
      const touched = new Uint8Array(length);
      for (let round = 0; round < 8; round++) {
        random.fill(memory.subarray(8, 8 + length));
        for (let index = 0; index < length; index++) touched[index] = (touched[index] ?? 0) | (memory[8 + index] ?? 0);
      }
      // A byte that is random is zero eight times with odds of 2^−64.
      ensure(
        touched.every((value) => value !== 0),
        `a byte of ${String(length)} was not filled`,
      );
      ensureEqual(memory.slice(0, 8), new Uint8Array(8), "before the view");
      ensureEqual(memory.slice(8 + length), new Uint8Array(8), "behind the view");
    }
  }),

  defineCase("it does not repeat itself", (random) => {
    const seen = new Set<string>();
    for (let round = 0; round < 1000; round++) {
      const bytes = new Uint8Array(16);
      random.fill(bytes);
      seen.add(bytes.join());
    }
    ensureEqual(seen.size, 1000, "distinct draws of 16 bytes");
  }),
];
