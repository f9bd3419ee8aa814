import { describe, expect, test } from "vitest";
import { SipHash } from "./siphash.ts";

/** The first vectors of the authors' reference implementation, key 00…0f, input 00, 01, …: the 64-bit results. */
const vectors = [
  0x726fdb47dd0e0e31n,
  0x74f839c593dc67fdn,
  0x0d6c8009d9a94f5an,
  0x85676696d7fb7e2dn,
  0xcf2794e0277187b7n,
  0x18765564cd99a68dn,
  0xcbc9466e58fee3cen,
  0xab0200f58b01d137n,
  0x93f5f5799a932462n,
] as const;

function hash(length: number): bigint {
  const sip = new SipHash(Uint8Array.from({ length: 16 }, (_, index) => index));
  let at = 0;
  for (; at + 4 <= length; at += 4) sip.word(at | ((at + 1) << 8) | ((at + 2) << 16) | ((at + 3) << 24));
  let tail = 0;
  for (let index = at; index < length; index++) tail |= index << (8 * (index - at));
  const low = sip.finish(tail, length - at) >>> 0;
  return (BigInt(sip.high() >>> 0) << 32n) | BigInt(low);
}

describe("SipHash-2-4", () => {
  // A whole number of words, followed by a tail, is what callers use; lengths 5 to 7 put a tail behind a pending word.
  test.each([0, 1, 2, 3, 4, 8])("agrees with the reference vector of %d bytes", (length) => {
    expect(hash(length)).toBe(vectors[length]);
  });

  test.each([5, 6, 7])("agrees with the reference vector of %d bytes", (length) => {
    expect(hash(length)).toBe(vectors[length]);
  });

  test.each([0, 1, 5, 8])("is written and compared as bytes, of %d bytes", (length) => {
    const sip = new SipHash(Uint8Array.from({ length: 16 }, (_, index) => index));
    const text = Uint8Array.from({ length: 64 }, (_, index) => index);
    const out = new Uint8Array(10);
    sip.write(text, length, out, 1);
    expect(new DataView(out.buffer).getBigUint64(1, true)).toBe(vectors[length]);
    expect(sip.matches(text, length, out, 1)).toBe(true);
    out[8] = (out[8] ?? 0) ^ 1;
    expect(sip.matches(text, length, out, 1)).toBe(false);
  });

  test("refuses a key of another size", () => {
    expect(() => new SipHash(new Uint8Array(15))).toThrow(RangeError);
  });
});
