import { isAfter, isBefore } from "./sequence.ts";

/**
 * Finds out that a reduction of the window was for nothing, because nothing had been lost: by the timestamp that an ACK
 * echoes (the Eifel algorithm, RFC 3522), and by reports that all we sent again was there already (RFC 3708).
 */
export class Undo {
  /** Whether there is a reduction that can be taken back. */
  isPossible = false;
  /** SND.UNA at that time. */
  #marker = 0;
  /** When the first retransmission left, −1 before it. */
  #repeatedAt = -1;
  /** Segments sent again, and not reported as duplicates. */
  #unreported = 0;
  #repeated = false;

  /** The window was reduced, with everything up to `una` acknowledged. */
  start(una: number): void {
    this.isPossible = true;
    this.#marker = una;
    this.#repeatedAt = -1;
    this.#unreported = 0;
    this.#repeated = false;
  }

  stop(): void {
    this.isPossible = false;
  }

  /** A segment has left once more. */
  repeated(now: number): void {
    if (!this.isPossible) return;
    if (this.#repeatedAt < 0) this.#repeatedAt = now;
    this.#unreported++;
    this.#repeated = true;
  }

  /** `segments` of ours that ended at `right` reached the receiver more than once. */
  duplicate(right: number, una: number, segments: number): void {
    if (!this.isPossible || !isAfter(right, this.#marker) || isAfter(right, una)) return;
    this.#unreported = Math.max(0, this.#unreported - segments);
  }

  /** RFC 3708 §2: everything that was sent again had arrived before. */
  get areAllDuplicates(): boolean {
    return this.isPossible && this.#repeated && this.#unreported === 0;
  }

  /**
   * RFC 3522 §3: an ACK of something new was caused by what was sent before the first retransmission.
   *
   * @param echo the round trip that its timestamp tells, in whole milliseconds, or −1
   */
  isEcho(now: number, echo: number): boolean {
    if (!this.isPossible || this.#repeatedAt < 0 || echo < 0) return false;
    return Math.floor(now) - echo < Math.floor(this.#repeatedAt);
  }

  /** SND.UNA is beyond what a report could be about by half the number space: it must not look ahead. */
  advanced(una: number): void {
    if (this.isPossible && isBefore(una, this.#marker)) this.isPossible = false;
  }
}
