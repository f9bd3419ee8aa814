/** How long an ACK may wait for company, milliseconds (RFC 9293 §3.8.6.3 allows 500). */
export const ackDelay = 40;
/** Full segments acknowledged one by one while the peer's window is small: at the start, and after what makes it so. */
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
  /** When data arrived last, milliseconds. */
  #receivedAt = 0;

  /**
   * Something was missing, or came twice: the peer is repairing a loss, and if its window is down to a segment or two it
   * has nothing to send until our ACK comes.
   */
  quicken(): void {
    this.#quick = quickSegments;
  }

  /**
   * Data arrived in order. Whether to acknowledge once the batch is through.
   *
   * @param moved how much there is to acknowledge: more than came, when it filled a gap
   * @param length how much came in one frame
   * @param mss the largest segment that the peer may send
   */
  received(moved: number, length: number, mss: number, now: number): boolean {
    if (now - this.#receivedAt >= restartPause) this.#quick = quickSegments;
    this.#receivedAt = now;
    this.pending += moved;
    if (length > this.#largestFrame) this.#largestFrame = length;
    if (length >= this.#largest) {
      this.#largest = Math.min(length, mss);
      if (this.#quick > 0) {
        this.#quick--;
        return true;
      }
    }
    return this.pending >= segmentsPerAck * this.#largest;
  }

  /** Whether so much is unacknowledged that the ACK should not even wait for the end of the batch. */
  get isOverdue(): boolean {
    return this.pending >= segmentsPerBatch * this.#largestFrame;
  }

  /** An ACK has left. */
  sent(): void {
    this.pending = 0;
  }
}
