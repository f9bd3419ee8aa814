import type { IpAddress } from "@tesserae/device/address";
import { Connection } from "./connection.ts";
import { defaultMss, mssFor, smallestMss, type TcpContext, windowShiftFor } from "./context.ts";
import { type Demux, EndpointPair } from "./demux.ts";
import { isSetupSyn } from "./ecn.ts";
import type { FastOpenPlaces } from "./fast-open.ts";
import { HalfOpen, HalfOpenQueue } from "./half-open.ts";
import type { TcpListenerState } from "./listener.ts";
import type { Segment } from "./segment.ts";
import { add, isAtLeast, isBefore, later } from "./sequence.ts";
import { sendSynAck } from "./syn-ack.ts";
import { checkCookie, cookieTick, makeCookie } from "./syn-cookie.ts";
import { flagAck, flagRst, flagSyn } from "./wire.ts";

/** Connections that peers open: from LISTEN over SYN-RECEIVED to ESTABLISHED (RFC 9293 §3.10.7.2 and §3.10.7.4). */
export class PassiveOpen {
  readonly halfOpen: HalfOpenQueue;
  readonly #context: TcpContext;
  readonly #demux: Demux;

  constructor(context: TcpContext, demux: Demux) {
    this.#context = context;
    this.#demux = demux;
    this.halfOpen = new HalfOpenQueue(context.limits.maxHalfOpen, context.timers, demux, (half) => {
      this.#sendSynAck(half);
    });
  }

  /** A SYN for a listener. `after`: a number that ours must be beyond, when the endpoints were used just now. */
  syn(listener: TcpListenerState, segment: Segment, local: IpAddress, remote: IpAddress, after?: number): void {
    const { limits, numbers, counters, ip } = this.#context;
    const { options, sourcePort, destinationPort } = segment;
    const mss = Math.max(smallestMss, options.mss > 0 ? options.mss : defaultMss(remote));
    const isEarly = listener.fastOpen !== null && this.#mayBeEarly(listener.fastOpen, segment, local, remote);
    if (!isEarly && !this.halfOpen.hasRoom(listener)) {
      counters.synOverflows++;
      if (this.#demux.isFull) {
        counters.connectionOverflows++;
        return;
      }
      this.#sendCookie(listener, segment, local, remote, mss);
      return;
    }
    const scaled = options.windowShift >= 0;
    const number = numbers.sequence(local, destinationPort, remote, sourcePort, segment.time);
    const half = new HalfOpen(local, destinationPort, remote, sourcePort, listener, {
      irs: segment.sequence,
      iss: after === undefined ? number : later(number, after),
      mss,
      peerShift: scaled ? options.windowShift : 0,
      ownShift: scaled ? windowShiftFor(limits.maxReceiveBuffer) : 0,
      scaled,
      timestamps: limits.timestamps && options.hasTimestamp,
      sack: limits.sack && options.sackPermitted,
      recentTimestamp: options.timestampValue,
      offered: Math.min(65_535, limits.receiveBuffer),
      ownMss: mssFor(remote, ip.mtu(remote)),
      ecn: limits.ecn !== "off" && isSetupSyn(segment.flags),
      userTimeout: options.userTimeout,
      // Also in place of one that is too old, or somebody else's.
      givesCookie: listener.fastOpen !== null && options.fastOpen >= 0 && !isEarly,
    });
    if (isEarly) this.#acceptEarly(half, segment);
    else this.halfOpen.insert(half);
  }

  /** Whether the SYN's data may be taken before the handshake is complete (RFC 7413 §4.2.2). Takes a place for it. */
  #mayBeEarly(places: FastOpenPlaces, segment: Segment, local: IpAddress, remote: IpAddress): boolean {
    const { counters, fastOpenCookies } = this.#context;
    const { fastOpen, fastOpenCookie } = segment.options;
    if (fastOpen <= 0 || segment.length === 0 || this.#demux.isFull) return false;
    if (!fastOpenCookies.isGood(local, remote, segment.time, fastOpenCookie, fastOpen)) {
      counters.fastOpenPassiveFails++;
      return false;
    }
    if (places.take(segment.time)) return true;
    counters.fastOpenOverflows++;
    return false;
  }

  #acceptEarly(half: HalfOpen, segment: Segment): void {
    const connection = this.#make(half);
    this.#demux.insert(connection);
    this.#context.counters.passiveOpens++;
    this.#context.counters.fastOpenPassive++;
    connection.listener = half.listener;
    connection.acceptEarly(half, segment);
  }

  /** A segment for a half-open connection. */
  handshake(half: HalfOpen, segment: Segment): void {
    const { counters, responses, transmitter } = this.#context;
    const { flags, sequence, acknowledgement } = segment;
    const expected = add(half.irs, 1);
    if ((flags & flagRst) !== 0) {
      if (sequence === expected) {
        half.listener.failed();
        this.halfOpen.remove(half);
      }
      return;
    }
    if ((flags & flagSyn) !== 0) {
      // The SYN again: our SYN-ACK was lost. Another SYN: a peer that has started anew resets what we answer
      // (RFC 5961 §4.2), and is free to try again.
      if ((flags & flagAck) !== 0 || !responses.take(segment.time)) return;
      half.answerAgain(segment);
      this.#sendSynAck(half);
      return;
    }
    if ((flags & flagAck) === 0) return;
    if (acknowledgement !== add(half.iss, 1)) {
      // RFC 9293 §3.10.7.4, fifth, in SYN-RECEIVED.
      if (responses.take(segment.time)) transmitter.reset(half, 0, acknowledgement, 0);
      return;
    }
    if (half.timestamps) {
      if (!segment.options.hasTimestamp) return;
      if (((segment.options.timestampValue - half.recentTimestamp) | 0) < 0) {
        counters.oldTimestamps++;
        return;
      }
    }
    const end = add(expected, half.offered);
    if (!isAtLeast(sequence, expected) || (isAtLeast(sequence, end) && sequence !== expected)) {
      if (responses.take(segment.time)) this.#sendSynAck(half);
      return;
    }
    this.halfOpen.take(half);
    const connection = this.#make(half);
    this.#demux.replace(half, connection);
    counters.passiveOpens++;
    connection.listener = half.listener;
    connection.accept(half, segment);
    connection.receive(segment);
  }

  /**
   * An ACK, without SYN or RST, for a listener and no connection: what a cookie comes back in.
   *
   * @returns false when it is none: the caller resets.
   */
  cookie(listener: TcpListenerState, segment: Segment, local: IpAddress, remote: IpAddress): boolean {
    if (segment.time >= listener.cookiesUntil) return false;
    const { numbers, counters, ip, limits } = this.#context;
    const pair = new EndpointPair(local, segment.destinationPort, remote, segment.sourcePort);
    const irs = add(segment.sequence, -1);
    const iss = add(segment.acknowledgement, -1);
    const mss = checkCookie(numbers, pair, irs, iss, segment.time);
    if (mss < 0) return false;
    const half = new HalfOpen(local, segment.destinationPort, remote, segment.sourcePort, listener, {
      irs,
      iss,
      mss,
      peerShift: 0,
      ownShift: 0,
      scaled: false,
      timestamps: false,
      sack: false,
      recentTimestamp: 0,
      offered: Math.min(65_535, limits.receiveBuffer),
      ownMss: mssFor(remote, ip.mtu(remote)),
      // The cookie has no room for it: the SYN-ACK did not say that we do it.
      ecn: false,
      userTimeout: 0,
      givesCookie: false,
    });
    const connection = this.#make(half);
    if (!this.#demux.insert(connection)) {
      counters.connectionOverflows++;
      return true;
    }
    counters.cookiesAccepted++;
    counters.passiveOpens++;
    connection.listener = listener;
    connection.accept(half, segment);
    connection.receive(segment);
    return true;
  }

  /** The listener is closed: its handshakes are refused. */
  close(listener: TcpListenerState): void {
    for (const half of this.halfOpen.removeOf(listener)) {
      this.#context.transmitter.reset(half, flagAck, add(half.iss, 1), add(half.irs, 1));
    }
  }

  /** An ICMP error about a SYN-ACK: the peer cannot be reached (RFC 5927 §4.1: only if it quotes our number). */
  pathError(half: HalfOpen, sequence: number): void {
    if (sequence !== half.iss) return;
    half.listener.failed();
    this.halfOpen.remove(half);
  }

  #make(half: HalfOpen): Connection {
    const { local, localPort, remote, remotePort, listener } = half;
    return new Connection(this.#context, local, localPort, remote, remotePort, half.iss, listener.options);
  }

  #sendSynAck(half: HalfOpen): void {
    sendSynAck(this.#context, half, add(half.irs, 1), half.offered);
  }

  #sendCookie(listener: TcpListenerState, segment: Segment, local: IpAddress, remote: IpAddress, mss: number): void {
    const { counters, numbers, transmitter, limits, ip } = this.#context;
    // A flood is answered at the rate at which it comes, one small segment each, and stores nothing.
    const pair = new EndpointPair(local, segment.destinationPort, remote, segment.sourcePort);
    listener.cookiesUntil = segment.time + 2 * cookieTick;
    counters.cookiesSent++;
    transmitter.syn(
      pair,
      flagSyn | flagAck,
      makeCookie(numbers, pair, segment.sequence, mss, segment.time),
      add(segment.sequence, 1),
      Math.min(65_535, limits.receiveBuffer),
      mssFor(remote, ip.mtu(remote)),
      -1,
      false,
      false,
      0,
      0,
    );
  }
}

/**
 * Whether a SYN in TIME-WAIT may open a new connection (RFC 9293 §3.10.7.4, RFC 6191 §2).
 *
 * @param timestamps whether the old connection used timestamps
 * @param allowed whether a new one may
 */
export function isNewIncarnation(
  segment: Segment,
  receiveNext: number,
  timestamps: boolean,
  recentTimestamp: number,
  allowed: boolean,
): boolean {
  if (allowed && segment.options.hasTimestamp) {
    // Then timestamps tell its segments from the old ones (PAWS), whatever their numbers.
    if (!timestamps) return true;
    const age = (segment.options.timestampValue - recentTimestamp) | 0;
    if (age !== 0) return age > 0;
  }
  return isBefore(receiveNext, segment.sequence);
}
