import { copyBytes } from "@tesserae/wire/copy-bytes";

/** What became of a fragment: see {@link FragmentRanges.place}. */
export type Placement = "placed" | "duplicate" | "overlap";

/** Which bytes of a datagram are there: disjoint ranges, ascending, in arrays that are never replaced. */
export class FragmentRanges {
  count = 0;
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;

  /** @param most ranges that may come to be: one more than fragments */
  constructor(most: number) {
    this.#starts = new Int32Array(most);
    this.#ends = new Int32Array(most);
  }

  /** Bytes from the start on without a gap. */
  get head(): number {
    return this.count > 0 && this.#starts[0] === 0 ? (this.#ends[0] ?? 0) : 0;
  }

  /** Behind the first range that is there. */
  get firstEnd(): number {
    return this.count === 0 ? 0 : (this.#ends[0] ?? 0);
  }

  /** Behind the last byte that is there. */
  get end(): number {
    return this.count === 0 ? 0 : (this.#ends[this.count - 1] ?? 0);
  }

  clear(): void {
    this.count = 0;
  }

  /**
   * Copies `from[at … at + end − start)` to `to[base + start …)`, unless some of the bytes are there already: then
   * it is a `duplicate` when all are there and the same, and an `overlap` else.
   */
  place(start: number, end: number, from: Uint8Array, at: number, to: Uint8Array, base: number): Placement {
    const starts = this.#starts;
    const ends = this.#ends;
    let index = this.count;
    while (index > 0 && (starts[index - 1] ?? 0) > start) index--;
    // Ranges before `index` begin at `start` or before it, the others behind it.
    const before = index - 1;
    const beforeEnd = before >= 0 ? (ends[before] ?? 0) : -1;
    const afterStart = index < this.count ? (starts[index] ?? 0) : Infinity;
    if (beforeEnd > start || afterStart < end) {
      const isWithin = beforeEnd >= end;
      return isWithin && same(to, base + start, from, at, end - start) ? "duplicate" : "overlap";
    }
    copyBytes(from, at, to, base + start, end - start);
    const joinsBefore = beforeEnd === start;
    const joinsAfter = afterStart === end;
    if (joinsBefore && joinsAfter) {
      ends[before] = ends[index] ?? 0;
      starts.copyWithin(index, index + 1, this.count);
      ends.copyWithin(index, index + 1, this.count);
      this.count--;
    } else if (joinsBefore) {
      ends[before] = end;
    } else if (joinsAfter) {
      starts[index] = start;
    } else {
      starts.copyWithin(index + 1, index, this.count);
      ends.copyWithin(index + 1, index, this.count);
      starts[index] = start;
      ends[index] = end;
      this.count++;
    }
    return "placed";
  }
}

function same(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (a[atA + index] !== b[atB + index]) return false;
  return true;
}
