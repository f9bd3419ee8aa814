import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalName, labelsOf, readName, reverseName } from "./name.ts";

function wire(name: string): Uint8Array {
  return Uint8Array.from([...labelsOf(name).flatMap((label) => [label.length, ...label]), 0]);
}

function read(bytes: readonly number[] | Uint8Array, at = 0, start = 0) {
  return readName(Uint8Array.from(bytes), at, start, bytes.length);
}

const label = fc.uint8Array({ minLength: 1, maxLength: 20 });

describe("RFC 1035 §3.1: names", () => {
  test("what is written is read, whatever bytes the labels have", () => {
    fc.assert(
      fc.property(fc.array(label, { maxLength: 8 }), (labels) => {
        const bytes = Uint8Array.from([...labels.flatMap((each) => [each.length, ...each]), 0]);
        const parsed = read(bytes);
        expect(parsed).toMatchObject({ ok: true, next: bytes.length });
        if (parsed.ok) expect(wire(parsed.name)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ["www.example.org", [3, 119, 119, 119, 7, 101, 120, 97, 109, 112, 108, 101, 3, 111, 114, 103, 0]],
    [".", [0]],
    ["a\\.b.c", [3, 97, 46, 98, 1, 99, 0]],
    ["\\\\\\032\\000", [3, 92, 32, 0, 0]],
  ])("%s", (text, bytes) => {
    expect(read(bytes)).toEqual({ ok: true, name: text, next: bytes.length });
    expect([...wire(text)]).toEqual(bytes);
  });

  test("a dot at the end does not matter, and one behind an escaped backslash is one", () => {
    expect(wire("a.b.")).toEqual(wire("a.b"));
    expect([...wire("a\\\\.")]).toEqual([2, 97, 92, 0]);
    expect(canonicalName("WWW.Example.")).toBe("www.example");
    expect(canonicalName("a\\.")).toBe("a\\.");
    expect(canonicalName("a\\\\.")).toBe("a\\\\");
    expect(canonicalName(".")).toBe(".");
  });

  test.each(["a..b", ".a", "x".repeat(64), `${"abcdefg.".repeat(32)}x`, "bücher", "a\nb", "a\\", "\\999"])(
    "%j is no name",
    (text) => {
      expect(() => labelsOf(text)).toThrow(RangeError);
    },
  );

  test("the longest name has 255 bytes", () => {
    const longest = `${`${"x".repeat(63)}.`.repeat(3)}${"x".repeat(61)}`;
    expect(wire(longest).length).toBe(255);
    expect(read(wire(longest))).toMatchObject({ ok: true });
    expect(() => labelsOf(`${longest}x`)).toThrow("longer than 255");
    const tooLong = [...wire(longest).slice(0, -1), 1, 120, 0];
    expect(read(tooLong)).toMatchObject({ ok: false, what: "the name is longer than 255 bytes" });
  });
});

describe("RFC 1035 §4.1.4: compression", () => {
  test("pointers are followed, and the next thing is behind the first of them", () => {
    const bytes = [3, 111, 114, 103, 0, 1, 97, 0xc0, 0, 1, 98, 0xc0, 5, 99];
    expect(read(bytes, 9)).toEqual({ ok: true, name: "b.a.org", next: 13 });
  });

  test("pointers count from the start of the message", () => {
    expect(read([255, 255, 1, 97, 0, 0xc0, 0], 5, 2)).toEqual({ ok: true, name: "a", next: 7 });
  });

  test.each<[string, number[], number]>([
    ["to itself", [0xc0, 0], 0],
    ["forwards", [0xc0, 2, 1, 97, 0], 0],
    ["in a circle", [1, 97, 0xc0, 3, 0xc0, 0], 0],
    ["into its own name", [1, 97, 1, 98, 0xc0, 2], 0],
    ["cut off", [1, 97, 0, 0xc0], 3],
  ])("a pointer %s is refused", (_, bytes, at) => {
    expect(read(bytes, at)).toMatchObject({ ok: false });
  });

  test("chains of pointers are bounded", () => {
    const chain = [0];
    for (let at = 1; at < 4000; at += 2)
      chain.push(0xc0 | ((at === 1 ? 0 : at - 2) >> 8), (at === 1 ? 0 : at - 2) & 255);
    expect(read(chain, 1)).toMatchObject({ ok: true, name: "." });
    expect(read(chain, chain.length - 2)).toMatchObject({ ok: false, what: "more than 32 pointers" });
  });

  test.each([[0x40], [0x80], [0xbf]])("the length %i is neither a label's nor a pointer's", (first) => {
    expect(read([first, 0, 0])).toMatchObject({ ok: false, kind: "value" });
  });
});

test("RFC 1035 §3.5 and RFC 3596 §2.5: names of addresses", () => {
  expect(reverseName(IpAddress.parse("192.0.2.254"))).toBe("254.2.0.192.in-addr.arpa");
  expect(reverseName(IpAddress.parse("2001:db8::567:89ab"))).toBe(
    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
});
