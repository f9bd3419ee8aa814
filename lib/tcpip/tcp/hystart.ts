/**
 * HyStart++ (RFC 9406): leaves slow start when the round trips grow, before the queue on the way overflows. Slow start
 * is first left for a conservative one, which grows a quarter as fast; when the round trips fall again it was a false
 * alarm, and after five rounds it was not.
 *
 * A round is a window's worth of acknowledged bytes. RFC 9406 ends it at the number that was sent last when it began,
 * which is the same as long as the window is what holds us back; in other times the window does not grow at all.
 */

/** Milliseconds (RFC 9406 §4.3). */
const minThreshold = 4;
const maxThreshold = 16;
const thresholdDivisor = 8;
/** Samples that a round needs to be compared. */
const roundSamples = 8;
const growthDivisor = 4;
const conservativeRounds = 5;
/** L: segments that one ACK may open the window by, without pacing. With it there is no limit (RFC 9406 §4.3). */
const slowStartLimit = 8;

/** By how many segments one ACK may open the window in slow start. */
export function growthLimit(paced: boolean): number {
  return paced ? Infinity : slowStartLimit;
}

export class HyStart {
  /** Conservative slow start. */
  conservative = false;
  /** Slow start is over: the round trips have grown and stayed. */
  finished = false;
  #lastMinimum = Infinity;
  #minimum = Infinity;
  #samples = 0;
  /** Bytes to be acknowledged until the round ends. */
  #roundLeft = 0;
  /** The round in which conservative slow start began: its smallest round trip, and how many rounds have passed. */
  #baseline = Infinity;
  #rounds = 0;
  readonly #limit: number;

  constructor(paced = false) {
    this.#limit = growthLimit(paced);
  }

  /**
   * `bytes` were acknowledged in the first slow start.
   *
   * @param roundTrip the latest sample, milliseconds, or −1
   * @returns by how many bytes the window opens
   */
  acknowledged(bytes: number, mss: number, window: number, roundTrip: number): number {
    if (this.#roundLeft <= 0) this.#startRound(window);
    this.#roundLeft -= bytes;
    if (roundTrip >= 0) {
      this.#samples++;
      if (roundTrip < this.#minimum) this.#minimum = roundTrip;
      if (this.#samples >= roundSamples) this.#compare();
    }
    const growth = Math.min(bytes, this.#limit * mss);
    if (!this.conservative) return growth;
    if (this.#roundLeft <= 0 && ++this.#rounds >= conservativeRounds) this.finished = true;
    return Math.ceil(growth / growthDivisor);
  }

  #startRound(window: number): void {
    this.#lastMinimum = this.#minimum;
    this.#minimum = Infinity;
    this.#samples = 0;
    this.#roundLeft = window;
  }

  #compare(): void {
    if (this.conservative) {
      if (this.#minimum < this.#baseline) {
        this.#baseline = Infinity;
        this.conservative = false;
      }
      return;
    }
    if (this.#lastMinimum === Infinity) return;
    const growth = Math.max(minThreshold, Math.min(this.#lastMinimum / thresholdDivisor, maxThreshold));
    if (this.#minimum < this.#lastMinimum + growth) return;
    this.#baseline = this.#minimum;
    this.conservative = true;
    this.#rounds = 0;
  }
}
