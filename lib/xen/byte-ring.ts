/**
 * One direction of bytes through a ring in shared memory: indices that run on over 32 bits, and a power of two of bytes.
 * Each index of the other end is read once, and checked. Allocates but views for copies.
 */
export class ByteRing {
  readonly size: number;
  readonly #indices: Int32Array;
  readonly #consumer: number;
  readonly #producer: number;
  readonly #bytes: Uint8Array;

  /**
   * @param indices where the indices are
   * @param consumer word of the index of the end that reads
   * @param producer word of the index of the end that writes
   * @param bytes of the ring, as many as a power of two
   */
  constructor(indices: Int32Array, consumer: number, producer: number, bytes: Uint8Array) {
    if (!Number.isInteger(Math.log2(bytes.length))) throw new RangeError(`a ring of ${bytes.length} bytes`);
    this.#indices = indices;
    this.#consumer = consumer;
    this.#producer = producer;
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  /** Bytes that can be read; −1 when the indices make no sense. */
  get readable(): number {
    const count = (Atomics.load(this.#indices, this.#producer) - Atomics.load(this.#indices, this.#consumer)) >>> 0;
    return count > this.size ? -1 : count;
  }

  /** Bytes that can be written; −1 when the indices make no sense. */
  get writable(): number {
    const count = this.readable;
    return count < 0 ? -1 : this.size - count;
  }

  /** Takes what is there, at most all of `into[offset …)`. @returns how many bytes; −1: the indices make no sense */
  read(into: Uint8Array, offset = 0): number {
    const count = Math.min(this.readable, into.length - offset);
    if (count <= 0) return count;
    const at = Atomics.load(this.#indices, this.#consumer) & (this.size - 1);
    const first = Math.min(count, this.size - at);
    into.set(this.#bytes.subarray(at, at + first), offset);
    if (first < count) into.set(this.#bytes.subarray(0, count - first), offset + first);
    Atomics.add(this.#indices, this.#consumer, count);
    return count;
  }

  /** Takes all that is there and drops it. @returns how many bytes; −1: the indices make no sense */
  discard(): number {
    const count = this.readable;
    if (count > 0) Atomics.add(this.#indices, this.#consumer, count);
    return count;
  }

  /** Writes what there is room for, from `bytes[offset …)`. @returns how many bytes; −1: the indices make no sense */
  write(bytes: Uint8Array, offset = 0): number {
    const count = Math.min(this.writable, bytes.length - offset);
    if (count <= 0) return count;
    const at = Atomics.load(this.#indices, this.#producer) & (this.size - 1);
    const first = Math.min(count, this.size - at);
    this.#bytes.set(bytes.subarray(offset, offset + first), at);
    if (first < count) this.#bytes.set(bytes.subarray(offset + first, offset + count));
    // The bytes are there before the index says so.
    Atomics.add(this.#indices, this.#producer, count);
    return count;
  }
}
