import { isAfter } from "./sequence.ts";

/** What one ACK says has arrived that no ACK said before. Reused from ACK to ACK. */
export class Delivery {
  /** Bytes, a FIN counting as one. */
  bytes = 0;
  /** The segment sent last of those that were sent once: when, −1 without one, and where it ends. */
  originalAt = -1;
  originalEnd = 0;
  /** The same of those that were sent more than once. */
  repeatedAt = -1;
  repeatedEnd = 0;
  /** Whether something that was sent only once, and before `recover`, is among it. */
  beforeRecover = false;
  /** Whether something that was sent only once came later than what was sent after it. */
  reordered = false;
  /** The highest number known to have arrived, before this ACK and with it (RFC 8985 §5.2, RACK.fack). */
  highest: number;
  #highestBefore: number;
  #recover = 0;

  constructor(sequence: number) {
    this.highest = sequence;
    this.#highestBefore = sequence;
  }

  /** One more ACK. `recover`: how far the sender had come when it found its last loss. */
  begin(recover: number): void {
    this.bytes = 0;
    this.originalAt = -1;
    this.repeatedAt = -1;
    this.beforeRecover = false;
    this.reordered = false;
    this.#highestBefore = this.highest;
    this.#recover = recover;
  }

  /** A segment is reported for the first time. `end`: behind it. `repeated`: sent more than once. */
  add(end: number, length: number, sentAt: number, repeated: boolean): void {
    this.bytes += length;
    if (isAfter(end, this.highest)) this.highest = end;
    if (repeated) {
      if (sentAt > this.repeatedAt || (sentAt === this.repeatedAt && isAfter(end, this.repeatedEnd))) {
        this.repeatedAt = sentAt;
        this.repeatedEnd = end;
      }
      return;
    }
    if (sentAt > this.originalAt || (sentAt === this.originalAt && isAfter(end, this.originalEnd))) {
      this.originalAt = sentAt;
      this.originalEnd = end;
    }
    if (!isAfter(end, this.#recover)) this.beforeRecover = true;
    if (isAfter(this.#highestBefore, end)) this.reordered = true;
  }
}
