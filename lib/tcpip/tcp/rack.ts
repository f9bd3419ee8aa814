import type { Delivery } from "./delivery.ts";
import type { Scoreboard } from "./scoreboard.ts";
import { isAfter, isBefore } from "./sequence.ts";

/** RFC 8985 §6.2, step 4: so many SACKed segments are a sign of loss even before any reordering was seen. */
const duplicateThreshold = 3;
/** For so many recoveries a reordering window that was widened stays wide. */
const widenedRecoveries = 16;
/** The window is this many quarters of the smallest round trip at most; the smoothed round trip bounds it, too. */
const widest = 255;

/**
 * RACK (RFC 8985 §6): a segment is lost when another that was sent after it has arrived, and a little time has passed.
 * Milliseconds.
 */
export class Rack {
  /** When what has arrived and was sent last was sent, −1 before the first; where it ends; and its round trip. */
  sentAt = -1;
  end = 0;
  roundTrip = 0;
  reordering = false;
  /** The reordering window in quarters of the smallest round trip. */
  #multiplier = 1;
  #persist = 0;
  /** Until this is acknowledged, duplicates do not widen the window again. */
  #widenedAt = 0;
  #isWidening = false;

  /**
   * Steps 1 to 3: what an ACK that came `now` has told.
   *
   * @param minimum the smallest round trip measured
   * @param isEchoOlder whether the ACK echoes a timestamp of before the retransmission that it is about
   */
  update(delivery: Delivery, now: number, minimum: number, isEchoOlder: boolean): void {
    if (delivery.reordered) this.reordering = true;
    if (delivery.originalAt >= 0) this.#take(delivery.originalAt, delivery.originalEnd, now);
    // The ACK of what was sent more than once may be that of the first copy.
    if (delivery.repeatedAt >= 0 && !isEchoOlder && now - delivery.repeatedAt >= minimum) {
      this.#take(delivery.repeatedAt, delivery.repeatedEnd, now);
    }
  }

  #take(sentAt: number, end: number, now: number): void {
    if (sentAt < this.sentAt || (sentAt === this.sentAt && !isAfter(end, this.end))) return;
    this.sentAt = sentAt;
    this.end = end;
    this.roundTrip = now - sentAt;
  }

  /** Step 4: a duplicate was reported (RFC 2883), so a window was too narrow. Once a round trip. */
  widen(una: number, max: number): void {
    if (this.#isWidening && isBefore(una, this.#widenedAt)) return;
    this.#isWidening = true;
    this.#widenedAt = max;
    this.#persist = widenedRecoveries;
    if (this.#multiplier < widest) this.#multiplier++;
  }

  /** Everything up to `una` has arrived. */
  advanced(una: number): void {
    if (this.#isWidening && !isBefore(una, this.#widenedAt)) this.#isWidening = false;
  }

  /** A recovery is over. */
  recovered(): void {
    if (this.#persist > 0 && --this.#persist === 0) this.#multiplier = 1;
  }

  /** RACK.reo_wnd. `minimum` and `smoothed` round trips; the former is Infinity before the first sample. */
  window(board: Scoreboard, isRecovering: boolean, minimum: number, smoothed: number): number {
    if (!this.reordering && (isRecovering || board.sackedSegments >= duplicateThreshold)) return 0;
    if (minimum === Infinity) return 0;
    return Math.min((minimum / 4) * this.#multiplier, smoothed);
  }

  /**
   * Step 5: marks what is lost at `now`. `window` as above.
   *
   * @returns how many bytes are newly lost. With `board.waiting` more will be at {@link deadline}.
   */
  detect(board: Scoreboard, now: number, window: number): number {
    if (this.sentAt < 0) return 0;
    return board.detectLost(this.sentAt, this.end, now, this.roundTrip + window);
  }

  /** By when everything sent before the latest arrival has arrived or is lost. */
  deadline(window: number): number {
    return this.sentAt + (this.roundTrip + window);
  }
}
