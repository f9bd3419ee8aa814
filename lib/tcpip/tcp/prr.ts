/**
 * Proportional rate reduction (RFC 6937, and its successor RFC 9937): how much may be sent while losses are repaired, so
 * that what is in flight comes down to the threshold evenly, within a round trip, without a pause and without a burst.
 * Bytes.
 */
export class ProportionalRate {
  /** What was in flight when recovery began. */
  #flight = 0;
  #delivered = 0;
  #sent = 0;

  /** Recovery begins with `flight` outstanding and not SACKed. */
  start(flight: number): void {
    this.#flight = Math.max(1, flight);
    this.#delivered = 0;
    this.#sent = 0;
  }

  /** So much has left during recovery. */
  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /**
   * An ACK during recovery.
   *
   * @param delivered what it says to have arrived
   * @param pipe what is in flight now
   * @param isSafe whether SND.UNA moved and no more losses were found
   * @returns how much may be sent now.
   */
  allowance(delivered: number, pipe: number, threshold: number, mss: number, isSafe: boolean): number {
    this.#delivered += delivered;
    let allowed: number;
    if (pipe > threshold) {
      allowed = Math.ceil((this.#delivered * threshold) / this.#flight) - this.#sent;
    } else {
      // Below the threshold: no more than arrived, or, when repair goes well, back up in slow start.
      allowed = Math.max(this.#delivered - this.#sent, delivered) + (isSafe ? mss : 0);
      allowed = Math.min(threshold - pipe, allowed);
    }
    // The first retransmission never waits.
    if (this.#sent === 0 && allowed < mss) allowed = mss;
    return Math.max(0, allowed);
  }
}
