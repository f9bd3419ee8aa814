import type { IpAddress } from "@tesserae/device/address";
import type { Timer } from "@tesserae/device/clock";
import type { FlowErrorKind } from "@tesserae/device/flow";
import { ChallengeBudget } from "./challenge-ack.ts";
import { defaultMss, mayChallenge, mssFor, type TcpContext, windowShiftFor } from "./context.ts";
import { statisticsOf, Traffic } from "./connection-statistics.ts";
import { ackDelay } from "./delayed-ack.ts";
import { DemuxEntry, kindConnection } from "./demux.ts";
import { capable, congestionExperienced, Ecn, isSetupSyn, isSetupSynAck, notCapable } from "./ecn.ts";
import { TcpFlow } from "./flow.ts";
import { type HalfOpen, maxSynAckRetransmits, synAckTimeout } from "./half-open.ts";
import { KeepAlive } from "./keepalive.ts";
import type { TcpListenerState } from "./listener.ts";
import type { ConnectionOptions } from "./options.ts";
import { Path } from "./path.ts";
import { Receiver } from "./receive.ts";
import { initialRto } from "./rtt.ts";
import type { Segment } from "./segment.ts";
import { Sender } from "./send.ts";
import { add, isAfter, isAtLeast, isAtMost, isBefore, later } from "./sequence.ts";
import type { ConnectionStatistics } from "./statistics.ts";
import { sendSynAck } from "./syn-ack.ts";
import * as states from "./state.ts";
import type { State } from "./state.ts";
import { decodeUserTimeout, encodeUserTimeout, UserTimeout } from "./user-timeout.ts";
import {
  fastOpenSize,
  flagAck,
  flagCwr,
  flagEce,
  flagFin,
  flagRst,
  flagSyn,
  maxOptions,
  maxSackSize,
  synOptionsSize,
  userTimeoutSize,
} from "./wire.ts";

/** Echoes that tell a longer round trip are not believed, milliseconds. */
const longestRoundTrip = 300_000;
const noCookie = new Uint8Array(0);

/** One connection: the state machine of RFC 9293 §3.10, over a {@link Sender} and a {@link Receiver}. */
export class Connection extends DemuxEntry {
  readonly kind = kindConnection;
  state: State = states.closed;
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly flow: TcpFlow;
  readonly path: Path;
  /** Where a passive connection came from, and who waits for an active one. */
  listener: TcpListenerState | null = null;
  waiting: { resolve(flow: TcpFlow): void; reject(error: unknown): void } | null = null;
  /** Whether it is in the list of those to flush. */
  scheduled = false;
  /** Our MSS option, and the shift of windows we offer. */
  readonly ownMss: number;
  /** Set once both sides have agreed to use ECN. */
  ecn: Ecn | null = null;
  /** Whether our SYN asks for ECN: the first does, if any. */
  #offersEcn = false;
  /** For statistics. */
  readonly traffic: Traffic;
  readonly userTimeout: UserTimeout;
  readonly #context: TcpContext;
  #keepAlive: KeepAlive;
  readonly #challenges: ChallengeBudget = new ChallengeBudget();
  readonly #timestampOffset: number;
  /** Made when first needed, as the other: there may be many connections that never do. */
  #ackTimer: Timer | null = null;
  /** Keep-alive, and the end of lingering. */
  #lifeTimer: Timer | null = null;
  // A number from the start: a field that was undefined once has an object for each fraction that is put there.
  #heardAt = 0;
  /** The flow is closed: nobody reads, and the peer has until then. `Infinity` before. */
  #lingerUntil = Infinity;
  #handshakeDeadline = Infinity;
  /** A soft ICMP error (RFC 1122 §4.2.3.9): told when the connection times out. */
  #softError: FlowErrorKind | undefined = undefined;
  /** The data of the peer's SYN was taken, and our answer to it is not acknowledged (RFC 7413 §4.2.2). */
  #early: HalfOpen | null = null;
  /** Whether our SYN is to ask for a Fast Open cookie, or to carry data with one; and what the first has done. */
  #wantsFastOpen = false;
  #asksCookie = false;
  #carriesData = false;

  constructor(
    context: TcpContext,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    iss: number,
    options: ConnectionOptions,
  ) {
    super(local, localPort, remote, remotePort);
    this.#context = context;
    const now = context.timers.now();
    this.#heardAt = now;
    this.traffic = new Traffic(now);
    this.#keepAlive = new KeepAlive(options.keepAlive);
    const { userTimeout, userTimeoutOption } = context.limits;
    this.userTimeout = new UserTimeout(options.userTimeout, userTimeout, userTimeoutOption);
    this.#timestampOffset = context.numbers.timestampOffset(local, remote);
    this.ownMss = mssFor(remote, context.ip.mtu(remote));
    this.path = new Path(this, context);
    this.sender = new Sender(this, context, iss, options);
    this.receiver = new Receiver(context);
    this.receiver.mss = this.ownMss;
    this.flow = new TcpFlow(this);
  }

  // ---- opening

  /**
   * Active open: sends the SYN. `deadline`: when to give up, milliseconds. `first`: what is to be sent first, with the
   * SYN if that may be (RFC 7413).
   */
  open(deadline: number, first?: Uint8Array): void {
    this.state = states.synSent;
    this.#handshakeDeadline = deadline;
    this.receiver.timestamps = this.#context.limits.timestamps;
    this.receiver.selective = this.#context.limits.sack;
    this.receiver.shift = windowShiftFor(this.#context.limits.maxReceiveBuffer);
    this.#offersEcn = this.#context.limits.ecn === "offer";
    if (first !== undefined) {
      this.#wantsFastOpen = true;
      // What becomes of the connection its flow tells, too.
      this.flow.write(first).catch(() => undefined);
    }
    this.#sendSyn();
  }

  /** Passive open: the handshake that `half` stood for is complete. The segment that completed it comes next. */
  accept(half: HalfOpen, segment: Segment): void {
    const { sender } = this;
    this.#begin(half);
    this.#timeHandshake(segment, half.firstSentAt, half.sentAt);
    sender.initWindow(segment, half.peerShift);
    this.#establish(half.retransmits, this.#answersFirst(segment, half.firstSentAt));
  }

  /**
   * Passive open by a SYN with data and a good cookie (RFC 7413 §4.2.2): the application gets the connection at once, and
   * may answer; it counts as established, but for the SYN-ACK, which is sent again until it is acknowledged.
   */
  acceptEarly(half: HalfOpen, segment: Segment): void {
    const { sender, receiver } = this;
    this.#begin(half);
    sender.initWindow(segment, 0);
    this.traffic.received(segment);
    segment.sequence = add(segment.sequence, 1);
    segment.flags &= ~flagSyn;
    receiver.take(segment, false);
    half.firstSentAt = segment.time;
    half.sentAt = segment.time;
    this.#early = half;
    this.#sendSynAck(half);
    receiver.acked();
    this.#establish(0, true);
    this.#armSynAck(half);
    this.#context.schedule(this);
  }

  #armSynAck(half: HalfOpen): void {
    // Unless the application has aborted it meanwhile.
    if (this.#early !== null) this.sender.armSynAck(this.#context.timers.now() + synAckTimeout(half.retransmits));
  }

  #sendSynAck(half: HalfOpen): void {
    const { receiver } = this;
    sendSynAck(this.#context, half, receiver.nxt, Math.min(65_535, receiver.window));
  }

  /** The SYN-ACK of an early connection was not acknowledged in time. @returns false when that is hopeless. */
  repeatSynAck(): boolean {
    const half = this.#early;
    if (half === null) return true;
    if (half.retransmits === maxSynAckRetransmits) return false;
    half.retransmits++;
    half.sentAt = this.#context.timers.now();
    this.#sendSynAck(half);
    this.#armSynAck(half);
    return true;
  }

  /** The peer has our SYN-ACK: nobody else has used its address. */
  #completed(half: HalfOpen, segment: Segment): void {
    this.#early = null;
    half.listener.fastOpen?.free();
    this.sender.armSynAck(Infinity);
    this.#timeHandshake(segment, half.firstSentAt, half.sentAt);
  }

  /**
   * The first round trip is that of the handshake. Of a SYN that was sent again only a timestamp tells it, and not one of
   * an earlier copy: then perhaps the peer's answers were lost, and the next timeout would be as long as all that took.
   *
   * @param first when the SYN, or SYN-ACK, that `segment` answers left, milliseconds; −1: that is not known
   * @param last when its last copy left
   */
  #timeHandshake(segment: Segment, first: number, last: number): void {
    if (first < 0) return;
    const passed = segment.time - last;
    const roundTrip = first === last ? passed : this.#echo(segment);
    if (roundTrip >= 0 && roundTrip <= Math.ceil(passed)) this.sender.rtt.sample(roundTrip);
  }

  /** RFC 3522 §3.2: whether `segment` answers the SYN, or SYN-ACK, that left at `first`, and none that was sent again. */
  #answersFirst(segment: Segment, first: number): boolean {
    const echo = this.#echo(segment);
    return echo >= 0 && segment.time - echo < first + initialRto;
  }

  /** What the handshake that `half` stands for has settled. */
  #begin(half: HalfOpen): void {
    const { sender, receiver } = this;
    this.state = states.synReceived;
    this.traffic.handshake(half.retransmits);
    receiver.start(half.irs, half.offered);
    receiver.shift = half.ownShift;
    receiver.timestamps = half.timestamps;
    receiver.recentTimestamp = half.recentTimestamp;
    receiver.selective = half.sack;
    const segmentation = this.#context.ip.segmentation(this.remote);
    sender.setPeer(this.path.start(half.mss), half.peerShift, segmentation, half.sack);
    this.userTimeout.received(decodeUserTimeout(half.userTimeout));
    if (half.ecn) this.ecn = new Ecn(half.iss);
  }

  #sendSyn(): void {
    const { sender, receiver } = this;
    const isReply = this.state === states.synReceived;
    // A peer whose SYN had no window scale gets none, and no timestamps either (RFC 7323 §2.5, §3.2).
    const shift = isReply && sender.shift < 0 ? -1 : receiver.shift;
    sender.armHandshake(this.#handshakeDeadline);
    const early = !isReply && this.#wantsFastOpen ? this.#prepareFastOpen() : 0;
    sender.max = later(sender.max, add(sender.iss, 1 + early));
    this.traffic.sent(early, 1);
    this.#tellUserTimeout();
    let flags = isReply ? flagSyn | flagAck : flagSyn;
    if (isReply && this.ecn !== null) flags |= flagEce;
    else if (!isReply && this.#offersEcn) flags |= flagEce | flagCwr;
    this.#context.transmitter.syn(
      this,
      flags,
      sender.iss,
      isReply ? receiver.nxt : 0,
      this.offeredInSyn,
      this.ownMss,
      shift,
      receiver.selective,
      receiver.timestamps,
      this.#timestamp(),
      isReply ? receiver.recentTimestamp : 0,
      early > 0 ? sender.buffer : null,
      early,
    );
    if (isReply) receiver.acked();
  }

  /**
   * RFC 7413 §4.2.1: the first SYN asks for a cookie, or has one and data behind it; those sent again are as without
   * Fast Open, in case that was why it got lost.
   *
   * @returns how many bytes go with this SYN.
   */
  #prepareFastOpen(): number {
    const { transmitter, fastOpenPeers, timers } = this.#context;
    const { sender, receiver } = this;
    if (sender.retransmission.count > 0) return 0;
    const known = fastOpenPeers.get(this.remote, timers.now());
    const options = synOptionsSize(receiver.shift, receiver.selective, receiver.timestamps);
    // The user timeout goes, where there is no room for both.
    const cookie = known?.cookie ?? noCookie;
    if (options + fastOpenSize(cookie.length) + userTimeoutSize > maxOptions) transmitter.userTimeout = 0;
    if (options + fastOpenSize(cookie.length) > maxOptions) return 0;
    if (known === undefined) {
      this.#asksCookie = true;
      transmitter.fastOpen = 0;
      return 0;
    }
    const early = Math.min(sender.buffer.length, Math.min(known.mss, this.ownMss) - maxOptions);
    if (cookie.length === 0 || early <= 0) return 0;
    this.#carriesData = true;
    transmitter.fastOpen = cookie.length;
    transmitter.fastOpenCookie.set(cookie);
    return early;
  }

  /** What the answer to our SYN says of Fast Open (RFC 7413 §4.1.3, §4.2.1), the connection being established. */
  #settleFastOpen(segment: Segment, retransmitted: boolean): void {
    const { fastOpenPeers, counters } = this.#context;
    const taken = this.sender.takenEarly(segment.acknowledgement);
    if (taken > 0) counters.fastOpenActive++;
    else if (this.#carriesData) counters.fastOpenActiveFails++;
    if (!this.#asksCookie && !this.#carriesData) return;
    const { fastOpen, fastOpenCookie, mss } = segment.options;
    if (fastOpen > 0)
      fastOpenPeers.learn(this.remote, fastOpenCookie, fastOpen, mss > 0 ? mss : defaultMss(this.remote));
    // Nothing was given, or the SYN got through only without it.
    else if (this.#asksCookie || (taken === 0 && retransmitted)) fastOpenPeers.refuse(this.remote, segment.time);
  }

  /** The window of a SYN: never scaled. */
  get offeredInSyn(): number {
    return Math.min(65_535, this.receiver.buffer.limit);
  }

  #establish(retransmissions: number, needless: boolean): void {
    this.state = states.established;
    this.sender.established(retransmissions, needless);
    this.#setLifeTimer();
    this.#context.established(this);
  }

  // ---- the event SEGMENT ARRIVES (RFC 9293 §3.10.7)

  receive(segment: Segment): void {
    this.traffic.received(segment);
    if (this.state === states.synSent) this.#receiveInSynSent(segment);
    else if (this.state !== states.closed) this.#receiveSynchronized(segment);
    if (this.state !== states.closed) this.#context.schedule(this);
  }

  /** §3.10.7.3. */
  #receiveInSynSent(segment: Segment): void {
    const { sender, receiver } = this;
    const { flags, acknowledgement, options } = segment;
    if ((flags & flagAck) !== 0) {
      if (isAtMost(acknowledgement, sender.iss) || isAfter(acknowledgement, sender.max)) {
        if ((flags & flagRst) === 0 && this.#context.responses.take(segment.time)) {
          this.#context.transmitter.reset(this, 0, acknowledgement, 0);
        }
        return;
      }
    }
    if ((flags & flagRst) !== 0) {
      if ((flags & flagAck) !== 0) this.#fail("refused", "the peer refused the connection");
      return;
    }
    if ((flags & flagSyn) === 0) return;
    receiver.start(segment.sequence, this.offeredInSyn);
    receiver.timestamps = receiver.timestamps && options.hasTimestamp;
    receiver.selective = receiver.selective && options.sackPermitted;
    if (options.hasTimestamp) receiver.recentTimestamp = options.timestampValue;
    const mss = this.path.start(options.mss > 0 ? options.mss : defaultMss(this.remote));
    sender.setPeer(mss, options.windowShift, this.#context.ip.segmentation(this.remote), receiver.selective);
    sender.initWindow(segment, 0);
    this.userTimeout.received(decodeUserTimeout(options.userTimeout));
    if (this.#offersEcn && (isSetupSynAck(flags) || isSetupSyn(flags))) this.ecn = new Ecn(sender.iss);
    this.#heardAt = segment.time;
    this.#softError = undefined;
    if ((flags & flagAck) === 0) {
      // Simultaneous open.
      this.state = states.synReceived;
      this.#sendSyn();
      return;
    }
    const { count, progressAt } = sender.retransmission;
    this.#timeHandshake(segment, progressAt, sender.sentAt);
    this.#useShifts();
    this.#establish(count, this.#answersFirst(segment, progressAt));
    if (this.#wantsFastOpen) this.#settleFastOpen(segment, count > 0);
    receiver.ackNow = true;
    // Data and FIN with the SYN: the text is behind it. We leave it to be sent again, unless it is a FIN at once.
  }

  /** Windows are scaled when both SYNs said so, else neither way (RFC 7323 §2.2). */
  #useShifts(): void {
    if (this.sender.shift >= 0) return;
    this.sender.shift = 0;
    this.receiver.shift = 0;
  }

  /** §3.10.7.4: every other state. */
  #receiveSynchronized(segment: Segment): void {
    const { sender, receiver } = this;
    const { counters } = this.#context;
    const { flags, sequence, acknowledgement, options } = segment;
    const isReset = (flags & flagRst) !== 0;
    if (receiver.timestamps && !isReset) {
      // RFC 7323 §3.2: what should have a timestamp and does not is dropped.
      if (!options.hasTimestamp) return;
      if (receiver.isOld(segment)) {
        counters.oldTimestamps++;
        this.#answerUnacceptable(segment);
        return;
      }
    }
    // The SYN-ACK of a simultaneous open (§3.5, figure 8): its SYN is known, its ACK is what counts.
    const isCrossing =
      this.state === states.synReceived &&
      (flags & ~flagEce) === (flagSyn | flagAck) &&
      sequence === add(receiver.nxt, -1) &&
      isAfter(acknowledgement, sender.una) &&
      isAtMost(acknowledgement, sender.max);
    const early = this.#early;
    if (early !== null && (flags & (flagSyn | flagAck | flagRst)) === flagSyn && sequence === early.irs) {
      // Our answer was lost, or is late.
      if (!this.#context.responses.take(segment.time)) return;
      early.answerAgain(segment);
      this.#sendSynAck(early);
      return;
    }
    if (isCrossing) {
      receiver.ackNow = true;
      if ((flags & flagEce) === 0) this.ecn = null;
    } else if (!receiver.isAcceptable(sequence, segment.span)) {
      counters.outOfWindow++;
      if (!isReset) this.#answerUnacceptable(segment);
      return;
    }
    if (isReset) {
      // RFC 5961 §3.2: only the exact number resets; any other in the window asks whether the peer means it.
      if (sequence === receiver.nxt) this.#reset();
      else this.#challenge(segment.time);
      return;
    }
    if ((flags & flagSyn) !== 0 && !isCrossing) {
      // RFC 5961 §4.2.
      this.#challenge(segment.time);
      return;
    }
    if ((flags & flagAck) === 0) return;
    if (this.state === states.synReceived) {
      if (!isAfter(acknowledgement, sender.una) || isAfter(acknowledgement, sender.max)) {
        if (this.#context.responses.take(segment.time)) {
          this.#context.transmitter.reset(this, 0, acknowledgement, 0);
        }
        return;
      }
      this.#useShifts();
      sender.initWindow(segment, sender.shift);
      const { count, progressAt } = sender.retransmission;
      this.#establish(count, this.#answersFirst(segment, progressAt));
      if (this.#wantsFastOpen) this.#settleFastOpen(segment, count > 0);
    } else if (isAfter(acknowledgement, sender.highest)) {
      // RFC 9293: an ACK of what was never sent is answered and dropped; RFC 5961 §5 bounds the other end.
      this.#challenge(segment.time);
      return;
    } else if (isBefore(acknowledgement, add(sender.una, -sender.maxWindow))) {
      this.#challenge(segment.time);
      return;
    }
    if (early !== null && isAtLeast(acknowledgement, sender.una)) this.#completed(early, segment);
    this.#heardAt = segment.time;
    this.#softError = undefined;
    this.#keepAlive.heard();
    if (options.userTimeout > 0) this.userTimeout.received(decodeUserTimeout(options.userTimeout));
    if (receiver.timestamps) receiver.noteTimestamp(segment);
    if (isAtLeast(acknowledgement, sender.una)) {
      // RFC 4861 §7.3.1: neighbours of IPv6 are believed to be there for as long as transports get on.
      if (acknowledgement !== sender.una && this.remote.family === 6) this.#context.ip.confirm?.(this.remote);
      sender.acknowledge(segment, this.#echo(segment));
      if (sender.isFinAcknowledged) this.#finAcknowledged();
      if (this.state === states.closed) return;
    }
    if (segment.length === 0 && (flags & flagFin) === 0) return;
    this.#receiveText(segment);
  }

  #receiveText(segment: Segment): void {
    const { receiver } = this;
    if (!states.canReceive(this.state)) {
      // The peer's FIN is here: text behind it is ignored, a FIN sent again is acknowledged again.
      if (isBefore(segment.sequence, receiver.nxt)) receiver.ackNow = true;
      return;
    }
    if (receiver.timestamps && segment.length * 2 > this.ownMss) {
      const echo = this.#echo(segment);
      if (echo > 0) receiver.sampleRoundTrip(echo);
    }
    if (this.ecn !== null) {
      if (segment.ecn === congestionExperienced) this.#context.counters.ecnMarks++;
      if (this.ecn.received(segment.flags, segment.ecn)) receiver.ackNow = true;
    }
    const before = receiver.nxt;
    receiver.take(segment, this.#lingerUntil !== Infinity);
    if (receiver.finished) this.#finReceived();
    if (this.state === states.closed) return;
    // A duplicate ACK is worth something only one by one (RFC 5681 §4.2), and a long batch wants one on the way.
    if ((receiver.ackNow && receiver.nxt === before) || receiver.delayed.isOverdue) this.#sendAck();
  }

  /** The round trip that the echoed timestamp tells, milliseconds, or −1 (RFC 7323 §4.2). */
  #echo(segment: Segment): number {
    if (!this.receiver.timestamps || segment.options.timestampEcho === 0) return -1;
    const roundTrip = (Math.floor(segment.time) + this.#timestampOffset - segment.options.timestampEcho) | 0;
    // A peer that echoes nonsense gets no say in our timeout.
    return roundTrip >= 0 && roundTrip <= longestRoundTrip ? roundTrip : -1;
  }

  #finReceived(): void {
    if (this.state === states.established) this.#moveTo(states.closeWait);
    else if (this.state === states.finWait1) {
      this.#moveTo(this.sender.isFinAcknowledged ? states.timeWait : states.closing);
    } else if (this.state === states.finWait2) this.#moveTo(states.timeWait);
  }

  #finAcknowledged(): void {
    if (this.state === states.finWait1) this.#moveTo(states.finWait2);
    else if (this.state === states.closing) this.#moveTo(states.timeWait);
    else if (this.state === states.lastAck) this.#finish();
  }

  #moveTo(state: State): void {
    this.state = state;
    if (state === states.timeWait) {
      // The ACK of the peer's FIN leaves from here, unless it did before: the entry that stays only repeats it.
      if (this.receiver.ackNow) this.#sendAck();
      this.#context.enterTimeWait(this);
      this.#finish();
      return;
    }
    this.#setLifeTimer();
  }

  /** §3.10.7.4, first: an ACK tells a peer that is out of step where we are. Without data it is limited. */
  #answerUnacceptable(segment: Segment): void {
    if (segment.length > 0) {
      this.receiver.noteOld(segment);
      this.#sendAck();
    } else this.#challenge(segment.time);
  }

  #challenge(now: number): void {
    if (mayChallenge(this.#context, this.#challenges, now)) this.#sendAck();
  }

  /** The peer's RST is believed. */
  #reset(): void {
    if (this.#early !== null) {
      this.#early.listener.fastOpen?.reset(this.#context.timers.now());
      this.#early = null;
    }
    if (this.state === states.synReceived) this.#fail("refused", "the peer refused the connection");
    else this.#fail("reset", "the peer reset the connection");
  }

  // ---- sending

  /**
   * Sends a segment of the sender's. Carries the ACK, the window and the timestamps of this moment.
   *
   * @param segment where `length` is more: the device cuts the payload into segments of so many bytes
   */
  transmit(
    flags: number,
    sequence: number,
    offset: number,
    length: number,
    segment: number = this.sender.mss,
  ): boolean {
    const { receiver, sender, ecn } = this;
    // RFC 3168 §6.1.2 and §6.1.4 to 6: new data alone is marked as capable, and confirms a reduction; no probe of a
    // shut window.
    const isNew = ecn !== null && length > 0 && sender.window > 0 && !isBefore(sequence, sender.max);
    const allFlags = ecn === null ? flags : flags | ecn.flags(isNew);
    const { transmitter } = this.#context;
    // With data only where the segment stays a full one at most.
    if (receiver.hasSack && length + maxSackSize <= sender.mss) receiver.writeSack(transmitter.sack);
    const left = transmitter.segment(
      this,
      allFlags,
      sequence,
      receiver.nxt,
      receiver.offerWindow(),
      receiver.timestamps,
      receiver.timestamps ? this.#timestamp() : 0,
      receiver.recentTimestamp,
      length > 0 ? sender.buffer : null,
      offset,
      length,
      segment,
      this.path.dontFragment,
      isNew ? capable : notCapable,
    );
    if (left) {
      ecn?.sent(allFlags);
      this.traffic.sent(length, sender.mss);
      receiver.acked();
      this.#ackTimer?.cancel();
    } else {
      // Perhaps the path has become narrower.
      this.path.told(0);
    }
    return left;
  }

  #sendAck(): void {
    this.transmit(flagAck, this.sender.max, 0, 0);
  }

  /** The end of a batch of segments, of a write or of a read: readers first, then data, then an ACK if none went. */
  flush(): void {
    this.scheduled = false;
    if (this.state === states.closed) return;
    this.flow.readable();
    const { receiver, sender } = this;
    this.flow.writable();
    if (states.canSend(this.state)) sender.output(false);
    if (receiver.ackNow) this.#sendAck();
    this.#armAck();
  }

  /** Sets the timer of an ACK that is owed: delayed, or there was no page for it. */
  #armAck(): void {
    const { receiver } = this;
    if ((receiver.ackNow || receiver.ackLater) && this.#ackTimer?.armed !== true) {
      this.#ackTimer ??= this.#context.timers.timer(() => {
        this.#delayedAck();
      });
      this.#ackTimer.set(this.#context.timers.now() + ackDelay);
    }
  }

  #delayedAck(): void {
    if (this.state === states.closed) return;
    this.#context.counters.delayedAcks++;
    this.#sendAck();
    this.#armAck();
  }

  #timestamp(): number {
    return (Math.floor(this.#context.timers.now()) + this.#timestampOffset) | 0;
  }

  // ---- timers

  /** The sender's timer expired. */
  transmitTimer(): void {
    if (this.state === states.closed) return;
    if (this.state === states.synSent || this.state === states.synReceived) {
      const { retransmission } = this.sender;
      if (this.#context.timers.now() >= this.#handshakeDeadline) {
        this.#timeOut("the peer did not answer");
        return;
      }
      retransmission.timedOut();
      // RFC 3168 §6.1.1.1: perhaps somebody on the way drops SYNs that ask for it.
      this.#offersEcn = false;
      this.#sendSyn();
      return;
    }
    if (!this.sender.timerExpired()) this.#timeOut("the peer stopped answering");
  }

  #life(): void {
    const now = this.#context.timers.now();
    if (this.state === states.closed) return;
    if (now >= this.#lingerDeadline()) {
      this.#resetPeer();
      this.#fail("reset", "the connection did not end within the linger time");
      return;
    }
    if (this.inFlight > 0) {
      // Retransmissions find out by themselves whether the peer is there.
      this.#heardAt = Math.max(this.#heardAt, now - this.#keepAlive.idle + this.#keepAlive.interval);
    } else if (this.#keepAliveDeadline() <= now) {
      if (this.#keepAlive.isDead) {
        this.#timeOut("the peer stopped answering keep-alive probes");
        return;
      }
      this.#keepAlive.probed();
      this.#context.counters.keepAliveProbes++;
      // One number before what is expected: the peer must answer (RFC 9293 §3.8.4).
      this.transmit(flagAck, add(this.sender.max, -1), 0, 0);
    }
    this.#setLifeTimer();
  }

  #lingerDeadline(): number {
    if (this.#lingerUntil === Infinity) return Infinity;
    // While our data gets through, the peer is only slow; once all of it has, its own end is all that is missing.
    return this.sender.isFinAcknowledged
      ? this.#lingerUntil
      : Math.max(this.#lingerUntil, this.sender.advancedAt + this.#context.limits.linger);
  }

  #setLifeTimer(): void {
    const deadline = Math.min(this.#lingerDeadline(), this.#keepAliveDeadline());
    if (deadline === Infinity) {
      this.#lifeTimer?.cancel();
      return;
    }
    this.#lifeTimer ??= this.#context.timers.timer(() => {
      this.#life();
    });
    this.#lifeTimer.set(deadline);
  }

  #keepAliveDeadline(): number {
    // RFC 5482 §4.2: keep-alive must not end what the user timeout would let live.
    const { value, isNegotiated } = this.userTimeout;
    return this.#keepAlive.deadline(this.#heardAt, isNegotiated ? value : 0);
  }

  // ---- calls of the flow

  /** The reader has taken bytes or waits for some: offer a window for them. */
  consumed(): void {
    const { receiver, sender } = this;
    receiver.buffer.fit(this.#context.timers.now(), Math.max(receiver.roundTrip, sender.rtt.smoothed));
    if (!receiver.hasRoomToTell || !states.canReceive(this.state)) return;
    receiver.ackNow = true;
    this.#context.schedule(this);
  }

  /** There is something new to send. */
  written(more: boolean): void {
    this.sender.nagle.cork(more, this.#context.timers.now());
    this.#context.schedule(this);
  }

  /** No more will be written. */
  end(): void {
    if (this.state === states.established) this.state = states.finWait1;
    else if (this.state === states.closeWait) this.state = states.lastAck;
    else return;
    this.sender.queueFin();
    this.#context.schedule(this);
  }

  setNoDelay(noDelay: boolean): void {
    this.sender.nagle.noDelay = noDelay;
    // What waited for an acknowledgement may leave.
    if (noDelay) this.#context.schedule(this);
  }

  /** @throws RangeError when one of the values is out of range. */
  setKeepAlive(idle: number | undefined, interval?: number, probes?: number): void {
    this.#keepAlive = new KeepAlive(idle, interval, probes);
    if (this.state === states.closed) return;
    this.#heardAt = this.#context.timers.now();
    this.#setLifeTimer();
  }

  /** @throws RangeError when `timeout` is not above 0. */
  setUserTimeout(timeout: number): void {
    if (!this.userTimeout.set(timeout) || this.state < states.established || this.state === states.closed) return;
    this.#tellUserTimeout();
    this.#sendAck();
  }

  #tellUserTimeout(): void {
    const { advertised } = this.userTimeout;
    if (advertised >= 0) this.#context.transmitter.userTimeout = encodeUserTimeout(advertised);
  }

  /** Nobody reads any more: what arrives is dropped, and the peer has a bounded time to end. */
  linger(): void {
    if (this.state === states.closed || this.#lingerUntil !== Infinity) return;
    this.receiver.buffer.discard();
    this.#lingerUntil = this.#context.timers.now() + this.#context.limits.linger;
    this.#setLifeTimer();
    this.#context.schedule(this);
  }

  abort(): void {
    if (this.state === states.closed) return;
    this.#resetPeer();
    this.#fail("aborted", "the flow was aborted");
  }

  /** The handshake took longer than the application wants to wait. */
  giveUp(kind: FlowErrorKind, message: string): void {
    if (this.state === states.closed) return;
    this.#resetPeer();
    this.#fail(kind, message);
  }

  // ---- the path

  /** An ICMP error about a segment of ours, whose number it quotes (RFC 5927 §4.1: it must be in flight). */
  pathError(kind: FlowErrorKind, sequence: number): void {
    const { sender } = this;
    if (isBefore(sequence, sender.una) || !isBefore(sequence, sender.max)) return;
    const isOpening = this.state === states.synSent || this.state === states.synReceived;
    if (isOpening && kind === "refused") this.#fail(kind, "the peer has no listener there");
    // Soft while opening, too (RFC 1122 §4.2.3.9): a lost ARP question must not be worse than a lost SYN.
    else this.#softError = kind;
  }

  /** An ICMP error that never ends a connection (RFC 1122 §4.2.3.9). */
  softError(kind: FlowErrorKind, sequence: number): void {
    const { sender } = this;
    if (isAtLeast(sequence, sender.una) && isBefore(sequence, sender.max)) this.#softError = kind;
  }

  /** "Packet too big" about a segment that is in flight. `mtu` of the next hop, or 0. */
  packetTooBig(mtu: number, sequence: number): void {
    const { sender } = this;
    if (isBefore(sequence, sender.una) || !isBefore(sequence, sender.max)) return;
    this.path.told(mtu);
  }

  // ---- the end

  #resetPeer(): void {
    const { state, sender, receiver } = this;
    // §3.10.5: no reset from CLOSED and SYN-SENT, where the peer knows nothing of us.
    if (state === states.closed || state === states.synSent) return;
    this.#context.transmitter.reset(this, flagAck, sender.max, receiver.nxt);
  }

  #timeOut(message: string): void {
    this.#context.counters.timeouts++;
    this.#resetPeer();
    this.#fail(this.#softError ?? "timeout", message);
  }

  #fail(kind: FlowErrorKind, message: string): void {
    const { counters } = this.#context;
    if (this.state === states.synSent || this.state === states.synReceived) counters.attemptFails++;
    else counters.establishedResets++;
    this.flow.fail(kind, message);
    this.receiver.buffer.clear();
    this.#finish();
  }

  #finish(): void {
    const isOpen = this.state !== states.closed;
    this.state = states.closed;
    if (!isOpen) return;
    this.#early?.listener.fastOpen?.free();
    this.#early = null;
    this.sender.stop();
    this.#ackTimer?.cancel();
    this.#lifeTimer?.cancel();
    this.#context.forget(this);
    this.flow.over();
    this.receiver.buffer.dropEarly();
  }

  /** What is added to the clock in our timestamps. */
  get timestampOffset(): number {
    return this.#timestampOffset;
  }

  /** Whether any of its timers is armed. */
  get armed(): boolean {
    return this.sender.armed || this.#ackTimer?.armed === true || this.#lifeTimer?.armed === true;
  }

  get inFlight(): number {
    return this.sender.flight;
  }

  statistics(): ConnectionStatistics {
    return statisticsOf(this, this.#context.timers.now());
  }
}
