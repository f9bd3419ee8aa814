import { sum } from "./checksum.ts";

/** Above this many bytes a view to copy with, and another pass to sum, cost less than a loop. */
const longest = 384;

/**
 * Copies `from[start … start + length)` to `to[at …)` and returns the sum of what it copied, as `sum` of checksum.ts
 * does: one pass over the bytes in place of two. The caller has checked that both are there, and that they do not
 * overlap.
 */
export function copySummed(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): number {
  if (length > longest) {
    to.set(from.subarray(start, start + length), at);
    return sum(to, at, length);
  }
  let high = 0;
  let low = 0;
  let index = 0;
  for (const last = length - 7; index < last; index += 8) {
    const source = start + index;
    const target = at + index;
    // as, here and below: the caller has checked that the bytes are there
    const b0 = from[source] as number;
    const b1 = from[source + 1] as number; // as: above
    const b2 = from[source + 2] as number; // as: above
    const b3 = from[source + 3] as number; // as: above
    const b4 = from[source + 4] as number; // as: above
    const b5 = from[source + 5] as number; // as: above
    const b6 = from[source + 6] as number; // as: above
    const b7 = from[source + 7] as number; // as: above
    to[target] = b0;
    to[target + 1] = b1;
    to[target + 2] = b2;
    to[target + 3] = b3;
    to[target + 4] = b4;
    to[target + 5] = b5;
    to[target + 6] = b6;
    to[target + 7] = b7;
    high += b0 + b2 + b4 + b6;
    low += b1 + b3 + b5 + b7;
  }
  for (; index < length; index++) {
    const byte = from[start + index] as number; // as: above
    to[at + index] = byte;
    if ((index & 1) === 0) high += byte;
    else low += byte;
  }
  return high * 256 + low;
}
