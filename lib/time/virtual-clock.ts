import type { Clock } from "@tesserae/device/clock";

/** A clock that stands still until it is told to move: time in tests and simulations. */
export class VirtualClock implements Clock {
  readonly #origin: number;
  #now = 0;

  /** @param options.origin wall-clock milliseconds (since 1970) at `now() === 0`; default 0 */
  constructor(options: { readonly origin?: number } = {}) {
    this.#origin = options.origin ?? 0;
  }

  /** Milliseconds since the clock was made. */
  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#origin + this.#now;
  }

  /**
   * Moves to the instant `ms` on the `now()` axis.
   *
   * @throws RangeError when that is not a finite instant, or lies in the past.
   */
  advanceTo(ms: number): void {
    if (!Number.isFinite(ms) || ms < this.#now) {
      throw new RangeError(`ms ${String(ms)} is not a finite instant from ${String(this.#now)} on`);
    }
    this.#now = ms;
  }
}
