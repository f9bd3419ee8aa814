import type { Endpoint } from "@tesserae/device/address";
import type { StateName } from "./state.ts";

/** Counters of one TCP, since it was made (RFC 4022 has most of them). */
export interface TcpStatistics {
  readonly activeOpens: number;
  readonly passiveOpens: number;
  /** Connections that ended before they were established. */
  readonly attemptFails: number;
  /** Established connections that ended in a reset, by either side. */
  readonly establishedResets: number;
  /** Connections given up because nothing came back. */
  readonly timeouts: number;
  readonly segmentsReceived: number;
  readonly segmentsSent: number;
  readonly segmentsRetransmitted: number;
  readonly fastRetransmits: number;
  /** Retransmission timeouts. */
  readonly retransmissionTimeouts: number;
  readonly tailLossProbes: number;
  /** Recoveries and timeouts that were for nothing, and taken back. */
  readonly spuriousRecoveries: number;
  /** Duplicates that peers report to have got from us (RFC 2883). */
  readonly duplicatesReported: number;
  /** Segments too short, or with a data offset that does not fit. */
  readonly malformed: number;
  readonly badChecksums: number;
  readonly resetsSent: number;
  readonly challengeAcks: number;
  /** Segments dropped because their timestamp was old (RFC 7323 §5, PAWS). */
  readonly oldTimestamps: number;
  /** Segments that came before an earlier one. */
  readonly outOfOrder: number;
  /** Early segments dropped because there were too many holes. */
  readonly outOfOrderDropped: number;
  /** Segments beyond the window, or old duplicates. */
  readonly outOfWindow: number;
  /** SYNs dropped or answered with a cookie because a queue was full. */
  readonly synOverflows: number;
  readonly cookiesSent: number;
  /** Connections made from a returned cookie. */
  readonly cookiesAccepted: number;
  /** Data of our SYNs that the peer took, and that it did not (RFC 7413). */
  readonly fastOpenActive: number;
  readonly fastOpenActiveFails: number;
  /** Connections accepted by the data of their SYN; such SYNs with a bad cookie, and those for which there was no place. */
  readonly fastOpenPassive: number;
  readonly fastOpenPassiveFails: number;
  readonly fastOpenOverflows: number;
  /** Connections refused because there were as many as allowed. */
  readonly connectionOverflows: number;
  /** TIME-WAIT entries given up early because the table was full. */
  readonly timeWaitEvictions: number;
  readonly zeroWindowProbes: number;
  readonly keepAliveProbes: number;
  readonly delayedAcks: number;
  /** Connections whose full segments disappeared, so that shorter ones are sent; and probes for longer ones (RFC 4821). */
  readonly blackHoles: number;
  readonly pathProbes: number;
  /** Packets of data that arrived marked by a queue, and windows reduced because the peer said so (RFC 3168). */
  readonly ecnMarks: number;
  readonly ecnReductions: number;
  /** Times that no page was free, or IP refused a segment. */
  readonly transmitStalls: number;
  /** Connections, half-open ones and TIME-WAIT entries now. */
  readonly connections: number;
  readonly halfOpen: number;
  readonly timeWait: number;
  /** Bytes of memory in send and receive buffers now. */
  readonly bufferBytes: number;
}

/** The counters as the stack writes them. */
export class Counters {
  activeOpens = 0;
  passiveOpens = 0;
  attemptFails = 0;
  establishedResets = 0;
  timeouts = 0;
  segmentsReceived = 0;
  segmentsSent = 0;
  segmentsRetransmitted = 0;
  fastRetransmits = 0;
  retransmissionTimeouts = 0;
  tailLossProbes = 0;
  spuriousRecoveries = 0;
  duplicatesReported = 0;
  malformed = 0;
  badChecksums = 0;
  resetsSent = 0;
  challengeAcks = 0;
  oldTimestamps = 0;
  outOfOrder = 0;
  outOfOrderDropped = 0;
  outOfWindow = 0;
  synOverflows = 0;
  cookiesSent = 0;
  cookiesAccepted = 0;
  fastOpenActive = 0;
  fastOpenActiveFails = 0;
  fastOpenPassive = 0;
  fastOpenPassiveFails = 0;
  fastOpenOverflows = 0;
  connectionOverflows = 0;
  timeWaitEvictions = 0;
  zeroWindowProbes = 0;
  keepAliveProbes = 0;
  delayedAcks = 0;
  blackHoles = 0;
  pathProbes = 0;
  ecnMarks = 0;
  ecnReductions = 0;
  transmitStalls = 0;

  /** The counters at this moment, as a plain record. */
  snapshot(): Omit<TcpStatistics, "connections" | "halfOpen" | "timeWait" | "bufferBytes"> {
    return Object.assign({}, this);
  }
}

/** One connection, in the manner of `ss -ti`. Milliseconds and bytes. */
export interface ConnectionStatistics {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly state: StateName;
  readonly congestionControl: string;
  /** Payload of a full segment that we send; the path MTU it goes with; and the MSS that we told the peer. */
  readonly mss: number;
  readonly pathMtu: number;
  readonly advertisedMss: number;
  readonly congestionWindow: number;
  readonly slowStartThreshold: number;
  readonly roundTrip: number;
  readonly roundTripVariance: number;
  readonly minimumRoundTrip: number;
  readonly retransmissionTimeout: number;
  readonly backOff: number;
  /** Bytes sent and not acknowledged; written and not sent. */
  readonly inFlight: number;
  readonly notSent: number;
  /** Of what is in flight: SACKed, held for lost, sent again. */
  readonly sacked: number;
  readonly lost: number;
  readonly repeating: number;
  /** What recovery is about: nothing, a loss that ACKs told of, or one that the timer found. */
  readonly recovery: "open" | "recovery" | "loss";
  readonly sendWindow: number;
  readonly sendBuffered: number;
  readonly receiveWindow: number;
  readonly receiveBuffered: number;
  readonly outOfOrderBytes: number;
  readonly bytesSent: number;
  readonly bytesAcknowledged: number;
  readonly bytesReceived: number;
  /** Segments of ours that left and that arrived, and those of them with data; those sent again, with their bytes. */
  readonly segmentsSent: number;
  readonly segmentsReceived: number;
  readonly dataSegmentsSent: number;
  readonly dataSegmentsReceived: number;
  readonly retransmits: number;
  readonly bytesRetransmitted: number;
  /** Duplicates that the peer has reported (RFC 2883), and whether segments were seen to overtake each other. */
  readonly duplicatesReported: number;
  readonly reordering: boolean;
  /** Milliseconds since data was sent, and since the peer was heard of. */
  readonly sinceSent: number;
  readonly sinceReceived: number;
  /** Bytes a second, over the last round trip measured; and whether the application, not the window, set it. */
  readonly deliveryRate: number;
  readonly applicationLimited: boolean;
  /** Bytes a second that data leaves with at most; 0 where nothing is paced. */
  readonly pacingRate: number;
  /** Milliseconds with something to send; those of them that the peer's window cost, and our full buffer. */
  readonly busyTime: number;
  readonly peerLimitedTime: number;
  readonly bufferLimitedTime: number;
  /** Whether both sides use ECN; packets of the peer's that came marked; ACKs that told of marked ones of ours. */
  readonly ecn: boolean;
  readonly ecnMarks: number;
  readonly ecnEchoes: number;
  readonly windowShift: readonly [send: number, receive: number];
  readonly timestamps: boolean;
  readonly sack: boolean;
  /** Memory held by the two buffers. */
  readonly memory: number;
}
