import type { Timer, Timers } from "@tesserae/device/clock";
import type { Page } from "@tesserae/device/page";

/** Takes a frame whose time has come. `port` is the number it was queued with. */
export type FrameArrival = (page: Page, offset: number, length: number, port: number) => void;

/**
 * Frames under way: a bounded first-in-first-out queue in which each waits for its instant.
 *
 * Instants never go back: a frame arrives no earlier than the one queued before it.
 */
export class FrameQueue {
  readonly #timers: Timers;
  readonly #arrive: FrameArrival;
  readonly #capacity: number;
  readonly #timer: Timer;
  readonly #pages: (Page | undefined)[];
  readonly #offsets: Int32Array;
  readonly #lengths: Int32Array;
  readonly #ports: Int32Array;
  readonly #times: Float64Array;
  #first = 0;
  #count = 0;

  /** @param capacity how many frames may wait */
  constructor(timers: Timers, capacity: number, arrive: FrameArrival) {
    this.#timers = timers;
    this.#arrive = arrive;
    this.#capacity = capacity;
    this.#timer = timers.timer(() => this.#drain());
    this.#pages = new Array<Page | undefined>(capacity).fill(undefined);
    this.#offsets = new Int32Array(capacity);
    this.#lengths = new Int32Array(capacity);
    this.#ports = new Int32Array(capacity);
    this.#times = new Float64Array(capacity);
  }

  /** How many frames wait. */
  get length(): number {
    return this.#count;
  }

  /** Queues a frame for the instant `time`. Returns false, and leaves the page alone, when there is no room. */
  push(page: Page, offset: number, length: number, port: number, time: number): boolean {
    if (this.#count === this.#capacity) return false;
    const index = (this.#first + this.#count) % this.#capacity;
    this.#pages[index] = page;
    this.#offsets[index] = offset;
    this.#lengths[index] = length;
    this.#ports[index] = port;
    this.#times[index] = time;
    if (this.#count++ === 0) this.#timer.set(time);
    return true;
  }

  #drain(): void {
    const now = this.#timers.now();
    // What is queued by an arrival waits for the next round, though its time be now: no two can feed each other for
    // ever, and nothing is delivered from inside the call that sent it.
    let due = this.#count;
    try {
      while (due-- > 0 && (this.#times[this.#first] ?? 0) <= now) {
        const index = this.#first;
        const page = this.#pages[index];
        this.#pages[index] = undefined;
        this.#first = (index + 1) % this.#capacity;
        this.#count--;
        if (page === undefined) continue;
        this.#arrive(page, this.#offsets[index] ?? 0, this.#lengths[index] ?? 0, this.#ports[index] ?? 0);
      }
    } finally {
      if (this.#count > 0) this.#timer.set(this.#times[this.#first] ?? 0);
    }
  }
}
