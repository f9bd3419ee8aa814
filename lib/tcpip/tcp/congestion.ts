/**
 * Congestion control as the sender sees it: told what happened, it says how much may be in flight. All sizes in bytes.
 *
 * Loss detection is not its business: `loss-recovery.ts` decides that a segment is lost and when recovery ends.
 */
export interface CongestionControl {
  /** For people and statistics: `newreno`. */
  readonly name: string;
  /** cwnd: how much may be in flight. */
  readonly window: number;
  /** ssthresh. */
  readonly threshold: number;

  /** The largest segment has changed (path MTU). */
  setSegmentSize(mss: number): void;
  /** `bytes` were newly acknowledged outside recovery. `limited`: the window, not the application, held us back. */
  acknowledged(bytes: number, limited: boolean): void;
  /** Loss was found by duplicate ACKs with `flight` outstanding: recovery begins. */
  enterRecovery(flight: number): void;
  /** One more duplicate ACK during recovery: a segment has left the network. */
  duplicate(): void;
  /** During recovery, an ACK of `bytes` that leaves losses unrepaired. */
  partial(bytes: number): void;
  /** Recovery is over with `flight` outstanding. */
  exitRecovery(flight: number): void;
  /** The retransmission timer expired with `flight` outstanding. `first`: not again for the same data. */
  timeout(flight: number, first: boolean): void;
  /** Nothing was sent for longer than the retransmission timeout (RFC 5681 §4.1). */
  idle(): void;
}
