import type { CongestionControl } from "./congestion.ts";

/** RFC 6928 §2: the initial window. */
export function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14_600));
}

/**
 * How many segments' worth one ACK may open the window in slow start. RFC 3465 says 2 because receivers acknowledged
 * every second segment; today's coalesce, and RFC 9406 §4.2 recommends 8 without pacing.
 */
const slowStartLimit = 8;

/** New Reno: RFC 5681 and 6582, with the byte counting of RFC 3465. */
export class NewReno implements CongestionControl {
  readonly name = "newreno";
  window: number;
  threshold: number = 2 ** 30;
  #mss: number;
  /** Bytes acknowledged in congestion avoidance and not yet turned into window. */
  #credit = 0;
  /** What {@link undo} goes back to. */
  #windowBefore = 0;
  #thresholdBefore = 0;

  constructor(mss: number) {
    this.#mss = mss;
    this.window = initialWindow(mss);
  }

  setSegmentSize(mss: number): void {
    // RFC 5681 §3.1 for a smaller path MTU: the window in segments stays what it was at most.
    if (mss < this.#mss) this.window = Math.max(mss, Math.floor(this.window / this.#mss) * mss);
    this.#mss = mss;
  }

  acknowledged(bytes: number, limited: boolean): void {
    // A window that was not used says nothing about the path (RFC 9293 points to RFC 7661 for this).
    if (!limited) return;
    if (this.window < this.threshold) {
      this.window += Math.min(bytes, slowStartLimit * this.#mss);
      return;
    }
    this.#credit += bytes;
    if (this.#credit >= this.window) {
      this.#credit -= this.window;
      this.window += this.#mss;
    }
  }

  reduce(flight: number): void {
    this.#remember();
    this.threshold = Math.max(Math.floor(flight / 2), 2 * this.#mss);
    this.#credit = 0;
  }

  recovered(flight: number): void {
    // RFC 6582 §3.2 step 3, option 1: no burst.
    this.window = Math.min(this.threshold, Math.max(flight, this.#mss) + this.#mss);
    this.#credit = 0;
  }

  timeout(flight: number, first: boolean): void {
    if (first) {
      this.#remember();
      this.threshold = Math.max(Math.floor(flight / 2), 2 * this.#mss);
    }
    this.window = this.#mss;
    this.#credit = 0;
  }

  undo(): void {
    this.window = Math.max(this.window, this.#windowBefore);
    this.threshold = Math.max(this.threshold, this.#thresholdBefore);
    this.#windowBefore = 0;
    this.#thresholdBefore = 0;
  }

  idle(): void {
    this.window = Math.min(this.window, initialWindow(this.#mss));
  }

  #remember(): void {
    this.#windowBefore = this.window;
    this.#thresholdBefore = this.threshold;
  }
}
