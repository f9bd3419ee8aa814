import type { Timer, Timers } from "@tesserae/device/clock";
import type { Page } from "@tesserae/device/page";

/** Packets on their way from us to us; a power of two. */
const capacity = 256;

/**
 * The way from a host to itself. Packets wait for a timer instead of being delivered from inside `send`, so that no
 * protocol is entered twice. Bounded: what does not fit is lost, as on any link.
 */
export class Loopback {
  readonly #pages: (Page | undefined)[] = new Array<Page | undefined>(capacity).fill(undefined);
  readonly #offsets = new Int32Array(capacity);
  readonly #lengths = new Int32Array(capacity);
  readonly #interfaces = new Uint8Array(capacity);
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #deliver: (page: Page, offset: number, length: number, index: number) => void;
  readonly #release: (page: Page) => void;
  #head = 0;
  #count = 0;

  /** @param release gets each page back once it has been delivered or dropped */
  constructor(
    timers: Timers,
    deliver: (page: Page, offset: number, length: number, index: number) => void,
    release: (page: Page) => void,
  ) {
    this.#timers = timers;
    this.#timer = timers.timer(() => this.#run());
    this.#deliver = deliver;
    this.#release = release;
  }

  /**
   * Takes the page. False when there is no room.
   *
   * @param index the interface that the packet is to seem to have come by
   */
  push(page: Page, offset: number, length: number, index: number): boolean {
    if (this.#count === capacity) {
      this.#release(page);
      return false;
    }
    const slot = (this.#head + this.#count++) & (capacity - 1);
    this.#pages[slot] = page;
    this.#offsets[slot] = offset;
    this.#lengths[slot] = length;
    this.#interfaces[slot] = index;
    if (!this.#timer.armed) this.#timer.set(this.#timers.now());
    return true;
  }

  close(): void {
    this.#timer.cancel();
    while (this.#count > 0) this.#release(this.#take());
  }

  #take(): Page {
    const slot = this.#head;
    const page = this.#pages[slot];
    this.#pages[slot] = undefined;
    this.#head = (slot + 1) & (capacity - 1);
    this.#count--;
    if (page === undefined) throw new TypeError("an empty place in the loopback queue");
    return page;
  }

  #run(): void {
    // What is sent meanwhile waits for the next turn, so that a host talking to itself does not shut out the others.
    let due = this.#count;
    while (due-- > 0 && this.#count > 0) {
      const offset = this.#offsets[this.#head] ?? 0;
      const length = this.#lengths[this.#head] ?? 0;
      const index = this.#interfaces[this.#head] ?? 0;
      const page = this.#take();
      try {
        this.#deliver(page, offset, length, index);
      } finally {
        this.#release(page);
      }
    }
    if (this.#count > 0) this.#timer.set(this.#timers.now());
  }
}
