import fc from "fast-check";
import { expect, test } from "vitest";
import { fold, sum } from "./checksum.ts";
import { copyBytes } from "./copy-bytes.ts";
import { copySummed } from "./copy-summed.ts";

test("copies what is asked for, and nothing else, and sums it as the checksum does", () => {
  const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 1600, size: "max" }));
  fc.assert(
    fc.property(anyBytes, fc.nat(9), fc.nat(9), fc.nat(5), (bytes, start, at, behind) => {
      const from = new Uint8Array(start + bytes.length + behind).fill(0xa5);
      from.set(bytes, start);
      const to = new Uint8Array(at + bytes.length + behind).fill(0x5a);
      const expected = to.slice();
      expected.set(bytes, at);
      const summed = copySummed(from, start, to, at, bytes.length);
      expect(to).toEqual(expected);
      expect(fold(summed)).toBe(fold(sum(bytes, 0, bytes.length)));
      const other = new Uint8Array(to.length).fill(0x5a);
      copyBytes(from, start, other, at, bytes.length);
      expect(other).toEqual(expected);
    }),
  );
});
