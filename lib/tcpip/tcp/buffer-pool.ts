import { RecentViews } from "./recent-views.ts";

/** The smallest and the largest buffer, as powers of two: 4 KiB and 256 MiB. */
const smallest = 12;
const largest = 28;

/** What each buffer may hold whatever the others do, in bytes: enough for every connection to go on. */
export const guaranteedBuffer = 8192;

/**
 * The memory behind send and receive buffers: arrays of a power of two bytes, taken when there is something to hold
 * and given back when it is gone, so that an idle connection holds none.
 *
 * All of them together are bounded. Above three quarters of the bound the pool is tight: windows stop growing, and
 * those of new connections begin small. At the bound no buffer grows beyond {@link guaranteedBuffer}: writers wait,
 * and what arrives is dropped, data out of order first, until readers and ACKs have made room.
 */
export class BufferPool {
  /** Of where segments are received. */
  readonly views: RecentViews = new RecentViews();
  readonly #free: Uint8Array[][] = [];
  readonly #keep: number;
  readonly #limit: number;
  #kept = 0;
  #out = 0;

  /**
   * @param keep bytes to keep for the next taker; what is above goes to the engine's collector
   * @param limit bytes that may be out; default: no bound
   */
  constructor(keep: number, limit = Infinity) {
    this.#keep = keep;
    this.#limit = limit;
    for (let size = smallest; size <= largest; size++) this.#free.push([]);
  }

  /** Bytes that are out now. */
  get used(): number {
    return this.#out;
  }

  /** Whether three quarters of the bound are out. */
  get isTight(): boolean {
    return this.#out > this.#limit * 0.75;
  }

  /** Whether a buffer of `held` bytes, 0 for none yet, may become one of at least `size`. */
  mayGrow(held: number, size: number): boolean {
    return size <= guaranteedBuffer || this.#out - held + (1 << powerFor(size)) <= this.#limit;
  }

  /** An array of at least `size` bytes, not cleared. At most 256 MiB. Ask {@link mayGrow} first. */
  take(size: number): Uint8Array {
    const power = powerFor(size);
    const bytes = 1 << power;
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

function powerFor(size: number): number {
  return Math.max(smallest, 32 - Math.clz32(size - 1));
}
