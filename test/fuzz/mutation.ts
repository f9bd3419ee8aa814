import type { Draws } from "./draws.ts";

/** Values that parsers get wrong. */
const interesting8 = [0, 1, 0x7f, 0x80, 0xff, 0x20, 0x0a, 0x0d, 0x3a, 0x2e, 0x2f, 0x30, 0x2d, 0x3b, 0x45, 0x40, 0x06];
const interesting16 = [0, 1, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff, 0x0800, 0x0806, 20, 40, 1500, 0x0d0a];
const interesting32 = [0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x10000, 0xffff0000];

/**
 * A new input made from `base` by one to eight random changes; `other` is what splicing takes from.
 *
 * @param longest the most bytes in the result
 */
export function mutate(base: Uint8Array, other: Uint8Array, random: Draws, longest: number): Uint8Array {
  let bytes = base.slice(0, longest);
  for (let count = 1 << random.below(4); count > 0; count--) bytes = change(bytes, other, random).slice(0, longest);
  return bytes;
}

function change(bytes: Uint8Array, other: Uint8Array, random: Draws): Uint8Array {
  const at = random.below(bytes.length);
  switch (random.below(12)) {
    case 0:
      if (bytes.length > 0) bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      if (bytes.length > 0) bytes[at] = random.uint32();
      return bytes;
    case 2:
      if (bytes.length > 0) bytes[at] = interesting8[random.below(interesting8.length)]!;
      return bytes;
    case 3:
      return number(bytes, at, 2, interesting16[random.below(interesting16.length)]!, random);
    case 4:
      return number(bytes, at, 4, interesting32[random.below(interesting32.length)]!, random);
    case 5:
      // A little more or less than before: lengths and counts.
      if (bytes.length > 0) bytes[at]! += random.below(35) - 17;
      return bytes;
    case 6:
      return bytes.slice(0, at);
    case 7:
      return splice(bytes, bytes.length, 0, noise(random, 1 + random.below(64)));
    case 8:
      return splice(bytes, at, Math.min(1 + random.below(32), bytes.length - at), new Uint8Array(0));
    case 9: {
      // A block of its own once more, somewhere.
      const block = bytes.slice(at, at + 1 + random.below(64));
      return splice(bytes, random.below(bytes.length + 1), 0, block);
    }
    case 10: {
      // The front of one with the back of another.
      const cut = random.below(other.length + 1);
      return splice(bytes, at, bytes.length - at, other.subarray(cut));
    }
    default: {
      const from = random.below(other.length);
      const block = other.subarray(from, from + 1 + random.below(64));
      const insert = random.below(2) === 0;
      return splice(bytes, at, insert ? 0 : Math.min(block.length, bytes.length - at), block);
    }
  }
}

function noise(random: Draws, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.uint32());
}

/** Writes a number of `size` bytes at `at`, in either byte order, as far as it fits. */
function number(bytes: Uint8Array, at: number, size: number, value: number, random: Draws): Uint8Array {
  const little = random.below(4) === 0;
  for (let index = 0; index < size && at + index < bytes.length; index++) {
    bytes[at + index] = value >>> (8 * (little ? index : size - 1 - index));
  }
  return bytes;
}

/** `bytes` with `removed` bytes at `at` replaced by `block`. */
function splice(bytes: Uint8Array, at: number, removed: number, block: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length - removed + block.length);
  result.set(bytes.subarray(0, at));
  result.set(block, at);
  result.set(bytes.subarray(at + removed), at + block.length);
  return result;
}
