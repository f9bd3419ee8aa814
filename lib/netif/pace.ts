import type { Timers } from "@tesserae/device/clock";
import type { Page } from "@tesserae/device/page";
import type { FrameQueue } from "./frame-queue.ts";

/** When frames arrive that are sent one behind the other on a line of some bandwidth and delay. */
export class Pace {
  readonly #timers: Timers;
  readonly #delay: number;
  readonly #millisecondsPerByte: number;
  #free = 0;

  /** @throws RangeError when `delay` is not 0 or more milliseconds, or `bandwidth` not above 0 bits a second. */
  constructor(timers: Timers, delay: number, bandwidth: number) {
    if (!(delay >= 0) || delay === Infinity)
      throw new RangeError(`delay ${String(delay)} is not 0 or more milliseconds`);
    if (!(bandwidth > 0)) throw new RangeError(`bandwidth ${String(bandwidth)} is not above 0 bits a second`);
    this.#timers = timers;
    this.#delay = delay;
    this.#millisecondsPerByte = 8000 / bandwidth;
  }

  push(queue: FrameQueue, page: Page, offset: number, length: number, port: number): boolean {
    const start = Math.max(this.#timers.now(), this.#free);
    const sent = start + length * this.#millisecondsPerByte;
    if (!queue.push(page, offset, length, port, sent + this.#delay)) return false;
    this.#free = sent;
    return true;
  }
}
