import type { Edns } from "./message.ts";
import { lowerCase, nameLength } from "./name-bytes.ts";
import { namesOfType, type WireQuestion } from "./wire-message.ts";
import type { WireRecord } from "./wire-record.ts";
import { recordType } from "./wire.ts";

const headerSize = 12;

/** Which of the counts of the header a record belongs to. */
export type Section = "answers" | "authorities" | "additionals";

/**
 * Writes one message, with names compressed where receivers expand them (RFC 1035 §4.1.4, RFC 3597 §4). What does not
 * fit is left out, by record or by group of records, and the caller says what that means.
 */
export class WireMessageWriter {
  readonly #data: Uint8Array;
  #limit: number;
  #at = headerSize;
  /** Where a name was written, by its lower-case bytes as characters. */
  readonly #places = new Map<string, number>();
  readonly #counts = { questions: 0, answers: 0, authorities: 0, additionals: 0 };

  /**
   * @param data what is written to, from its start; some 1000 bytes more than the limit let it be filled to the last
   * @param limit how long the message may become, bytes
   */
  constructor(data: Uint8Array, limit: number = data.length) {
    if (limit < headerSize || limit > data.length) throw new RangeError(`limit ${limit} is not from 12 to the room`);
    this.#data = data;
    this.#limit = limit;
  }

  /** Raises the limit, for what room was left for. */
  extend(limit: number): void {
    this.#limit = Math.max(this.#limit, Math.min(limit, this.#data.length));
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at;
  }

  /** @returns false, with nothing written, when it does not fit. */
  question({ name, type, class: questionClass }: WireQuestion): boolean {
    if (this.#at + name.length + 4 > this.#limit) return false;
    this.#name(name, 0);
    this.#u16(type);
    this.#u16(questionClass);
    this.#counts.questions++;
    return true;
  }

  /** All of the records or none of them: @returns false, with nothing written, when they do not fit. */
  records(section: Section, records: readonly WireRecord[], ttl?: number): boolean {
    const start = this.#at;
    for (const record of records) {
      if (this.#record(record, ttl ?? record.ttl)) continue;
      this.#at = start;
      for (const [key, place] of this.#places) if (place >= start) this.#places.delete(key);
      return false;
    }
    this.#counts[section] += records.length;
    return true;
  }

  /** The OPT record (RFC 6891 §6.1): @returns false when it does not fit. */
  edns({ udpSize, version, dnssecOk, options }: Edns, rcode: number): boolean {
    if (this.#at + ednsLength(options) > this.#limit) return false;
    this.#data[this.#at++] = 0;
    this.#u16(recordType.OPT);
    this.#u16(udpSize);
    this.#data[this.#at++] = rcode >>> 4;
    this.#data[this.#at++] = version;
    this.#u16(dnssecOk ? 0x8000 : 0);
    this.#u16(ednsLength(options) - 11);
    for (const { code, bytes } of options) {
      this.#u16(code);
      this.#u16(bytes.length);
      this.#data.set(bytes, this.#at);
      this.#at += bytes.length;
    }
    this.#counts.additionals++;
    return true;
  }

  /**
   * Writes the header: the message is whole.
   *
   * @param flags see `messageFlag` of wire-message.ts, with the opcode in its place
   * @param rcode its lower 4 bits go into the header
   * @returns the message's length.
   */
  finish(id: number, flags: number, rcode: number): number {
    const end = this.#at;
    this.#at = 0;
    this.#u16(id);
    this.#u16((flags & 0xfff0) | (rcode & 15));
    const { questions, answers, authorities, additionals } = this.#counts;
    for (const count of [questions, answers, authorities, additionals]) this.#u16(count);
    this.#at = end;
    return end;
  }

  #record({ owner, type, class: recordClass, data }: WireRecord, ttl: number): boolean {
    // Compressed it may be shorter, never longer: whether it fits is seen once it is written.
    if (this.#at + owner.length + 10 + data.length > this.#data.length) return false;
    this.#name(owner, 0);
    this.#u16(type);
    this.#u16(recordClass);
    this.#u16(Math.floor(ttl / 65_536));
    this.#u16(ttl & 0xffff);
    const lengthAt = this.#at;
    this.#at += 2;
    const layout = namesOfType(type);
    if (layout?.compress === true) {
      this.#bytes(data, 0, layout.before);
      let from = layout.before;
      for (let left: number = layout.names; left > 0; left--) {
        this.#name(data, from);
        from += nameLength(data, from);
      }
      this.#bytes(data, from, data.length);
    } else {
      this.#bytes(data, 0, data.length);
    }
    const length = this.#at - lengthAt - 2;
    this.#data[lengthAt] = length >>> 8;
    this.#data[lengthAt + 1] = length;
    return this.#at <= this.#limit;
  }

  #bytes(bytes: Uint8Array, from: number, to: number): void {
    this.#data.set(bytes.subarray(from, to), this.#at);
    this.#at += to - from;
  }

  #name(bytes: Uint8Array, at: number): void {
    for (let length = bytes[at] ?? 0; length !== 0; length = bytes[at] ?? 0) {
      const key = suffixKey(bytes, at);
      const place = this.#places.get(key);
      if (place !== undefined) {
        this.#u16(0xc000 | place);
        return;
      }
      if (this.#at < 0x4000) this.#places.set(key, this.#at);
      this.#bytes(bytes, at, at + 1 + length);
      at += 1 + length;
    }
    this.#data[this.#at++] = 0;
  }

  #u16(value: number): void {
    this.#data[this.#at++] = value >>> 8;
    this.#data[this.#at++] = value;
  }
}

/** Bytes that an OPT record with these options takes. */
export function ednsLength(options: Edns["options"]): number {
  return options.reduce((sum, { bytes }) => sum + 4 + bytes.length, 11);
}

function suffixKey(bytes: Uint8Array, at: number): string {
  let key = "";
  for (let length = bytes[at] ?? 0; length !== 0; length = bytes[at] ?? 0) {
    for (const end = at + 1 + length; at < end; at++) key += String.fromCharCode(lowerCase[bytes[at] ?? 0] ?? 0);
  }
  return key;
}
