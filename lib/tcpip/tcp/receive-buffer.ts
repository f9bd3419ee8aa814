import type { BufferPool } from "./buffer-pool.ts";
import { OutOfOrder } from "./out-of-order.ts";
import { copyByView } from "./recent-views.ts";
import { Ring } from "./ring.ts";

/** What the window of a connection falls to while memory is tight, in bytes. */
const smallLimit = 16_384;

/**
 * What has arrived and was not read: bytes in order, and behind them, each in its place, what came early.
 *
 * While a reader waits, bytes in order go straight to it.
 */
export class ReceiveBuffer {
  /** Bytes in order, waiting for a reader. */
  length = 0;
  readonly early: OutOfOrder = new OutOfOrder();
  /** How many bytes the window offers at most. Grows with the reader, and shrinks while memory is tight. */
  limit: number;
  /** Where a waiting reader wants its bytes, and how many are there. */
  into: Uint8Array | null = null;
  filled = 0;
  readonly #largest: number;
  readonly #pool: BufferPool;
  readonly #ring: Ring;
  /** Bytes the reader took since `#measuredAt`, and in the round trip before. */
  #consumed = 0;
  #consumedBefore = 0;
  #measuredAt = 0;

  constructor(pool: BufferPool, limit: number, largest: number) {
    this.#pool = pool;
    this.#ring = new Ring(pool, pool.views);
    this.limit = pool.isTight ? Math.min(limit, smallLimit) : limit;
    this.#largest = Math.max(limit, largest);
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#ring.capacity;
  }

  /**
   * Takes bytes that start `ahead` of the next expected one, with 0 in order. The caller has cut them to the window.
   *
   * @returns how many bytes the next expected one moves on; 0 when the bytes came early; −1 when there was no place or
   * no memory for them.
   */
  insert(ahead: number, bytes: Uint8Array, offset: number, length: number): number {
    if (ahead > 0) {
      const end = this.length + ahead + length;
      // One byte at the far end of the window costs as much as the whole of it: a peer of many connections could.
      if (end > this.#ring.capacity && (this.#pool.isTight || !this.#ring.mayHold(end))) return -1;
      if (!this.early.add(ahead, ahead + length)) return -1;
      this.#ring.write(this.length + ahead, bytes, offset, length, this.length + this.early.extent);
      return 0;
    }
    const early = this.early;
    const into = this.into;
    let direct = into !== null && this.length === 0 && early.count === 0 ? into.length - this.filled : 0;
    if (direct < length && !this.#hasMemory(length - direct)) return -1;
    if (into !== null && direct > 0) {
      direct = Math.min(length, direct);
      copyByView(bytes, offset, into, this.filled, direct, this.#pool.views);
      this.filled += direct;
      if (direct === length) return length;
    }
    const rest = length - direct;
    this.#ring.write(this.length, bytes, offset + direct, rest, this.length + early.extent);
    const gained = early.count === 0 ? 0 : early.advance(rest);
    this.length += rest + gained;
    if (into !== null) this.#fill(into);
    return length + gained;
  }

  /** Sets what a reader waits for. Bytes that are here go there at once. */
  read(into: Uint8Array): void {
    this.into = into;
    this.filled = 0;
    if (this.length > 0) this.#fill(into);
  }

  /** The reader has what it gets; how much. */
  finishRead(): number {
    const filled = this.filled;
    this.#consumed += filled;
    this.into = null;
    this.filled = 0;
    return filled;
  }

  /** Throws away what is here in order; how much. */
  discard(): number {
    const length = this.length;
    this.#take(length);
    return length;
  }

  /**
   * Dynamic right-sizing (Feng 2002, as in Linux): a reader that took more than half the window in one round trip
   * is fast enough for twice the window. When it took more than in the round trip before, the peer is in slow start and
   * sends twice as much again before it sees the new window: that much is added.
   */
  fit(now: number, roundTrip: number): void {
    if (this.#pool.isTight) {
      this.limit = Math.max(Math.min(this.limit, smallLimit), this.limit / 2);
      this.#consumed = 0;
      return;
    }
    if (now - this.#measuredAt < Math.max(1, roundTrip)) return;
    const before = this.#consumedBefore;
    const growth = before > 0 ? Math.min(1, Math.max(0, this.#consumed / before - 1)) : 0;
    const wanted = Math.min(this.#largest, Math.floor(this.#consumed * 2 * (1 + 2 * growth)));
    if (wanted > this.limit) this.limit = wanted;
    this.#consumedBefore = this.#consumed;
    this.#measuredAt = now;
    this.#consumed = 0;
  }

  /** Nothing more will arrive: what came early is worthless, what is in order stays readable. */
  dropEarly(): void {
    this.early.clear();
    if (this.length === 0) this.#ring.release();
  }

  clear(): void {
    this.length = 0;
    this.early.clear();
    this.#ring.release();
  }

  /** Whether `length` bytes in order find memory: at the cost of what came early, if need be. */
  #hasMemory(length: number): boolean {
    if (this.#ring.mayHold(this.length + Math.max(length, this.early.extent))) return true;
    // It has not been acknowledged, so it may be forgotten (RFC 2018 §8): what is next comes first.
    this.early.clear();
    return this.#ring.mayHold(this.length + length);
  }

  #fill(into: Uint8Array): void {
    const length = Math.min(this.length, into.length - this.filled);
    this.#ring.read(0, length, into, this.filled);
    this.filled += length;
    this.#take(length);
  }

  #take(length: number): void {
    this.length -= length;
    if (this.length === 0 && this.early.count === 0) this.#ring.release();
    else this.#ring.advance(length);
  }
}
