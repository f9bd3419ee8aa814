import type { Timer, Timers } from "@tesserae/device/clock";
import { headroom, Page } from "@tesserae/device/page";

/** A frame on hold: `page.bytes[headroom … headroom + length)`. */
export interface HeldFrame {
  readonly page: Page;
  readonly length: number;
}

/**
 * Copies of frames, each released after a time of its own; those released at one instant in the order in which they
 * came. Places are made as they are needed, up to a bound, and used again.
 */
export class HoldingArea {
  readonly #timers: Timers;
  readonly #limit: number;
  readonly #release: (frame: HeldFrame) => void;
  readonly #places: Place[] = [];
  readonly #free: Place[] = [];

  /** @throws RangeError when `limit` is not a positive integer. */
  constructor(timers: Timers, limit: number, release: (frame: HeldFrame) => void) {
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError(`limit ${String(limit)} is not an integer above 0`);
    this.#timers = timers;
    this.#limit = limit;
    this.#release = release;
  }

  /** How many frames are held. */
  get length(): number {
    return this.#places.length - this.#free.length;
  }

  /** Copies a frame, with its metadata, for `ms` milliseconds. Returns false when there is no place. */
  hold(page: Page, offset: number, length: number, ms: number): boolean {
    let place = this.#free.pop();
    if (place === undefined) {
      if (this.#places.length >= this.#limit) return false;
      place = new Place(this.#timers, (ready) => this.#ready(ready));
      this.#places.push(place);
    }
    place.taken = true;
    place.fill(page, offset, length);
    place.timer.set(this.#timers.now() + ms);
    return true;
  }

  /** Drops every frame. */
  clear(): void {
    for (const place of this.#places) {
      place.timer.cancel();
      this.#vacate(place);
    }
  }

  #ready(place: Place): void {
    try {
      this.#release(place);
    } finally {
      this.#vacate(place);
    }
  }

  /** Also for one that is free already: a frame's release may have cleared the area. */
  #vacate(place: Place): void {
    if (!place.taken) return;
    place.taken = false;
    this.#free.push(place);
  }
}

class Place implements HeldFrame {
  readonly timer: Timer;
  page: Page;
  length = 0;
  taken = false;

  constructor(timers: Timers, ready: (place: Place) => void) {
    this.timer = timers.timer(() => ready(this));
    this.page = new Page(new Uint8Array(headroom + 1514), 0);
  }

  fill(page: Page, offset: number, length: number): void {
    if (headroom + length > this.page.bytes.length) this.page = new Page(new Uint8Array(headroom + length), 0);
    const own = this.page;
    own.copyMetadata(page);
    own.bytes.set(page.bytes.subarray(offset, offset + length), headroom);
    this.length = length;
  }
}
