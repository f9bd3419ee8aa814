import { formatEndpoint } from "@tesserae/device/address";
import type { ConnectionStatistics } from "./statistics.ts";

const stateNames: Readonly<Record<string, string>> = { ESTABLISHED: "ESTAB", "SYN-RECEIVED": "SYN-RECV" };

/** At most three places behind the point. */
function number(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}

/** Milliseconds of the time in which there was something to send. */
function share(value: number, busy: number): string {
  return `${String(Math.round(value))}ms(${(busy === 0 ? 0 : (value / busy) * 100).toFixed(1)}%)`;
}

/**
 * A connection as `ss -ti` of iproute2 prints it, in the same words and units: two lines, the second one indented.
 * What is zero, or not known yet, is left out where `ss` does so.
 */
export function formatConnection(connection: ConnectionStatistics): string {
  const { state, local, remote, mss, congestionWindow, roundTrip, busyTime } = connection;
  const queues = `${String(connection.receiveBuffered)} ${String(connection.sendBuffered)}`;
  const head = `${stateNames[state] ?? state} ${queues} ${formatEndpoint(local)} ${formatEndpoint(remote)}`;
  const segments = (bytes: number): string => String(Math.max(bytes === 0 ? 0 : 1, Math.round(bytes / mss)));
  const known = (name: string, value: number): string => (value === 0 ? "" : `${name}:${number(value)}`);
  const [sendShift, receiveShift] = connection.windowShift;
  const parts = [
    connection.timestamps ? "ts" : "",
    connection.sack ? "sack" : "",
    connection.ecn ? "ecn" : "",
    connection.ecnMarks + connection.ecnEchoes > 0 ? "ecnseen" : "",
    connection.congestionControl,
    sendShift > 0 || receiveShift > 0 ? `wscale:${String(sendShift)},${String(receiveShift)}` : "",
    `rto:${number(connection.retransmissionTimeout)}`,
    known("backoff", connection.backOff),
    roundTrip > 0 ? `rtt:${number(roundTrip)}/${number(connection.roundTripVariance)}` : "",
    `mss:${String(mss)}`,
    `pmtu:${String(connection.pathMtu)}`,
    `advmss:${String(connection.advertisedMss)}`,
    `cwnd:${segments(congestionWindow)}`,
    connection.slowStartThreshold < 2 ** 30 ? `ssthresh:${segments(connection.slowStartThreshold)}` : "",
    known("bytes_sent", connection.bytesSent + connection.bytesRetransmitted),
    known("bytes_retrans", connection.bytesRetransmitted),
    known("bytes_acked", connection.bytesAcknowledged),
    known("bytes_received", connection.bytesReceived),
    known("segs_out", connection.segmentsSent),
    known("segs_in", connection.segmentsReceived),
    known("data_segs_out", connection.dataSegmentsSent),
    known("data_segs_in", connection.dataSegmentsReceived),
    roundTrip > 0 ? `send ${String(Math.round((congestionWindow * 8000) / roundTrip))}bps` : "",
    connection.pacingRate > 0 ? `pacing_rate ${String(Math.round(connection.pacingRate * 8))}bps` : "",
    known("lastsnd", Math.round(connection.sinceSent)),
    known("lastrcv", Math.round(connection.sinceReceived)),
    connection.deliveryRate > 0 ? `delivery_rate ${String(Math.round(connection.deliveryRate * 8))}bps` : "",
    connection.applicationLimited ? "app_limited" : "",
    busyTime > 0 ? `busy:${String(Math.round(busyTime))}ms` : "",
    connection.peerLimitedTime > 0 ? `rwnd_limited:${share(connection.peerLimitedTime, busyTime)}` : "",
    connection.bufferLimitedTime > 0 ? `sndbuf_limited:${share(connection.bufferLimitedTime, busyTime)}` : "",
    connection.inFlight > 0 ? `unacked:${segments(connection.inFlight)}` : "",
    connection.retransmits > 0 ? `retrans:${segments(connection.repeating)}/${String(connection.retransmits)}` : "",
    connection.lost > 0 ? `lost:${segments(connection.lost)}` : "",
    connection.sacked > 0 ? `sacked:${segments(connection.sacked)}` : "",
    known("dsack_dups", connection.duplicatesReported),
    connection.reordering ? "reord_seen" : "",
    known("notsent", connection.notSent),
    connection.minimumRoundTrip < Infinity ? `minrtt:${number(connection.minimumRoundTrip)}` : "",
    known("snd_wnd", connection.sendWindow),
  ];
  return `${head}\n\t ${parts.filter((part) => part !== "").join(" ")}`;
}
