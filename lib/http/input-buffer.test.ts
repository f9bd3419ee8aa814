import fc from "fast-check";
import { expect, test } from "vitest";
import { InputBuffer } from "./input-buffer.ts";
import { createFlowPair } from "./memory-tcp.ts";

test("gives all octets of a flow in order, however they come and are taken, and grows to 64 KiB at most", async () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 0, max: 1000 }), async (lengths, left) => {
      const [near, far] = createFlowPair();
      const sent = new Uint8Array(lengths.reduce((sum, each) => sum + each, 0)).map(
        (_, index) => index * 7 + (index >> 8),
      );
      const sending = (async () => {
        let at = 0;
        for (const length of lengths) await far.write(sent.subarray(at, (at += length)));
        await far.close();
      })();
      const input = new InputBuffer(near, new Uint8Array(1024));
      const got = new Uint8Array(sent.length);
      let length = 0;
      while (await input.fill()) {
        // Something is left behind, as by a parser that waits for the end of a line.
        const taken = Math.max(0, input.end - input.start - left);
        got.set(input.bytes.subarray(input.start, input.start + taken), length);
        input.start += taken;
        length += taken;
        expect(input.bytes.length).toBeLessThanOrEqual(65_536);
      }
      got.set(input.bytes.subarray(input.start, input.end), length);
      length += input.end - input.start;
      await sending;
      expect(length).toBe(sent.length);
      expect(Buffer.compare(got, sent)).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("is read once at a time, and stays at its end", async () => {
  const [near, far] = createFlowPair();
  const input = new InputBuffer(near, new Uint8Array(16));
  const first = input.fill();
  expect(input.fill()).toBe(first);
  expect(input.filling).toBe(true);
  await far.write(new Uint8Array([1, 2, 3]));
  expect(await first).toBe(true);
  expect([input.filling, input.end]).toEqual([false, 3]);
  await far.close();
  expect([await input.fill(), await input.fill()]).toEqual([false, false]);
  expect(input.release().length).toBe(16);
});
