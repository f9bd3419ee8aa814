/** Below this many bytes a loop is faster than making the view that `set` needs, and leaves nothing to collect. */
const shortCopy = 96;

/** Copies `from[start … start + length)` to `to[at …)`. The caller has checked that both are there. */
export function copyBytes(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  if (length > shortCopy) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let index = 0; index < length; index++) to[at + index] = from[start + index] ?? 0;
}
