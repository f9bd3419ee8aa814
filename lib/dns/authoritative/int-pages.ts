import { i32At } from "./octets.ts";

const pageBits = 12;
const pageSize = 2 ** pageBits;
const inPage = pageSize - 1;
/** The first page grows from this: most zones are small. */
const leastPageSize = 64;

/**
 * A long array of 32-bit integers in pages, so that a changed copy shares the pages that did not change.
 *
 * After {@link fork} the original must not be written to any more.
 */
export class IntPages {
  readonly #pages: Int32Array[];
  /** Which pages are ours alone. */
  readonly #owned: boolean[];

  /** @param length how many integers, all 0 at first; @param fill another value for them */
  constructor(length: number, fill = 0, from?: IntPages) {
    this.#pages = from === undefined ? [] : [...from.#pages];
    this.#owned = this.#pages.map(() => false);
    if (from === undefined) this.grow(length, fill);
  }

  /** How many there is room for. */
  get length(): number {
    const last = this.#pages.at(-1);
    return last === undefined ? 0 : (this.#pages.length - 1) * pageSize + last.length;
  }

  get(index: number): number {
    return i32At(this.#pages[index >>> pageBits] as Int32Array, index & inPage); // as: who asks knows the length
  }

  set(index: number, value: number): void {
    const page = index >>> pageBits;
    if (this.#owned[page] !== true) {
      this.#pages[page] = (this.#pages[page] as Int32Array).slice(); // as: who writes knows the length
      this.#owned[page] = true;
    }
    (this.#pages[page] as Int32Array)[index & inPage] = value; // as: the same
  }

  /** Makes room for at least `length`. */
  grow(length: number, fill = 0): void {
    while (this.length < length) {
      const last = this.#pages.at(-1);
      const isLastWhole = last === undefined || last.length === pageSize;
      const size =
        isLastWhole && last !== undefined
          ? pageSize
          : Math.min(pageSize, Math.max(leastPageSize, (last?.length ?? 0) * 2));
      const page = new Int32Array(size);
      if (fill !== 0) page.fill(fill);
      if (!isLastWhole) {
        page.set(last);
        this.#pages.pop();
        this.#owned.pop();
      }
      this.#pages.push(page);
      this.#owned.push(true);
    }
  }

  fork(): IntPages {
    return new IntPages(0, 0, this);
  }
}
