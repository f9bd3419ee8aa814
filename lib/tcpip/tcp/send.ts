import type { Timer } from "@tesserae/device/clock";
import { createCongestion, type CongestionName } from "./congestion-choice.ts";
import type { CongestionControl } from "./congestion.ts";
import type { Connection } from "./connection.ts";
import type { TcpContext } from "./context.ts";
import type { Ecn } from "./ecn.ts";
import { duplicateInflate, duplicateRetransmit, fullAck, LossRecovery, partialAck } from "./loss-recovery.ts";
import { Nagle } from "./nagle.ts";
import type { ConnectionOptions } from "./options.ts";
import { overrideDelay, Persist } from "./persist.ts";
import { Retransmission } from "./retransmission.ts";
import { RttEstimator } from "./rtt.ts";
import type { Segment } from "./segment.ts";
import { limitedByBuffer, limitedByPath, limitedByPeer, nothingToSend, SendActivity } from "./send-activity.ts";
import { SendBuffer } from "./send-buffer.ts";
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
  congestion: CongestionControl;

  readonly iss: number;
  /** SND.UNA: the buffer's first byte, once the SYN is acknowledged. */
  una: number;
  /** SND.NXT. After a timeout it goes back to `una`. */
  nxt: number;
  /** SND.MAX: behind the highest ever sent. */
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
  /** When data or a FIN left last, milliseconds. */
  sentAt = 0;
  /** For statistics; `null` before the first data. */
  activity: SendActivity | null = null;

  readonly #connection: Connection;
  readonly #congestionName: CongestionName;
  readonly #context: TcpContext;
  readonly #timer: Timer;
  /** Whether a segment is being timed, until when it counts as acknowledged, and since when. */
  #timing = false;
  #timedEnd = 0;
  #timedAt = 0;
  /** Behind the highest number sent more than once, and when that was done last. */
  #repeatedEnd: number;
  #repeatedAt = 0;
  /** The congestion window, nothing else, kept the last {@link output} from sending more. */
  #windowLimited = false;
  /** The ACK at hand says that a packet of ours was marked: the window does not grow. */
  #isEchoed = false;
  #stall = 0;

  constructor(connection: Connection, context: TcpContext, iss: number, options: ConnectionOptions) {
    this.#connection = connection;
    this.#context = context;
    const { sendBuffer, maxSendBuffer } = context.limits;
    this.buffer = new SendBuffer(context.pool, sendBuffer, maxSendBuffer);
    this.iss = iss;
    this.una = iss;
    this.nxt = iss;
    this.max = iss;
    this.#probeEnd = iss;
    this.#repeatedEnd = iss;
    this.recovery = new LossRecovery(iss);
    this.nagle = new Nagle(options.noDelay, iss);
    this.#congestionName = options.congestion;
    this.congestion = createCongestion(options.congestion, this.mss, context.limits.marksCountLess);
    this.#timer = context.timers.timer(() => {
      connection.transmitTimer();
    });
  }

  /** What a SYN or SYN-ACK said, and what the device does. `mss` with the options of data segments taken off. */
  setPeer(mss: number, shift: number, segmentation: number): void {
    this.mss = mss;
    this.segmentation = segmentation;
    this.shift = shift;
    this.congestion = createCongestion(this.#congestionName, mss, this.#context.limits.marksCountLess);
  }

  /** The SYN is acknowledged. `retransmitted`: it had been sent more than once. */
  established(retransmitted: boolean): void {
    const now = this.#context.timers.now();
    this.una = add(this.iss, 1);
    this.nxt = this.una;
    this.max = this.una;
    if (retransmitted) {
      this.rtt.beCautious();
      // RFC 5681 §3.1: a lost SYN means a small start.
      this.congestion.timeout(0, false, now);
    }
    this.retransmission.progress(now, true);
    this.advancedAt = now;
    this.sentAt = now;
    this.#timing = false;
    this.#timer.cancel();
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
    this.#timer.set(Math.min(deadline, now + this.retransmission.timeout(this.rtt.rto)));
  }

  stop(): void {
    this.#timer.cancel();
    this.buffer.clear();
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
    if (!isNew && segment.span === 0 && window === this.window && isAfter(this.nxt, this.una)) {
      this.#duplicate();
    }
    this.#updateWindow(segment, window);
    const { ecn } = this.#connection;
    this.#isEchoed = ecn !== null && (segment.flags & flagEce) !== 0;
    if (ecn?.acknowledged(segment.flags, ack) === true) this.#congestionEchoed(segment.time, ecn);
    if (isNew) this.#acknowledgeNew(ack, segment.time, echo);
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
    if (this.recovery.recovering) return;
    this.#context.counters.ecnReductions++;
    this.congestion.reduce(this.flight, now, "ecn");
    this.congestion.window = this.congestion.threshold;
  }

  #updateWindow(segment: Segment, window: number): void {
    const { sequence, acknowledgement } = segment;
    if (!isBefore(this.#wl1, sequence) && (this.#wl1 !== sequence || isAfter(this.#wl2, acknowledgement))) return;
    this.#wl1 = sequence;
    this.#wl2 = acknowledgement;
    if (window > this.window && this.nxt === this.una) {
      // What the timer waited for: output decides anew.
      this.persist.reset();
      this.#timer.cancel();
    }
    this.window = window;
    if (window > this.maxWindow) this.maxWindow = window;
  }

  #duplicate(): void {
    const action = this.recovery.duplicate(this.una, this.max);
    if (action === duplicateRetransmit) {
      const now = this.#context.timers.now();
      this.#context.counters.fastRetransmits++;
      this.congestion.reduce(this.flight, now, "loss");
      this.#connection.ecn?.reduced(this.max);
      this.congestion.window = this.congestion.threshold + 3 * this.mss;
      this.#retransmitFirst();
      this.#arm(now);
    } else if (action === duplicateInflate) {
      this.congestion.window += this.mss;
    }
  }

  #acknowledgeNew(ack: number, now: number, echoed: number): void {
    // An echo of before the last repetition may be one of an ACK that was lost, and so long that the timeout explodes.
    const isAmbiguous = isBefore(this.una, this.#repeatedEnd) && echoed > Math.ceil(now - this.#repeatedAt);
    const echo = isAmbiguous ? -1 : echoed;
    const bytes = distance(ack, this.una);
    const isFin = this.finQueued && isAfter(ack, this.finSequence);
    // Karn: back-off ends with an ACK of something that was sent once, or whose timestamp says which copy it is of.
    let fresh = echo >= 0;
    if (isAfter(ack, this.#repeatedEnd)) {
      fresh = true;
      this.#repeatedEnd = ack;
    }
    if (this.#timing) {
      if (isAtLeast(ack, this.#timedEnd)) {
        this.rtt.sample(now - this.#timedAt);
        this.#timing = false;
        fresh = true;
      }
    } else if (echo >= 0) {
      this.rtt.sample(echo);
    }
    const data = isFin ? Math.max(0, bytes - 1) : bytes;
    this.buffer.acknowledged(Math.min(data, this.buffer.length));
    this.bytesAcknowledged += data;
    this.una = ack;
    if (isBefore(this.max, ack)) this.max = ack;
    if (isBefore(this.#probeEnd, ack)) this.#probeEnd = ack;
    this.advancedAt = now;
    if (isBefore(this.nxt, ack)) this.nxt = ack;
    this.nagle.acknowledged(ack);
    this.activity?.acknowledged(ack, this.bytesAcknowledged, this.#windowLimited, now);
    this.retransmission.progress(now, fresh);
    const outcome = this.recovery.acknowledged(ack);
    let rearm = true;
    if (outcome === fullAck) {
      this.congestion.recovered(this.flight, now);
    } else if (outcome === partialAck) {
      // RFC 6582 §3.2: deflated by what was acknowledged.
      const deflated = Math.max(this.mss, this.congestion.window - bytes);
      this.congestion.window = bytes >= this.mss ? deflated + this.mss : deflated;
      this.#retransmitFirst();
      rearm = this.recovery.restartsTimer();
    } else if (!this.#isEchoed) {
      this.congestion.acknowledged(bytes, this.#windowLimited, now, echo);
      this.buffer.fit(this.congestion.window);
    }
    if (this.flight === 0) this.#timer.cancel();
    else if (rearm) this.#arm(now);
  }

  /** Sends the first unacknowledged segment again, without moving SND.NXT back. */
  #retransmitFirst(): void {
    const unacknowledged = distance(this.max, this.una);
    const length = Math.min(this.mss, this.buffer.length, unacknowledged);
    const fin = this.finQueued && add(this.una, length) === this.finSequence && isAfter(this.max, this.finSequence);
    this.#timing = false;
    this.#emit(this.una, length, fin);
    if (isBefore(this.nxt, add(this.una, length))) this.nxt = add(this.una, length);
  }

  /** Sends what may be sent now. `force`: a short segment, too. */
  output(force: boolean): void {
    const now = this.#context.timers.now();
    if (this.flight === 0 && isAfter(this.end, this.nxt)) {
      const rto = this.retransmission.timeout(this.rtt.rto);
      const idle = now - this.sentAt;
      if (idle > rto) this.congestion.idle(idle, rto, now);
    }
    const wasIdle = this.nxt === this.una;
    const congestionWindow = this.congestion.window + this.#limitedTransmit();
    const limit = Math.min(this.window, congestionWindow);
    let stalled = false;
    let most = this.#mostAtOnce();
    this.#windowLimited = false;
    for (;;) {
      const sent = distance(this.nxt, this.una);
      const unsent = distance(this.end, this.nxt);
      if (unsent <= 0) break;
      const data = unsent - (this.finQueued ? 1 : 0);
      const room = limit - sent;
      let length = Math.min(data, most, Math.max(0, room));
      // The device cuts full segments only: what is left over waits for its turn, and for Nagle.
      if (length > this.mss) length -= length % this.mss;
      // A FIN needs no window of its own: it is no data that the peer must store.
      const fin = this.finQueued && length === data && room >= data;
      if (length === 0 && !fin) {
        this.#windowLimited = congestionWindow <= this.window;
        break;
      }
      if (length < this.mss && !fin && !force && !this.#mayBeShort(length, data, now)) {
        if (length < data) this.#windowLimited = congestionWindow <= this.window;
        break;
      }
      if (!this.#emit(this.nxt, length, fin)) {
        if (most > this.mss) {
          // Long pages are few; a short one may be free.
          most = this.mss;
          continue;
        }
        stalled = true;
        break;
      }
      const end = add(this.nxt, length + (fin ? 1 : 0));
      if (isAfter(end, this.max)) {
        if (this.flight === 0) this.retransmission.progressAt = now;
        if (!this.#timing && this.nxt === this.max) {
          this.#timing = true;
          this.#timedEnd = end;
          this.#timedAt = now;
        }
        this.max = end;
        this.activity ??= new SendActivity();
        this.activity.sent(end, this.bytesAcknowledged, now);
        if (length < this.mss) this.nagle.sentShort(end);
      }
      this.nxt = end;
      this.sentAt = now;
      this.#stall = 0;
    }
    this.activity?.change(this.#limitation(), now);
    if (this.nxt !== this.una) {
      if (wasIdle || !this.#timer.armed) this.#arm(now);
    } else if (isAfter(this.end, this.nxt)) {
      this.#armForce(now, stalled);
    }
  }

  /** What keeps more from being sent, for {@link activity}. */
  #limitation(): number {
    const left = distance(this.end, this.nxt);
    if (left > 0) return this.#windowLimited || this.window >= this.congestion.window ? limitedByPath : limitedByPeer;
    if (this.flight === 0) return nothingToSend;
    return this.#connection.flow.isWriteWaiting ? limitedByBuffer : limitedByPath;
  }

  /** Bytes in one packet. After a loss each segment counts by itself. */
  #mostAtOnce(): number {
    // One segment alone says CWR: of more, the device would let all say it.
    if (this.#connection.ecn?.mustConfirm === true) return this.mss;
    return this.segmentation > this.mss && !this.recovery.recovering ? this.segmentation : this.mss;
  }

  /** RFC 3042: the first two duplicates let a new segment each leave. */
  #limitedTransmit(): number {
    const { recovering, duplicates } = this.recovery;
    return recovering || this.max !== this.nxt ? 0 : Math.min(duplicates, 2) * this.mss;
  }

  #mayBeShort(length: number, data: number, now: number): boolean {
    // Sent before: Nagle has had his say.
    if (isBefore(this.nxt, this.max)) return true;
    // RFC 9293 §3.8.6.2.1: all there is, or half of the largest window ever offered.
    if (length === data) return this.nagle.mayLeave(this.una, now);
    return length * 2 >= this.maxWindow;
  }

  #emit(sequence: number, length: number, fin: boolean): boolean {
    const offset = distance(sequence, this.una);
    const isLast = offset + length === this.buffer.length;
    let flags = flagAck;
    if (length > 0 && isLast) flags |= flagPsh;
    if (fin) flags |= flagFin;
    if (!this.#connection.transmit(flags, sequence, offset, length)) return false;
    if (isBefore(sequence, this.max)) {
      this.#repeatedEnd = later(this.#repeatedEnd, add(sequence, length + (fin ? 1 : 0)));
      this.#repeatedAt = this.#context.timers.now();
      this.retransmits++;
      this.bytesRetransmitted += Math.min(length, distance(this.max, sequence));
      this.#context.counters.segmentsRetransmitted++;
    }
    // A segment that repeats may go on beyond what was sent.
    this.bytesSent += Math.max(0, distance(add(sequence, length), this.max));
    return true;
  }

  #arm(now: number): void {
    this.#timer.set(now + this.retransmission.timeout(this.rtt.rto));
  }

  /** Nothing is in flight, and what there is to send may not leave: sets when it is tried all the same. */
  #armForce(now: number, stalled: boolean): void {
    if (stalled) {
      if (this.#stall === 0) this.retransmission.progressAt = now;
      this.#timer.set(now + Math.min(longestStall, firstStall * 2 ** this.#stall));
      if (this.#stall < 16) this.#stall++;
    } else if (this.#timer.armed) {
      // Another write does not put off a probe; the end of a cork may bring it forward.
      return;
    } else if (this.window === 0) {
      this.retransmission.progressAt = now;
      this.#timer.set(now + this.persist.interval(this.rtt.rto));
    } else {
      this.#timer.set(this.nagle.isCorked(now) ? this.nagle.corkedUntil : now + overrideDelay);
    }
  }

  /** The timer expired in a state in which data can be sent. @returns false when the connection is hopeless. */
  timerExpired(): boolean {
    const now = this.#context.timers.now();
    if (this.nxt === this.una && this.flight === 0 && !isAfter(this.end, this.nxt)) return true;
    // The time between a probe's answer and the next probe is no silence of the peer's.
    const isProbing = this.nxt === this.una && this.window === 0;
    if (isProbing && !this.persist.unanswered) this.retransmission.progressAt = now;
    if (this.retransmission.isHopeless(now, this.#context.limits.userTimeout)) return false;
    if (this.nxt !== this.una) this.#timeout(now);
    else if (this.window === 0) this.#probe(now);
    else this.output(true);
    return true;
  }

  /** RFC 6298 §5.4 to 5.6. */
  #timeout(now: number): void {
    this.#context.counters.retransmissionTimeouts++;
    this.congestion.timeout(this.flight, this.retransmission.count === 0, now);
    this.#connection.ecn?.reduced(this.max);
    this.retransmission.timedOut();
    this.recovery.timedOut(this.max);
    this.#timing = false;
    this.nxt = this.una;
    this.#timer.cancel();
    this.output(true);
    if (this.nxt !== this.una) this.#arm(now);
  }

  /** A zero-window probe: the next byte, or the FIN, which the peer must answer. SND.NXT stays. */
  #probe(now: number): void {
    this.#context.counters.zeroWindowProbes++;
    const length = Math.min(1, this.buffer.length);
    const fin = this.finQueued && this.una === this.finSequence;
    if (this.#emit(this.una, length, fin)) this.#probeEnd = add(this.una, 1);
    this.persist.probed();
    this.#timer.set(now + this.persist.interval(this.rtt.rto));
  }

  /** The path takes only `mss` bytes of payload: cuts anew, from the first unacknowledged byte (RFC 1191 §6.4). */
  reduceMss(mss: number): void {
    this.mss = mss;
    this.congestion.setSegmentSize(mss);
    this.recovery.timedOut(this.max);
    this.#timing = false;
    this.nxt = this.una;
  }
}
