import type { ByteArena } from "./byte-arena.ts";
import { putU16, putU32, u16At, u32At } from "./octets.ts";

/**
 * The records of one name, as bytes in an arena.
 *
 * ```
 * count of sets                                         u16
 * for each set, by type:
 *   type, count of records, count of RRSIGs, 0          4 × u16
 *   length of the records, length of the RRSIGs         2 × u32
 *   the records, then the RRSIGs that cover them
 * ```
 *
 * A record is what comes behind its owner in a message: type, class, TTL, length and data, so that an answer copies it.
 * RRSIGs are kept with the type that they cover, which may have no records.
 */

export const setHeaderLength = 16;
/** Type, class, TTL and length of data: what comes between the owner and the data of a record. */
export const recordHeaderLength = 10;

/** A set of records in a block. One object is used for ever: {@link find} and {@link next} move it. */
export class RecordSet {
  /** Where everything below lies. */
  bytes: Uint8Array = new Uint8Array(0);
  type = 0;
  /** Records, and where they are. */
  count = 0;
  at = 0;
  length = 0;
  /** RRSIGs, and where they are: behind the records, but for those that are made while the zone is served. */
  signaturesIn: Uint8Array = this.bytes;
  signatures = 0;
  signaturesAt = 0;
  signaturesLength = 0;
  /** Sets that have not been visited. */
  #left = 0;
  #next = 0;

  /** Puts this before the first set of a block. */
  open(arena: ByteArena, block: number): void {
    this.#left = 0;
    if (block === 0) return;
    this.bytes = arena.chunk(block);
    this.signaturesIn = this.bytes;
    const at = arena.position(block);
    this.#left = u16At(this.bytes, at);
    this.#next = at + 2;
  }

  /** Moves to the next set; false when there is none. */
  next(): boolean {
    if (this.#left === 0) return false;
    this.#left--;
    const { bytes } = this;
    const at = this.#next;
    this.signaturesIn = bytes;
    this.type = u16At(bytes, at);
    this.count = u16At(bytes, at + 2);
    this.signatures = u16At(bytes, at + 4);
    this.at = at + setHeaderLength;
    this.length = u32At(bytes, at + 8);
    this.signaturesAt = this.at + this.length;
    this.signaturesLength = u32At(bytes, at + 12);
    this.#next = this.signaturesAt + this.signaturesLength;
    return true;
  }

  /** Moves to the set of a type, with records or RRSIGs for it; false when there is none. */
  find(arena: ByteArena, block: number, type: number): boolean {
    this.open(arena, block);
    while (this.next()) {
      if (this.type === type) return true;
      if (this.type > type) return false;
    }
    return false;
  }

  /** The signatures are these: records as in a block. */
  signedWith(records: Uint8Array, count: number): void {
    this.signaturesIn = records;
    this.signatures = count;
    this.signaturesAt = 0;
    this.signaturesLength = records.length;
  }

  /** Makes this a set of its own: records as in a block. */
  take(type: number, records: Uint8Array, count: number): void {
    this.#left = 0;
    this.bytes = records;
    this.signaturesIn = records;
    this.type = type;
    this.count = count;
    this.at = 0;
    this.length = records.length;
    this.signatures = 0;
    this.signaturesAt = 0;
    this.signaturesLength = 0;
  }

  /** The time to live of the first record, or the first RRSIG. */
  get ttl(): number {
    return u32At(this.bytes, this.at + 4);
  }
}

/** A record on its way into a block, or out of one. */
export interface StoredRecord {
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Data: `bytes[at … at + length)`. */
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** Records that go into a block as one set. */
export interface StoredSet {
  readonly type: number;
  readonly records: readonly StoredRecord[];
  readonly signatures: readonly StoredRecord[];
}

/** Most records of one type at one name: a count has 16 bits. */
export const mostInSet = 0xffff;

function lengthOf(records: readonly StoredRecord[]): number {
  let total = 0;
  for (const record of records) total += recordHeaderLength + record.length;
  return total;
}

/** Writes sets, sorted by type, as a block; 0 when there are none. */
export function writeBlock(arena: ByteArena, sets: readonly StoredSet[]): number {
  if (sets.length === 0) return 0;
  let total = 2;
  for (const { records, signatures } of sets) total += setHeaderLength + lengthOf(records) + lengthOf(signatures);
  const block = arena.allocate(total);
  const bytes = arena.chunk(block);
  let at = arena.position(block);
  putU16(bytes, at, sets.length);
  at += 2;
  for (const { type, records, signatures } of sets) {
    putU16(bytes, at, type);
    putU16(bytes, at + 2, records.length);
    putU16(bytes, at + 4, signatures.length);
    putU32(bytes, at + 8, lengthOf(records));
    putU32(bytes, at + 12, lengthOf(signatures));
    at += setHeaderLength;
    for (const record of records) at = writeRecord(bytes, at, record);
    for (const record of signatures) at = writeRecord(bytes, at, record);
  }
  return block;
}

function writeRecord(bytes: Uint8Array, at: number, record: StoredRecord): number {
  putU16(bytes, at, record.type);
  putU16(bytes, at + 2, record.class);
  putU32(bytes, at + 4, record.ttl);
  putU16(bytes, at + 8, record.length);
  bytes.set(record.bytes.subarray(record.at, record.at + record.length), at + recordHeaderLength);
  return at + recordHeaderLength + record.length;
}
