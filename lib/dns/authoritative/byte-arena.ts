import { u8At } from "./octets.ts";

const chunkBits = 18;
const chunkSize = 2 ** chunkBits;
const inChunk = chunkSize - 1;
/** The first chunk is small, and each next one twice as long, up to the whole: most zones are small. */
const firstChunkSize = 1024;
/** The chunk of one that goes on beside another that shares its last chunk: it may not live long. */
const branchSize = 4096;
/** What a zone may hold, bytes: addresses are 32 bits. */
const mostChunks = 2 ** (32 - chunkBits);

/** Where the arena that owns a chunk has got to. Shared by all arenas that have the chunk as their last. */
interface Tail {
  used: number;
}

/**
 * Bytes that are only ever added: written once, never moved, found by an address of 32 bits. Address 0 is never given
 * out. A copy ({@link fork}) shares all chunks; both may go on adding.
 */
export class ByteArena {
  readonly #chunks: Uint8Array[];
  #tail: Tail;
  /** How much of the last chunk is ours. */
  #used: number;
  /** All bytes that were asked for, up to now. */
  size: number;

  constructor(from?: ByteArena) {
    this.#chunks = from === undefined ? [] : [...from.#chunks];
    this.#tail = from === undefined ? { used: 0 } : from.#tail;
    this.#used = from === undefined ? 0 : from.#used;
    this.size = from === undefined ? 0 : from.size;
  }

  /** The chunk that an address is in. */
  chunk(address: number): Uint8Array {
    return this.#chunks[address >>> chunkBits] as Uint8Array; // as: addresses come from `allocate`
  }

  /** Where in its chunk an address is. What was allocated at once lies there without a gap. */
  position(address: number): number {
    return address & inChunk;
  }

  byte(address: number): number {
    return u8At(this.chunk(address), address & inChunk);
  }

  /** How much memory the chunks take, bytes. */
  get capacity(): number {
    let total = 0;
    for (const chunk of this.#chunks) total += chunk.length;
    return total;
  }

  /**
   * Room for `length` bytes, as one piece.
   *
   * @returns its address, a signed 32-bit integer.
   * @throws RangeError when 4 GiB are full.
   */
  allocate(length: number): number {
    // Somebody else who shares the chunk may have gone on behind what is ours.
    const room = this.#chunks.at(-1)?.length ?? 0;
    if (this.#tail.used !== this.#used) this.#grow(length, branchSize);
    else if (this.#used + length > room) this.#grow(length, chunkSize);
    const at = this.#used;
    this.#used += length;
    this.#tail.used = this.#used;
    this.size += length;
    return ((this.#chunks.length - 1) << chunkBits) | at | 0;
  }

  #grow(length: number, most: number): void {
    if (this.#chunks.length >= mostChunks) throw new RangeError("a zone has more than 4 GiB");
    // A piece longer than a chunk gets one of its own, in which addresses point at its start only.
    const first = this.#chunks.length === 0 ? 1 : 0;
    const usual = firstChunkSize * 2 ** Math.min(this.#chunks.length, 8);
    this.#chunks.push(new Uint8Array(Math.max(Math.min(usual, most), length + first)));
    this.#tail = { used: first };
    this.#used = first;
  }

  fork(): ByteArena {
    return new ByteArena(this);
  }
}
