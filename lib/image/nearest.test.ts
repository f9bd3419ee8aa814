import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { didYouMean, editDistance, nearest } from "./nearest.ts";

describe("nearest", () => {
  test("finds what was meant, and nothing where nothing is near", () => {
    expect(nearest("prot", ["port", "host"])).toBe("port");
    expect(nearest("--targt", ["--trace", "--target"])).toBe("--target");
    expect(nearest("PORT", ["port"])).toBe("port");
    expect(nearest("xyz", ["port", "host"])).toBeUndefined();
    expect(didYouMean("tcp", [])).toBe("");
    expect(didYouMean("stak", ["stack"])).toBe(' (did you mean "stack"?)');
  });
});

describe("editDistance", () => {
  test("counts a swap of neighbours once", () => {
    expect(editDistance("prot", "port")).toBe(1);
    expect(editDistance("kitten", "sitting")).toBe(3);
  });

  test("is symmetric, zero only for equals, and at most the longer length", () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
  });
});
