import type { CongestionControl } from "./congestion.ts";
import { growthLimit, HyStart } from "./hystart.ts";
import { initialThreshold, initialWindow, recoveredWindow, resizeWindow, restartWindow } from "./initial-window.ts";

/** RFC 9438 §4.1.1: C, in segments per second cubed, and β_cubic. */
export const scale = 0.4;
export const backOff = 0.7;
/** β for a mark instead of a loss (RFC 8511 §3.1). */
const markBackOff = 0.85;
/** §4.3: α_cubic, the Reno that shares a bottleneck evenly with one that halves its window. */
const alpha = (3 * (1 - backOff)) / (1 + backOff);

/** What a reduction changes, as it was before it (§4.9). */
class CubicMemory {
  window = 0;
  threshold = 0;
  maximum = 0;
  prior = 0;
  epoch = -1;
  origin = 0;
  inflection = 0;
  estimate = 0;
  isRestart = false;
}

/**
 * CUBIC (RFC 9438): the window is a cubic function of the time since the last reduction, with its inflection where the
 * window was when it was reduced. In bytes and milliseconds; only the formulas speak of segments and seconds.
 */
export class Cubic implements CongestionControl {
  readonly name = "cubic";
  window: number;
  threshold: number = initialThreshold;
  #mss: number;
  readonly #marksCountLess: boolean;
  readonly #hyStart: HyStart;
  readonly #slowStartLimit: number;
  /** W_max: the window before the last reduction, less for convergence. */
  #maximum = 0;
  /** cwnd_prior: the window before the last reduction. */
  #prior = 0;
  /** t_epoch, milliseconds; −1: the next ACK in congestion avoidance begins an epoch. */
  #epoch = -1;
  /** What the curve has at its inflection in this epoch, bytes, and K, seconds. */
  #origin = 0;
  #inflection = 0;
  /** W_est: the window of the Reno that we must not be worse than. */
  #estimate = 0;
  /** After a timeout the curve begins at its inflection (§4.8). */
  #isRestart = true;
  /** Fractions of a byte that the window has earned. */
  #credit = 0;
  /** When something was acknowledged last, and whether the window was what held us back. */
  #acknowledgedAt = 0;
  #wasLimited = false;
  /** Smoothed, milliseconds. */
  #roundTrip = 0;
  #before: CubicMemory | null = null;
  #canUndo = false;

  /**
   * @param marksCountLess whether a mark reduces the window less than a loss does (RFC 8511)
   * @param paced whether a window that opens at once makes no burst
   */
  constructor(mss: number, marksCountLess = false, paced = false) {
    this.#mss = mss;
    this.#hyStart = new HyStart(paced);
    this.#slowStartLimit = growthLimit(paced);
    this.#marksCountLess = marksCountLess;
    this.window = initialWindow(mss);
  }

  setSegmentSize(mss: number): void {
    this.window = resizeWindow(this.window, this.#mss, mss);
    this.#estimate = Math.min(this.#estimate, this.window);
    this.#mss = mss;
  }

  acknowledged(bytes: number, limited: boolean, now: number, roundTrip: number): void {
    if (roundTrip >= 0) this.#roundTrip += (roundTrip - this.#roundTrip) / (this.#roundTrip === 0 ? 1 : 8);
    // §5.8: a window that is not used does not grow, and the time meanwhile does not count.
    if (!limited && this.#epoch >= 0) this.#epoch += Math.max(0, now - Math.max(this.#acknowledgedAt, this.#epoch));
    this.#acknowledgedAt = now;
    this.#wasLimited = limited;
    if (!limited) return;
    let left = bytes;
    if (this.window < this.threshold) {
      left -= this.#slowStart(bytes, roundTrip);
      if (left <= 0) return;
    }
    this.#avoid(left, now);
  }

  /** @returns how many of the bytes are used up: the rest counts in congestion avoidance. */
  #slowStart(bytes: number, roundTrip: number): number {
    if (this.threshold < initialThreshold) {
      const growth = Math.min(bytes, this.#slowStartLimit * this.#mss);
      const room = this.threshold - this.window;
      this.window += Math.min(growth, room);
      return growth > room ? room : bytes;
    }
    this.window += this.#hyStart.acknowledged(bytes, this.#mss, this.window, roundTrip);
    // RFC 9406 §4.2.
    if (this.#hyStart.finished) this.threshold = this.window;
    return bytes;
  }

  #avoid(bytes: number, now: number): void {
    const { window } = this;
    if (this.#epoch < 0) this.#begin(now);
    const elapsed = (now - this.#epoch) / 1000;
    // §4.3. Once it has made good the reduction, it grows as Reno does.
    const factor = this.#estimate >= this.#prior ? 1 : alpha;
    this.#estimate += (factor * this.#mss * bytes) / window;
    if (this.#curve(elapsed) < this.#estimate) {
      this.#grow(this.#estimate - window);
      return;
    }
    // §4.4 and §4.5: towards where the curve will be in a round trip, by at most half of the window.
    const ahead = this.#curve(elapsed + this.#roundTrip / 1000);
    const target = Math.min(Math.max(ahead, window), 1.5 * window);
    this.#grow(((target - window) * Math.min(bytes, window)) / window);
  }

  #begin(now: number): void {
    this.#epoch = now;
    this.#credit = 0;
    this.#estimate = this.window;
    if (this.#isRestart || this.window >= this.#maximum) {
      this.#inflection = 0;
      this.#origin = this.window;
    } else {
      this.#inflection = Math.cbrt((this.#maximum - this.window) / (scale * this.#mss));
      this.#origin = this.#maximum;
    }
    this.#isRestart = false;
  }

  /** W_cubic, bytes, `elapsed` seconds into the epoch (§4.2, figure 1). */
  #curve(elapsed: number): number {
    const t = elapsed - this.#inflection;
    return scale * t * t * t * this.#mss + this.#origin;
  }

  #grow(bytes: number): void {
    if (bytes <= 0) return;
    this.#credit += bytes;
    const whole = Math.floor(this.#credit);
    this.#credit -= whole;
    this.window = Math.min(initialThreshold, this.window + whole);
  }

  reduce(flight: number, _now: number, cause: "loss" | "ecn"): void {
    this.#lower(flight, cause === "ecn" && this.#marksCountLess ? markBackOff : backOff);
  }

  /** §4.6 and §4.7. */
  #lower(flight: number, factor: number): void {
    this.#remember();
    const { window } = this;
    // §4.6 allows the window instead of what is in flight, as long as a window that is not used does not grow.
    const base = this.#wasLimited ? window : Math.min(window, flight);
    this.#maximum = window < this.#maximum ? (window * (1 + factor)) / 2 : window;
    this.#prior = window;
    this.threshold = Math.max(Math.floor(base * factor), 2 * this.#mss);
    this.#epoch = -1;
    this.#credit = 0;
    this.#isRestart = false;
  }

  recovered(flight: number): void {
    this.window = recoveredWindow(this.threshold, flight, this.#mss);
  }

  timeout(flight: number, first: boolean): void {
    if (first) this.#lower(flight, backOff);
    this.window = this.#mss;
    this.#epoch = -1;
    this.#isRestart = true;
  }

  undo(): void {
    if (!this.#canUndo || this.#before === null) return;
    this.#canUndo = false;
    const { window, threshold, maximum, prior, epoch, origin, inflection, estimate, isRestart } = this.#before;
    this.window = Math.max(this.window, window);
    this.threshold = Math.max(this.threshold, threshold);
    this.#maximum = maximum;
    this.#prior = prior;
    this.#epoch = epoch;
    this.#origin = origin;
    this.#inflection = inflection;
    this.#estimate = estimate;
    this.#isRestart = isRestart;
  }

  #remember(): void {
    this.#canUndo = true;
    const before = (this.#before ??= new CubicMemory());
    before.window = this.window;
    before.threshold = this.threshold;
    before.maximum = this.#maximum;
    before.prior = this.#prior;
    before.epoch = this.#epoch;
    before.origin = this.#origin;
    before.inflection = this.#inflection;
    before.estimate = this.#estimate;
    before.isRestart = this.#isRestart;
  }

  idle(idle: number, rto: number, now: number): void {
    const { window } = this;
    // RFC 2861 §3.1: slow start leads back to near what was reached, and the curve from there.
    this.threshold = Math.max(this.threshold, Math.floor((3 * window) / 4));
    this.window = restartWindow(window, this.#mss, idle, rto);
    this.#acknowledgedAt = now;
    if (this.window === window || this.#epoch < 0) return;
    this.#maximum = Math.max(window, this.#maximum);
    this.#epoch = -1;
  }
}
