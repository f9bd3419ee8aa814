import { copyOctets, i32At, u8At } from "./octets.ts";

/** Longer queries, and longer entries, are not kept. */
const longestQuery = 255;
const longestEntry = 2048;
/** Words that an entry starts with: the generation, what {@link facts} says, and the length of the response. */
const entryHeader = 3;
/** Positions start again here: integers of 31 bits are the engine's fast ones. */
const positions = 2 ** 30;
/** Entries begin where lines of the processor's cache do: those that a hit touches are as few as can be. */
const line = 64;

/** What a response depends on beside the query's bytes, and their number: limit, kind and length of the query. */
function facts(limit: number, kind: number, length: number): number {
  return (length << 24) | (kind << 16) | limit;
}

/**
 * Remembers responses by the bytes of their queries, identifiers apart: the memoisation of "Unikernels: Library
 * Operating Systems for the Cloud" (ASPLOS 2013, §4.2).
 *
 * Exact: a response counts only for the very same bytes (and limit, and transport), and only while the generation of the
 * zones is the one it was made under. Bounded: entries lie in a ring that overwrites the oldest, so that a miss costs
 * the same however many there are. A query is remembered when it comes for the second time (two that look alike to 16
 * bits of a hash will do), so that names at random do not drive out what is asked for again.
 *
 * An entry is a number of lines: its header, the query behind its identifier, filled up with zeros, and the response.
 */
export class Memo {
  /** Where responses lie that are remembered. */
  readonly bytes: Uint8Array;
  /** Where in `bytes` the response is that {@link recall} found. It stays there until {@link remember}. */
  at = 0;
  /** The same memory. */
  readonly #words: Int32Array;
  /** Where entries are, by the hash of their queries: position plus 1; 0 is none. */
  readonly #index: Int32Array;
  /** A byte of the hash of what came last in this place. */
  readonly #seen: Uint8Array;
  readonly #size: number;
  /** Where the next entry goes, in bytes. Its place in the ring is the remainder by the ring's length. */
  #position = 0;
  /** What was last asked for: its words, how many there are, and their hash. */
  readonly #query = new Int32Array(64);
  #queryWords = 0;
  #hash = 0;
  hits = 0;

  /** @param size bytes for entries, a power of two from 4096 to 2^28 */
  constructor(size: number) {
    if (!(size >= 4096 && size <= 2 ** 28) || (size & (size - 1)) !== 0) {
      throw new RangeError(`bytes must be a power of two from 4096 to 2^28, not ${size}`);
    }
    this.#size = size;
    this.bytes = new Uint8Array(size + longestEntry);
    this.#words = new Int32Array(this.bytes.buffer);
    this.#index = new Int32Array(size / line);
    this.#seen = new Uint8Array(size / 32);
  }

  /**
   * Finds what was remembered for the query `bytes[offset … offset + length)`, and gives it the query's identifier.
   *
   * @param kind what else the response depends on, 0 to 255
   * @param limit of the response's length, at most 65,535
   * @returns the response's length, and it is at {@link at}; 0 when there is none.
   */
  recall(bytes: Uint8Array, offset: number, length: number, kind: number, limit: number, generation: number): number {
    if (length > longestQuery) return 0;
    const query = this.#query;
    const count = this.#read(bytes, offset + 2, offset + length);
    // Words are read here, not by `i32At`: a call for each costs more than the word. as, here and below: in bounds
    const entry = (this.#index[this.#hash & (this.#index.length - 1)] as number) - 1;
    // None, or overwritten since?
    if (entry < 0 || this.#position - entry > this.#size) return 0;
    const words = this.#words;
    let at = (entry & (this.#size - 1)) >>> 2;
    if (words[at] !== (generation | 0) || words[at + 1] !== facts(limit, kind, length)) return 0;
    const response = words[at + 2] as number; // as: above
    at += entryHeader;
    for (let index = 0; index < count; index++) if (words[at + index] !== query[index]) return 0;
    at = (at + count) << 2;
    const ring = this.bytes;
    ring[at] = u8At(bytes, offset);
    ring[at + 1] = u8At(bytes, offset + 1);
    this.at = at;
    this.hits++;
    return response;
  }

  /** Remembers the response to the query that {@link recall} was last asked for. */
  remember(
    length: number,
    kind: number,
    limit: number,
    generation: number,
    out: Uint8Array,
    outOffset: number,
    response: number,
  ): void {
    const count = this.#queryWords;
    const total = ((entryHeader + count) * 4 + response + line - 1) & -line;
    if (length > longestQuery || total > longestEntry) return;
    const hash = this.#hash;
    const doorstep = (hash >>> 4) & (this.#seen.length - 1);
    const mark = (hash >>> 24) | 1;
    if (u8At(this.#seen, doorstep) !== mark) {
      this.#seen[doorstep] = mark;
      return;
    }
    const words = this.#words;
    let at = (this.#position & (this.#size - 1)) >>> 2;
    words[at] = generation;
    words[at + 1] = facts(limit, kind, length);
    words[at + 2] = response;
    at += entryHeader;
    for (let index = 0; index < count; index++) words[at + index] = i32At(this.#query, index);
    copyOctets(out, outOffset, response, this.bytes, (at + count) << 2);
    this.#index[hash & (this.#index.length - 1)] = this.#position + 1;
    this.#position += total;
    if (this.#position < positions) return;
    // Numbers start again, and what has an old one is forgotten.
    this.#index.fill(0);
    this.#position = 0;
  }

  /** Takes `bytes[from … end)` as words and hashes them. How many words. */
  #read(bytes: Uint8Array, from: number, end: number): number {
    const query = this.#query;
    let hash = Math.imul(end - from, 0x9e3779b1);
    let count = 0;
    let at = from;
    for (const last = end - 3; at < last; at += 4) {
      // Not by `wordAt`: a call for each word costs more than the word.
      const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8); // as: before the end
      const word = low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24); // as: likewise
      query[count++] = word;
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    if (at < end) {
      let word = 0;
      for (let shift = 0; at < end; at++, shift += 8) word |= u8At(bytes, at) << shift;
      query[count++] = word;
      hash = Math.imul(hash ^ word, 0x9e3779b1);
    }
    this.#queryWords = count;
    this.#hash = hash ^ (hash >>> 15);
    return count;
  }
}
