import { isAfter } from "./sequence.ts";

/** How long `more` may hold back a short segment, milliseconds. */
export const corkTime = 200;

/**
 * Whether a short segment may leave (RFC 9293 §3.7.4), for one connection.
 *
 * Nagle's rule in Minshall's form: a short segment waits only while an earlier *short* one is unacknowledged. The tail
 * of a large write so leaves at once, and at most one short segment is in flight all the same.
 */
export class Nagle {
  noDelay: boolean;
  /** Behind the last short segment sent. */
  shortEnd: number;
  /** Until when a promise of more holds short segments back; 0 when there is none. Milliseconds. */
  corkedUntil = 0;

  constructor(noDelay: boolean, initialSequence: number) {
    this.noDelay = noDelay;
    this.shortEnd = initialSequence;
  }

  /** The application is (`more`) or is not about to write more. */
  cork(more: boolean, now: number): void {
    if (!more) this.corkedUntil = 0;
    else if (this.corkedUntil <= now) this.corkedUntil = now + corkTime;
  }

  /** Whether the promise of more holds at `now`. */
  isCorked(now: number): boolean {
    return now < this.corkedUntil;
  }

  mayLeave(una: number, now: number): boolean {
    if (now < this.corkedUntil) return false;
    return this.noDelay || !isAfter(this.shortEnd, una);
  }

  sentShort(end: number): void {
    this.shortEnd = end;
  }

  /** Everything up to `una` is acknowledged. Keeps `shortEnd` from falling so far behind that it looks ahead. */
  acknowledged(una: number): void {
    if (isAfter(una, this.shortEnd)) this.shortEnd = una;
  }
}
