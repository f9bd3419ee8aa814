import fc from "fast-check";
import { expect, test } from "vitest";
import { RecentViews } from "./recent-views.ts";

test("a view asked for again is the same object, and always the right bytes", () => {
  const views = new RecentViews();
  const arrays = [new Uint8Array(100_000), new Uint8Array(new ArrayBuffer(100_000), 7, 90_000), new Uint8Array(50)];
  const anyPlace = fc.record({ index: fc.nat(2), offset: fc.nat(100_000), length: fc.nat(3000) });
  fc.assert(
    fc.property(fc.array(anyPlace, { maxLength: 50 }), (places) => {
      for (const { index, offset, length } of places) {
        const of = arrays[index]!;
        const start = Math.min(offset, of.length);
        const size = Math.min(length, of.length - start);
        const got = views.view(of, start, size);
        expect([got.buffer, got.byteOffset, got.length]).toEqual([of.buffer, of.byteOffset + start, size]);
        expect(views.view(of, start, size)).toBe(got);
      }
    }),
  );
});

test("the places of a ring of a thousand chunks are nearly all found again", () => {
  const views = new RecentViews();
  const memory = new Uint8Array(1024 * 2048);
  const round = (): Uint8Array[] =>
    Array.from({ length: 1024 }, (_, chunk) => views.view(memory, chunk * 2048 + 322, 1448));
  let last = round();
  let found = 0;
  for (let lap = 0; lap < 20; lap++) {
    const now = round();
    found = now.filter((view, chunk) => view === last[chunk]).length;
    last = now;
  }
  expect(found).toBeGreaterThan(700);
});
