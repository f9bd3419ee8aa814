import type { Random } from "@tesserae/device/random";

/** Answers to suspicious segments that one connection gets in any five seconds (RFC 5961 §7's example). */
export const challengesPerConnection = 10;
const connectionPeriod = 5000;
/** Answers and resets of the whole stack in a second, on average. */
export const challengesPerSecond = 1000;

/** How many challenges one connection has had: two numbers a connection keeps. */
export class ChallengeBudget {
  since = -Infinity;
  count = 0;

  /** Whether one more is allowed at `now`. */
  take(now: number): boolean {
    if (now - this.since >= connectionPeriod) {
      this.since = now;
      this.count = 0;
    }
    if (this.count >= challengesPerConnection) return false;
    this.count++;
    return true;
  }
}

/**
 * The bound on challenge ACKs and resets of the whole stack (RFC 5961 §7).
 *
 * Each second's limit is drawn anew, between half and one and a half of the average: a fixed shared limit lets an
 * outsider count what is left of it and so find out about connections of others (CVE-2016-5696).
 */
export class ResponseLimiter {
  readonly #random: Random;
  #second = -Infinity;
  #left = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  take(now: number): boolean {
    if (now - this.#second >= 1000) {
      this.#second = now;
      this.#left = challengesPerSecond / 2 + (this.#random.uint32() % challengesPerSecond);
    }
    if (this.#left <= 0) return false;
    this.#left--;
    return true;
  }
}
