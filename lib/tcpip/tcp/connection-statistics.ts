import type { Connection } from "./connection.ts";
import { phaseOpen, phaseRecovery } from "./loss-recovery.ts";
import { distance } from "./sequence.ts";
import { stateName } from "./state.ts";
import type { Segment } from "./segment.ts";
import type { ConnectionStatistics } from "./statistics.ts";

/** The segments of one connection, counted for statistics. */
export class Traffic {
  segmentsSent = 0;
  segmentsReceived = 0;
  dataSegmentsSent = 0;
  dataSegmentsReceived = 0;
  /** When the peer was heard of last, milliseconds. */
  // A number from the start: see `Connection.#heardAt`.
  receivedAt = 0;

  constructor(now: number) {
    this.receivedAt = now;
  }

  /** The SYN and its answers, which went before the connection. */
  handshake(retransmits: number): void {
    this.segmentsReceived++;
    this.segmentsSent += 1 + retransmits;
  }

  received(segment: Segment): void {
    this.segmentsReceived++;
    if (segment.length > 0) this.dataSegmentsReceived++;
    this.receivedAt = segment.time;
  }

  /** `length` bytes of data left, in segments of `mss` at most. */
  sent(length: number, mss: number): void {
    const segments = length > mss ? Math.ceil(length / mss) : 1;
    this.segmentsSent += segments;
    if (length > 0) this.dataSegmentsSent += segments;
  }
}

/** What a connection is doing at `now`. */
export function statisticsOf(connection: Connection, now: number): ConnectionStatistics {
  const { flow, sender, receiver, ecn, traffic } = connection;
  const { rtt, activity } = sender;
  const { phase, scoreboard } = sender.recovery;
  const [busyTime, peerLimitedTime, bufferLimitedTime] = activity?.times(now) ?? [0, 0, 0];
  return {
    local: flow.local,
    remote: flow.remote,
    state: stateName(connection.state),
    congestionControl: sender.congestion.name,
    mss: sender.mss,
    pathMtu: connection.path.mtu,
    advertisedMss: connection.ownMss,
    congestionWindow: sender.congestion.window,
    slowStartThreshold: sender.congestion.threshold,
    roundTrip: rtt.smoothed,
    roundTripVariance: rtt.variance,
    minimumRoundTrip: rtt.minimum,
    retransmissionTimeout: sender.retransmission.timeout(rtt.rto),
    backOff: sender.retransmission.backOff,
    inFlight: sender.flight,
    notSent: Math.max(0, distance(sender.end, sender.max)),
    sacked: scoreboard.sacked,
    lost: scoreboard.lost,
    repeating: scoreboard.repeating,
    recovery: phase === phaseOpen ? "open" : phase === phaseRecovery ? "recovery" : "loss",
    sendWindow: sender.window,
    sendBuffered: sender.buffer.length,
    receiveWindow: receiver.window,
    receiveBuffered: receiver.buffer.length,
    outOfOrderBytes: receiver.buffer.early.bytes,
    bytesSent: sender.bytesSent,
    bytesAcknowledged: sender.bytesAcknowledged,
    bytesReceived: receiver.bytesReceived,
    segmentsSent: traffic.segmentsSent,
    segmentsReceived: traffic.segmentsReceived,
    dataSegmentsSent: traffic.dataSegmentsSent,
    dataSegmentsReceived: traffic.dataSegmentsReceived,
    retransmits: sender.retransmits,
    bytesRetransmitted: sender.bytesRetransmitted,
    duplicatesReported: sender.recovery.duplicatesReported,
    reordering: sender.recovery.reordering,
    sinceSent: now - sender.sentAt,
    sinceReceived: now - traffic.receivedAt,
    deliveryRate: (activity?.deliveryRate ?? 0) * 1000,
    applicationLimited: activity?.applicationLimited ?? false,
    pacingRate: (sender.pacing?.rate ?? 0) * 1000,
    busyTime,
    peerLimitedTime,
    bufferLimitedTime,
    ecn: ecn !== null,
    ecnMarks: ecn?.marked ?? 0,
    ecnEchoes: ecn?.echoes ?? 0,
    windowShift: [sender.shift, receiver.shift],
    timestamps: receiver.timestamps,
    sack: receiver.selective,
    memory: sender.buffer.capacity + receiver.buffer.capacity,
  };
}
