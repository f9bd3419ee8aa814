/** Up to this many bytes a loop is faster than making the view that `set` needs, and leaves nothing to collect. */
const shortCopy = 256;

/**
 * Copies `from[start … start + length)` to `to[at …)`. The caller has checked that both are there, and that they do
 * not overlap.
 */
export function copyBytes(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  if (length > shortCopy) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  let index = 0;
  // Four at a time takes half the time.
  for (const last = length - 3; index < last; index += 4) {
    const source = start + index;
    const target = at + index;
    to[target] = from[source] as number; // as, here and below: the caller has checked that it is there
    to[target + 1] = from[source + 1] as number; // as: above
    to[target + 2] = from[source + 2] as number; // as: above
    to[target + 3] = from[source + 3] as number; // as: above
  }
  for (; index < length; index++) to[at + index] = from[start + index] as number; // as: above
}
