import { malformed, needsMore, type Tokens } from "./tokens.ts";

/** A master file: all of it, or pieces in their order. Text is UTF-8. */
export type MasterFileInput = string | Uint8Array | Iterable<string | Uint8Array>;

/** {@link EntryInput.next}: there are no more entries. */
export const ended = -3;
/** {@link EntryInput.next}: an entry is longer than `longestEntry`; nothing after it can be read. */
export const tooLong = -4;

/** The bytes that an entry may have, with the comments in it. */
export const longestEntry = 1 << 20;

const none = new Uint8Array(0);

/** Entries of an input, one after the other. It holds one piece, and an entry that began before it. */
export class EntryInput {
  /** For errors. */
  readonly name: string;
  /** The line at which the entry read last begins. */
  entryLine = 1;
  #bytes: Uint8Array = none;
  #at = 0;
  #end = 0;
  #isLast = false;
  #line = 1;
  readonly #pieces: Iterator<string | Uint8Array>;

  constructor(name: string, input: MasterFileInput) {
    this.name = name;
    const pieces = typeof input === "string" || input instanceof Uint8Array ? [input] : input;
    this.#pieces = pieces[Symbol.iterator]();
  }

  /** @returns 0 when `tokens` have the next entry, else `malformed` (go on to the next), {@link ended} or {@link tooLong} */
  next(tokens: Tokens): number {
    for (;;) {
      if (this.#at >= this.#end && this.#isLast) return ended;
      tokens.line = this.#line;
      this.entryLine = this.#line;
      let next = this.#at >= this.#end ? needsMore : tokens.read(this.#bytes, this.#at, this.#end, this.#isLast);
      let result = 0;
      if (next === malformed) {
        result = malformed;
        tokens.line = this.#line;
        next = tokens.skipLine(this.#bytes, this.#at, this.#end, this.#isLast);
      }
      if (next !== needsMore) {
        this.#at = next;
        this.#line = tokens.line;
        return result;
      }
      if (this.#end - this.#at > longestEntry) {
        this.#at = this.#end;
        this.#isLast = true;
        return tooLong;
      }
      this.#more();
    }
  }

  /** Puts the next piece behind what is left of this one. */
  #more(): void {
    const next: IteratorResult<string | Uint8Array, undefined> = this.#pieces.next();
    if (next.done === true) {
      this.#isLast = true;
      return;
    }
    const { value } = next;
    const piece = typeof value === "string" ? new TextEncoder().encode(value) : value;
    const left = this.#end - this.#at;
    if (left === 0) {
      this.#bytes = piece;
    } else {
      const joined = new Uint8Array(left + piece.length);
      joined.set(this.#bytes.subarray(this.#at, this.#end));
      joined.set(piece, left);
      this.#bytes = joined;
    }
    this.#at = 0;
    this.#end = left + piece.length;
  }
}
