import type { CongestionControl } from "./congestion.ts";
import type { TcpContext } from "./context.ts";
import { ForwardRto, sendNew, wasSpurious } from "./f-rto.ts";
import { ProportionalRate } from "./prr.ts";
import { Rack } from "./rack.ts";
import type { RttEstimator } from "./rtt.ts";
import type { SackReader } from "./sack.ts";
import { Scoreboard } from "./scoreboard.ts";
import type { Segment } from "./segment.ts";
import { add, distance, isAfter, isAtLeast } from "./sequence.ts";
import type { Counters } from "./statistics.ts";
import { probeNew, probeNone, probeRepeat, TailLossProbe } from "./tail-loss-probe.ts";
import { Undo } from "./undo.ts";

/** Nothing is known to be lost; a loss found by ACKs is repaired; the retransmission timer has expired. */
export const phaseOpen = 0;
export const phaseRecovery = 1;
export const phaseLoss = 2;

/** RFC 5681 §3.2: without SACK, this many duplicates mean a loss. */
const duplicateThreshold = 3;
/** Reports of duplicates that lie further behind are not believed, bytes: no window is as large (RFC 7323 §2.3). */
const oldestDuplicate = 2 ** 30;

/**
 * What is lost, and what of the congestion window that costs: RACK-TLP (RFC 8985) over a SACK scoreboard (RFC 6675), or
 * duplicate ACKs where the peer has no SACK (RFC 5681, RFC 6582); PRR (RFC 6937) while losses are repaired; and taking
 * back what was for nothing (RFC 3522, 3708, 5682). The sender asks it what to send again and how much.
 */
export class LossRecovery {
  readonly scoreboard: Scoreboard;
  readonly probe: TailLossProbe = new TailLossProbe();
  congestion: CongestionControl;
  /** Payload of a full segment. */
  mss: number;
  /** Whether both sides do SACK. */
  selective = false;
  phase: 0 | 1 | 2 = phaseOpen;
  /** SND.MAX when the last loss was found: recovery ends when it is acknowledged. */
  recover: number;
  /** How many times the window was reduced. */
  reductions = 0;
  /** F-RTO asks for something new to be sent, instead of what was lost. */
  prefersNew = false;
  /** When a reordering window ends with segments still missing, milliseconds; Infinity when there is none. */
  reorderAt = Infinity;
  /** Without SACK: duplicate ACKs in a row. */
  #duplicates = 0;
  /** Without SACK: whether the timer was restarted for the first partial ACK of this recovery. */
  #restarted = false;
  /** Whether the ACK at hand reports a duplicate. */
  #hasDuplicate = false;
  /** Whether a probe for longer segments is out, which has not been sent again; and behind it. */
  probesPath = false;
  pathProbeEnd = 0;
  /** D-SACKs received, for statistics. */
  duplicatesReported = 0;
  readonly #rack = new Rack();
  readonly #prr = new ProportionalRate();
  readonly #undo = new Undo();
  readonly #frto = new ForwardRto();
  readonly #sack: SackReader;
  readonly #rtt: RttEstimator;
  readonly #counters: Counters;

  constructor(context: TcpContext, rtt: RttEstimator, congestion: CongestionControl, mss: number, sequence: number) {
    this.scoreboard = new Scoreboard(context.segmentRecords, sequence);
    this.#counters = context.counters;
    this.#sack = context.sackReader;
    this.#rtt = rtt;
    this.congestion = congestion;
    this.mss = mss;
    this.recover = sequence;
  }

  /** The SYN is acknowledged: data begins at `sequence`. */
  start(sequence: number): void {
    this.scoreboard.reset(sequence);
    this.recover = add(sequence, -1);
  }

  /** Whether segments were seen to overtake each other. */
  get reordering(): boolean {
    return this.#rack.reordering;
  }

  /** How much more may be in flight, bytes. Below 0 after a reduction. */
  get allowance(): number {
    return this.congestion.window - this.scoreboard.pipe;
  }

  // ---- what is sent

  /** Everything up to `end` has left for the first time, in segments of that many bytes, with a FIN at its end if `fin`. */
  sent(end: number, fin: boolean, now: number, segment: number = this.mss): void {
    if (this.phase === phaseRecovery) this.#prr.sent(distance(end, this.scoreboard.end));
    this.scoreboard.sent(end, fin, segment, now);
  }

  /** The segment at `place`, so many bytes, has left again. */
  sentAgain(place: number, length: number, now: number): void {
    if (this.phase === phaseRecovery) this.#prr.sent(length);
    this.scoreboard.sentAgain(place, now);
    this.#undo.repeated(now);
  }

  // ---- what comes back

  /**
   * An acceptable ACK: of something new, or not. `scoreboard.delivery` tells afterwards what it was about.
   *
   * @param duplicate whether it is a duplicate in the sense of RFC 5681 §2
   * @param echo the round trip that the echoed timestamp tells, whole milliseconds, or −1
   * @param limited whether the congestion window, and nothing else, held the sender back
   * @param mayGrow whether the window may: not with an ACK that tells of congestion
   * @returns whether the retransmission timer starts anew.
   */
  acknowledged(segment: Segment, duplicate: boolean, echo: number, limited: boolean, mayGrow: boolean): boolean {
    const board = this.scoreboard;
    const { delivery } = board;
    const ack = segment.acknowledgement;
    const now = segment.time;
    const una = board.start;
    const isNew = isAfter(ack, una);
    const flight = distance(board.end, una);
    const unreported = flight - board.sacked - board.assumed;
    delivery.begin(this.recover);
    if (isNew) {
      board.acknowledge(ack);
      this.#duplicates = 0;
      this.#rack.advanced(ack);
      this.#undo.advanced(ack);
      // Follows, or it would look ahead after 2 GiB without a loss.
      if (this.phase === phaseOpen && isAfter(ack, this.recover)) this.recover = add(ack, -1);
    }
    let isNews = duplicate;
    let isOriginal = delivery.beforeRecover;
    this.#hasDuplicate = false;
    if (this.selective) {
      if (segment.options.sackBlocks > 0) isNews = this.#readSack(segment, una) || isNews;
      isOriginal = delivery.beforeRecover;
      const isEchoOlder = echo >= 0 && Math.floor(now) - echo < Math.floor(delivery.repeatedAt);
      this.#rack.update(delivery, now, this.#rtt.minimum, isEchoOlder);
    } else {
      // What was sent again and what was not are acknowledged as one: which of it came when is not known.
      if (delivery.repeatedAt >= 0) isOriginal = false;
      this.#assume(isNew, duplicate, distance(ack, una), flight);
    }
    if (this.#undo.areAllDuplicates || (isNew && this.#undo.isEcho(now, echo))) this.#takeBack(now);
    let restart = isNew;
    const wasRecovering = this.phase === phaseRecovery;
    if (this.phase === phaseLoss) this.#afterTimeout(isNew, isOriginal, isNews, now);
    else if (this.phase === phaseRecovery) restart = this.#recovering(isNew, now);
    if (this.probe.state !== probeNone) this.#endProbe(segment, duplicate, flight, now);
    const found = this.#detect(now);
    // What was lost after the recovery that has just ended began is a loss of its own (RFC 6675 §5, step 4).
    const isLost = found > 0 || board.lost > board.repeating;
    if (isLost && this.phase === phaseOpen && !this.#isOnlyPathProbe()) this.#enterRecovery(flight, unreported, now);
    if (this.phase === phaseRecovery) {
      // RFC 6582 §3.2, step 3: after a partial ACK without SACK the next segment leaves in any case.
      this.#reduceEvenly(delivery.bytes, isNew && found === 0, isNew && !this.selective ? this.mss : 0);
    } else if (mayGrow && !wasRecovering && (isNew || (this.#rack.reordering && delivery.bytes > 0))) {
      // RFC 5681 §3.2: duplicate ACKs do not open the window, but where order means little.
      const roundTrip = delivery.originalAt >= 0 ? now - delivery.originalAt : -1;
      const bytes = this.selective ? delivery.bytes : distance(ack, una);
      this.congestion.acknowledged(bytes, limited, now, roundTrip);
    }
    return restart;
  }

  /** @returns whether the ACK SACKs something new. */
  #readSack(segment: Segment, una: number): boolean {
    const board = this.scoreboard;
    const sack = this.#sack;
    const isNews = sack.read(segment.options, segment.acknowledgement, board, add(una, -oldestDuplicate));
    this.#hasDuplicate = sack.hasDuplicate;
    if (sack.hasDuplicate) {
      this.#counters.duplicatesReported++;
      this.duplicatesReported++;
      const length = distance(sack.duplicateRight, sack.duplicateLeft);
      this.#undo.duplicate(sack.duplicateRight, board.start, Math.ceil(length / this.mss));
      if (!this.#isOfProbe()) this.#rack.widen(board.start, board.end);
    }
    return isNews;
  }

  /** Without SACK: a duplicate ACK tells that a segment has arrived, but not which (RFC 6937 §4). */
  #assume(isNew: boolean, duplicate: boolean, bytes: number, flight: number): void {
    const board = this.scoreboard;
    const { delivery } = board;
    if (isNew) {
      // What was assumed before is part of what is acknowledged now, but for the segment that was missing.
      const counted = Math.min(board.assumed, Math.max(0, bytes - this.mss));
      board.assumed = board.count === 0 ? 0 : board.assumed - counted;
      delivery.bytes = Math.max(0, delivery.bytes - counted);
    } else if (duplicate) {
      this.#duplicates++;
      const more = Math.max(0, Math.min(this.mss, flight - this.mss - board.assumed - board.lost));
      board.assumed += more;
      delivery.bytes += more;
    }
  }

  /** An ACK while the first losses found by ACKs are repaired. @returns whether the timer starts anew. */
  #recovering(isNew: boolean, now: number): boolean {
    const board = this.scoreboard;
    if (isAtLeast(board.start, this.recover)) {
      this.#end();
      this.congestion.recovered(distance(board.end, board.start), now);
      return isNew;
    }
    if (!isNew || this.selective) return isNew;
    // RFC 6582 §3.2, step 3: a partial ACK: the next segment is missing, too. The first restarts the timer.
    board.markLost(board.first);
    const restart = !this.#restarted;
    this.#restarted = true;
    return restart;
  }

  #afterTimeout(isNew: boolean, isOriginal: boolean, isNews: boolean, now: number): void {
    const board = this.scoreboard;
    const isOver = isAtLeast(board.start, this.recover);
    const advice = this.#frto.acknowledged(isNew && !isOver, isOriginal, isNews);
    if (advice === wasSpurious) {
      this.#takeBack(now);
    } else if (isOver) {
      this.#end();
    } else if (advice === sendNew) {
      this.prefersNew = true;
      this.recover = board.end;
    }
  }

  /** Everything that was out when the loss was found is acknowledged. */
  #end(): void {
    this.phase = phaseOpen;
    this.#frto.stop();
    // RFC 8985 §6.2, step 4: not with the report that has widened it.
    if (!this.#hasDuplicate) this.#rack.recovered();
    this.scoreboard.assumed = 0;
  }

  /** Nothing had been lost. */
  #takeBack(now: number): void {
    this.#counters.spuriousRecoveries++;
    this.#undo.stop();
    this.congestion.undo(now);
    if (this.phase === phaseOpen) return;
    this.#end();
    this.scoreboard.forgetLosses();
    this.recover = add(this.scoreboard.start, -1);
  }

  /** Marks what is lost now. @returns how many bytes. */
  #detect(now: number): number {
    const board = this.scoreboard;
    this.reorderAt = Infinity;
    if (!this.selective) {
      // RFC 6582 §3.2, step 2: duplicates of what was in flight at the last loss are no sign of another.
      const isLoss =
        this.phase === phaseOpen && this.#duplicates >= duplicateThreshold && isAfter(board.start, this.recover);
      if (!isLoss || board.count === 0) return 0;
      board.markLost(board.first);
      return this.mss;
    }
    const window = this.#reorderingWindow();
    const found = this.#rack.detect(board, now, window);
    if (board.waiting) this.reorderAt = this.#rack.deadline(window);
    return found;
  }

  /** RFC 4821 §7.6: a lost probe for longer segments, and nothing else lost, is no sign of congestion. */
  #isOnlyPathProbe(): boolean {
    if (!this.probesPath) return false;
    const board = this.scoreboard;
    const place = board.nextLost();
    if (place < 0 || board.endOf(place) !== this.pathProbeEnd) return false;
    return board.lost - board.repeating === distance(board.endOf(place), board.startOf(place));
  }

  #reorderingWindow(): number {
    const { minimum, smoothed } = this.#rtt;
    return this.#rack.window(this.scoreboard, this.phase !== phaseOpen, minimum, smoothed);
  }

  /** @param unreported what was out before this ACK, and not SACKed */
  #enterRecovery(flight: number, unreported: number, now: number): void {
    const { congestion } = this;
    this.#counters.fastRetransmits++;
    this.phase = phaseRecovery;
    this.recover = this.scoreboard.end;
    this.#restarted = false;
    this.probe.done();
    // RFC 5681 §3.2: without what limited transmit has sent beyond the window.
    congestion.reduce(Math.min(flight, congestion.window), now, "loss");
    this.reductions++;
    this.#undo.start(this.scoreboard.start);
    this.#prr.start(unreported);
  }

  #reduceEvenly(delivered: number, isSafe: boolean, least: number): void {
    const { congestion } = this;
    const { pipe } = this.scoreboard;
    const allowed = this.#prr.allowance(delivered, pipe, congestion.threshold, this.mss, isSafe);
    congestion.window = pipe + Math.max(allowed, least);
  }

  // ---- time

  /** The reordering window has ended: what is still missing is lost. */
  reorderingExpired(now: number): void {
    const board = this.scoreboard;
    const flight = distance(board.end, board.start);
    const unreported = flight - board.sacked;
    if (this.#detect(now) === 0) return;
    if (this.phase === phaseOpen && !this.#isOnlyPathProbe()) this.#enterRecovery(flight, unreported, now);
    if (this.phase === phaseRecovery) this.#reduceEvenly(0, false, 0);
  }

  /** The retransmission timer has expired, `count` times before without progress (RFC 6298 §5.4, RFC 8985 §6.3). */
  timedOut(count: number, now: number): void {
    const board = this.scoreboard;
    const { congestion, phase } = this;
    const isFirst = phase === phaseOpen || !isAfter(this.recover, board.start) || (phase === phaseLoss && count === 0);
    const flight = distance(board.end, board.start);
    congestion.timeout(phase === phaseRecovery ? flight : Math.min(flight, congestion.window), isFirst, now);
    if (isFirst) this.#undo.start(board.start);
    // RFC 5682 §2.1, step 1: not when losses were being repaired already.
    if (phase === phaseRecovery || board.isReneged) this.#frto.stop();
    else this.#frto.timedOut();
    if (board.isReneged) board.forgetSacks();
    this.phase = phaseLoss;
    this.recover = board.end;
    this.prefersNew = false;
    this.reorderAt = Infinity;
    this.#duplicates = 0;
    this.probe.done();
    const isTimed = this.selective && this.#rack.sentAt >= 0;
    board.markAllLost(now, isTimed ? this.#rack.roundTrip + this.#reorderingWindow() : 0);
    congestion.window = board.pipe + this.mss;
  }

  /** F-RTO wanted something new to be sent, and there was nothing, or no window for it. */
  nothingNew(): void {
    this.prefersNew = false;
    this.#frto.stop();
  }

  /** Only segments of `mss` bytes get through. What was longer is sent again, which is no sign of congestion. */
  cut(mss: number): void {
    const board = this.scoreboard;
    this.mss = mss;
    this.congestion.setSegmentSize(mss);
    board.markLongLost(mss);
    if (board.lost === 0 || this.phase !== phaseOpen) return;
    this.phase = phaseLoss;
    this.recover = board.end;
    this.#frto.stop();
    this.#undo.stop();
  }

  /** The window has opened again: what was sent into a shut one was dropped. */
  windowOpened(): void {
    if (this.phase === phaseLoss) this.scoreboard.markLost(this.scoreboard.first);
  }

  // ---- tail loss probes

  /** How long to wait for a sign of life before a probe is sent, milliseconds; Infinity where none is (RFC 8985 §7.2). */
  get probeTimeout(): number {
    const board = this.scoreboard;
    const { probe } = this;
    if (!this.selective || this.phase !== phaseOpen || probe.state !== probeNone) return Infinity;
    if (board.count === 0 || board.sackedSegments > 0) return Infinity;
    return probe.timeout(this.#rtt.smoothed, distance(board.end, board.start) < 2 * this.mss);
  }

  /** A probe has left: something new, or the last segment again. */
  probed(isNew: boolean): void {
    this.probe.sent(isNew ? probeNew : probeRepeat, this.scoreboard.end);
  }

  /** Whether the duplicate that was reported is our probe. */
  #isOfProbe(): boolean {
    return this.probe.state === probeRepeat && this.#sack.duplicateRight === this.probe.end;
  }

  /** RFC 8985 §7.4: what the answer to a probe says. */
  #endProbe(segment: Segment, duplicate: boolean, flight: number, now: number): void {
    const { probe, congestion } = this;
    const ack = segment.acknowledgement;
    if (!isAtLeast(ack, probe.end)) return;
    if (probe.state === probeNew || (this.#hasDuplicate && this.#isOfProbe())) {
      probe.done();
    } else if (isAfter(ack, probe.end)) {
      // One copy has arrived, not two: the probe has repaired a loss, which must not go unnoticed.
      probe.done();
      if (this.phase !== phaseOpen) return;
      congestion.reduce(Math.min(flight, congestion.window), now, "loss");
      congestion.recovered(this.scoreboard.pipe, now);
      this.reductions++;
    } else if (duplicate && segment.options.sackBlocks === 0) {
      probe.done();
    }
  }
}
