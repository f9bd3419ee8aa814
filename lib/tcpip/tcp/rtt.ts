/**
 * The round-trip estimator of RFC 6298. Milliseconds throughout.
 *
 * RFC 6298 §2.4 asks for a minimum of one second, for clocks as coarse as 500 ms and receivers that delay ACKs as long.
 * Ours is exact and today's receivers delay 40 to 200 ms: as in Linux, the variance term has a floor of 200 ms, so that
 * RTO ≥ SRTT + 200 and a delayed ACK never looks like a loss.
 */

export const initialRto = 1000;
/** RFC 6298 §5.7: what RTO begins with when the SYN had to be retransmitted. */
export const cautiousRto = 3000;
export const minVarianceTerm = 200;
export const maxRto = 60_000;

export class RttEstimator {
  /** Smoothed round-trip time, or 0 before the first sample. */
  smoothed = 0;
  variance = 0;
  /** The smallest sample. */
  minimum = Infinity;
  /** The timeout without back-off. */
  rto: number = initialRto;
  samples = 0;

  /** Takes a measured round trip; Karn's rule (never of a retransmitted segment) is the caller's. */
  sample(roundTrip: number): void {
    const measured = Math.max(0, roundTrip);
    if (this.samples++ === 0) {
      this.smoothed = measured;
      this.variance = measured / 2;
    } else {
      this.variance += (Math.abs(this.smoothed - measured) - this.variance) / 4;
      this.smoothed += (measured - this.smoothed) / 8;
    }
    if (measured < this.minimum) this.minimum = measured;
    this.rto = Math.min(maxRto, this.smoothed + Math.max(minVarianceTerm, 4 * this.variance));
  }

  /** RFC 6298 §5.7, once the connection is established after a retransmitted SYN and without a sample. */
  beCautious(): void {
    if (this.samples === 0) this.rto = cautiousRto;
  }
}
