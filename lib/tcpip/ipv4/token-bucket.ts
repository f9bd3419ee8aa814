import type { Clock } from "@tesserae/device/clock";

/** Limits how often something happens: `rate` times a second on average, `burst` at once. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;
  #filled: number;

  /**
   * @param rate a second, above 0
   * @param burst at least 1
   */
  constructor(clock: Clock, rate: number, burst: number) {
    if (!(rate > 0)) throw new RangeError(`rate ${rate} is not above 0`);
    if (!(burst >= 1)) throw new RangeError(`burst ${burst} is below 1`);
    this.#clock = clock;
    this.#perMs = rate / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#filled = clock.now();
  }

  /** Whether it may happen now; takes the token if so. */
  take(): boolean {
    if (this.#tokens < 1) {
      // The clock is read only when the bucket looks empty.
      const now = this.#clock.now();
      this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filled) * this.#perMs);
      this.#filled = now;
      if (this.#tokens < 1) return false;
    }
    this.#tokens--;
    return true;
  }
}
