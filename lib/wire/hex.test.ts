import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, hexDump, toHex } from "./hex.ts";

describe("hex digits", () => {
  test("there and back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom("", " ", ":", "-", ", ", "\n"), (bytes, separator) => {
        expect(fromHex(toHex(bytes, 0, bytes.length, separator))).toEqual(bytes);
      }),
    );
  });

  test("of a part", () => {
    expect(toHex(Uint8Array.of(1, 2, 0xab, 4), 1, 2)).toBe("02ab");
  });

  test("what is no pair of digits is refused with its place", () => {
    expect(() => fromHex("00 1")).toThrow('"1" at 3 is not a pair of hex digits');
    expect(() => fromHex("0g")).toThrow(RangeError);
    expect(() => fromHex("0 1")).toThrow(RangeError);
  });
});

describe("hexDump", () => {
  test("sixteen bytes a line, then ASCII", () => {
    const bytes = new TextEncoder().encode("Hello, world!\nHello again");
    expect(hexDump(bytes)).toBe(
      [
        "0000  48 65 6c 6c 6f 2c 20 77  6f 72 6c 64 21 0a 48 65  |Hello, world!.He|",
        "0010  6c 6c 6f 20 61 67 61 69  6e                       |llo again|",
      ].join("\n"),
    );
  });

  test("of a part, and of nothing", () => {
    expect(hexDump(Uint8Array.of(1, 2, 3), 1, 1)).toBe(`0000  02${" ".repeat(48)}|.|`);
    expect(hexDump(new Uint8Array(0))).toBe("");
  });
});
