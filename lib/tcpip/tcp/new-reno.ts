import type { CongestionControl } from "./congestion.ts";
import { growthLimit, HyStart } from "./hystart.ts";
import { initialThreshold, initialWindow, recoveredWindow, resizeWindow, restartWindow } from "./initial-window.ts";

/** β for a mark instead of a loss (RFC 8511 §3.1). */
const markBackOff = 0.8;

/** New Reno: RFC 5681 and 6582, with the byte counting of RFC 3465 and the slow start of RFC 9406. */
export class NewReno implements CongestionControl {
  readonly name = "newreno";
  window: number;
  threshold: number = initialThreshold;
  #mss: number;
  readonly #marksCountLess: boolean;
  readonly #hyStart: HyStart;
  readonly #slowStartLimit: number;
  /** Bytes acknowledged in congestion avoidance and not yet turned into window. */
  #credit = 0;
  /** Whether the window was what held us back when something was acknowledged last. */
  #wasLimited = false;
  /** What {@link undo} goes back to. */
  #windowBefore = 0;
  #thresholdBefore = 0;

  /** As those of {@link Cubic}. */
  constructor(mss: number, marksCountLess = false, paced = false) {
    this.#mss = mss;
    this.#hyStart = new HyStart(paced);
    this.#slowStartLimit = growthLimit(paced);
    this.#marksCountLess = marksCountLess;
    this.window = initialWindow(mss);
  }

  setSegmentSize(mss: number): void {
    this.window = resizeWindow(this.window, this.#mss, mss);
    this.#mss = mss;
  }

  acknowledged(bytes: number, limited: boolean, _now: number, roundTrip: number): void {
    this.#wasLimited = limited;
    // A window that was not used says nothing about the path (RFC 9293 points to RFC 7661 for this).
    if (!limited) return;
    if (this.window < this.threshold) {
      if (this.threshold < initialThreshold) {
        this.window += Math.min(bytes, this.#slowStartLimit * this.#mss);
        return;
      }
      this.window += this.#hyStart.acknowledged(bytes, this.#mss, this.window, roundTrip);
      if (this.#hyStart.finished) this.threshold = this.window;
      return;
    }
    this.#credit += bytes;
    if (this.#credit >= this.window) {
      this.#credit -= this.window;
      this.window = Math.min(initialThreshold, this.window + this.#mss);
    }
  }

  reduce(flight: number, _now: number, cause: "loss" | "ecn"): void {
    this.#lower(flight, cause === "ecn" && this.#marksCountLess ? markBackOff : 0.5);
  }

  #lower(flight: number, factor: number): void {
    this.#windowBefore = this.window;
    this.#thresholdBefore = this.threshold;
    // RFC 5681 §3.1, equation 4: what is in flight, not the window, which may be unused. A window in use may be larger
    // for a moment than what is in flight: the peer's ACKs come in batches.
    const base = this.#wasLimited ? this.window : Math.min(this.window, flight);
    this.threshold = Math.max(Math.floor(base * factor), 2 * this.#mss);
    this.#credit = 0;
  }

  recovered(flight: number): void {
    this.window = recoveredWindow(this.threshold, flight, this.#mss);
    this.#credit = 0;
  }

  timeout(flight: number, first: boolean): void {
    if (first) this.#lower(flight, 0.5);
    this.window = this.#mss;
    this.#credit = 0;
  }

  undo(): void {
    this.window = Math.max(this.window, this.#windowBefore);
    this.threshold = Math.max(this.threshold, this.#thresholdBefore);
    this.#windowBefore = 0;
    this.#thresholdBefore = 0;
  }

  idle(idle: number, rto: number): void {
    // As in RFC 2861 §3.1.
    this.threshold = Math.max(this.threshold, Math.floor((3 * this.window) / 4));
    this.window = restartWindow(this.window, this.#mss, idle, rto);
  }
}
