import { type BufferPool, guaranteedBuffer } from "./buffer-pool.ts";
import { Ring } from "./ring.ts";

/** What the application has written and the peer has not acknowledged. */
export class SendBuffer {
  /** Bytes held, from the first unacknowledged one on. */
  length = 0;
  /** How many it takes before writers wait. Only grows. */
  limit: number;
  readonly #largest: number;
  readonly #pool: BufferPool;
  readonly #ring: Ring;

  constructor(pool: BufferPool, limit: number, largest: number) {
    this.#pool = pool;
    this.#ring = new Ring(pool, null);
    this.limit = limit;
    this.#largest = Math.max(limit, largest);
  }

  /** Bytes of memory held. */
  get capacity(): number {
    return this.#ring.capacity;
  }

  /** Takes as much of `bytes[offset …)` as there is room for; returns how much. */
  append(bytes: Uint8Array, offset: number): number {
    let taken = Math.min(bytes.length - offset, this.limit - this.length);
    // What is in flight is acknowledged some time, and then the writer is asked for more.
    if (taken > 0 && !this.#ring.mayHold(this.length + taken)) {
      taken = Math.min(taken, Math.max(this.#ring.capacity, guaranteedBuffer) - this.length);
    }
    if (taken <= 0) return 0;
    this.#ring.write(this.length, bytes, offset, taken, this.length);
    this.length += taken;
    return taken;
  }

  /** Copies `length` bytes, `offset` from the first unacknowledged one, into a segment. They are there. */
  copyTo(offset: number, length: number, to: Uint8Array, at: number): void {
    this.#ring.read(offset, length, to, at);
  }

  /** The first `length` bytes are acknowledged. */
  acknowledged(length: number): void {
    this.length -= length;
    if (this.length === 0) this.#ring.release();
    else this.#ring.advance(length);
  }

  /** Lets the buffer hold two congestion windows: one in flight, one to go on with. */
  fit(congestionWindow: number): void {
    if (this.#pool.isTight) return;
    const wanted = Math.min(this.#largest, congestionWindow * 2);
    if (wanted > this.limit) this.limit = wanted;
  }

  clear(): void {
    this.length = 0;
    this.#ring.release();
  }
}
