import fc from "fast-check";
import { expect, test } from "vitest";
import { fuzz as frameText } from "./frame-text.fuzz.ts";
import { fuzz as switching } from "./switch.fuzz.ts";

test.each([frameText, switching])("$name holds on its seeds and on random bytes", async (target) => {
  for (const seed of target.seeds) await target.run(seed.slice());
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
      await target.run(bytes);
    }),
  );
  expect(new Set(target.seeds.map(String)).size).toBe(target.seeds.length);
});
