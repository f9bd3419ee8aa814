/**
 * Which parts of the stream beyond the next expected byte are here: a bounded, sorted list of disjoint ranges, as
 * offsets from the next expected byte. The bytes themselves are already in their place in the receive buffer.
 */

/**
 * A peer that leaves more holes than this has its segment dropped; it will send it again. Every other segment lost of a
 * window of 4 MiB makes 1450.
 */
export const maxRanges = 2048;
const fewestRanges = 16;
/** How many ranges a SACK option tells of at most (RFC 2018 §3). */
const remembered = 4;

const none = new Int32Array(0);

export class OutOfOrder {
  /** Range i is `[edges[2i], edges[2i + 1])`. Made for the first range: most connections never have one. */
  #edges: Int32Array = none;
  count = 0;
  /** A place in each of the ranges that were made or widened last, the latest first: RFC 2018 §4 reports them so. */
  #recent: Int32Array = none;
  #recentCount = 0;
  /** What {@link overlap} found. */
  overlapLeft = 0;
  overlapRight = 0;

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

  /** How many ranges {@link recent} knows. */
  get recentCount(): number {
    return this.#recentCount;
  }

  /** The index of the range that was made or widened last (`order` 0), before that (1), and so on. */
  recent(order: number): number {
    return this.#firstEndingFrom((this.#recent[order] ?? 0) + 1);
  }

  /** The first range that ends at `offset` or after it. */
  #firstEndingFrom(offset: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.right(middle) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Adds `[start, end)`, start above 0, merging what touches.
   *
   * @returns false when it would be one range too many: nothing has changed.
   */
  add(start: number, end: number): boolean {
    const first = this.#firstEndingFrom(start);
    let last = first;
    while (last < this.count && this.left(last) <= end) last++;
    if (first === last) {
      if (this.count === maxRanges) return false;
      if (this.count * 2 === this.#edges.length) this.#grow();
      const edges = this.#edges;
      edges.copyWithin(first * 2 + 2, first * 2, this.count * 2);
      edges[first * 2] = start;
      edges[first * 2 + 1] = end;
      this.count++;
    } else {
      const edges = this.#edges;
      edges[first * 2] = Math.min(start, this.left(first));
      edges[first * 2 + 1] = Math.max(end, this.right(last - 1));
      edges.copyWithin(first * 2 + 2, last * 2, this.count * 2);
      this.count -= last - first - 1;
    }
    this.#remember(start, first);
    return true;
  }

  /** Puts `offset`, in range `index`, in front of what is reported; the range is reported once. */
  #remember(offset: number, index: number): void {
    const recent = this.#recent;
    const left = this.left(index);
    const right = this.right(index);
    let kept = 0;
    for (let order = 0; order < this.#recentCount; order++) {
      const each = recent[order] ?? 0;
      if (each < left || each >= right) recent[kept++] = each;
    }
    if (kept === remembered) kept--;
    recent.copyWithin(1, 0, kept);
    recent[0] = offset;
    this.#recentCount = kept + 1;
  }

  /** The range that `offset` is in, if it is in one, is reported first. */
  touch(offset: number): void {
    const index = this.#firstEndingFrom(offset + 1);
    if (index < this.count && this.left(index) <= offset) this.#remember(offset, index);
  }

  /** Whether some of `[start, end)` is here; {@link overlapLeft} and {@link overlapRight} are its first part that is. */
  overlap(start: number, end: number): boolean {
    const index = this.#firstEndingFrom(start + 1);
    if (index === this.count || this.left(index) >= end) return false;
    this.overlapLeft = Math.max(start, this.left(index));
    this.overlapRight = Math.min(end, this.right(index));
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
    let kept = 0;
    for (let order = 0; order < this.#recentCount; order++) {
      const each = this.#recent[order] ?? 0;
      if (each >= by) this.#recent[kept++] = each - by;
    }
    this.#recentCount = kept;
    return gained;
  }

  clear(): void {
    this.count = 0;
    this.#recentCount = 0;
    this.#edges = none;
    this.#recent = none;
  }

  #grow(): void {
    if (this.#recent === none) this.#recent = new Int32Array(remembered);
    const grown = new Int32Array(Math.max(fewestRanges * 2, this.#edges.length * 2));
    grown.set(this.#edges);
    this.#edges = grown;
  }
}
