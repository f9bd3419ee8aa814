import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checksum, fold, pseudoHeaderSum4, pseudoHeaderSum6, sum, updateChecksum } from "./checksum.ts";
import { fromHex } from "./hex.ts";

/** The definition of RFC 1071 §1, word by word, carries added at once. */
function reference(bytes: Uint8Array): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) {
    total += (bytes[at]! << 8) | (bytes[at + 1] ?? 0);
    total = (total & 0xffff) + (total >>> 16);
  }
  return total;
}

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.uint8Array({ minLength: 300, maxLength: 1600, size: "max" }),
);

describe("RFC 1071", () => {
  test("§3: the example", () => {
    expect(fold(sum(fromHex("0001 f203 f4f5 f6f7"), 0, 8))).toBe(0xddf2);
    expect(checksum(fromHex("0001 f203 f4f5 f6f7"), 0, 8)).toBe(0x220d);
  });

  test("an IPv4 header with its checksum in place gives 0", () => {
    const header = fromHex("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
    expect(checksum(header, 0, 20)).toBe(0);
    header[10] = header[11] = 0;
    expect(checksum(header, 0, 20)).toBe(0xb861);
  });

  test("agrees with the definition at every alignment, whatever is around", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(9), fc.nat(9), (bytes, before, inside) => {
        const memory = new Uint8Array(before + inside + bytes.length + 5).fill(0xa5);
        const array = memory.subarray(before);
        array.set(bytes, inside);
        expect(fold(sum(array, inside, bytes.length))).toBe(reference(bytes));
      }),
    );
  });

  test("§2: parts of even length can be summed one after the other", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(800), (bytes, half) => {
        const first = Math.min(half * 2, bytes.length & ~1);
        const parts = sum(bytes, first, bytes.length - first, sum(bytes, 0, first));
        expect(fold(parts)).toBe(fold(sum(bytes, 0, bytes.length)));
      }),
    );
  });

  test("all ones, up to 64 KiB and beyond: never 0 for what is not 0", () => {
    for (const length of [1, 2, 46, 47, 48, 49, 318, 319, 320, 321, 1500, 65536, 1 << 20]) {
      const bytes = new Uint8Array(length).fill(0xff);
      expect(fold(sum(bytes, 0, length))).toBe(reference(bytes));
      expect(reference(bytes)).not.toBe(0);
    }
    expect(fold(0)).toBe(0);
    for (const carry of [
      0xffff,
      0xffffffff,
      0x1_0000_fffe,
      Number.MAX_SAFE_INTEGER - (Number.MAX_SAFE_INTEGER % 0xffff),
    ]) {
      expect(fold(carry)).toBe(0xffff);
    }
  });

  test("two buffers in turn", () => {
    const first = new Uint8Array(400).fill(1);
    const second = new Uint8Array(400).fill(2);
    for (let turn = 0; turn < 3; turn++) {
      expect(fold(sum(first, 0, 400))).toBe(reference(first));
      expect(fold(sum(second, 0, 400))).toBe(reference(second));
    }
  });
});

describe("RFC 1624", () => {
  test("§4: the example that equation 2 of RFC 1141 gets wrong", () => {
    expect(updateChecksum(0xdd2f, 0x5555, 0x3285)).toBe(0x0000);
  });

  test("is the checksum of the changed message", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 64 }), fc.nat(31), fc.nat(0xffff), (bytes, index, word) => {
        const at = ((index * 2) % (bytes.length - 1)) & ~1;
        // A message of zeros has no checksum of its own in one's complement: RFC 1624 §3.
        const before = checksum(bytes, 0, bytes.length);
        const old = (bytes[at]! << 8) | bytes[at + 1]!;
        bytes[at] = word >>> 8;
        bytes[at + 1] = word;
        const after = checksum(bytes, 0, bytes.length);
        if (fold(sum(bytes, 0, bytes.length)) === 0) return;
        expect(updateChecksum(before, old, word)).toBe(after);
      }),
    );
  });
});

describe("pseudo headers", () => {
  test("RFC 768: over IPv4", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), fc.nat(255), fc.nat(65535), (source, destination, protocol, length) => {
        const header = new Uint8Array(12);
        const view = new DataView(header.buffer);
        view.setInt32(0, source);
        view.setInt32(4, destination);
        view.setUint8(9, protocol);
        view.setUint16(10, length);
        expect(fold(pseudoHeaderSum4(source, destination, protocol, length))).toBe(reference(header));
      }),
    );
  });

  test("RFC 8200 §8.1: over IPv6", () => {
    const word = fc.integer();
    const address = fc.tuple(word, word, word, word).map(([a, b, c, d]) => new IpAddress(6, a, b, c, d));
    fc.assert(
      fc.property(address, address, fc.nat(255), fc.nat(0xffffffff), (source, destination, next, length) => {
        const header = new Uint8Array(40);
        const view = new DataView(header.buffer);
        [source.w0, source.w1, source.w2, source.w3].forEach((each, index) => view.setInt32(index * 4, each));
        [destination.w0, destination.w1, destination.w2, destination.w3].forEach((each, index) =>
          view.setInt32(16 + index * 4, each),
        );
        view.setUint32(32, length);
        view.setUint8(39, next);
        expect(fold(pseudoHeaderSum6(source, destination, next, length))).toBe(reference(header));
      }),
    );
  });
});
