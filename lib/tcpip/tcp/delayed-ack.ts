import type { Segment } from "./segment.ts";

/** How long an ACK may wait for company, milliseconds (RFC 9293 §3.8.6.3 allows 500). */
export const ackDelay = 40;
/** Full segments acknowledged as they come while the peer's window is small: at the start, and after what makes it so. */
const quickSegments = 16;
/** After a pause as long as the shortest retransmission timeout the peer begins with a small window, milliseconds. */
const restartPause = 200;
/** RFC 5681 §4.2: acknowledge at least every second full segment … */
const segmentsPerAck = 2;
/** … unless they came in one batch: then once for the batch, but at least this often. */
export const segmentsPerBatch = 16;

/** Decides when received data is acknowledged. Sizes in bytes. */
export class DelayedAck {
  /** Bytes received since the last ACK left. */
  pending = 0;
  /** The largest segment seen: what "full" means. Starts at the default of RFC 9293 §3.7.1. */
  #largest = 536;
  /** The largest that came in one frame: several segments, where the device joins them. */
  #largestFrame = 536;
  #quick = quickSegments;
  /** The same while the peer repairs a loss. */
  #repairing = 0;
  /** An ACK is due that does not wait for the end of the batch. */
  #isUrgent = false;
  /** When data arrived last, milliseconds; `Infinity` before the first. */
  #receivedAt = Infinity;

  /**
   * Something was missing, or came twice: the peer is repairing a loss, and if its window is down to a segment or two it
   * has nothing to send until our ACK comes. That may be lost, too: so each segment has its own, even in one batch.
   */
  quicken(): void {
    this.#repairing = quickSegments;
  }

  /**
   * Data arrived in order. Whether to acknowledge once the batch is through.
   *
   * @param moved how much there is to acknowledge: more than came, when it filled a gap
   * @param length how much came in one frame
   * @param mss the largest segment that the peer may send
   * @param segment what came last
   */
  received(moved: number, length: number, mss: number, { time }: Segment): boolean {
    if (time - this.#receivedAt >= restartPause) this.quicken();
    this.#receivedAt = time;
    this.pending += moved;
    if (length > this.#largestFrame) this.#largestFrame = length;
    if (length >= this.#largest) {
      this.#largest = Math.min(length, mss);
      if (this.#repairing > 0) {
        this.#repairing--;
        this.#isUrgent = true;
        return true;
      }
      if (this.#quick > 0) {
        this.#quick--;
        return true;
      }
    }
    return this.pending >= segmentsPerAck * this.#largest;
  }

  /** Whether the ACK should not even wait for the end of the batch: so much is unacknowledged, or it matters so much. */
  get isOverdue(): boolean {
    return this.#isUrgent || this.pending >= segmentsPerBatch * this.#largestFrame;
  }

  /** An ACK has left. */
  sent(): void {
    this.pending = 0;
    this.#isUrgent = false;
  }
}
