import { copyBytes } from "@tesserae/wire/copy-bytes";
import { i32At, u8At } from "./octets.ts";
import { longestQuery, QueryContexts, questionEnd, readWords } from "./query-context.ts";

/** Longer entries are not kept. */
const longestEntry = 2048;
/** Entries begin where lines of the processor's cache do, and take whole ones: a hit touches as few as can be. */
const line = 64;
const lineWords = line / 4;
/** Words in front of the response: the context's number, both lengths, and the hash. */
const entryWords = 3;
/** Where the question's words are in an entry: behind the response's header. */
const questionWords = entryWords + 3;
/** Places that the hash of a question leads to. */
const ways = 4;
const firstSlots = 1024;
const lineBits = 22;
const lineMask = 2 ** lineBits - 1;

/**
 * Remembers responses by the bytes of their queries, identifiers apart: the memoisation of "Unikernels: Library
 * Operating Systems for the Cloud" (ASPLOS 2013, §4.2).
 *
 * Exact: a response counts only for the very same bytes (and limit, and transport), and only while the generation of the
 * zones is the one it was made under. All of that but the question is a context, which has a number; the question is
 * compared with the one that the response repeats. Bounded: entries lie in a ring, where a new one takes the place of the
 * oldest, so that a miss costs the same however many there are. A query is remembered when it comes for the second time
 * (two that look alike to 16 bits of a hash will do), so that names at random do not drive out what is asked for again.
 *
 * What costs is memory that is not in the processor's cache. So an entry for a short answer is one line, and the index
 * is no larger than what there is to find.
 */
export class Memo {
  /** Where responses lie that are remembered. */
  readonly bytes: Uint8Array;
  /** Where in `bytes` the response is that {@link recall} found. It stays there until {@link remember}. */
  at = 0;
  hits = 0;
  /** The same memory. */
  readonly #words: Int32Array;
  /** Lines in which an entry may begin; one that begins in the last goes on behind it. */
  readonly #lines: number;
  /** Sets of {@link ways} places: the line of an entry plus 1, and 10 bits of its hash in front; 0 is none. */
  #index = new Int32Array(firstSlots);
  #entries = 0;
  /** Where the next entry begins, and the oldest one; whether the oldest is before (false) or behind it. */
  #head = 0;
  #tail = 0;
  #wrapped = false;
  /** A byte of the hash of what came last in this place. */
  readonly #seen: Uint8Array;
  readonly #contexts = new QueryContexts();
  /** What {@link recall} was last asked for: the question's words, its hash, where it ends (−1: no question), and so on. */
  readonly #question = new Int32Array(longestQuery);
  #hash = 0;
  #end = -1;
  #context = 0;
  #generation = 0;

  /** @param size bytes for entries, a power of two from 4096 to 2^27 */
  constructor(size: number) {
    if (!(size >= 4096 && size <= 2 ** 27) || (size & (size - 1)) !== 0) {
      throw new RangeError(`bytes must be a power of two from 4096 to 2^27, not ${size}`);
    }
    this.#lines = size / line;
    this.bytes = new Uint8Array(size + longestEntry);
    this.#words = new Int32Array(this.bytes.buffer);
    this.#seen = new Uint8Array(Math.max(1024, size / 256));
  }

  /**
   * Finds what was remembered for the query `bytes[offset … offset + length)`, and gives it the query's identifier.
   *
   * @param length at least 12
   * @param kind what else the response depends on
   * @param limit of the response's length
   * @returns the response's length, and it is at {@link at}; 0 when there is none.
   */
  recall(bytes: Uint8Array, offset: number, length: number, kind: number, limit: number, generation: number): number {
    const end = length > longestQuery ? -1 : questionEnd(bytes, offset, length);
    this.#end = end;
    if (end < 0) return 0;
    const question = this.#question;
    const start = offset + 12;
    const hash = readWords(bytes, start, end, question);
    const context = this.#contexts.find(bytes, offset, length, end, kind, limit, generation);
    this.#hash = hash;
    this.#context = context;
    if (context === 0) return 0;
    const index = this.#index;
    const words = this.#words;
    const set = (hash << 2) & (index.length - 1);
    const tag = hash & ~lineMask;
    const whole = (end - start) >>> 2;
    const rest = 0xffff_ffff >>> (32 - 8 * ((end - start) & 3));
    for (let way = 0; way < ways; way++) {
      // Words are read here, not by `i32At`: a call for each costs more than the word. as, here and below: in bounds
      const place = index[set + way] as number;
      if ((place & ~lineMask) !== tag || (place & lineMask) === 0) continue;
      const entry = ((place & lineMask) - 1) * lineWords;
      if (words[entry] !== context || words[entry + 2] !== hash) continue;
      const lengths = words[entry + 1] as number; // as: above
      if ((lengths & 0xff) !== end - start) continue;
      const at = entry + questionWords;
      let same = 0;
      while (same < whole && words[at + same] === question[same]) same++;
      if (same < whole) continue;
      if (((end - start) & 3) !== 0 && ((words[at + same] as number) & rest) !== question[same]) continue; // as: above
      const from = (entry + entryWords) << 2;
      const ring = this.bytes;
      ring[from] = u8At(bytes, offset);
      ring[from + 1] = u8At(bytes, offset + 1);
      this.at = from;
      this.hits++;
      return lengths >>> 8;
    }
    return 0;
  }

  /** Remembers the response to the query that {@link recall} was last asked for, with the same arguments. */
  remember(
    bytes: Uint8Array,
    offset: number,
    length: number,
    kind: number,
    limit: number,
    generation: number,
    out: Uint8Array,
    outOffset: number,
    response: number,
  ): void {
    const end = this.#end;
    const total = entryWords * 4 + response;
    if (end < 0 || total > longestEntry) return;
    const hash = this.#hash;
    const doorstep = (hash >>> 4) & (this.#seen.length - 1);
    const mark = (hash >>> 24) | 1;
    if (u8At(this.#seen, doorstep) !== mark) {
      this.#seen[doorstep] = mark;
      return;
    }
    // What was made under another generation is never asked for again.
    if (generation !== this.#generation) this.#forget(generation);
    const asked = end - offset - 12;
    if (response < 12 + asked || !isSame(bytes, offset + 12, out, outOffset + 12, asked)) return;
    const contexts = this.#contexts;
    if (this.#context === 0) {
      if (contexts.areSpent) {
        contexts.clear();
        this.#forget(generation);
      }
      this.#context = contexts.add(bytes, offset, length, end, kind, limit, generation);
    }
    const start = this.#room(Math.ceil(total / line));
    const at = start * lineWords;
    const words = this.#words;
    words[at] = this.#context;
    words[at + 1] = (response << 8) | asked;
    words[at + 2] = hash;
    copyBytes(out, outOffset, this.bytes, (at + entryWords) << 2, response);
    this.#entries++;
    if (this.#entries * 2 > this.#index.length) this.#grow();
    this.#enter(hash, start);
  }

  #forget(generation: number): void {
    this.#generation = generation;
    this.#index.fill(0);
    this.#entries = 0;
    this.#head = 0;
    this.#tail = 0;
    this.#wrapped = false;
  }

  /** Makes room for an entry of so many lines. The first of them. */
  #room(count: number): number {
    const start = this.#head;
    while (this.#wrapped && this.#tail < start + count) {
      this.#leave(i32At(this.#words, this.#tail * lineWords + 2), this.#tail);
      this.#entries--;
      this.#tail = this.#behind(this.#tail);
      if (this.#tail >= this.#lines) {
        this.#tail = 0;
        this.#wrapped = false;
      }
    }
    this.#head = start + count;
    if (this.#head >= this.#lines) {
      this.#head = 0;
      this.#wrapped = true;
    }
    return start;
  }

  /** The line behind an entry. */
  #behind(start: number): number {
    return start + Math.ceil((entryWords * 4 + (i32At(this.#words, start * lineWords + 1) >>> 8)) / line);
  }

  /** Enters a line in the index, in the place of another when all are taken. */
  #enter(hash: number, start: number): void {
    const index = this.#index;
    const set = (hash << 2) & (index.length - 1);
    let way = 0;
    while (way < ways && i32At(index, set + way) !== 0) way++;
    if (way === ways) way = start & (ways - 1);
    index[set + way] = (hash & ~lineMask) | (start + 1);
  }

  #leave(hash: number, start: number): void {
    const index = this.#index;
    const set = (hash << 2) & (index.length - 1);
    for (let way = 0; way < ways; way++) {
      if ((i32At(index, set + way) & lineMask) === start + 1) index[set + way] = 0;
    }
  }

  /** Twice as many places; the newest entry has none yet. */
  #grow(): void {
    this.#index = new Int32Array(this.#index.length * 2);
    let at = this.#tail;
    for (let left = this.#entries - 1; left > 0; left--) {
      this.#enter(i32At(this.#words, at * lineWords + 2), at);
      at = this.#behind(at);
      if (at >= this.#lines) at = 0;
    }
  }
}

function isSame(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}
