import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ancestorName,
  commonLabels,
  compareNames,
  compareNamesAt,
  equalNames,
  expandName,
  expandedLength,
  expandedNext,
  hashName,
  isAtOrBelow,
  isBelow,
  isWildcard,
  labelCount,
  lowerName,
  nameFromText,
  nameLength,
  nameToText,
  parentName,
  rootName,
  substituteName,
  wildcardOf,
} from "./name-bytes.ts";
import { readName } from "./name.ts";

const label = fc.uint8Array({ minLength: 1, maxLength: 12 });
const name = fc
  .array(label, { maxLength: 8 })
  .map((labels) => Uint8Array.from([...labels.flatMap((each) => [each.length, ...each]), 0]));
const n = nameFromText;

describe("RFC 1035 §3.1: names as bytes", () => {
  test("text and bytes say the same, whatever bytes the labels have", () => {
    fc.assert(
      fc.property(name, (each) => {
        expect(nameFromText(nameToText(each))).toEqual(each);
      }),
    );
    expect(nameToText(n("a\\.b.c"))).toBe("a\\.b.c.");
    expect(nameToText(n('\\@x\\"\\;\\032'))).toBe('\\@x\\"\\;\\032.');
    expect(nameToText(rootName)).toBe(".");
  });

  test("a name's length is known, or it is none", () => {
    fc.assert(
      fc.property(name, fc.nat(20), (each, at) => {
        const bytes = new Uint8Array(at + each.length + 3).fill(0xff);
        bytes.set(each, at);
        expect(nameLength(bytes, at)).toBe(each.length);
        for (let end = at; end < at + each.length; end++) expect(nameLength(bytes, at, end)).toBe(0);
      }),
    );
    expect(nameLength(Uint8Array.of(1, 97, 0xc0, 0), 0)).toBe(0);
    expect(nameLength(Uint8Array.of(0x40), 0)).toBe(0);
    const longest = n(`${`${"x".repeat(63)}.`.repeat(3)}${"x".repeat(61)}`);
    expect(nameLength(longest, 0)).toBe(255);
    expect(nameLength(Uint8Array.from([1, 97, ...longest]), 0)).toBe(0);
  });

  test("§4.1.4: pointers are followed as in text", () => {
    const message = fc.array(fc.oneof(fc.nat(255), fc.nat(3), fc.constant(0xc0)), { minLength: 1, maxLength: 60 });
    const out = new Uint8Array(300);
    fc.assert(
      fc.property(message, fc.nat(59), (bytes, position) => {
        const data = Uint8Array.from(bytes);
        const at = position % data.length;
        const read = readName(data, at, 0, data.length);
        const expanded = expandName(data, at, 0, data.length, out, 40);
        if (!read.ok) {
          expect(expanded).toBe(-1);
          return;
        }
        expect(expandedNext(expanded)).toBe(read.next);
        expect(out.slice(40, 40 + expandedLength(expanded))).toEqual(nameFromText(read.name));
      }),
      { numRuns: 1000 },
    );
  });

  test("the longest name is expanded, and no longer one", () => {
    const longest = n(`${`${"x".repeat(63)}.`.repeat(3)}${"x".repeat(61)}`);
    const out = new Uint8Array(255);
    expect(expandedLength(expandName(longest, 0, 0, 255, out, 0))).toBe(255);
    const more = Uint8Array.from([...longest.slice(0, -1), 1, 120, 0]);
    expect(expandName(more, 0, 0, more.length, out, 0)).toBe(-1);
    const pointed = Uint8Array.from([...longest, 1, 97, 0xc0, 0]);
    expect(expandName(pointed, 255, 0, pointed.length, out, 0)).toBe(-1);
  });
});

describe("RFC 4034 §6.1: the canonical order", () => {
  const ordered = ["example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example"];
  const rest = ["\\001.z.example", "*.z.example", "\\200.z.example"];
  const names = [...ordered, ...rest].map(n);

  test("the example", () => {
    for (const seed of [1, 2, 3]) {
      const mixed = names.toSorted((a, b) => hashName(a, 0, a.length, seed) - hashName(b, 0, b.length, seed));
      expect(mixed.sort(compareNames).map((each) => nameToText(each))).toEqual(names.map((each) => nameToText(each)));
    }
  });

  test("it is that of the labels' bytes from the last on", () => {
    const key = (each: Uint8Array): number[][] => {
      const labels: number[][] = [];
      for (let rest: Uint8Array | undefined = each; rest !== undefined; rest = parentName(rest)) {
        labels.unshift([...lowerName(rest).slice(1, 1 + rest[0]!)]);
      }
      return labels.slice(1);
    };
    const compare = (a: number[], b: number[]): number => {
      for (let index = 0; index < Math.min(a.length, b.length); index++) {
        if (a[index] !== b[index]) return a[index]! - b[index]!;
      }
      return a.length - b.length;
    };
    fc.assert(
      fc.property(name, name, (a, b) => {
        const [left, right] = [key(a), key(b)];
        let expected = 0;
        for (let index = 0; expected === 0 && index < Math.min(left.length, right.length); index++) {
          expected = compare(left[index]!, right[index]!);
        }
        if (expected === 0) expected = left.length - right.length;
        expect(Math.sign(compareNames(a, b))).toBe(Math.sign(expected));
        const shifted = Uint8Array.from([9, 9, ...b]);
        expect(Math.sign(compareNamesAt(a, 0, shifted, 2))).toBe(Math.sign(expected));
      }),
    );
  });
});

describe("relations between names", () => {
  test("RFC 4343: case does not matter, and only that of ASCII letters", () => {
    expect(equalNames(n("WWW.Example"), n("www.eXAMPLE"))).toBe(true);
    expect(hashName(n("WWW.Example"))).toBe(hashName(n("www.eXAMPLE")));
    expect(hashName(n("WWW.Example"), 0, 13, 7)).not.toBe(hashName(n("www.eXAMPLE")));
    expect(equalNames(n("\\192"), n("\\224"))).toBe(false);
    expect(equalNames(n("\\@"), n("\\`"))).toBe(false);
    const lower = n("abc");
    expect(lowerName(lower)).toBe(lower);
    expect(lowerName(n("aBc"))).toEqual(lower);
  });

  test("above and below", () => {
    const org = n("org");
    expect(isAtOrBelow(n("example.ORG"), org)).toBe(true);
    expect(isAtOrBelow(org, org)).toBe(true);
    expect(isBelow(org, org)).toBe(false);
    expect(isBelow(n("a.org"), rootName)).toBe(true);
    expect(isAtOrBelow(org, n("example.org"))).toBe(false);
    // The bytes of `org` at the end of a label's bytes are not the label `org`.
    expect(isAtOrBelow(n("x\\003org"), org)).toBe(false);
    expect(isAtOrBelow(n("a.x\\003org"), org)).toBe(false);
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(isAtOrBelow(a, b)).toBe(commonLabels(a, b) === labelCount(b));
      }),
    );
  });

  test("parents, ancestors and wildcards", () => {
    expect(parentName(rootName)).toBeUndefined();
    expect(parentName(n("a.b.c"))).toEqual(n("b.c"));
    expect(ancestorName(n("a.b.c"), 1)).toEqual(n("c"));
    expect(ancestorName(n("a.b.c"), 0)).toEqual(rootName);
    expect(ancestorName(n("a.b.c"), 5)).toEqual(n("a.b.c"));
    expect(isWildcard(n("*.a"))).toBe(true);
    expect(isWildcard(n("*a.a"))).toBe(false);
    expect(wildcardOf(n("a"))).toEqual(n("*.a"));
    expect(wildcardOf(n(`${`${"x".repeat(63)}.`.repeat(3)}${"x".repeat(61)}`))).toBeUndefined();
    expect(commonLabels(n("a.b.c"), n("x.B.c"))).toBe(2);
  });

  test("RFC 6672 §2.2: a DNAME substitutes ends", () => {
    expect(substituteName(n("a.b.c"), n("b.c"), n("net"))).toEqual(n("a.net"));
    expect(substituteName(n(`${"x".repeat(63)}.a`), n("a"), n(`${`${"x".repeat(63)}.`.repeat(3)}a`))).toBeUndefined();
  });
});
