import type { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { type Demux, DemuxEntry, kindHalfOpen } from "./demux.ts";
import { isSetupSyn } from "./ecn.ts";
import type { TcpListenerState } from "./listener.ts";
import type { Segment } from "./segment.ts";

/** SYN-ACKs are sent again after 1, 2, 4, 8 and 16 s, and given up 32 s after the last, as Linux does. */
export const maxSynAckRetransmits = 5;
const firstTimeout = 1000;

/** How long a SYN-ACK that was sent again `retransmits` times waits for its acknowledgement, milliseconds. */
export function synAckTimeout(retransmits: number): number {
  return firstTimeout * 2 ** retransmits;
}

/** A SYN that was answered: all there is of a connection until the peer proves that its address is its own. */
export class HalfOpen extends DemuxEntry {
  readonly kind = kindHalfOpen;
  readonly listener: TcpListenerState;
  /** The peer's first number, and ours. */
  readonly irs: number;
  readonly iss: number;
  /** The peer's MSS option, or its default. */
  readonly mss: number;
  /** Window shifts; both 0 when the peer did not offer one. `scaled`: whether it did. */
  readonly peerShift: number;
  readonly ownShift: number;
  readonly scaled: boolean;
  readonly timestamps: boolean;
  /** Whether both sides do SACK. */
  readonly sack: boolean;
  recentTimestamp: number;
  /** The peer's user timeout option (RFC 5482), 0 when there was none. */
  readonly userTimeout: number;
  /** The window that our SYN-ACK offers, and its MSS option. */
  readonly offered: number;
  readonly ownMss: number;
  /** Whether the SYN-ACK has a Fast Open cookie (RFC 7413 §4.1.2). */
  readonly givesCookie: boolean;
  /** Whether all its SYNs asked for ECN, and we do it. */
  ecn: boolean;
  retransmits = 0;
  /** When the SYN-ACK left for the first and for the last time, milliseconds; −1 when that is not known. */
  firstSentAt = -1;
  sentAt = -1;
  /** Private to the queue. */
  deadline = 0;
  previous: HalfOpen | null = null;
  next: HalfOpen | null = null;

  constructor(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    listener: TcpListenerState,
    fields: {
      readonly irs: number;
      readonly iss: number;
      readonly mss: number;
      readonly peerShift: number;
      readonly ownShift: number;
      readonly scaled: boolean;
      readonly timestamps: boolean;
      readonly sack: boolean;
      readonly recentTimestamp: number;
      readonly offered: number;
      readonly ownMss: number;
      readonly ecn: boolean;
      readonly userTimeout: number;
      readonly givesCookie: boolean;
    },
  ) {
    super(local, localPort, remote, remotePort);
    this.listener = listener;
    this.irs = fields.irs;
    this.iss = fields.iss;
    this.mss = fields.mss;
    this.peerShift = fields.peerShift;
    this.ownShift = fields.ownShift;
    this.scaled = fields.scaled;
    this.timestamps = fields.timestamps;
    this.sack = fields.sack;
    this.recentTimestamp = fields.recentTimestamp;
    this.offered = fields.offered;
    this.ownMss = fields.ownMss;
    this.ecn = fields.ecn;
    this.userTimeout = fields.userTimeout;
    this.givesCookie = fields.givesCookie;
  }

  /** A SYN that is to be answered once more: only a timestamp can tell which answer the peer's ACK will be for. */
  answerAgain({ sequence, options, flags, time }: Segment): void {
    this.sentAt = time;
    // RFC 3168 §6.1.1: one SYN without is enough. Perhaps those with ECN are lost on the way.
    if (!isSetupSyn(flags)) this.ecn = false;
    // The same SYN, sent again: an echo of the first copy would tell the peer a round trip as long as its timeout.
    if (sequence !== this.irs || !options.hasTimestamp) return;
    if (((options.timestampValue - this.recentTimestamp) | 0) > 0) this.recentTimestamp = options.timestampValue;
  }
}

/**
 * The half-open connections of all listeners, bounded. Nothing is evicted: when it is full, the listener goes on with
 * SYN cookies, so that a flood costs honest peers nothing.
 *
 * One list for each number of retransmissions: in each the timeout is the same, so it is in order of deadlines and one
 * timer is enough.
 */
export class HalfOpenQueue {
  readonly #capacity: number;
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #demux: Demux;
  readonly #sendSynAck: (half: HalfOpen) => void;
  readonly #heads: (HalfOpen | null)[] = new Array<HalfOpen | null>(maxSynAckRetransmits + 1).fill(null);
  readonly #tails: (HalfOpen | null)[] = new Array<HalfOpen | null>(maxSynAckRetransmits + 1).fill(null);
  #size = 0;

  constructor(capacity: number, timers: Timers, demux: Demux, sendSynAck: (half: HalfOpen) => void) {
    this.#capacity = capacity;
    this.#timers = timers;
    this.#demux = demux;
    this.#sendSynAck = sendSynAck;
    this.#timer = timers.timer(() => {
      this.#expire();
    });
  }

  get size(): number {
    return this.#size;
  }

  /** Whether a SYN for `listener` finds a place. */
  hasRoom(listener: TcpListenerState): boolean {
    return this.#size < this.#capacity && listener.halfOpen < listener.backlog && !this.#demux.isFull;
  }

  /** Adds one for which there is room, and sends its SYN-ACK. */
  insert(half: HalfOpen): void {
    this.#demux.insert(half);
    this.#size++;
    half.listener.halfOpen++;
    half.firstSentAt = this.#timers.now();
    half.sentAt = half.firstSentAt;
    this.#append(half);
    this.#sendSynAck(half);
    this.#setTimer();
  }

  /** Takes one out of the queue; its place in the demultiplexer is the caller's. */
  take(half: HalfOpen): void {
    this.#unlink(half);
    this.#size--;
    half.listener.halfOpen--;
    if (this.#size === 0) this.#timer.cancel();
  }

  /** Takes one out altogether. */
  remove(half: HalfOpen): void {
    this.take(half);
    this.#demux.remove(half);
  }

  /** The listener is gone: forgets its half-open connections, and returns them. */
  removeOf(listener: TcpListenerState): HalfOpen[] {
    const removed: HalfOpen[] = [];
    for (const head of this.#heads) {
      for (let half = head; half !== null; half = half.next) if (half.listener === listener) removed.push(half);
    }
    for (const half of removed) this.remove(half);
    return removed;
  }

  #append(half: HalfOpen): void {
    const list = half.retransmits;
    half.deadline = this.#timers.now() + synAckTimeout(list);
    const tail = this.#tails[list] ?? null;
    half.previous = tail;
    half.next = null;
    if (tail === null) this.#heads[list] = half;
    else tail.next = half;
    this.#tails[list] = half;
  }

  #unlink(half: HalfOpen): void {
    const { previous, next, retransmits } = half;
    if (previous === null) this.#heads[retransmits] = next;
    else previous.next = next;
    if (next === null) this.#tails[retransmits] = previous;
    else next.previous = previous;
    half.previous = null;
    half.next = null;
  }

  #expire(): void {
    const now = this.#timers.now();
    for (let list = maxSynAckRetransmits; list >= 0; list--) {
      for (let half = this.#heads[list] ?? null; half !== null && half.deadline <= now;) {
        const next: HalfOpen | null = half.next;
        if (list === maxSynAckRetransmits) {
          half.listener.failed();
          this.remove(half);
        } else {
          this.#unlink(half);
          half.retransmits++;
          half.sentAt = now;
          this.#append(half);
          this.#sendSynAck(half);
        }
        half = next;
      }
    }
    this.#setTimer();
  }

  #setTimer(): void {
    let next = Infinity;
    for (const head of this.#heads) if (head !== null && head.deadline < next) next = head.deadline;
    if (this.#timer.deadline !== next) this.#timer.set(next);
  }
}
