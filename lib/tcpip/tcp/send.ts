import { createCongestion, type CongestionName } from "./congestion-choice.ts";
import type { CongestionControl } from "./congestion.ts";
import type { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import type { Ecn } from "./ecn.ts";
import { LossRecovery, phaseOpen } from "./loss-recovery.ts";
import { Nagle } from "./nagle.ts";
import type { ConnectionOptions } from "./options.ts";
import { Pacing } from "./pacing.ts";
import type { PathSearch } from "./path-search.ts";
import { overrideDelay, Persist } from "./persist.ts";
import { Retransmission } from "./retransmission.ts";
import { RoundTripSampling } from "./round-trip-sampling.ts";
import { RttEstimator } from "./rtt.ts";
import type { Segment } from "./segment.ts";
import { limitedByBuffer, limitedByPath, limitedByPeer, nothingToSend, SendActivity } from "./send-activity.ts";
import { SendBuffer } from "./send-buffer.ts";
import { SendTimers } from "./send-timers.ts";
import { add, distance, isAfter, isAtLeast, isBefore, later } from "./sequence.ts";
import { flagAck, flagEce, flagFin, flagPsh } from "./wire.ts";

/** How long to wait for a free page or a willing IP, at first and at most, milliseconds. */
const firstStall = 5;
const longestStall = 1000;

/**
 * The sending half of a connection (RFC 9293 §3.3.1, the SND variables, §3.7, §3.8): what may be sent, when it is sent
 * again, and when that is hopeless. Decides on sequence numbers; {@link Connection.transmit} makes the segments.
 */
export class Sender {
  readonly buffer: SendBuffer;
  readonly rtt: RttEstimator = new RttEstimator();
  readonly retransmission: Retransmission = new Retransmission();
  readonly persist: Persist = new Persist();
  readonly recovery: LossRecovery;
  readonly nagle: Nagle;
  /** `null` before the first data, and where bursts may be as long as the window allows. */
  pacing: Pacing | null = null;

  readonly iss: number;
  /** SND.UNA: the buffer's first byte, once the SYN is acknowledged. */
  una: number;
  /** SND.MAX: behind the highest ever sent, and SND.NXT: it never goes back. */
  max: number;
  /** Behind the last probe of a shut window: sent, but so likely to be dropped that it does not count as in flight. */
  #probeEnd: number;
  /** SND.WND, in bytes. */
  window = 0;
  /** The largest window the peer has offered. */
  maxWindow = 0;
  /** SND.WL1 and SND.WL2. */
  #wl1 = 0;
  #wl2 = 0;
  /** Snd.Wind.Shift. */
  shift = 0;
  /** Payload of a full segment: the options of every segment are taken off. */
  mss = 536;
  /** Bytes that one packet may carry for the device to cut into segments; 0 where it does not. */
  segmentation = 0;
  finQueued = false;
  /** With `finQueued`: the FIN's number. */
  finSequence = 0;
  /** When `una` last moved, milliseconds. */
  advancedAt = 0;
  bytesSent = 0;
  bytesAcknowledged = 0;
  retransmits = 0;
  bytesRetransmitted = 0;
  /** When data, a SYN or a FIN left last, milliseconds. */
  sentAt = 0;
  /** For statistics; `null` before the first data. */
  activity: SendActivity | null = null;

  readonly #connection: Connection;
  readonly #congestionName: CongestionName;
  readonly #context: TcpContext;
  readonly #timers: SendTimers;
  readonly #sampling: RoundTripSampling;
  /** The congestion window, nothing else, kept the last {@link output} from sending more. */
  #windowLimited = false;
  /** There was no page for what {@link output} wanted to send, or IP refused it. */
  #isStalled = false;
  #stall = 0;

  constructor(connection: Connection, context: TcpContext, iss: number, options: ConnectionOptions) {
    this.#connection = connection;
    this.#context = context;
    const { sendBuffer, maxSendBuffer } = context.limits;
    this.buffer = new SendBuffer(context.pool, sendBuffer, maxSendBuffer);
    this.iss = iss;
    this.una = iss;
    this.max = iss;
    this.#probeEnd = iss;
    this.#sampling = new RoundTripSampling(iss);
    this.#congestionName = options.congestion;
    this.recovery = new LossRecovery(context, this.rtt, this.#newCongestion(), this.mss, iss);
    this.nagle = new Nagle(options.noDelay, iss);
    this.#timers = new SendTimers(context.timers, this.recovery, this.retransmission, this.rtt, () => {
      connection.transmitTimer();
    });
  }

  #newCongestion(): CongestionControl {
    const { marksCountLess, pacing } = this.#context.limits;
    return createCongestion(this.#congestionName, this.mss, marksCountLess, pacing);
  }

  get congestion(): CongestionControl {
    return this.recovery.congestion;
  }

  /** What a SYN or SYN-ACK said, and what the device does. `mss` with the options of data segments taken off. */
  setPeer(mss: number, shift: number, segmentation: number, selective: boolean): void {
    this.mss = mss;
    this.segmentation = segmentation;
    this.shift = shift;
    this.recovery.mss = mss;
    this.recovery.selective = selective;
    this.recovery.congestion = this.#newCongestion();
  }

  /**
   * The SYN is acknowledged. `retransmissions`: how often it was sent again; `needless`: the peer had got the first.
   */
  established(retransmissions: number, needless: boolean): void {
    const now = this.#context.timers.now();
    this.una = add(this.iss, 1);
    this.max = this.una;
    this.#sampling.start(this.una);
    this.recovery.start(this.una);
    if (retransmissions > 0) this.rtt.beCautious();
    // RFC 5681 §3.1 has a lost SYN mean a small start. As in Linux the second one does: a first timeout of one second
    // (RFC 6298) can be too short, and a single loss says little about a path; ACKs that are lost say nothing.
    if (retransmissions > 1 && !needless) this.congestion.timeout(0, false, now);
    this.retransmission.progress(now, true);
    this.advancedAt = now;
    this.sentAt = now;
    this.#timers.stop();
  }

  /** The SYN-ACK tells that the peer has taken what came with our SYN, up to `ack`. @returns how many bytes. */
  takenEarly(ack: number): number {
    const bytes = Math.min(distance(ack, this.una), this.buffer.length);
    if (bytes <= 0) return 0;
    this.buffer.acknowledged(bytes);
    this.bytesSent += bytes;
    this.bytesAcknowledged += bytes;
    this.una = add(this.una, bytes);
    this.max = this.una;
    this.#sampling.start(this.una);
    this.recovery.start(this.una);
    return bytes;
  }

  /** The SYN-ACK is to be sent again at `time`, milliseconds; `Infinity`: it is acknowledged. */
  armSynAck(time: number): void {
    this.#timers.synAckAt = time;
    this.#timers.set();
  }

  /** Whether something will be sent, or tried, in some time. */
  get armed(): boolean {
    return this.#timers.armed;
  }

  /** Behind the last byte, or the FIN, that there is to send. */
  get end(): number {
    return this.finQueued ? add(this.finSequence, 1) : add(this.una, this.buffer.length);
  }

  /** Sequence numbers sent and not acknowledged. */
  get flight(): number {
    return distance(this.max, this.una);
  }

  /** Behind all that the peer can acknowledge. */
  get highest(): number {
    return later(this.max, this.#probeEnd);
  }

  get isFinAcknowledged(): boolean {
    return this.finQueued && isAfter(this.una, this.finSequence);
  }

  queueFin(): void {
    if (this.finQueued) return;
    this.finSequence = add(this.una, this.buffer.length);
    this.finQueued = true;
    this.nagle.cork(false, 0);
  }

  /** Arms the timer for a SYN that is about to leave; not beyond `deadline`. */
  armHandshake(deadline: number): void {
    const now = this.#context.timers.now();
    if (this.retransmission.count === 0) this.retransmission.progressAt = now;
    this.sentAt = now;
    this.#timers.setHandshake(deadline, now);
  }

  stop(): void {
    this.#timers.stop();
    this.buffer.clear();
    this.recovery.scoreboard.reset(this.max);
  }

  /** SND.WND from the segment that set it first. */
  initWindow(segment: Segment, shift: number): void {
    this.window = segment.window << shift;
    this.maxWindow = Math.max(this.maxWindow, this.window);
    this.#wl1 = segment.sequence;
    this.#wl2 = segment.acknowledgement;
  }

  /**
   * The ACK of an acceptable segment (RFC 9293 §3.10.7.4, fifth), una ≤ ack ≤ {@link highest}.
   *
   * @param echo the round trip that the echoed timestamp tells, milliseconds, or −1
   */
  acknowledge(segment: Segment, echo: number): void {
    const ack = segment.acknowledgement;
    const window = segment.window << this.shift;
    const isNew = isAfter(ack, this.una);
    const duplicate = !isNew && segment.span === 0 && window === this.window && isAfter(this.max, this.una);
    this.#updateWindow(segment, window, isNew);
    const { ecn } = this.#connection;
    const isEchoed = ecn !== null && (segment.flags & flagEce) !== 0;
    if (ecn?.acknowledged(segment.flags, ack) === true) this.#congestionEchoed(segment.time, ecn);
    if (isNew) this.#connection.path.proves(ack);
    // Duplicates are reported when nothing is out any more, too.
    if (isNew || isAfter(this.max, this.una) || segment.options.sackBlocks > 0) {
      const { reductions } = this.recovery;
      const restart = this.recovery.acknowledged(segment, duplicate, echo, this.#windowLimited, !isEchoed);
      if (this.recovery.reductions !== reductions) ecn?.reduced(this.max);
      const sure = isNew && !this.#sampling.isAmbiguous(this.una, echo, segment.time) ? echo : -1;
      const isMeasured = this.#sampling.measure(this.rtt, this.recovery, segment.time, sure, this.max);
      if (isNew) {
        this.#acknowledgeNew(ack, segment.time, isMeasured);
      } else if (isMeasured && this.retransmission.backOff > 0) {
        this.retransmission.measured();
        this.#timers.hasten(segment.time);
      }
      this.#timers.acknowledged(segment.time, this.flight, restart);
    }
    // A peer that keeps its window shut is alive as long as it answers (RFC 9293 §3.8.6.1).
    if (this.window === 0) {
      this.retransmission.progressAt = segment.time;
      this.persist.answered();
    }
  }

  /** RFC 3168 §6.1.2: a queue has marked a packet of ours. */
  #congestionEchoed(now: number, ecn: Ecn): void {
    ecn.reduced(this.max);
    // A recovery has reduced the window for this round trip already.
    if (this.recovery.phase !== phaseOpen) return;
    this.#context.counters.ecnReductions++;
    this.congestion.reduce(this.flight, now, "ecn");
    this.congestion.window = this.congestion.threshold;
  }

  /**
   * An ACK of something new is the latest word, even on a segment that the peer sends again: SND.WL1 alone (RFC 9293
   * §3.10.7.4) would keep the window of before, whose edge would move on with SND.UNA, beyond what the peer offers.
   */
  #updateWindow(segment: Segment, window: number, isNew: boolean): void {
    const { sequence, acknowledgement } = segment;
    const isLater = isBefore(this.#wl1, sequence) || (this.#wl1 === sequence && !isAfter(this.#wl2, acknowledgement));
    if (!isLater && !isNew) return;
    this.#wl1 = sequence;
    this.#wl2 = acknowledgement;
    if (window > this.window) {
      if (this.flight === 0) {
        // What the timer waited for: output decides anew.
        this.persist.reset();
        this.#timers.forceAt = Infinity;
        this.#timers.set();
      } else if (this.window === 0 && acknowledgement === this.una) {
        this.recovery.windowOpened();
      }
    }
    this.window = window;
    if (window > this.maxWindow) this.maxWindow = window;
  }

  #acknowledgeNew(ack: number, now: number, isMeasured: boolean): void {
    const bytes = distance(ack, this.una);
    const isFin = this.finQueued && isAfter(ack, this.finSequence);
    const data = isFin ? Math.max(0, bytes - 1) : bytes;
    this.buffer.acknowledged(Math.min(data, this.buffer.length));
    this.bytesAcknowledged += data;
    // Karn: back-off ends with an ACK of something that was sent once, or whose timestamp says which copy it is of.
    const isFresh = this.#sampling.advanced(ack) || isMeasured;
    this.una = ack;
    // A probe of a shut window was taken.
    if (isAfter(ack, this.max)) this.bytesSent += distance(ack, this.max) - (isFin ? 1 : 0);
    this.max = later(this.max, ack);
    this.#probeEnd = later(this.#probeEnd, ack);
    this.advancedAt = now;
    this.nagle.acknowledged(ack);
    this.activity?.acknowledged(ack, this.bytesAcknowledged, this.#windowLimited, now);
    this.retransmission.progress(now, isFresh);
    if (this.recovery.probesPath && isAtLeast(ack, this.recovery.pathProbeEnd)) this.#connection.path.widen();
    if (this.recovery.phase === phaseOpen) this.buffer.fit(this.congestion.window);
  }

  /** Sends what may be sent now: first what was lost, then what is new. `force`: a short segment, too. */
  output(force: boolean): void {
    const now = this.#context.timers.now();
    const { recovery } = this;
    if (this.flight === 0 && isAfter(this.end, this.max)) {
      const rto = this.retransmission.timeout(this.rtt.rto);
      const idle = now - this.sentAt;
      if (idle > rto) this.congestion.idle(idle, rto, now);
    }
    const before = this.max;
    const wasIdle = this.flight === 0;
    this.#windowLimited = false;
    this.#isStalled = false;
    this.#timers.paceAt = Infinity;
    this.#earn(wasIdle, now);
    if (recovery.prefersNew) {
      this.#outputNew(force, now);
      if (this.max === before) recovery.nothingNew();
      recovery.prefersNew = false;
    }
    if (this.max === before && this.#outputLost(now)) this.#outputNew(force, now);
    this.activity?.change(this.#limitation(), now);
    if (this.flight > 0) {
      const timers = this.#timers;
      timers.forceAt = Infinity;
      if (wasIdle || timers.retransmitAt === Infinity) timers.restart(now);
      else if (this.max !== before && timers.probeAt !== Infinity) timers.restartProbe(now);
      timers.set();
    } else if (isAfter(this.end, this.max)) {
      this.#armForce(now);
    }
  }

  /** What may leave now as far as {@link pacing} goes. */
  #earn(isIdle: boolean, now: number): void {
    if (this.pacing === null) {
      if (!this.#context.limits.pacing || !isAfter(this.end, this.max)) return;
      this.pacing = new Pacing();
    }
    const { window, threshold } = this.congestion;
    // In recovery the window is what may leave with this ACK.
    const most = Math.max(window, this.flight);
    this.pacing.refill(now, most, this.rtt.smoothed, window < threshold / 2, isIdle, this.mss);
  }

  /** Whether a segment of `length` bytes has to wait for its time; sees to it that it is sent then. */
  #mustWait(length: number): boolean {
    const { pacing } = this;
    if (pacing === null || pacing.credit >= length) return false;
    this.#timers.paceAt = pacing.deadline(length);
    // RFC 9002 §7.8: the window would be in use.
    this.#windowLimited = true;
    return true;
  }

  #outputNew(force: boolean, now: number): void {
    const { recovery } = this;
    const { scoreboard } = recovery;
    let most = this.#mostAtOnce();
    const { search } = this.#connection.path;
    if (search?.isDue(now) === true && !this.#probePath(search, now)) return;
    for (;;) {
      const unsent = distance(this.end, this.max);
      if (unsent <= 0) return;
      const data = unsent - (this.finQueued ? 1 : 0);
      const windowRoom = this.window - distance(this.max, this.una);
      const { allowance } = recovery;
      const room = Math.min(windowRoom, allowance);
      let length = Math.min(data, most, Math.max(0, room));
      // The device cuts full segments only: what is left over waits for its turn, and for Nagle.
      if (length > this.mss) length -= length % this.mss;
      if (length > scoreboard.room * this.mss || scoreboard.room === 0) return;
      // A FIN needs no window of its own: it is no data that the peer must store.
      const fin = this.finQueued && length === data && room >= data;
      if (length === 0 && !fin) {
        this.#windowLimited = allowance <= windowRoom;
        return;
      }
      if (length < this.mss && !fin && !force && !this.#mayBeShort(length, data, now)) {
        if (length < data) this.#windowLimited = allowance <= windowRoom;
        return;
      }
      if (this.#mustWait(Math.min(length, this.mss))) return;
      if (this.pacing !== null && this.pacing.credit < length)
        length = this.pacing.credit - (this.pacing.credit % this.mss);
      if (!this.#emitNew(length, fin, now)) {
        if (most === this.mss) {
          this.#isStalled = true;
          return;
        }
        // Long pages are few; a short one may be free.
        most = this.mss;
      }
    }
  }

  /** What keeps more from being sent, for {@link activity}. */
  #limitation(): number {
    const left = distance(this.end, this.max);
    if (left > 0) return this.#windowLimited || this.window >= this.congestion.window ? limitedByPath : limitedByPeer;
    if (this.flight === 0) return nothingToSend;
    return this.#connection.flow.isWriteWaiting ? limitedByBuffer : limitedByPath;
  }

  /** Bytes in one packet. After a loss each segment counts by itself. */
  #mostAtOnce(): number {
    // One segment alone says CWR: of more, the device would let all say it.
    if (this.#connection.ecn?.mustConfirm === true) return this.mss;
    return this.segmentation > this.mss && this.recovery.phase === phaseOpen ? this.segmentation : this.mss;
  }

  // ---- the path MTU

  /**
   * Sends a segment longer than others, of new data, if there is enough behind it to find out whether it is lost.
   *
   * @returns false when everything else is to wait, for a moment, until there is.
   */
  #probePath(search: PathSearch, now: number): boolean {
    const { recovery } = this;
    const { scoreboard } = recovery;
    if (!recovery.selective || recovery.phase !== phaseOpen || scoreboard.lost + scoreboard.sacked > 0) return true;
    const size = search.wanted(this.#connection.path.most, now);
    const needed = size + 3 * this.mss;
    const room = Math.min(recovery.allowance, this.window - this.flight);
    const unsent = this.buffer.length - this.flight;
    if (size === 0 || room < needed || scoreboard.room < 4) return true;
    // A full buffer has nothing unsent as long as the window is larger: ACKs will free it, and writers fill it.
    if (unsent < needed) return this.flight < needed || !this.#connection.flow.isWriteWaiting;
    if (!this.#emitNew(size, false, now, size)) return true;
    this.#context.counters.pathProbes++;
    search.sent(size);
    recovery.probesPath = true;
    recovery.pathProbeEnd = this.max;
    return true;
  }

  #emitNew(length: number, fin: boolean, now: number, segment: number = this.mss): boolean {
    if (!this.#emit(this.max, length, fin, segment)) return false;
    const end = add(this.max, length + (fin ? 1 : 0));
    if (this.flight === 0) this.retransmission.progressAt = now;
    this.recovery.sent(end, fin, now, segment);
    this.bytesSent += length;
    this.max = end;
    this.activity ??= new SendActivity();
    this.activity.sent(end, this.bytesAcknowledged, now);
    this.pacing?.sent(length);
    if (length < this.mss) this.nagle.sentShort(end);
    this.sentAt = now;
    this.#stall = 0;
    return true;
  }

  /** Sends again what is lost, as far as the congestion window allows. @returns whether that was all. */
  #outputLost(now: number): boolean {
    const { recovery } = this;
    const { scoreboard } = recovery;
    for (let place = scoreboard.nextLost(); place >= 0; place = scoreboard.nextLost()) {
      const start = scoreboard.startOf(place);
      const end = scoreboard.endOf(place);
      const length = distance(end, start);
      if (recovery.allowance < Math.min(length, this.mss)) {
        this.#windowLimited = true;
        return false;
      }
      // What a shrunk window does not take would be dropped; but the first one asks how large it is now.
      if (start !== this.una && distance(end, this.una) > this.window) return false;
      if (!this.#emitAgain(place, start, end, now)) return false;
      if (start === this.una) this.#timers.restart(now);
    }
    return true;
  }

  /** Sends what is between the two numbers once more. */
  #emitAgain(place: number, start: number, end: number, now: number): boolean {
    // More than a segment when the path has become narrower since.
    for (let from = start; isBefore(from, end);) {
      const left = distance(end, from);
      const data = this.finQueued && end === add(this.finSequence, 1) ? left - 1 : left;
      const length = Math.min(data, this.mss);
      const fin = length === data && data < left;
      if (!this.#emit(from, length, fin)) return false;
      from = add(from, length + (fin ? 1 : 0));
      this.retransmits++;
      this.bytesRetransmitted += length;
      this.#context.counters.segmentsRetransmitted++;
    }
    this.pacing?.sent(distance(end, start));
    this.#sampling.repeated(end, now);
    if (this.recovery.probesPath && end === this.recovery.pathProbeEnd) {
      this.recovery.probesPath = false;
      this.#connection.path.search?.failed(now, this.rtt.smoothed);
    }
    this.recovery.sentAgain(place, distance(end, start), now);
    this.sentAt = now;
    return true;
  }

  #mayBeShort(length: number, data: number, now: number): boolean {
    // RFC 9293 §3.8.6.2.1: all there is, or half of the largest window ever offered.
    if (length === data) return this.nagle.mayLeave(this.una, now);
    return length * 2 >= this.maxWindow;
  }

  #emit(sequence: number, length: number, fin: boolean, segment: number = this.mss): boolean {
    const offset = distance(sequence, this.una);
    let flags = flagAck;
    if (length > 0 && offset + length === this.buffer.length) flags |= flagPsh;
    if (fin) flags |= flagFin;
    return this.#connection.transmit(flags, sequence, offset, length, segment);
  }

  // ---- time

  /** Nothing is in flight, and what there is to send may not leave: sets when it is tried all the same. */
  #armForce(now: number): void {
    if (this.#isStalled) {
      if (this.#stall === 0) this.retransmission.progressAt = now;
      this.#timers.forceAt = now + Math.min(longestStall, firstStall * 2 ** this.#stall);
      if (this.#stall < 16) this.#stall++;
    } else if (this.#timers.forceAt !== Infinity) {
      // Another write does not put off a probe; the end of a cork may bring it forward.
      return;
    } else if (this.window === 0) {
      this.retransmission.progressAt = now;
      this.#timers.forceAt = now + this.persist.interval(this.rtt.rto);
    } else {
      this.#timers.forceAt = this.nagle.isCorked(now) ? this.nagle.corkedUntil : now + overrideDelay;
    }
    this.#timers.set();
  }

  /** The timer expired in a state in which data can be sent. @returns false when the connection is hopeless. */
  timerExpired(): boolean {
    const now = this.#context.timers.now();
    const { recovery } = this;
    if (this.#timers.synAckAt <= now) {
      if (!this.#connection.repeatSynAck()) return false;
      if (Math.min(this.#timers.paceAt, this.#timers.next) > now) return true;
    }
    if (this.#timers.paceAt <= now) {
      const isAll = this.#timers.next > now;
      this.output(false);
      if (isAll) return true;
    }
    if (this.flight === 0) return this.#forced(now);
    if (recovery.reorderAt <= now) {
      recovery.reorderingExpired(now);
      this.output(false);
    }
    if (this.#timers.probeAt <= now) {
      this.#probeTail(now);
    } else if (this.#timers.retransmitAt <= now) {
      if (this.retransmission.isHopeless(now, this.#connection.userTimeout.value)) return false;
      this.#timeout(now);
    }
    this.#timers.set();
    return true;
  }

  /** Nothing is in flight, and what there is to send has waited long enough. */
  #forced(now: number): boolean {
    this.#timers.forceAt = Infinity;
    if (!isAfter(this.end, this.max)) return true;
    // The time between a probe's answer and the next probe is no silence of the peer's.
    if (this.window === 0 && !this.persist.unanswered) this.retransmission.progressAt = now;
    if (this.retransmission.isHopeless(now, this.#connection.userTimeout.value)) return false;
    if (this.window === 0) this.#probe(now);
    else this.output(true);
    return true;
  }

  /** RFC 6298 §5.4 to 5.6. */
  #timeout(now: number): void {
    this.#context.counters.retransmissionTimeouts++;
    this.#sampling.timedOut(now);
    this.recovery.timedOut(this.retransmission.count, now);
    this.#connection.ecn?.reduced(this.max);
    this.retransmission.timedOut();
    this.#connection.path.timedOut();
    this.#timers.retransmitAt = Infinity;
    this.output(false);
    if (this.#timers.retransmitAt === Infinity) this.#timers.restart(now);
  }

  /** RFC 8985 §7.3: sends something new, beyond the congestion window if need be, or else the last segment again. */
  #probeTail(now: number): void {
    const { recovery } = this;
    const { scoreboard } = recovery;
    this.#context.counters.tailLossProbes++;
    const before = this.max;
    const unsent = distance(this.end, this.max);
    const data = unsent - (this.finQueued ? 1 : 0);
    const length = Math.min(data, this.mss);
    const isNew = length > 0 && length <= this.window - this.flight && scoreboard.room > 0;
    if (isNew) this.#emitNew(length, this.finQueued && length === data, now);
    else this.#emitAgain(scoreboard.last, scoreboard.startOf(scoreboard.last), scoreboard.endOf(scoreboard.last), now);
    recovery.probed(this.max !== before);
    this.#timers.probeAt = Infinity;
    this.#timers.restart(now);
  }

  /** A zero-window probe: the next byte, or the FIN, which the peer must answer. SND.NXT stays. */
  #probe(now: number): void {
    this.#context.counters.zeroWindowProbes++;
    const length = Math.min(1, this.buffer.length);
    const fin = this.finQueued && this.una === this.finSequence;
    if (this.#emit(this.una, length, fin)) this.#probeEnd = add(this.una, 1);
    this.persist.probed();
    this.#timers.forceAt = now + this.persist.interval(this.rtt.rto);
    this.#timers.set();
  }

  /** The path takes only `mss` bytes of payload: what was longer is cut anew (RFC 1191 §6.4). */
  reduceMss(mss: number): void {
    this.mss = mss;
    this.recovery.probesPath = false;
    this.recovery.cut(mss);
  }
}
