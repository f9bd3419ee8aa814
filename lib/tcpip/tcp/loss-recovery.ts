import { add, isAfter, isAtLeast } from "./sequence.ts";

/** What an ACK that acknowledges nothing new asks of the sender. */
export const duplicateIgnored = 0;
export const duplicateLimitedTransmit = 1;
export const duplicateRetransmit = 2;
export const duplicateInflate = 3;
/** What an ACK of something new means to recovery. */
export const notRecovering = 0;
export const partialAck = 1;
export const fullAck = 2;

/** RFC 5681 §3.2: this many duplicates mean a loss. */
const duplicateThreshold = 3;

/** Finds losses from duplicate ACKs and keeps track of their repair (RFC 5681 §3.2, RFC 6582, RFC 3042). */
export class LossRecovery {
  duplicates = 0;
  recovering = false;
  /** SND.MAX when the last loss was found. */
  recover: number;
  /** Whether the retransmission timer was restarted for the first partial ACK of this recovery. */
  #restarted = false;

  constructor(initialSequence: number) {
    this.recover = initialSequence;
  }

  /**
   * A duplicate ACK. `una` is what it acknowledges, `highest` what has been sent. On
   * {@link duplicateRetransmit} the caller retransmits at `una`.
   */
  duplicate(una: number, highest: number): number {
    this.duplicates++;
    if (this.recovering) return duplicateInflate;
    if (this.duplicates < duplicateThreshold) return duplicateLimitedTransmit;
    // RFC 6582 §3.2 step 2: duplicates of what was in flight at the last loss are no sign of another.
    if (this.duplicates > duplicateThreshold || !isAfter(una, this.recover)) return duplicateIgnored;
    this.recovering = true;
    this.#restarted = false;
    this.recover = highest;
    return duplicateRetransmit;
  }

  /** An ACK up to `una`, which is new. */
  acknowledged(una: number): number {
    this.duplicates = 0;
    if (!this.recovering) {
      // Follows, or it would look ahead after 2 GiB without a loss.
      if (isAfter(una, this.recover)) this.recover = add(una, -1);
      return notRecovering;
    }
    if (!isAtLeast(una, this.recover)) return partialAck;
    this.recovering = false;
    return fullAck;
  }

  /** Whether this partial ACK restarts the retransmission timer: the first does (RFC 6582 §3.2 step 3). */
  restartsTimer(): boolean {
    if (this.#restarted) return false;
    this.#restarted = true;
    return true;
  }

  /** The retransmission timer expired (RFC 6582 §3.2 step 4). */
  timedOut(highest: number): void {
    this.recover = highest;
    this.recovering = false;
    this.duplicates = 0;
  }
}
