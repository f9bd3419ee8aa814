import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Ip } from "@tesserae/device/ip";
import type { BufferPool } from "./buffer-pool.ts";
import type { ChallengeBudget, ResponseLimiter } from "./challenge-ack.ts";
import type { CongestionName } from "./congestion-choice.ts";
import type { Connection } from "./connection.ts";
import type { EcnMode } from "./ecn.ts";
import type { FastOpenCookies, FastOpenPeers } from "./fast-open.ts";
import type { InitialNumbers } from "./isn.ts";
import type { SackReader } from "./sack.ts";
import type { SegmentRecordPool } from "./segment-records.ts";
import type { NarrowPaths } from "./narrow-paths.ts";
import type { Counters } from "./statistics.ts";
import type { Transmitter } from "./transmitter.ts";
import { maxWindowShift } from "./wire.ts";

/** Bounds and defaults of one TCP; each one can be set where it is made. */
export interface TcpLimits {
  /** Connections, half-open ones and TIME-WAIT entries together, 1–1,048,576. Default 32,768. */
  readonly maxConnections: number;
  /** Connections in a handshake, all listeners together; beyond it SYN cookies are sent. Default 4096. */
  readonly maxHalfOpen: number;
  /** TIME-WAIT entries; the oldest gives way. Default 8192. */
  readonly maxTimeWait: number;
  /** Bytes of all buffers together; beyond it {@link BufferPool} says what gives way. Default 256 MiB. */
  readonly memory: number;
  /** Bytes a connection may have unread at first, and once it has grown (256 MiB at most). Defaults 256 KiB and 6 MiB. */
  readonly receiveBuffer: number;
  readonly maxReceiveBuffer: number;
  /** Bytes a connection may have unacknowledged at first, and once it has grown (as above). Defaults 256 KiB and 4 MiB. */
  readonly sendBuffer: number;
  readonly maxSendBuffer: number;
  /** Twice the maximum segment lifetime, milliseconds. Default 60,000 (as Linux; RFC 9293 §3.4.1 suggests 240,000). */
  readonly timeWait: number;
  /** R2 (RFC 9293 §3.8.3): without progress for this many milliseconds a connection is given up. Default 300,000. */
  readonly userTimeout: number;
  /** Whether the user timeout option is sent, where an application sets its own, and heeded (RFC 5482). Default false. */
  readonly userTimeoutOption: boolean;
  /** The same for the SYN. Default 180,000. */
  readonly connectTimeout: number;
  /** How long a closed flow may go without progress, or wait for the peer's FIN, before it is reset. Default 120,000. */
  readonly linger: number;
  /** Whether to offer and accept timestamps (RFC 7323). Default true. */
  readonly timestamps: boolean;
  /** The congestion control of connections that do not choose one. Default `cubic`. */
  readonly congestion: CongestionName;
  /**
   * Explicit congestion notification (RFC 3168). Default `accept`, as in Linux: connections that peers open use it when
   * they ask for it; `offer` asks for it in ours, too.
   */
  readonly ecn: EcnMode;
  /** Whether a packet that was marked reduces the window less than one that was lost (RFC 8511). Default false. */
  readonly marksCountLess: boolean;
  /** Whether what the window allows is spread over the round trip, where that is not very short (RFC 9002 §7.7). Default true. */
  readonly pacing: boolean;
  /** Whether to offer and accept selective acknowledgements (RFC 2018). Default true. */
  readonly sack: boolean;
}

export const defaultLimits: TcpLimits = {
  maxConnections: 32_768,
  maxHalfOpen: 4096,
  maxTimeWait: 8192,
  memory: 268_435_456,
  receiveBuffer: 262_144,
  maxReceiveBuffer: 6_291_456,
  sendBuffer: 262_144,
  maxSendBuffer: 4_194_304,
  timeWait: 60_000,
  userTimeout: 300_000,
  userTimeoutOption: false,
  connectTimeout: 180_000,
  linger: 120_000,
  timestamps: true,
  congestion: "cubic",
  ecn: "accept",
  marksCountLess: false,
  pacing: true,
  sack: true,
};

/** What a connection needs of the TCP it belongs to. */
export interface TcpContext {
  readonly ip: Ip;
  readonly timers: Timers;
  readonly counters: Counters;
  readonly limits: TcpLimits;
  readonly pool: BufferPool;
  readonly segmentRecords: SegmentRecordPool;
  readonly sackReader: SackReader;
  readonly numbers: InitialNumbers;
  readonly responses: ResponseLimiter;
  readonly transmitter: Transmitter;
  readonly narrowPaths: NarrowPaths;
  readonly fastOpenCookies: FastOpenCookies;
  readonly fastOpenPeers: FastOpenPeers;

  /** Calls `connection.flush` once the present batch of segments is through. Idempotent. */
  schedule(connection: Connection): void;
  /** The connection is established: its flow goes to whoever waits for it. */
  established(connection: Connection): void;
  /** The connection is over: forget it. */
  forget(connection: Connection): void;
  /** The connection is over, but its endpoints stay taken for 2 MSL. */
  enterTimeWait(connection: Connection): void;
}

/** Whether a suspicious segment may be answered now; counts the answer. */
export function mayChallenge(context: TcpContext, budget: ChallengeBudget, now: number): boolean {
  if (!budget.take(now) || !context.responses.take(now)) return false;
  context.counters.challengeAcks++;
  return true;
}

/** The window shift that lets a 16-bit field tell `bytes` (RFC 7323 §2.2). */
export function windowShiftFor(bytes: number): number {
  let shift = 0;
  while (shift < maxWindowShift && 65_535 * 2 ** shift < bytes) shift++;
  return shift;
}

/** What a peer that sends no MSS option can take (RFC 9293 §3.7.1). */
export function defaultMss(address: IpAddress): number {
  return address.family === 4 ? 536 : 1220;
}

/** The largest segment, without options of TCP or IP, for a path of that MTU (RFC 6691 §2). */
export function mssFor(address: IpAddress, mtu: number): number {
  return Math.min(65_535, Math.max(smallestMss, mtu - (address.family === 4 ? 40 : 60)));
}

/** A peer that asks for less gets this: tiny segments are a way to make us work. */
export const smallestMss = 88;
