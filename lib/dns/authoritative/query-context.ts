import { i32At, u16At, u8At, wordAt } from "./octets.ts";

/** Contexts known at a time: resolvers have few habits. */
const mostContexts = 32;
/** The longest query, bytes. */
export const longestQuery = 255;
const headerLength = 12;
/** Numbers are integers of 31 bits, which are the engine's fast ones. */
const mostIds = 2 ** 30;

/** What queries have in common whose answers differ by the question alone. */
class Context {
  /** Of this context and no other that ever was; 0: none. */
  id = 0;
  generation = 0;
  kind = 0;
  limit = 0;
  /** The header behind the identifier. */
  flags = 0;
  counts = 0;
  additionals = 0;
  /** What follows the question. */
  length = 0;
  readonly tail = new Uint8Array(longestQuery);
}

/**
 * Numbers for all that an answer depends on beside the question: the other bytes of the query but its identifier, how it
 * came, the room for an answer, and the state of the zones. Equal numbers are equal in all of that. Bounded: a context
 * that is new takes the place of the one that has been there longest, and that one's number is never used again.
 */
export class QueryContexts {
  readonly #all: readonly Context[] = Array.from({ length: mostContexts }, () => new Context());
  #last: Context = this.#at(0);
  #oldest = 0;
  #ids = 0;

  /** Whether all numbers are used up: then whoever has kept any must forget them, and {@link clear} this. */
  get areSpent(): boolean {
    return this.#ids === mostIds;
  }

  clear(): void {
    for (const each of this.#all) each.id = 0;
    this.#ids = 0;
  }

  /** The number of the context of a query whose question ends at `end`; 0 when it has none. */
  find(
    bytes: Uint8Array,
    offset: number,
    length: number,
    end: number,
    kind: number,
    limit: number,
    generation: number,
  ): number {
    const last = this.#last;
    if (isOf(last, bytes, offset, length, end, kind, limit, generation)) return last.id;
    for (let index = 0; index < mostContexts; index++) {
      const each = this.#at(index);
      if (each === last || !isOf(each, bytes, offset, length, end, kind, limit, generation)) continue;
      this.#last = each;
      return each.id;
    }
    return 0;
  }

  /** Gives a number to the context of a query that has none. */
  add(
    bytes: Uint8Array,
    offset: number,
    length: number,
    end: number,
    kind: number,
    limit: number,
    generation: number,
  ): number {
    const context = this.#at(this.#oldest);
    this.#oldest = (this.#oldest + 1) % mostContexts;
    context.id = ++this.#ids;
    context.generation = generation;
    context.kind = kind;
    context.limit = limit;
    context.flags = wordAt(bytes, offset + 2);
    context.counts = wordAt(bytes, offset + 6);
    context.additionals = u16At(bytes, offset + 10);
    context.length = offset + length - end;
    for (let index = 0; index < context.length; index++) context.tail[index] = u8At(bytes, end + index);
    this.#last = context;
    return context.id;
  }

  #at(index: number): Context {
    return this.#all[index] as Context; // as: there are so many
  }
}

function isOf(
  context: Context,
  bytes: Uint8Array,
  offset: number,
  length: number,
  end: number,
  kind: number,
  limit: number,
  generation: number,
): boolean {
  if (context.id === 0 || context.generation !== generation || context.length !== offset + length - end) return false;
  if (context.kind !== kind || context.limit !== limit || context.flags !== wordAt(bytes, offset + 2)) return false;
  if (context.counts !== wordAt(bytes, offset + 6) || context.additionals !== u16At(bytes, offset + 10)) return false;
  const { tail } = context;
  for (let index = context.length - 1; index >= 0; index--) if (tail[index] !== bytes[end + index]) return false;
  return true;
}

/**
 * Where the first question of the message `bytes[offset … offset + length)` ends, as far as it looks like one with its
 * name uncompressed; −1 when it does not.
 */
export function questionEnd(bytes: Uint8Array, offset: number, length: number): number {
  const end = offset + length;
  let at = offset + headerLength;
  while (at < end) {
    const label = u8At(bytes, at);
    if (label > 63) return -1;
    at += label + 1;
    if (label === 0) return at + 4 <= end ? at + 4 : -1;
  }
  return -1;
}

/** Reads `bytes[from … end)` as words, filled up with zeros, into `words`. Returns the hash of all that. */
export function readWords(bytes: Uint8Array, from: number, end: number, words: Int32Array): number {
  let hash = Math.imul(end - from, 0x9e3779b1);
  let count = 0;
  let at = from;
  for (const last = end - 3; at < last; at += 4) {
    // Not by `wordAt`: a call for each word costs more than the word.
    const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8); // as: before the end
    const word = low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24); // as: likewise
    words[count++] = word;
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  if (at < end) {
    let word = 0;
    for (let shift = 0; at < end; at++, shift += 8) word |= u8At(bytes, at) << shift;
    words[count] = word;
    hash = Math.imul(hash ^ i32At(words, count), 0x9e3779b1);
  }
  return hash ^ (hash >>> 15);
}
