import type { FrameEvent, Observer } from "./event.ts";
import { hashText } from "./random.ts";

/**
 * One number for a whole run: a 64-bit hash of everything that happened, every byte of every frame included (once
 * when it is sent, and again when it was changed on the way).
 *
 * Made of 32-bit integer operations, so it is the same on every machine. It tells runs apart; it is no defence against
 * somebody who wants two runs to look alike.
 */
export class TraceHash implements Observer {
  readonly #time = new Float64Array(1);
  readonly #words = new Int32Array(this.#time.buffer);
  readonly #texts = new Map<string, number>();
  #one = 0x243f6a88;
  #two = 0x85a308d3 | 0;

  frame(event: FrameEvent): void {
    this.#instant(event.time);
    this.#word(this.#text(event.kind) ^ (event.reason === undefined ? 0 : this.#text(event.reason)));
    this.#word(this.#text(event.place));
    this.#word(event.frame);
    const { bytes, offset, length } = event;
    this.#word(length);
    // What arrives is what was sent, or what was made of it on the way.
    if (event.kind !== "received") this.#bytes(bytes, offset, offset + length);
  }

  note(time: number, host: string, text: string): void {
    this.#instant(time);
    this.#word(hashText(host));
    this.#word(hashText(text));
  }

  /** Sixteen hex digits: of what happened so far. */
  toString(): string {
    const hex = (word: number): string => (finish(word) >>> 0).toString(16).padStart(8, "0");
    return hex(this.#one) + hex(this.#two ^ this.#one);
  }

  #instant(time: number): void {
    this.#time[0] = time;
    // Both halves, in the same order on every machine that Node runs on: they are all little-endian.
    this.#word(this.#words[0] ?? 0);
    this.#word(this.#words[1] ?? 0);
  }

  /** Of the few names of places and kinds, each hashed once. */
  #text(text: string): number {
    let hash = this.#texts.get(text);
    if (hash === undefined) {
      hash = hashText(text);
      this.#texts.set(text, hash);
    }
    return hash;
  }

  #word(word: number): void {
    const one = Math.imul(this.#one ^ word, 0x9e3779b1);
    this.#one = (one << 13) | (one >>> 19);
    const two = Math.imul((this.#two + word) | 0, 0x85ebca77);
    this.#two = ((two << 11) | (two >>> 21)) ^ one;
  }

  /** Words go to the two halves in turn, which is twice as fast as both to each. */
  #bytes(bytes: Uint8Array, offset: number, end: number): void {
    let one = this.#one;
    let two = this.#two;
    let at = offset;
    for (; at + 8 <= end; at += 8) {
      const first =
        (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
      const second =
        (bytes[at + 4] ?? 0) |
        ((bytes[at + 5] ?? 0) << 8) |
        ((bytes[at + 6] ?? 0) << 16) |
        ((bytes[at + 7] ?? 0) << 24);
      one = Math.imul(one ^ first, 0x9e3779b1);
      one = (one << 13) | (one >>> 19);
      two = Math.imul(two ^ second, 0x85ebca77);
      two = (two << 11) | (two >>> 21);
    }
    this.#one = one;
    this.#two = two;
    for (; at < end; at++) this.#word(bytes[at] ?? 0);
  }
}

function finish(word: number): number {
  const mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  const again = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return again ^ (again >>> 16);
}
