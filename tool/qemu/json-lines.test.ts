import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonLineParser } from "./json-lines.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describe("lines of JSON", () => {
  test("the values come out, however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.infiniteStream(fc.integer({ min: 1, max: 9 })), (values, cuts) => {
        const all = bytes(values.map((value) => `${JSON.stringify(value)}\r\n\n`).join(""));
        const parser = new JsonLineParser();
        const found: unknown[] = [];
        for (let at = 0; at < all.length;) {
          const end = at + Number(cuts.next().value);
          const { values: got, problem } = parser.take(all.subarray(at, end));
          expect(problem).toBeUndefined();
          found.push(...got);
          at = end;
        }
        expect(JSON.stringify(found)).toBe(JSON.stringify(values));
      }),
    );
  });

  test.each([
    ["a line that is not JSON", `{"a":1}\nno\n{"b":2}\n`, [{ a: 1 }], "a line is not JSON: no"],
    ["a line that is too long", `1\n${"[".repeat(100)}`, [1], "a line of more than 64 characters"],
    ["a whole line that is too long", `"${"x".repeat(100)}"\n`, [], "a line of 102 characters"],
  ])("%s ends it", (_what, text, values, problem) => {
    const parser = new JsonLineParser(64);
    expect(parser.take(bytes(text))).toEqual({ values, problem });
    expect(parser.take(bytes("3\n"))).toEqual({ values: [] });
  });

  test("what is not UTF-8 ends it", () => {
    expect(new JsonLineParser().take(Uint8Array.of(0x22, 0xff, 0x22, 10)).problem).toBe("it is not UTF-8");
  });
});
