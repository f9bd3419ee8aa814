import type { LossRecovery } from "./loss-recovery.ts";
import type { RttEstimator } from "./rtt.ts";
import { isAfter, isBefore, later } from "./sequence.ts";

/**
 * Which ACKs tell a round trip (RFC 6298 §3): those of what was sent once (Karn's algorithm), and those whose timestamp
 * says which copy it was (RFC 7323 §4). Milliseconds.
 */
export class RoundTripSampling {
  /** SND.MAX at the last measurement: one in each round trip. */
  #timedEnd: number;
  /** Behind the highest number sent more than once, and when that was done last. */
  #repeatedEnd: number;
  #repeatedAt = 0;
  /** When the retransmission timer expired last; −1 before. */
  #timedOutAt = -1;

  constructor(iss: number) {
    this.#timedEnd = iss;
    this.#repeatedEnd = iss;
  }

  /** Data begins at `una`. */
  start(una: number): void {
    this.#timedEnd = una;
  }

  /** Something up to `end` has left once more. */
  repeated(end: number, now: number): void {
    this.#repeatedEnd = later(this.#repeatedEnd, end);
    this.#repeatedAt = now;
  }

  timedOut(now: number): void {
    this.#timedOutAt = now;
  }

  /** Everything up to `ack` is acknowledged, which is new. @returns whether something that was sent once is. */
  advanced(ack: number): boolean {
    const isFresh = isAfter(ack, this.#repeatedEnd);
    if (isFresh) this.#repeatedEnd = ack;
    this.#timedEnd = later(this.#timedEnd, ack);
    return isFresh;
  }

  /** An echo of before the last repetition may be one of an ACK that was lost, and so long that the timeout explodes. */
  isAmbiguous(una: number, echo: number, now: number): boolean {
    return isBefore(una, this.#repeatedEnd) && echo > Math.ceil(now - this.#repeatedAt);
  }

  /**
   * Takes a round trip, at most one in each, of a segment that was sent once, or by a timestamp. What was sent before the
   * last timeout may have arrived long ago: the timeout can have come because its ACKs were lost.
   *
   * @param echo the round trip that the ACK's timestamp tells, or −1
   * @param max SND.MAX
   * @returns whether the ACK tells one.
   */
  measure(rtt: RttEstimator, recovery: LossRecovery, now: number, echo: number, max: number): boolean {
    const { originalAt, originalEnd, repeatedAt } = recovery.scoreboard.delivery;
    if (originalAt >= 0 && (recovery.selective || repeatedAt < 0) && originalAt >= this.#timedOutAt) {
      if (!isAfter(originalEnd, this.#timedEnd)) return true;
      rtt.sample(now - originalAt);
      this.#timedEnd = max;
      return true;
    }
    if (echo < 0) return false;
    rtt.sample(echo);
    return true;
  }
}
