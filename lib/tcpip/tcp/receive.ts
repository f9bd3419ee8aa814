import type { TcpContext } from "./context.ts";
import { DelayedAck } from "./delayed-ack.ts";
import { ReceiveBuffer } from "./receive-buffer.ts";
import type { Segment } from "./segment.ts";
import { add, distance, isAfter, isAtLeast, isAtMost, isBefore, later } from "./sequence.ts";
import { flagFin, type SackBlocks } from "./wire.ts";

/**
 * The receiving half of a connection (RFC 9293 §3.3.1, the RCV variables, §3.8.6): which segments belong in the
 * window, where their bytes go, what window is offered, and whether an ACK is due.
 */
export class Receiver {
  readonly buffer: ReceiveBuffer;
  readonly delayed: DelayedAck = new DelayedAck();
  /** RCV.NXT. */
  nxt = 0;
  /** The right edge of the window: the highest ever offered. Data up to it is always taken (RFC 7323 §2.4). */
  edge = 0;
  /** Rcv.Wind.Shift. */
  shift = 0;
  /** Our largest segment, for silly-window avoidance. */
  mss = 536;
  /** Last.ACK.sent (RFC 7323 §4.3). */
  lastAck = 0;
  /** Whether both sides send timestamps; TS.Recent, and when it was taken. */
  timestamps = false;
  recentTimestamp = 0;
  /** Whether both sides do SACK. */
  selective = false;
  /** What arrived once more since the last ACK (RFC 2883); empty when nothing did. */
  #duplicateLeft = 0;
  #duplicateRight = 0;
  #recentAt = 0;
  /** The round trip as the echoes on the peer's data tell it, milliseconds; 0 before the first. */
  roundTrip = 0;
  /** The peer's FIN has been seen; its number; and whether everything before it is here, too. */
  hasFin = false;
  #finSequence = 0;
  finished = false;
  /** An ACK is to leave at the end of this batch. */
  ackNow = false;
  /** An ACK is to leave within the delay. */
  ackLater = false;
  bytesReceived = 0;
  readonly #context: TcpContext;

  constructor(context: TcpContext) {
    this.#context = context;
    const { receiveBuffer, maxReceiveBuffer } = context.limits;
    this.buffer = new ReceiveBuffer(context.pool, receiveBuffer, maxReceiveBuffer);
  }

  /** The peer's SYN had this number. `offered` is the window our own SYN offers or offered, unscaled. */
  start(irs: number, offered: number): void {
    this.nxt = add(irs, 1);
    this.edge = add(this.nxt, offered);
    this.lastAck = this.nxt;
  }

  /** RCV.WND: how much the peer may send. */
  get window(): number {
    return Math.max(0, distance(this.edge, this.nxt));
  }

  /** How much there is room for. */
  get #space(): number {
    return this.buffer.limit - this.buffer.length;
  }

  /**
   * The window field of a segment that leaves now, shifted, and with it the new right edge. The edge moves only by
   * worthwhile steps (RFC 9293 §3.8.6.2.2) and never back.
   */
  offerWindow(): number {
    const edge = add(this.nxt, Math.max(0, this.#space));
    if (this.#isWorthwhile(distance(edge, this.edge))) this.edge = edge;
    return Math.min(65_535, this.window >>> this.shift);
  }

  /** Whether the reader has made so much room that the peer should hear of it without being asked. */
  get hasRoomToTell(): boolean {
    const gain = distance(add(this.nxt, Math.max(0, this.#space)), this.edge);
    const { limit } = this.buffer;
    return gain * 2 >= limit || (gain >= 2 * this.mss && this.window < limit / 4);
  }

  #isWorthwhile(gain: number): boolean {
    return gain >= Math.min(Math.floor(this.buffer.limit / 2), this.mss);
  }

  /** PAWS (RFC 7323 §5.3 R1): whether the segment is an old duplicate by its timestamp. */
  isOld(segment: Segment): boolean {
    const age = (segment.options.timestampValue - this.recentTimestamp) | 0;
    // §5.5: after 24 days without a segment the recent timestamp itself is outdated.
    return age < 0 && segment.time - this.#recentAt < 24 * 86_400_000;
  }

  /** RFC 7323 §4.3, after the segment was found acceptable. */
  noteTimestamp(segment: Segment): void {
    const { timestampValue } = segment.options;
    if (isAtMost(segment.sequence, this.lastAck) && ((timestampValue - this.recentTimestamp) | 0) >= 0) {
      this.recentTimestamp = timestampValue;
      this.#recentAt = segment.time;
    }
  }

  /** Takes the round trip that a full data segment's echo tells: a receiver has no ACKs to time. */
  sampleRoundTrip(echo: number): void {
    this.roundTrip += this.roundTrip === 0 ? echo : (echo - this.roundTrip) / 8;
  }

  /**
   * The first check of RFC 9293 §3.10.7.4: whether the segment lies in the window. One that overlaps it at both ends
   * counts, too; and with a window of 0 one that begins at RCV.NXT does, for the sake of its ACK: its data is cut off.
   * An empty one may be at the right edge: a peer that has filled the window and lost some of it speaks from there.
   */
  isAcceptable(sequence: number, span: number): boolean {
    if (span === 0) return isAtLeast(sequence, this.nxt) && isAtMost(sequence, this.edge);
    if (this.window === 0) return sequence === this.nxt;
    return isBefore(sequence, this.edge) && isAfter(add(sequence, span), this.nxt);
  }

  /**
   * Takes the text and the FIN of an acceptable segment.
   *
   * @param discard the reader is gone: count the bytes and drop them
   */
  take(segment: Segment, discard: boolean): void {
    const isFin = (segment.flags & flagFin) !== 0;
    const { bytes } = segment;
    let { sequence, offset, length } = segment;
    const end = add(sequence, length);
    if (isFin && !this.hasFin && isAtMost(end, this.edge) && isAtLeast(end, this.nxt)) {
      this.hasFin = true;
      this.#finSequence = end;
    }
    const before = distance(this.nxt, sequence);
    if (before > 0) {
      const cut = Math.min(before, length);
      sequence = add(sequence, cut);
      offset += cut;
      length -= cut;
      // Something we had: our ACK may have been lost (RFC 5681 §4.2 wants this one at once).
      this.#noteDuplicate(segment.sequence, sequence);
      this.delayed.quicken();
      this.ackNow = true;
    }
    const limit = this.hasFin ? this.#lesser(this.#finSequence, this.edge) : this.edge;
    const room = distance(limit, sequence);
    if (length > room) {
      length = Math.max(0, room);
      this.ackNow = true;
    }
    if (length > 0) this.#insert(distance(sequence, this.nxt), bytes, offset, length, discard, segment);
    if (isFin) this.ackNow = true;
    if (this.hasFin && !this.finished && this.nxt === this.#finSequence) {
      this.finished = true;
      this.ackNow = true;
      this.nxt = add(this.nxt, 1);
      this.edge = later(this.edge, this.nxt);
    }
  }

  #insert(ahead: number, bytes: Uint8Array, offset: number, length: number, discard: boolean, segment: Segment): void {
    const { early } = this.buffer;
    const hadGap = early.count > 0;
    if (hadGap || ahead > 0) this.delayed.quicken();
    if (hadGap && ahead > 0 && early.overlap(ahead, ahead + length)) {
      this.#noteDuplicate(add(this.nxt, early.overlapLeft), add(this.nxt, early.overlapRight));
    }
    const moved = this.buffer.insert(ahead, bytes, offset, length);
    if (moved <= 0) {
      const { counters } = this.#context;
      if (moved < 0) counters.outOfOrderDropped++;
      else counters.outOfOrder++;
      this.ackNow = true;
      return;
    }
    this.nxt = add(this.nxt, moved);
    this.bytesReceived += moved;
    if (discard) this.buffer.discard();
    // RFC 5681 §4.2: at once, too, when a gap is filled, in part or whole.
    if (this.delayed.received(moved, length, this.mss, segment) || hadGap) this.ackNow = true;
    else this.ackLater = true;
  }

  /** A segment that lies before the window came, which the state machine drops (RFC 2883 §4.1.1). */
  noteOld(segment: Segment): void {
    this.delayed.quicken();
    const end = add(segment.sequence, segment.length);
    if (this.selective && isAtMost(end, this.nxt)) this.#noteDuplicate(segment.sequence, end);
  }

  /** What arrived once more; the first of a batch is what is reported. */
  #noteDuplicate(left: number, right: number): void {
    if (this.#duplicateLeft !== this.#duplicateRight || !isBefore(left, right)) return;
    this.#duplicateLeft = left;
    this.#duplicateRight = right;
  }

  /** Whether the next ACK has something to report in SACK blocks. */
  get hasSack(): boolean {
    return this.selective && (this.buffer.early.count > 0 || this.#duplicateLeft !== this.#duplicateRight);
  }

  /** Fills the blocks: the duplicate (RFC 2883 §4), then what is here early, the latest first (RFC 2018 §4). */
  writeSack(blocks: SackBlocks): void {
    const { early } = this.buffer;
    blocks.count = 0;
    if (this.#duplicateLeft !== this.#duplicateRight) {
      blocks.add(this.#duplicateLeft, this.#duplicateRight);
      // RFC 2883 §4.1: when the duplicate is part of something early, that comes next.
      early.touch(distance(this.#duplicateLeft, this.nxt));
    }
    for (let order = 0; order < early.recentCount; order++) {
      const index = early.recent(order);
      blocks.add(add(this.nxt, early.left(index)), add(this.nxt, early.right(index)));
    }
  }

  /** An ACK of everything so far has left. */
  acked(): void {
    this.#duplicateLeft = this.#duplicateRight;
    this.lastAck = this.nxt;
    this.ackNow = false;
    this.ackLater = false;
    this.delayed.sent();
  }

  #lesser(a: number, b: number): number {
    return isBefore(a, b) ? a : b;
  }
}
