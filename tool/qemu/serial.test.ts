import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ExitLineFilter, SerialText } from "./serial.ts";

function pieces(bytes: Uint8Array, cuts: Iterator<number>): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    // as: the streams of numbers do not end.
    const end = at + (cuts.next().value as number);
    found.push(bytes.subarray(at, end));
    at = end;
  }
  return found;
}

const cut = fc.infiniteStream(fc.integer({ min: 1, max: 5 }));

describe("the console as text", () => {
  test("is the same however the bytes are cut, with one line feed a line", () => {
    const line = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("[kernel] exit 7", "a\r", "\r"));
    fc.assert(
      fc.property(fc.array(line), cut, (lines, cuts) => {
        const written = lines.map((each) => `${each}\r\n`).join("");
        const serial = new SerialText();
        const bytes = new TextEncoder().encode(written);
        const text =
          pieces(bytes, cuts)
            .map((piece) => serial.take(piece))
            .join("") + serial.end();
        expect(text).toBe(new TextDecoder().decode(bytes).replace(/\r+\n/g, "\n"));
      }),
    );
  });

  test.each([
    ["[kernel] exit 0\n", 0],
    ["hello\r\n[kernel] exit 101\r\n", 101],
    ["[kernel] exit 7", 7],
    ["[kernel] exit 1\n[kernel] exit 2\nmore\n", 2],
    [" [kernel] exit 1\n", undefined],
    ["[kernel] exit 1000\n", undefined],
    [`${"x".repeat(600)}[kernel] exit 1\n`, undefined],
    ["", undefined],
  ])("%j tells status %s", (text, status) => {
    const serial = new SerialText();
    serial.take(new TextEncoder().encode(text));
    serial.end();
    expect(serial.status).toBe(status);
  });
});

describe("what people read of it", () => {
  test("has everything but the kernel's last line, however it is cut", () => {
    const line = fc.constantFrom(
      "hello",
      "[kernel] ready",
      "[kernel] exit 7",
      "[kernel] exit",
      "[kernel] exit seven",
      "[",
    );
    fc.assert(
      fc.property(fc.array(line), line, cut, (lines, last, cuts) => {
        const text = `${lines.map((each) => `${each}\n`).join("")}${last}`;
        const filter = new ExitLineFilter();
        const shown = pieces(new TextEncoder().encode(text), cuts)
          .map((piece) => filter.take(new TextDecoder().decode(piece)))
          .join("");
        const expected = text.split(/(?<=\n)/).filter((each) => !/^\[kernel\] exit \d+\n?$/.test(each));
        expect(shown + filter.end()).toBe(expected.join(""));
      }),
    );
  });

  test("comes at once, but for what may be that line", () => {
    const filter = new ExitLineFilter();
    expect(filter.take("name? ")).toBe("name? ");
    expect(filter.take("\n[ker")).toBe("\n");
    expect(filter.take("nel] ready")).toBe("[kernel] ready");
  });
});
