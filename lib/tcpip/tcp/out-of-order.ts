/**
 * Which parts of the stream beyond the next expected byte are here: a bounded, sorted list of disjoint ranges, as
 * offsets from the next expected byte. The bytes themselves are already in their place in the receive buffer.
 */

/** A peer that leaves more holes than this has its segment dropped; it will send it again. */
export const maxRanges = 64;

const none = new Int32Array(0);

export class OutOfOrder {
  /** Range i is `[edges[2i], edges[2i + 1])`. Made for the first range: most connections never have one. */
  #edges: Int32Array = none;
  count = 0;
  /** The range that the last {@link add} made or widened: RFC 2018 §4 reports it first. */
  latest = 0;

  /** The left edge of range `index`. */
  left(index: number): number {
    return this.#edges[index * 2] ?? 0;
  }

  /** The right edge of range `index`. */
  right(index: number): number {
    return this.#edges[index * 2 + 1] ?? 0;
  }

  /** Behind the last byte held, 0 when none is. */
  get extent(): number {
    return this.count === 0 ? 0 : this.right(this.count - 1);
  }

  /** Bytes held. */
  get bytes(): number {
    let total = 0;
    for (let index = 0; index < this.count; index++) total += this.right(index) - this.left(index);
    return total;
  }

  /**
   * Adds `[start, end)`, start above 0, merging what touches.
   *
   * @returns false when it would be one range too many: nothing has changed.
   */
  add(start: number, end: number): boolean {
    if (this.#edges === none) this.#edges = new Int32Array(2 * maxRanges);
    const edges = this.#edges;
    let first = 0;
    while (first < this.count && this.right(first) < start) first++;
    let last = first;
    while (last < this.count && this.left(last) <= end) last++;
    if (first === last) {
      if (this.count === maxRanges) return false;
      edges.copyWithin(first * 2 + 2, first * 2, this.count * 2);
      edges[first * 2] = start;
      edges[first * 2 + 1] = end;
      this.count++;
    } else {
      edges[first * 2] = Math.min(start, this.left(first));
      edges[first * 2 + 1] = Math.max(end, this.right(last - 1));
      edges.copyWithin(first * 2 + 2, last * 2, this.count * 2);
      this.count -= last - first - 1;
    }
    this.latest = first;
    return true;
  }

  /**
   * The next expected byte moves on by `length`.
   *
   * @returns how many more bytes have become in order: the caller moves on by those too, which this has counted.
   */
  advance(length: number): number {
    const edges = this.#edges;
    let gained = 0;
    let gone = 0;
    while (gone < this.count && this.left(gone) <= length) {
      gained = Math.max(gained, this.right(gone) - length);
      gone++;
    }
    // A range in touch with the new edge is consumed whole; ranges are disjoint, so at most the last one gains.
    const by = length + gained;
    for (let index = gone * 2; index < this.count * 2; index++) edges[index - gone * 2] = (edges[index] ?? 0) - by;
    this.count -= gone;
    this.latest = Math.max(0, this.latest - gone);
    return gained;
  }

  clear(): void {
    this.count = 0;
  }
}
