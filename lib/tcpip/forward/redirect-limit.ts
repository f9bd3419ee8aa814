import type { Clock } from "@tesserae/device/clock";
import { TokenBucket } from "../ipv4/token-bucket.ts";

/** How long a sender is not told again of the same destination, milliseconds: it may have its reasons. */
const pause = 5000;
/** Redirects of all to all, a second, and at once. */
const rate = 20;
/** A power of two. */
const slots = 256;

/** How often a router says that another first hop is better (RFC 1812 §5.2.7.2, RFC 4861 §8.2). */
export class RedirectLimit {
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #keys = new Int32Array(slots);
  readonly #until = new Float64Array(slots);

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#bucket = new TokenBucket(clock, rate, rate);
  }

  /** Whether a sender may be told of a destination now. The two are any 32 bits that tell them from others. */
  take(sender: number, destination: number): boolean {
    const key = sender ^ Math.imul(destination, 0x9e3779b1);
    const slot = (key ^ (key >>> 16)) & (slots - 1);
    const now = this.#clock.now();
    if (this.#keys[slot] === key && now < (this.#until[slot] ?? 0)) return false;
    if (!this.#bucket.take()) return false;
    this.#keys[slot] = key;
    this.#until[slot] = now + pause;
    return true;
  }
}
