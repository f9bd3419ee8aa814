/** The smallest and the largest buffer, as powers of two: 4 KiB and 8 MiB. */
const smallest = 12;
const largest = 23;

/**
 * The memory behind send and receive buffers: arrays of a power of two bytes, taken when there is something to hold
 * and given back when it is gone, so that an idle connection holds none.
 */
export class BufferPool {
  readonly #free: Uint8Array[][] = [];
  readonly #keep: number;
  #kept = 0;
  #out = 0;

  /** @param keep bytes to keep for the next taker; what is above goes to the engine's collector */
  constructor(keep: number) {
    this.#keep = keep;
    for (let size = smallest; size <= largest; size++) this.#free.push([]);
  }

  /** Bytes that are out now. */
  get used(): number {
    return this.#out;
  }

  /** An array of at least `size` bytes, not cleared. At most 8 MiB. */
  take(size: number): Uint8Array {
    const power = Math.max(smallest, 32 - Math.clz32(size - 1));
    const bytes = 2 ** power;
    this.#out += bytes;
    const found = this.#free[power - smallest]?.pop();
    if (found !== undefined) {
      this.#kept -= bytes;
      return found;
    }
    return new Uint8Array(bytes);
  }

  /** Takes back what {@link take} gave. */
  give(bytes: Uint8Array): void {
    this.#out -= bytes.length;
    const list = this.#free[31 - Math.clz32(bytes.length) - smallest];
    if (list === undefined || this.#kept + bytes.length > this.#keep) return;
    this.#kept += bytes.length;
    list.push(bytes);
  }
}

/** Copies `length` bytes. A view per copy is cheaper than a loop from about this many bytes on. */
const viewFrom = 48;

/** Copies `from[fromOffset … + length)` to `to[toOffset …)`. The arrays differ. */
export function copyBytes(
  from: Uint8Array,
  fromOffset: number,
  length: number,
  to: Uint8Array,
  toOffset: number,
): void {
  if (length < viewFrom) {
    for (let index = 0; index < length; index++) to[toOffset + index] = from[fromOffset + index] ?? 0;
  } else if (fromOffset === 0 && length === from.length) {
    to.set(from, toOffset);
  } else {
    to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
  }
}
