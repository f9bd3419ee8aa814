import type { Connection } from "./connection.ts";
import { defaultMss, type TcpContext } from "./context.ts";
import { Ecn, isSetupSyn, isSetupSynAck } from "./ecn.ts";
import { FastOpenClient } from "./fast-open-client.ts";
import { initialRto } from "./rtt.ts";
import type { Segment } from "./segment.ts";
import { add, later } from "./sequence.ts";
import * as states from "./state.ts";
import { decodeUserTimeout } from "./user-timeout.ts";
import { flagAck, flagCwr, flagEce, flagSyn } from "./wire.ts";

/**
 * The opening of a connection by us, and a simultaneous one (RFC 9293 §3.5): our SYN, what the peer's settles, and how
 * long that may take. It is gone once the connection is established.
 */
export class Handshake {
  readonly #context: TcpContext;
  readonly #connection: Connection;
  /** When to give up, milliseconds. */
  readonly #deadline: number;
  readonly #fastOpen: FastOpenClient | null;
  /** Whether our SYN asks for ECN: the first does, if any. */
  #offersEcn: boolean;

  constructor(context: TcpContext, connection: Connection, deadline: number, wantsFastOpen: boolean) {
    this.#context = context;
    this.#connection = connection;
    this.#deadline = deadline;
    this.#fastOpen = wantsFastOpen ? new FastOpenClient(context, connection) : null;
    this.#offersEcn = context.limits.ecn === "offer";
  }

  /** Sends our SYN, or the SYN-ACK of a simultaneous open, and arms the timer. */
  send(): void {
    const { sender, receiver, ecn, state } = this.#connection;
    const isReply = state === states.synReceived;
    // A peer whose SYN had no window scale gets none, and no timestamps either (RFC 7323 §2.5, §3.2).
    const shift = isReply && sender.shift < 0 ? -1 : receiver.shift;
    sender.armHandshake(this.#deadline);
    const early = !isReply && this.#fastOpen !== null ? this.#fastOpen.prepare() : 0;
    sender.max = later(sender.max, add(sender.iss, 1 + early));
    this.#connection.traffic.sent(early, 1);
    this.#connection.tellUserTimeout();
    let flags = isReply ? flagSyn | flagAck : flagSyn;
    if (isReply && ecn !== null) flags |= flagEce;
    else if (!isReply && this.#offersEcn) flags |= flagEce | flagCwr;
    this.#context.transmitter.syn(
      this.#connection,
      flags,
      sender.iss,
      isReply ? receiver.nxt : 0,
      this.offered,
      this.#connection.ownMss,
      shift,
      receiver.selective,
      receiver.timestamps,
      this.#connection.timestamp(),
      isReply ? receiver.recentTimestamp : 0,
      early > 0 ? sender.buffer : null,
      early,
    );
    if (isReply) receiver.acked();
  }

  /** The window of a SYN: never scaled. */
  get offered(): number {
    return Math.min(65_535, this.#connection.receiver.buffer.limit);
  }

  /** The timer expired. @returns false when the time is up. */
  expired(): boolean {
    if (this.#context.timers.now() >= this.#deadline) return false;
    this.#connection.sender.retransmission.timedOut();
    // RFC 3168 §6.1.1.1: perhaps somebody on the way drops SYNs that ask for it.
    this.#offersEcn = false;
    this.send();
    return true;
  }

  /** What the peer's SYN settles, with or without the ACK of ours (§3.10.7.3). */
  settle(segment: Segment): void {
    const { sender, receiver, path, remote, userTimeout } = this.#connection;
    const { flags, options } = segment;
    receiver.start(segment.sequence, this.offered);
    receiver.timestamps = receiver.timestamps && options.hasTimestamp;
    receiver.selective = receiver.selective && options.sackPermitted;
    if (options.hasTimestamp) receiver.recentTimestamp = options.timestampValue;
    const mss = path.start(options.mss > 0 ? options.mss : defaultMss(remote));
    sender.setPeer(mss, options.windowShift, this.#context.ip.segmentation(remote), receiver.selective);
    sender.initWindow(segment, 0);
    userTimeout.received(decodeUserTimeout(options.userTimeout));
    if (this.#offersEcn && (isSetupSynAck(flags) || isSetupSyn(flags))) this.#connection.ecn = new Ecn(sender.iss);
  }

  /** The connection is established by `segment`, which acknowledges our SYN. `retransmitted`: it was sent again. */
  completed(segment: Segment, retransmitted: boolean): void {
    this.#fastOpen?.settle(segment, retransmitted);
  }
}

/**
 * The first round trip is that of the handshake. Of a SYN that was sent again only a timestamp tells it, and not one of
 * an earlier copy: then perhaps the peer's answers were lost, and the next timeout would be as long as all that took.
 *
 * @param first when the SYN, or SYN-ACK, that `segment` answers left, milliseconds; −1: that is not known
 * @param last when its last copy left
 */
export function timeHandshake(connection: Connection, segment: Segment, first: number, last: number): void {
  if (first < 0) return;
  const passed = segment.time - last;
  const roundTrip = first === last ? passed : connection.echo(segment);
  if (roundTrip >= 0 && roundTrip <= Math.ceil(passed)) connection.sender.rtt.sample(roundTrip);
}

/** RFC 3522 §3.2: whether `segment` answers the SYN, or SYN-ACK, that left at `first`, and none that was sent again. */
export function answersFirst(connection: Connection, segment: Segment, first: number): boolean {
  const echo = connection.echo(segment);
  return echo >= 0 && segment.time - echo < first + initialRto;
}
