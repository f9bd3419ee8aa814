import { copyBytes } from "@tesserae/wire/copy-bytes";
import { lowerCase } from "../name-bytes.ts";
import { hashBasis, hashPrime, spread } from "./name-key.ts";
import type { NegativeAuthority } from "./negative-authority.ts";
import { i32At, putU16, putU32, u16At, u8At } from "./octets.ts";
import { headerLength, type Query } from "./query.ts";
import { bytesBeforeName, compressibleNames } from "./record-layout.ts";
import { recordHeaderLength, type RecordSet } from "./rrset-block.ts";

/** What a pointer can reach (RFC 1035 §4.1.4), bytes. */
export const pointerReach = 0x4000;
const slots = 512;
/** Suffixes that are remembered; what comes after them is not pointed at. Keeps the table half empty. */
const mostRemembered = slots / 2;
const offsetBits = 14;
const mostStamps = 2 ** (31 - offsetBits);

/** Where the question's name is. */
export const questionName = headerLength;

/**
 * A response being written, behind the question that it repeats. Names are compressed against all that is there
 * already (RFC 1035 §4.1.4). One object is used for ever, and allocates nothing but for long records.
 *
 * Nothing is written behind `limit`. Offsets are from the start of the message.
 */
export class Response {
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the message starts. */
  base = 0;
  /** Length so far. */
  length = 0;
  /** What the length must not exceed. */
  limit = 0;
  answers = 0;
  authorities = 0;
  additionals = 0;
  /** The owner of the records to come: where its name is in the message, or −1 … */
  #ownerAt = -1;
  /** … and where it is outside of it. */
  #owner: Uint8Array = new Uint8Array(1);
  #ownerFrom = 0;
  /** Bytes of its labels in front of a name that is in the message at that place; −1 when the name is whole. */
  #ownerFront = -1;
  #query: Query | undefined = undefined;
  /** Suffixes written so far: the stamp of the message, and the offset. */
  readonly #table = new Int32Array(slots);
  readonly #hashes = new Int32Array(slots);
  #stamp = 0;
  #remembered = 0;
  readonly #starts = new Int32Array(128);
  readonly #suffixes = new Int32Array(128);

  /** Starts a response to `query`: repeats its question. */
  begin(query: Query, bytes: Uint8Array, base: number, limit: number): void {
    this.bytes = bytes;
    this.base = base;
    this.limit = limit;
    this.answers = 0;
    this.authorities = 0;
    this.additionals = 0;
    this.#query = query;
    this.#remembered = 0;
    if (++this.#stamp === mostStamps) {
      this.#table.fill(0);
      this.#stamp = 1;
    }
    const question = query.questionEnd - query.start;
    copyBytes(query.bytes, query.start + headerLength, bytes, base + headerLength, question - headerLength);
    this.length = question;
  }

  /** Writes the header. `flags`: all 16 bits. */
  finish(id: number, flags: number, questions: number): void {
    const { bytes, base } = this;
    putU16(bytes, base, id);
    putU16(bytes, base + 2, flags);
    putU16(bytes, base + 4, questions);
    putU16(bytes, base + 6, this.answers);
    putU16(bytes, base + 8, this.authorities);
    putU16(bytes, base + 10, this.additionals);
  }

  /** The records to come belong to the name that is at `offset` of the message. */
  ownerAt(offset: number): void {
    this.#ownerAt = offset;
  }

  /**
   * The records to come belong to the name whose labels are `bytes[0 … length)`, which must stay there, in front of the
   * name that is at `suffix` of the message.
   */
  ownerUnder(bytes: Uint8Array, length: number, suffix: number): void {
    this.#ownerAt = -1;
    this.#owner = bytes;
    this.#ownerFront = length;
    this.#ownerFrom = suffix;
  }

  /** The records to come belong to the uncompressed name at `from` of `bytes`, which must stay there. */
  owner(bytes: Uint8Array, from: number): void {
    this.#ownerAt = -1;
    this.#owner = bytes;
    this.#ownerFrom = from;
    this.#ownerFront = -1;
  }

  /**
   * Writes the records of a set, or its RRSIGs: all of them or none.
   *
   * @param ttl takes the place of the records' own, seconds; −1 does not
   * @returns how many; −1 when they do not fit.
   */
  set(set: RecordSet, signatures: boolean, ttl: number): number {
    const start = this.length;
    const count = signatures ? set.signatures : set.count;
    const names = signatures ? 0 : compressibleNames(set.type);
    const from = signatures ? set.signaturesIn : set.bytes;
    let at = signatures ? set.signaturesAt : set.at;
    for (let index = 0; index < count; index++) {
      const next = at + recordHeaderLength + u16At(from, at + 8);
      if (!this.#writeOwner() || !this.#record(from, at, next, names, ttl)) {
        this.length = start;
        return -1;
      }
      at = next;
    }
    return count;
  }

  /**
   * Writes what stands in the authority section of a negative answer.
   *
   * @param apexAt where the zone's apex is in the message
   * @returns whether it fitted
   */
  negative(authority: NegativeAuthority, apexAt: number): boolean {
    const start = this.length;
    if (!this.#copy(authority.bytes, 0, authority.bytes.length)) return false;
    authority.point(this.bytes, this.base + start, apexAt);
    this.authorities += authority.records;
    return true;
  }

  /**
   * Writes one record of type CNAME whose target is the name at `from` of `data`.
   *
   * @returns where the target's name is in the message; −1 when the record does not fit.
   */
  alias(ttl: number, data: Uint8Array, from: number): number {
    const start = this.length;
    if (this.#writeOwner() && this.length + recordHeaderLength <= this.limit) {
      const at = this.base + this.length;
      putU16(this.bytes, at, 5);
      putU16(this.bytes, at + 2, 1);
      putU32(this.bytes, at + 4, ttl);
      this.length += recordHeaderLength;
      const target = this.#name(data, from);
      if (target >= 0) {
        putU16(this.bytes, at + 8, this.base + this.length - at - recordHeaderLength);
        return target;
      }
    }
    this.length = start;
    return -1;
  }

  #record(from: Uint8Array, at: number, next: number, names: number, ttl: number): boolean {
    const start = this.base + this.length;
    if (names === 0) {
      if (this.length + next - at > this.limit) return false;
      copyBytes(from, at, this.bytes, start, next - at);
      this.length += next - at;
    } else {
      const type = u16At(from, at);
      let rest = at + recordHeaderLength + bytesBeforeName(type);
      if (!this.#copy(from, at, rest)) return false;
      for (let name = 0; name < names; name++) {
        if (this.#name(from, rest) < 0) return false;
        while (u8At(from, rest) !== 0) rest += u8At(from, rest) + 1;
        rest++;
      }
      if (!this.#copy(from, rest, next)) return false;
      putU16(this.bytes, start + 8, this.base + this.length - start - recordHeaderLength);
    }
    if (ttl >= 0) putU32(this.bytes, start + 4, ttl);
    return true;
  }

  #copy(from: Uint8Array, at: number, end: number): boolean {
    if (this.length + end - at > this.limit) return false;
    copyBytes(from, at, this.bytes, this.base + this.length, end - at);
    this.length += end - at;
    return true;
  }

  #writeOwner(): boolean {
    if (this.#ownerAt >= 0) return this.#pointer(this.#ownerAt);
    if (this.#ownerFront >= 0) {
      const written = this.length;
      if (!this.#copy(this.#owner, 0, this.#ownerFront) || !this.#pointer(this.#ownerFrom)) return false;
      if (written < pointerReach) this.#ownerAt = written;
      return true;
    }
    const at = this.#name(this.#owner, this.#ownerFrom);
    if (at < 0) return false;
    if (at < pointerReach) this.#ownerAt = at;
    return true;
  }

  #pointer(offset: number): boolean {
    if (this.length + 2 > this.limit) return false;
    putU16(this.bytes, this.base + this.length, 0xc000 | offset);
    this.length += 2;
    return true;
  }

  /**
   * Writes the uncompressed name at `from` of `data`.
   *
   * @returns where it, or what it points at, is in the message; −1 when it does not fit.
   */
  #name(data: Uint8Array, from: number): number {
    const starts = this.#starts;
    const suffixes = this.#suffixes;
    const labels = this.#suffixHashes(data, from);
    const written = this.length;
    for (let label = 0; label < labels; label++) {
      const at = i32At(starts, label);
      const known = this.#find(i32At(suffixes, label), data, at);
      if (known >= 0) return this.#pointer(known) ? (label === 0 ? known : written) : -1;
      this.#remember(i32At(suffixes, label), this.length);
      if (!this.#copy(data, at, at + u8At(data, at) + 1)) return -1;
    }
    if (this.length + 1 > this.limit) return -1;
    this.bytes[this.base + this.length++] = 0;
    return written;
  }

  /** Takes a name apart: where its labels start, and the hashes of what starts there. How many labels. */
  #suffixHashes(data: Uint8Array, from: number): number {
    if (this.#remembered === 0) this.#rememberQuestion();
    const starts = this.#starts;
    let labels = 0;
    for (let at = from; u8At(data, at) !== 0; at += u8At(data, at) + 1) starts[labels++] = at;
    let hash = hashBasis;
    for (let label = labels - 1; label >= 0; label--) {
      let at = i32At(starts, label);
      const end = at + u8At(data, at) + 1;
      hash = Math.imul(hash ^ u8At(data, at), hashPrime);
      while (++at < end) hash = Math.imul(hash ^ u8At(lowerCase, u8At(data, at)), hashPrime);
      this.#suffixes[label] = spread(hash);
    }
    return labels;
  }

  /** Where a name like the one at `at` of `data` is in the message; −1 where there is none. */
  #find(hash: number, data: Uint8Array, at: number): number {
    for (let slot = hash & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      const entry = i32At(this.#table, slot);
      if (entry >>> offsetBits !== this.#stamp) return -1;
      const offset = entry & (pointerReach - 1);
      if (i32At(this.#hashes, slot) === hash && this.#isName(offset, data, at)) return offset;
    }
  }

  #remember(hash: number, offset: number): void {
    if (offset >= pointerReach || this.#remembered >= mostRemembered) return;
    this.#remembered++;
    let slot = hash & (slots - 1);
    while (i32At(this.#table, slot) >>> offsetBits === this.#stamp) slot = (slot + 1) & (slots - 1);
    this.#table[slot] = (this.#stamp << offsetBits) | offset;
    this.#hashes[slot] = hash;
  }

  #rememberQuestion(): void {
    const query = this.#query;
    this.#remembered = 1;
    if (query === undefined || query.questionEnd === query.start + headerLength) return;
    let at = headerLength;
    for (let labels = query.name.labels; labels > 0; labels--) {
      this.#remember(i32At(query.name.hashes, labels), at);
      at += u8At(query.bytes, query.start + at) + 1;
    }
  }

  /**
   * Whether the message has this name at `offset`. What was written there may have been taken back and overwritten
   * since, so nothing is taken for granted but that names in front of it are right.
   */
  #isName(offset: number, data: Uint8Array, at: number): boolean {
    const { bytes, base, length } = this;
    for (;;) {
      if (offset >= length) return false;
      let label = u8At(bytes, base + offset);
      if (label >= 0xc0) {
        const target = ((label & 0x3f) << 8) | u8At(bytes, base + offset + 1);
        if (target >= offset) return false;
        offset = target;
        label = u8At(bytes, base + offset);
        if (label >= 0xc0) continue;
      }
      if (label !== u8At(data, at)) return false;
      if (label === 0) return true;
      if (offset + label >= length) return false;
      for (let index = 1; index <= label; index++) {
        const ours = u8At(lowerCase, u8At(bytes, base + offset + index));
        if (ours !== u8At(lowerCase, u8At(data, at + index))) return false;
      }
      offset += label + 1;
      at += label + 1;
    }
  }
}
