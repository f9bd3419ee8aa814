import { initialWindow } from "./initial-window.ts";

/** How much faster than a window in a round trip segments leave: as Linux, for the window is to be the limit. */
const growingGain = 2;
const steadyGain = 1.2;
/** So many milliseconds' worth may leave at once: timers are not finer. */
const quantum = 2;

/**
 * Pacing (RFC 9002 §7.7): new data that the window allows leaves over the round trip, and not at once because ACKs came
 * in a heap, or were read late. In bytes and milliseconds.
 *
 * Two segments may leave in a burst, or what two milliseconds bring; with nothing in flight, an initial window. So on
 * fast paths the timer is hardly ever needed, and on short ones nothing is. What is sent again never waits: proportional
 * rate reduction meters it out.
 */
export class Pacing {
  /** How much may leave now: Infinity where the round trip is so short that a burst is all there is. */
  credit: number = Infinity;
  /** Bytes a millisecond; 0 where nothing is paced. */
  rate = 0;
  #at = 0;
  /** A segment waits for its time. */
  #isWaiting = false;

  /**
   * Earns credit up to `now`.
   *
   * @param window bytes that may be in flight
   * @param roundTrip smoothed; 0 before the first sample
   * @param isGrowing in slow start, far from its end
   * @param isIdle nothing is in flight
   */
  refill(now: number, window: number, roundTrip: number, isGrowing: boolean, isIdle: boolean, mss: number): void {
    if (roundTrip <= quantum) {
      this.credit = Infinity;
      this.rate = 0;
      return;
    }
    this.rate = ((isGrowing ? growingGain : steadyGain) * window) / roundTrip;
    const burst = Math.max(2 * mss, this.rate * quantum);
    const earned = (now - this.#at) * this.rate;
    // A timer that comes late must not cost speed: what has waited makes up for it, by half of the window at most.
    const most = this.#isWaiting ? Math.max(burst, Math.min(earned, window / 2)) : burst;
    this.credit = isIdle ? Math.max(burst, initialWindow(mss)) : Math.min(most, this.credit + earned);
    this.#at = now;
    this.#isWaiting = false;
  }

  /** So much has left. */
  sent(bytes: number): void {
    this.credit -= bytes;
  }

  /** When a segment of `bytes`, more than there is credit for, may leave. */
  deadline(bytes: number): number {
    this.#isWaiting = true;
    return this.#at + Math.max(1, (bytes - this.credit) / this.rate);
  }
}
