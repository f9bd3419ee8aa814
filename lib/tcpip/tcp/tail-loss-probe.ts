/** RFC 8985 §7.2: how long a receiver may wait with the ACK of less than two full segments, milliseconds. */
const longestAckDelay = 200;
/** What is added to two round trips: the clocks and event loops of both ends are not exact. Milliseconds. */
const slack = 10;

/** A probe is on its way: of something new, or of the last segment once more. */
export const probeNone = 0;
export const probeNew = 1;
export const probeRepeat = 2;

/**
 * Tail loss probes (RFC 8985 §7): when nothing comes back, one segment more asks the receiver what it has, long before
 * the retransmission timer would cut the window down to one segment.
 */
export class TailLossProbe {
  state: 0 | 1 | 2 = probeNone;
  /** SND.MAX when it was sent. */
  end = 0;

  /** How long after the last sign of life to probe, milliseconds. `isShort`: less than two full segments are out. */
  timeout(smoothed: number, isShort: boolean): number {
    if (smoothed === 0) return 1000;
    return 2 * smoothed + (isShort ? longestAckDelay : slack);
  }

  sent(state: 1 | 2, end: number): void {
    this.state = state;
    this.end = end;
  }

  done(): void {
    this.state = probeNone;
  }
}
