import type { IpAddress } from "@tesserae/device/address";
import type { Timer } from "@tesserae/device/clock";
import type { FlowErrorKind } from "@tesserae/device/flow";
import { ChallengeBudget } from "./challenge-ack.ts";
import { mayChallenge, mssFor, type TcpContext, windowShiftFor } from "./context.ts";
import { statisticsOf, Traffic } from "./connection-statistics.ts";
import { ackDelay } from "./delayed-ack.ts";
import { DemuxEntry, kindConnection } from "./demux.ts";
import { EarlyOpen } from "./early-open.ts";
import { capable, congestionExperienced, Ecn, notCapable } from "./ecn.ts";
import { TcpFlow } from "./flow.ts";
import type { HalfOpen } from "./half-open.ts";
import { answersFirst, Handshake, timeHandshake } from "./handshake.ts";
import { Lifetime } from "./lifetime.ts";
import type { TcpListenerState } from "./listener.ts";
import type { ConnectionOptions } from "./options.ts";
import { Path } from "./path.ts";
import { Receiver } from "./receive.ts";
import type { Segment } from "./segment.ts";
import { Sender } from "./send.ts";
import { add, isAfter, isAtLeast, isAtMost, isBefore } from "./sequence.ts";
import type { ConnectionStatistics } from "./statistics.ts";
import * as states from "./state.ts";
import type { State } from "./state.ts";
import { decodeUserTimeout, encodeUserTimeout, UserTimeout } from "./user-timeout.ts";
import { flagAck, flagEce, flagFin, flagRst, flagSyn, maxSackSize } from "./wire.ts";

/** Echoes that tell a longer round trip are not believed, milliseconds. */
const longestRoundTrip = 300_000;

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
  /** For statistics. */
  readonly traffic: Traffic;
  readonly userTimeout: UserTimeout;
  readonly #context: TcpContext;
  readonly #lifetime: Lifetime;
  readonly #challenges: ChallengeBudget = new ChallengeBudget();
  readonly #timestampOffset: number;
  /** Made when first needed: many connections never do. */
  #ackTimer: Timer | null = null;
  /** A soft ICMP error (RFC 1122 §4.2.3.9): told when the connection times out. */
  #softError: FlowErrorKind | undefined = undefined;
  /** While we open it. */
  #handshake: Handshake | null = null;
  /** Data came with the peer's SYN, and our answer is not acknowledged. */
  #early: EarlyOpen | null = null;

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
    this.traffic = new Traffic(now);
    this.#lifetime = new Lifetime(context, this, options.keepAlive, now);
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
    this.receiver.timestamps = this.#context.limits.timestamps;
    this.receiver.selective = this.#context.limits.sack;
    this.receiver.shift = windowShiftFor(this.#context.limits.maxReceiveBuffer);
    this.#handshake = new Handshake(this.#context, this, deadline, first !== undefined);
    // What becomes of the connection its flow tells, too.
    if (first !== undefined) this.flow.write(first).catch(() => undefined);
    this.#handshake.send();
  }

  /** Passive open: the handshake that `half` stood for is complete. The segment that completed it comes next. */
  accept(half: HalfOpen, segment: Segment): void {
    const { sender } = this;
    this.#begin(half);
    timeHandshake(this, segment, half.firstSentAt, half.sentAt);
    sender.initWindow(segment, half.peerShift);
    this.#establish(half.retransmits, answersFirst(this, segment, half.firstSentAt));
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
    const early = new EarlyOpen(this.#context, this, half);
    this.#early = early;
    early.answer(segment.time);
    receiver.acked();
    this.#establish(0, true);
    early.arm();
    this.#context.schedule(this);
  }

  /** The SYN-ACK of an early connection was not acknowledged in time. @returns false when that is hopeless. */
  repeatSynAck(): boolean {
    return this.#early === null || this.#early.repeat();
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

  #establish(retransmissions: number, needless: boolean): void {
    this.state = states.established;
    this.sender.established(retransmissions, needless);
    this.#lifetime.arm();
    this.#context.established(this);
  }

  // ---- the event SEGMENT ARRIVES (RFC 9293 §3.10.7)

  receive(segment: Segment): void {
    this.traffic.received(segment);
    if (this.state === states.synSent && this.#handshake !== null) this.#receiveInSynSent(segment, this.#handshake);
    else if (this.state !== states.closed) this.#receiveSynchronized(segment);
    if (this.state !== states.closed) this.#context.schedule(this);
  }

  /** §3.10.7.3. */
  #receiveInSynSent(segment: Segment, handshake: Handshake): void {
    const { sender, receiver } = this;
    const { flags, acknowledgement } = segment;
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
    handshake.settle(segment);
    this.#lifetime.heard(segment.time);
    this.#softError = undefined;
    if ((flags & flagAck) === 0) {
      // Simultaneous open.
      this.state = states.synReceived;
      handshake.send();
      return;
    }
    timeHandshake(this, segment, sender.retransmission.progressAt, sender.sentAt);
    this.#completeHandshake(handshake, segment);
    receiver.ackNow = true;
    // Data and FIN with the SYN: the text is behind it. We leave it to be sent again, unless it is a FIN at once.
  }

  /** Our SYN is acknowledged by `segment`, and the peer's is here. */
  #completeHandshake(handshake: Handshake, segment: Segment): void {
    const { count, progressAt } = this.sender.retransmission;
    this.#useShifts();
    this.#handshake = null;
    this.#establish(count, answersFirst(this, segment, progressAt));
    handshake.completed(segment, count > 0);
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
    if (early?.isOpenedBy(segment) === true) {
      early.answerAgain(segment);
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
      sender.initWindow(segment, Math.max(0, sender.shift));
      if (this.#handshake !== null) this.#completeHandshake(this.#handshake, segment);
    } else if (isAfter(acknowledgement, sender.highest)) {
      // RFC 9293: an ACK of what was never sent is answered and dropped; RFC 5961 §5 bounds the other end.
      this.#challenge(segment.time);
      return;
    } else if (isBefore(acknowledgement, add(sender.una, -sender.maxWindow))) {
      this.#challenge(segment.time);
      return;
    }
    if (early !== null && isAtLeast(acknowledgement, sender.una)) {
      this.#early = null;
      early.completed(segment);
    }
    this.#lifetime.heard(segment.time);
    this.#softError = undefined;
    if (options.userTimeout > 0) this.userTimeout.received(decodeUserTimeout(options.userTimeout));
    if (receiver.timestamps) receiver.noteTimestamp(segment);
    if (isAtLeast(acknowledgement, sender.una)) {
      // RFC 4861 §7.3.1: neighbours of IPv6 are believed to be there for as long as transports get on.
      if (acknowledgement !== sender.una && this.remote.family === 6) this.#context.ip.confirm?.(this.remote);
      sender.acknowledge(segment, this.echo(segment));
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
      const echo = this.echo(segment);
      if (echo > 0) receiver.sampleRoundTrip(echo);
    }
    if (this.ecn !== null) {
      if (segment.ecn === congestionExperienced) this.#context.counters.ecnMarks++;
      if (this.ecn.received(segment.flags, segment.ecn)) receiver.ackNow = true;
    }
    const before = receiver.nxt;
    receiver.take(segment, this.#lifetime.isLingering);
    if (receiver.finished) this.#finReceived();
    if (this.state === states.closed) return;
    // A duplicate ACK is worth something only one by one (RFC 5681 §4.2), and a long batch wants one on the way.
    if ((receiver.ackNow && receiver.nxt === before) || receiver.delayed.isOverdue) this.#sendAck();
  }

  /** The round trip that the echoed timestamp tells, milliseconds, or −1 (RFC 7323 §4.2). */
  echo(segment: Segment): number {
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
    this.#lifetime.arm();
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
    this.#early?.reset();
    this.#early = null;
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
      receiver.timestamps ? this.timestamp() : 0,
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

  /** The value of a timestamp that leaves now (RFC 7323 §3.2). */
  timestamp(): number {
    return (Math.floor(this.#context.timers.now()) + this.#timestampOffset) | 0;
  }

  // ---- timers

  /** The sender's timer expired. */
  transmitTimer(): void {
    if (this.state === states.closed) return;
    if (this.#handshake !== null) {
      if (!this.#handshake.expired()) this.timeOut("the peer did not answer");
      return;
    }
    if (!this.sender.timerExpired()) this.timeOut("the peer stopped answering");
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
    this.#lifetime.keepAlive(idle, interval, probes);
  }

  /** @throws RangeError when `timeout` is not above 0. */
  setUserTimeout(timeout: number): void {
    if (!this.userTimeout.set(timeout) || this.state < states.established || this.state === states.closed) return;
    this.tellUserTimeout();
    this.#sendAck();
  }

  /** The segment that leaves next says what user timeout we have, if it is to be said (RFC 5482). */
  tellUserTimeout(): void {
    const { advertised } = this.userTimeout;
    if (advertised >= 0) this.#context.transmitter.userTimeout = encodeUserTimeout(advertised);
  }

  /** Nobody reads any more: what arrives is dropped, and the peer has a bounded time to end. */
  linger(): void {
    if (this.state === states.closed || this.#lifetime.isLingering) return;
    this.receiver.buffer.discard();
    this.#lifetime.linger();
    this.#context.schedule(this);
  }

  abort(): void {
    if (this.state === states.closed) return;
    this.#resetPeer();
    this.#fail("aborted", "the flow was aborted");
  }

  /** The handshake, or the end, took longer than anybody wants to wait. */
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

  /** Nothing has come back for too long. */
  timeOut(message: string): void {
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
    this.#early?.free();
    this.#early = null;
    this.sender.stop();
    this.#ackTimer?.cancel();
    this.#lifetime.stop();
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
    return this.sender.armed || this.#ackTimer?.armed === true || this.#lifetime.armed;
  }

  get inFlight(): number {
    return this.sender.flight;
  }

  statistics(): ConnectionStatistics {
    return statisticsOf(this, this.#context.timers.now());
  }
}
