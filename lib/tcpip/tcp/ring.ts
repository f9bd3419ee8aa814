import type { BufferPool } from "./buffer-pool.ts";
import { copyByView, type RecentViews } from "./recent-views.ts";

/**
 * A window onto a byte stream: bytes at offsets from a start that moves on. Grows by doubling as far as it is asked
 * to, holds nothing when it is empty, and copies each byte once in and once out.
 */
export class Ring {
  readonly #pool: BufferPool;
  readonly #views: RecentViews | null;
  #bytes: Uint8Array | null = null;
  /** Where offset 0 is in `#bytes`. */
  #head = 0;
  /** What was held when it was last emptied: a busy stream does not grow step by step again. */
  #usual = 0;

  /** @param views of where is written from, if that is the same places over and over */
  constructor(pool: BufferPool, views: RecentViews | null) {
    this.#pool = pool;
    this.#views = views;
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#bytes === null ? 0 : this.#bytes.length;
  }

  /** Whether there is memory for `size` bytes from the start on. */
  mayHold(size: number): boolean {
    return size <= this.capacity || this.#pool.mayGrow(this.capacity, size);
  }

  /** Writes at `offset` from the start, making room for it: ask {@link mayHold}. `used`: how far from the start bytes matter now. */
  write(offset: number, from: Uint8Array, fromOffset: number, length: number, used: number): void {
    const bytes = this.#reserve(offset + length, used);
    const mask = bytes.length - 1;
    const at = (this.#head + offset) & mask;
    const first = Math.min(length, bytes.length - at);
    copyByView(from, fromOffset, bytes, at, first, this.#views);
    if (first < length) copyByView(from, fromOffset + first, bytes, 0, length - first, null);
  }

  /** Reads `length` bytes at `offset`, which have been written. */
  read(offset: number, length: number, to: Uint8Array, toOffset: number): void {
    const bytes = this.#bytes;
    if (bytes === null) return;
    const at = (this.#head + offset) & (bytes.length - 1);
    const first = Math.min(length, bytes.length - at);
    copyByView(bytes, at, to, toOffset, first, null);
    if (first < length) copyByView(bytes, 0, to, toOffset + first, length - first, null);
  }

  /** Moves the start on by `length`. */
  advance(length: number): void {
    if (this.#bytes !== null) this.#head = (this.#head + length) & (this.#bytes.length - 1);
  }

  /** Nothing in it matters any more: gives its memory back. */
  release(): void {
    if (this.#bytes === null) return;
    // Halfway towards the present size, so that one burst is not remembered for ever.
    this.#usual = (this.#usual + this.#bytes.length) / 2;
    this.#pool.give(this.#bytes);
    this.#bytes = null;
    this.#head = 0;
  }

  #reserve(size: number, used: number): Uint8Array {
    const bytes = this.#bytes;
    if (bytes !== null && size <= bytes.length) return bytes;
    const grown = this.#pool.take(bytes === null ? Math.max(size, Math.min(this.#usual, 65_536)) : size);
    if (bytes !== null) {
      this.read(0, Math.min(used, bytes.length), grown, 0);
      this.#pool.give(bytes);
    }
    this.#bytes = grown;
    this.#head = 0;
    return grown;
  }
}
