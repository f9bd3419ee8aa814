/**
 * Congestion control as the sender sees it: told what happened, it says how much may be in flight. All sizes in bytes,
 * all times in milliseconds.
 *
 * Finding losses is not its business, nor is what may be sent while one is repaired: the sender does both, and moves
 * `window` by itself during recovery. The control decides the window outside of recovery, and how far it is reduced.
 */
export interface CongestionControl {
  /** For people and statistics: `newreno`, `cubic`. */
  readonly name: string;
  /** cwnd: how much may be in flight. The sender sets it during recovery. */
  window: number;
  /** ssthresh. */
  threshold: number;

  /** The largest segment has changed (path MTU). */
  setSegmentSize(mss: number): void;
  /**
   * `bytes` were newly delivered, acknowledged or SACKed, outside recovery. `limited`: the window, not the application,
   * held us back. `roundTrip`: the latest sample, or −1.
   */
  acknowledged(bytes: number, limited: boolean, now: number, roundTrip: number): void;
  /**
   * Once for each round trip with a loss or an ECN echo, `flight` outstanding: remembers the state for {@link undo} and
   * lowers `threshold`. `window` is left to the sender until {@link recovered}; after an ECN echo without a loss the
   * sender sets it to `threshold`.
   */
  reduce(flight: number, now: number, cause: "loss" | "ecn"): void;
  /** Recovery is over with `flight` outstanding: `window` becomes `threshold` at most. */
  recovered(flight: number, now: number): void;
  /**
   * The retransmission timer expired with `flight` outstanding: `window` is one segment afterwards. `first`: not again
   * for the same data; then `threshold` is lowered, and the state remembered for {@link undo}.
   */
  timeout(flight: number, first: boolean, now: number): void;
  /** The last reduction was for nothing: back to what was before. Harmless when there is none to take back. */
  undo(now: number): void;
  /** Nothing was sent for `idle` ms, with a retransmission timeout of `rto` ms (RFC 5681 §4.1). */
  idle(idle: number, rto: number, now: number): void;
}
