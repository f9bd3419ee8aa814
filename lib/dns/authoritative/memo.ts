import { copyOctets, i32At, putU16, putU32, u16At, u32At, u8At, wordAt } from "./octets.ts";

/** Longer queries, and longer entries, are not kept. */
const longestQuery = 255;
const longestEntry = 2048;
/** Limit, generation, kind, length of query and of response: what an entry starts with. */
const entryHeaderLength = 12;
/** Positions start again here: integers of 31 bits are the engine's fast ones. */
const positions = 2 ** 30;

/**
 * Remembers responses by the bytes of their queries, identifiers apart: the memoisation of "Unikernels: Library
 * Operating Systems for the Cloud" (ASPLOS 2013, §4.2).
 *
 * Exact: a response counts only for the very same bytes (and limit, and transport), and only while the generation of the
 * zones is the one it was made under. Bounded: entries lie in a ring that overwrites the oldest, so that a miss costs
 * the same however many there are. A query is remembered when it comes for the second time (two that look alike to 16
 * bits of a hash will do), so that names at random do not drive out what is asked for again.
 */
export class Memo {
  readonly #ring: Uint8Array;
  /** Where entries are, by the hash of their queries: position plus 1; 0 is none. */
  readonly #index: Int32Array;
  /** A byte of the hash of what came last in this place. */
  readonly #seen: Uint8Array;
  /** Where the next entry goes. Its place in the ring is the remainder by the ring's length. */
  #position = 0;
  #hash = 0;
  hits = 0;

  /** @param bytes for entries, a power of two from 4096 to 2^28 */
  constructor(bytes: number) {
    if (!(bytes >= 4096 && bytes <= 2 ** 28) || (bytes & (bytes - 1)) !== 0) {
      throw new RangeError(`bytes must be a power of two from 4096 to 2^28, not ${bytes}`);
    }
    this.#ring = new Uint8Array(bytes + longestEntry);
    this.#index = new Int32Array(bytes / 64);
    this.#seen = new Uint8Array(bytes / 32);
  }

  /**
   * Writes what was remembered for the query `bytes[offset … offset + length)`, under its identifier.
   *
   * @param kind what else the response depends on, 0 to 255
   * @param limit of the response's length, at most 65,535
   * @returns the response's length; 0 when there is none.
   */
  recall(
    bytes: Uint8Array,
    offset: number,
    length: number,
    kind: number,
    limit: number,
    generation: number,
    out: Uint8Array,
    outOffset: number,
  ): number {
    if (length > longestQuery) return 0;
    let hash = Math.imul(length ^ kind, 0x9e3779b1);
    const end = offset + length;
    const whole = end - 3;
    let next = offset + 2;
    for (; next < whole; next += 4) {
      hash = Math.imul(hash ^ wordAt(bytes, next), 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (; next < end; next++) hash = Math.imul(hash ^ u8At(bytes, next), 0x01000193);
    hash ^= hash >>> 15;
    this.#hash = hash;
    const entry = i32At(this.#index, hash & (this.#index.length - 1)) - 1;
    if (entry < 0) return 0;
    const size = this.#ring.length - longestEntry;
    // Overwritten since?
    if (this.#position - entry > size) return 0;
    const ring = this.#ring;
    const at = entry & (size - 1);
    if (u32At(ring, at) !== generation || u16At(ring, at + 4) !== limit) return 0;
    if (u8At(ring, at + 6) !== kind || u8At(ring, at + 7) !== length) return 0;
    const query = at + entryHeaderLength - offset;
    next = offset + 2;
    for (; next < whole; next += 4) if (wordAt(ring, query + next) !== wordAt(bytes, next)) return 0;
    for (; next < end; next++) if (u8At(ring, query + next) !== u8At(bytes, next)) return 0;
    const response = u16At(ring, at + 8);
    copyOctets(ring, at + entryHeaderLength + length, response, out, outOffset);
    putU16(out, outOffset, u16At(bytes, offset));
    this.hits++;
    return response;
  }

  /** Remembers the response to the query that {@link recall} was last asked for. */
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
    const total = (entryHeaderLength + length + response + 3) & ~3;
    if (length > longestQuery || total > longestEntry) return;
    const hash = this.#hash;
    const doorstep = (hash >>> 4) & (this.#seen.length - 1);
    const mark = (hash >>> 24) | 1;
    if (u8At(this.#seen, doorstep) !== mark) {
      this.#seen[doorstep] = mark;
      return;
    }
    const size = this.#ring.length - longestEntry;
    const ring = this.#ring;
    const at = this.#position & (size - 1);
    putU32(ring, at, generation);
    putU16(ring, at + 4, limit);
    ring[at + 6] = kind;
    ring[at + 7] = length;
    putU16(ring, at + 8, response);
    copyOctets(bytes, offset, length, ring, at + entryHeaderLength);
    copyOctets(out, outOffset, response, ring, at + entryHeaderLength + length);
    this.#index[hash & (this.#index.length - 1)] = this.#position + 1;
    this.#position += total;
    if (this.#position < positions) return;
    // Numbers start again, and what has an old one is forgotten.
    this.#index.fill(0);
    this.#position = 0;
  }
}
