import { maxRto } from "./rtt.ts";

/** Back-off and giving up (RFC 6298 §5, RFC 9293 §3.8.3): the state of one connection's retransmissions. */
export class Retransmission {
  /** Timeouts in a row without progress. */
  count = 0;
  /** How often the timeout has doubled since the last measured round trip. */
  backOff = 0;
  /** When the peer last made progress, or the first byte of a flight left: giving up counts from here. Milliseconds. */
  progressAt = 0;

  /** The timeout to use now, milliseconds. */
  timeout(rto: number): number {
    // 2 ** 16 seconds is far above the maximum, and keeps the number finite.
    return Math.min(maxRto, rto * 2 ** Math.min(this.backOff, 16));
  }

  timedOut(): void {
    this.count++;
    this.backOff++;
  }

  /** A round trip was measured of something sent since the last timeout (RFC 6298 §5, Karn). */
  measured(): void {
    this.backOff = 0;
  }

  /** Something new was acknowledged. `fresh`: by a segment that was sent once, so the back-off ends (Karn). */
  progress(now: number, fresh: boolean): void {
    this.progressAt = now;
    if (!fresh) return;
    this.count = 0;
    this.backOff = 0;
  }

  /** R2: whether nothing has come back for `userTimeout` milliseconds. */
  isHopeless(now: number, userTimeout: number): boolean {
    return now - this.progressAt >= userTimeout;
  }
}
