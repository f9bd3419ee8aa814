import { Delivery } from "./delivery.ts";
import { PositionQueue } from "./position-queue.ts";
import { maxSegments, type SegmentRecordPool, type SegmentRecords } from "./segment-records.ts";
import { add, distance, isAfter, isAtLeast, isAtMost, isBefore } from "./sequence.ts";

/** The receiver has it. */
const sacked = 1;
/** Held for lost, and not reported since. */
const lost = 2;
/** Sent again, and that copy is held to be on its way. */
const repeating = 4;
/** Was sent more than once, whatever became of it. */
const repeated = 8;

/**
 * The segments that are out, in order, and what is known of each (RFC 6675 §3, RFC 8985 §5.1): sent when, SACKed, lost,
 * sent again.
 *
 * A ring of records. A segment is what was, or would have been, one segment on the wire; one that a device cuts is many
 * here. Nothing is allocated for a segment. An ACK costs a binary search for each SACK block, and otherwise what it says
 * that is new: runs of SACKed segments are jumped over, marks only move forward. So it is for any blocks whatever.
 *
 * A place in the ring is a number that counts up; it stays good until the segment is acknowledged.
 */
export class Scoreboard {
  /** The numbers it covers: SND.UNA to SND.MAX. */
  start: number;
  end: number;
  /** Bytes SACKed; held for lost; and out once more. */
  sacked = 0;
  lost = 0;
  repeating = 0;
  sackedSegments = 0;
  /** Without SACK: bytes that duplicate ACKs let us assume to have arrived. */
  assumed = 0;
  /** What the ACK at hand has told. */
  readonly delivery: Delivery;
  /** After {@link detectLost}: something might still be lost, and only waits for its time. */
  waiting = false;

  readonly #pool: SegmentRecordPool;
  #records: SegmentRecords | null = null;
  #mask = 0;
  /** The first place, and the one behind the last. */
  #head = 0;
  #tail = 0;
  /** Before it, whatever was sent once is known to be lost or to have arrived. */
  #undecided = 0;
  /** What was lost for the first time and not sent again is between these two. */
  #lostFrom = 0;
  #lostEnd = 0;
  /** What was lost again. */
  readonly #again = new PositionQueue(maxSegments);
  /** What was sent again, in that order, and perhaps some that has been reported since. */
  readonly #repeats = new PositionQueue(maxSegments);

  constructor(pool: SegmentRecordPool, sequence: number) {
    this.#pool = pool;
    this.start = sequence;
    this.end = sequence;
    this.delivery = new Delivery(sequence);
  }

  /** Segments out. */
  get count(): number {
    return this.#tail - this.#head;
  }

  /** How many more segments it can remember. */
  get room(): number {
    return maxSegments - this.count;
  }

  /** RFC 6675 §4, pipe: bytes held to be in the network. */
  get pipe(): number {
    return Math.max(0, distance(this.end, this.start) - this.sacked - this.assumed - this.lost + this.repeating);
  }

  /** Everything is forgotten, and `sequence` is the next to be sent. Gives the memory back. */
  reset(sequence: number): void {
    this.start = sequence;
    this.end = sequence;
    if (this.#records !== null) this.#pool.give(this.#records);
    this.#records = null;
    this.#mask = 0;
    this.#head = 0;
    this.#tail = 0;
    this.#undecided = 0;
    this.#lostFrom = 0;
    this.#lostEnd = 0;
    this.sacked = 0;
    this.lost = 0;
    this.repeating = 0;
    this.sackedSegments = 0;
    this.assumed = 0;
    this.waiting = false;
    if (this.#again.length > 0) this.#again.clear();
    if (this.#repeats.length > 0) this.#repeats.clear();
    if (isBefore(this.delivery.highest, sequence)) this.delivery.highest = sequence;
  }

  // ---- the segments

  /** The place of the first segment. */
  get first(): number {
    return this.#head;
  }

  /** The place of the last one. */
  get last(): number {
    return this.#tail - 1;
  }

  endOf(place: number): number {
    return this.#records?.ends[place & this.#mask] ?? 0;
  }

  startOf(place: number): number {
    return place === this.#head ? this.start : this.endOf(place - 1);
  }

  sentAt(place: number): number {
    return this.#records?.sentAt[place & this.#mask] ?? 0;
  }

  #state(place: number): number {
    return this.#records?.states[place & this.#mask] ?? 0;
  }

  isSacked(place: number): boolean {
    return (this.#state(place) & sacked) !== 0;
  }

  // ---- sending

  /**
   * Everything up to `end` has left for the first time, in segments of `mss` bytes, the last of them with a FIN if
   * `fin`. There is {@link room} for them.
   */
  sent(end: number, fin: boolean, mss: number, now: number): void {
    const last = fin ? mss + 1 : mss;
    for (let from = this.end; isBefore(from, end);) {
      const to = distance(end, from) <= last ? end : add(from, mss);
      const records = this.#reserve();
      const slot = this.#tail & this.#mask;
      records.ends[slot] = to;
      records.sentAt[slot] = now;
      records.states[slot] = 0;
      this.#tail++;
      from = to;
    }
    this.end = end;
  }

  /** The segment at `place` has left once more. */
  sentAgain(place: number, now: number): void {
    const records = this.#records;
    if (records === null) return;
    const slot = place & this.#mask;
    const state = records.states[slot] ?? 0;
    if ((state & repeating) === 0) this.repeating += this.#length(place);
    records.states[slot] = state | repeating | repeated;
    records.sentAt[slot] = now;
    while (this.#repeats.length > 0 && !this.#isOnItsWayAgain(this.#repeats.first)) this.#repeats.shift();
    this.#repeats.push(place);
  }

  /** What is to be sent again next, −1 when there is nothing. Losses for the second time come first. */
  nextLost(): number {
    while (this.#again.length > 0) {
      const place = this.#again.first;
      if (this.#isToRepeat(place)) return place;
      this.#again.shift();
    }
    if (this.#lostFrom < this.#head) this.#lostFrom = this.#head;
    while (this.#lostFrom < this.#lostEnd && !this.#isToRepeat(this.#lostFrom)) this.#lostFrom++;
    return this.#lostFrom < this.#lostEnd ? this.#lostFrom : -1;
  }

  #isToRepeat(place: number): boolean {
    return place >= this.#head && (this.#state(place) & (lost | repeating | sacked)) === lost;
  }

  #isOnItsWayAgain(place: number): boolean {
    return place >= this.#head && (this.#state(place) & repeating) !== 0;
  }

  // ---- what ACKs say

  /** Everything up to `ack`, above {@link start}, has arrived. What is new about that goes into {@link delivery}. */
  acknowledge(ack: number): void {
    const records = this.#records;
    if (records === null || isAtLeast(ack, this.end)) {
      this.#deliverAll();
      this.reset(ack);
      return;
    }
    while (this.#head < this.#tail) {
      const slot = this.#head & this.#mask;
      const end = records.ends[slot] ?? 0;
      if (isAfter(end, ack)) break;
      this.#deliver(slot, distance(end, this.start), end);
      this.start = end;
      this.#head++;
    }
    const part = distance(ack, this.start);
    if (part > 0) {
      // A part of a segment: what is left of it keeps its state.
      const slot = this.#head & this.#mask;
      const state = records.states[slot] ?? 0;
      if ((state & sacked) !== 0) this.sacked -= part;
      else this.delivery.add(ack, part, records.sentAt[slot] ?? 0, (state & repeated) !== 0);
      if ((state & lost) !== 0) this.lost -= part;
      if ((state & repeating) !== 0) this.repeating -= part;
      this.start = ack;
    }
  }

  #deliverAll(): void {
    for (; this.#head < this.#tail; this.#head++) {
      const end = this.endOf(this.#head);
      this.#deliver(this.#head & this.#mask, distance(end, this.start), end);
      this.start = end;
    }
  }

  /** The segment in that slot leaves the scoreboard. */
  #deliver(slot: number, length: number, end: number): void {
    const records = this.#records;
    if (records === null) return;
    const state = records.states[slot] ?? 0;
    if ((state & sacked) !== 0) {
      this.sacked -= length;
      this.sackedSegments--;
      return;
    }
    if ((state & lost) !== 0) this.lost -= length;
    if ((state & repeating) !== 0) this.repeating -= length;
    this.delivery.add(end, length, records.sentAt[slot] ?? 0, (state & repeated) !== 0);
  }

  /**
   * A SACK block: every segment that lies in it whole has arrived. The block is in order and within {@link start} and
   * {@link end}. @returns whether that was news.
   */
  sack(left: number, right: number): boolean {
    const records = this.#records;
    if (records === null) return false;
    let isNews = false;
    let place = this.#find(left);
    for (;;) {
      place = this.#unsackedFrom(place);
      if (place >= this.#tail) break;
      const slot = place & this.#mask;
      const end = records.ends[slot] ?? 0;
      if (isAfter(end, right)) break;
      const length = distance(end, this.startOf(place));
      const state = records.states[slot] ?? 0;
      if ((state & lost) !== 0) this.lost -= length;
      if ((state & repeating) !== 0) this.repeating -= length;
      records.states[slot] = (state & repeated) | sacked;
      records.skips[slot] = 1;
      this.sacked += length;
      this.sackedSegments++;
      this.delivery.add(end, length, records.sentAt[slot] ?? 0, (state & repeated) !== 0);
      isNews = true;
    }
    return isNews;
  }

  /** The first segment that begins at `sequence` or after it. */
  #find(sequence: number): number {
    if (isAtMost(sequence, this.start)) return this.#head;
    let low = this.#head;
    let high = this.#tail;
    // The first that ends at or after `sequence`: the next one begins there.
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.endOf(middle), sequence)) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }

  /** The first place from `place` on that is not SACKed. Shortens the way for the next time. */
  #unsackedFrom(place: number): number {
    const records = this.#records;
    if (records === null) return place;
    let found = place;
    while (found < this.#tail && (this.#state(found) & sacked) !== 0) found += records.skips[found & this.#mask] ?? 1;
    for (let at = place; at < found;) {
      const slot = at & this.#mask;
      const skip = records.skips[slot] ?? 1;
      records.skips[slot] = found - at;
      at += skip;
    }
    return found;
  }

  /** Whether the first segment is SACKed though it is not acknowledged: the receiver has thrown it away. */
  get isReneged(): boolean {
    return this.count > 0 && this.isSacked(this.#head);
  }

  // ---- losses

  /**
   * RFC 8985 §6.2, step 5: everything sent before what was sent at `latest` and ends at `latestEnd`, and `wait`
   * milliseconds or more before `now`, is lost.
   *
   * @returns how many bytes were found lost now.
   */
  detectLost(latest: number, latestEnd: number, now: number, wait: number): number {
    const before = this.lost - this.repeating;
    this.waiting = false;
    // What was sent again, in the order of sending.
    while (this.#repeats.length > 0) {
      const place = this.#repeats.first;
      if (this.#isOnItsWayAgain(place)) {
        // A copy that left in this very moment cannot be lost yet. Where a path takes no time, as in a simulation, it would
        // be sent again with every ACK, for ever.
        if (this.sentAt(place) === now || !this.#isSentBefore(place, latest, latestEnd)) break;
        if (this.sentAt(place) + wait > now) {
          this.waiting = true;
          break;
        }
        this.markLost(place);
      }
      this.#repeats.shift();
    }
    // What was sent once, in order of numbers, which is the order of sending, too.
    let place = Math.max(this.#undecided, this.#head);
    for (; place < this.#tail; place++) {
      if ((this.#state(place) & (sacked | lost | repeated)) !== 0) continue;
      if (!this.#isSentBefore(place, latest, latestEnd)) break;
      if (this.sentAt(place) + wait > now) {
        this.waiting = true;
        break;
      }
      this.#setLost(place);
      if (this.#lostFrom >= this.#lostEnd) this.#lostFrom = place;
      this.#lostEnd = place + 1;
    }
    this.#undecided = place;
    return this.lost - this.repeating - before;
  }

  #isSentBefore(place: number, time: number, end: number): boolean {
    const sentAt = this.sentAt(place);
    return sentAt < time || (sentAt === time && isBefore(this.endOf(place), end));
  }

  /** The segment at `place`, or the copy of it that is on its way, is lost. */
  markLost(place: number): void {
    if (place < this.#head || place >= this.#tail || (this.#state(place) & sacked) !== 0) return;
    this.#setLost(place);
    this.#again.push(place);
  }

  #setLost(place: number): void {
    const records = this.#records;
    if (records === null) return;
    const slot = place & this.#mask;
    const state = records.states[slot] ?? 0;
    const length = this.#length(place);
    if ((state & repeating) !== 0) this.repeating -= length;
    if ((state & lost) === 0) this.lost += length;
    records.states[slot] = (state & ~repeating) | lost;
  }

  /**
   * The retransmission timer expired (RFC 8985 §6.3): the first segment is lost, and every other that has not arrived
   * and was sent `wait` milliseconds or more before `now`.
   */
  markAllLost(now: number, wait: number): void {
    this.assumed = 0;
    for (let place = this.#head; place < this.#tail; place++) {
      if ((this.#state(place) & sacked) !== 0) continue;
      if (place === this.#head || this.sentAt(place) + wait <= now) this.#setLost(place);
    }
    this.#again.clear();
    this.#lostFrom = this.#head;
    this.#lostEnd = this.#tail;
  }

  /** Segments of more than `mss` bytes cannot have got through. */
  markLongLost(mss: number): void {
    for (let place = this.#head; place < this.#tail; place++) {
      if ((this.#state(place) & sacked) === 0 && this.#length(place) > mss) this.#setLost(place);
    }
    this.#again.clear();
    this.#lostFrom = this.#head;
    this.#lostEnd = this.#tail;
  }

  /** Nothing was lost after all. What is out once more stays out, and may yet be found lost. */
  forgetLosses(): void {
    const records = this.#records;
    this.lost = 0;
    if (records !== null) {
      for (let place = this.#head; place < this.#tail; place++) {
        const slot = place & this.#mask;
        records.states[slot] = (records.states[slot] ?? 0) & ~lost;
      }
      this.#followRepeats();
    }
    this.#again.clear();
    this.#undecided = this.#head;
    this.#lostFrom = this.#head;
    this.#lostEnd = this.#head;
  }

  /** RFC 2018 §8: the receiver may throw away what it has SACKed. */
  forgetSacks(): void {
    const records = this.#records;
    if (records !== null) {
      for (let place = this.#head; place < this.#tail; place++) {
        const slot = place & this.#mask;
        records.states[slot] = (records.states[slot] ?? 0) & ~sacked;
      }
      this.#followRepeats();
    }
    this.sacked = 0;
    this.sackedSegments = 0;
    this.#undecided = this.#head;
  }

  /**
   * What was sent again, and is now neither reported nor held for lost, is on its way twice, and looked after from now
   * on: {@link detectLost} would not find it among what was sent once.
   */
  #followRepeats(): void {
    const records = this.#records;
    if (records === null) return;
    const places: number[] = [];
    let isNew = false;
    for (let place = this.#head; place < this.#tail; place++) {
      const slot = place & this.#mask;
      const state = records.states[slot] ?? 0;
      if ((state & repeated) === 0 || (state & sacked) !== 0) continue;
      if ((state & (lost | repeating)) === 0) {
        isNew = true;
        records.states[slot] = state | repeating;
        this.repeating += this.#length(place);
      }
      if (this.#isOnItsWayAgain(place)) places.push(place);
    }
    if (!isNew) return;
    places.sort((a, b) => this.sentAt(a) - this.sentAt(b));
    this.#repeats.clear();
    for (const place of places) this.#repeats.push(place);
  }

  // ---- memory

  #length(place: number): number {
    return distance(this.endOf(place), this.startOf(place));
  }

  #reserve(): SegmentRecords {
    const records = this.#records;
    const { count } = this;
    if (records !== null && count < records.capacity) return records;
    const grown = this.#pool.take(count + 1);
    if (records !== null) {
      const mask = grown.capacity - 1;
      for (let place = this.#head; place < this.#tail; place++) {
        const from = place & this.#mask;
        const to = place & mask;
        grown.ends[to] = records.ends[from] ?? 0;
        grown.sentAt[to] = records.sentAt[from] ?? 0;
        grown.states[to] = records.states[from] ?? 0;
        grown.skips[to] = records.skips[from] ?? 0;
      }
      this.#pool.give(records);
    }
    this.#records = grown;
    this.#mask = grown.capacity - 1;
    return grown;
  }
}
