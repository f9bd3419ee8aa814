import { readInt32 } from "@tesserae/wire/field";
import type { ParseError } from "@tesserae/wire/parse-error";
import { failed } from "@tesserae/wire/parse-error";
import { expandName, expandedLength, expandedNext, longestName } from "./name-bytes.ts";
import { readName } from "./name.ts";
import type { Question, RecordData, ResourceRecord } from "./record.ts";
import { formatOf } from "./record/registry.ts";
import { recordClass as classes, recordType } from "./wire.ts";

/**
 * Reads a message from front to back. The first thing wrong stays in `fault`; what is read after it is zeros and empty
 * names.
 */
export class RecordParser {
  fault: ParseError | undefined;
  at: number;
  readonly #data: Uint8Array;
  readonly #start: number;
  /** The end of the message, or of the record's data while that is read. */
  #end: number;

  constructor(data: Uint8Array, start: number, end: number, at: number) {
    this.#data = data;
    this.#start = start;
    this.#end = end;
    this.at = at;
  }

  get rest(): number {
    return this.#end - this.at;
  }

  fail(kind: ParseError["kind"], field: string, what: string, at = this.at): void {
    this.fault ??= failed(kind, "dns", field, at, what).error;
  }

  name(field: string): string {
    if (this.fault !== undefined) return ".";
    const read = readName(this.#data, this.at, this.#start, this.#end);
    if (!read.ok) {
      this.fail(read.kind, field, read.what, read.at);
      return ".";
    }
    this.at = read.next;
    return read.name;
  }

  /** A name's bytes, not compressed. */
  plainName(field: string): Uint8Array {
    const out = new Uint8Array(longestName);
    const at = this.at;
    // `name` finds out what is wrong, and where.
    this.name(field);
    if (this.fault !== undefined) return new Uint8Array(1);
    const expanded = expandName(this.#data, at, this.#start, this.#end, out, 0);
    this.at = expandedNext(expanded);
    return out.slice(0, expandedLength(expanded));
  }

  u8(field: string): number {
    return this.#take(1, field) ? (this.#data[this.at - 1] ?? 0) : 0;
  }

  u16(field: string): number {
    return this.#take(2, field) ? ((this.#data[this.at - 2] ?? 0) << 8) | (this.#data[this.at - 1] ?? 0) : 0;
  }

  u32(field: string): number {
    return this.#take(4, field) ? readInt32(this.#data, this.at - 4) >>> 0 : 0;
  }

  /** A copy, so that no message is held on to for one record of it. */
  bytes(length: number, field: string): Uint8Array {
    if (!this.#take(length, field)) return new Uint8Array(0);
    // Not `slice`, which for a Buffer of Node's would be a view.
    return new Uint8Array(this.#data.subarray(this.at - length, this.at));
  }

  /** A string with its length in front (RFC 1035 §3.3). */
  string(field: string): Uint8Array {
    return this.bytes(this.u8(field), field);
  }

  question(): Question {
    return { name: this.name("question"), type: this.u16("question"), class: this.u16("question") };
  }

  /** `undefined` when there was a fault. An OPT record is given to `onOptions` instead. */
  record(onOptions: (udpSize: number, flags: number, options: Uint8Array) => void): ResourceRecord | undefined {
    const name = this.name("record");
    const type = this.u16("type");
    const recordClass = this.u16("class");
    const ttl = this.u32("ttl");
    const length = this.u16("length");
    if (this.fault !== undefined) return undefined;
    if (length > this.rest) {
      this.fail("length", "length", "the record's data reaches beyond the message", this.at - 2);
      return undefined;
    }
    const messageEnd = this.#end;
    const dataEnd = this.at + length;
    if (type === recordType.OPT) {
      if (name !== ".") this.fail("value", "record", "an OPT record that is not at the root");
      onOptions(recordClass, ttl, this.bytes(length, "options"));
      return undefined;
    }
    this.#end = dataEnd;
    const data = this.#recordData(type, recordClass, length);
    if (this.at !== dataEnd) this.fail("length", "data", "the data is longer than its type");
    this.#end = messageEnd;
    // RFC 2181 §8: a TTL with the top bit set is 0.
    return { name, class: recordClass, ttl: ttl > 0x7fffffff ? 0 : ttl, data };
  }

  #recordData(type: number, recordClass: number, length: number): RecordData {
    // Records of these classes may do without data (RFC 2136 §2.4).
    const isBare = length === 0 && (recordClass === classes.NONE || recordClass === classes.ANY);
    const format = isBare ? undefined : formatOf(type);
    // as: what a format of the registry reads is one of its data
    if (format !== undefined) return format.read(this) as RecordData;
    return { type: "unknown", code: type, bytes: this.bytes(length, "data") };
  }

  /** Moves on by `length`. False at a fault. */
  #take(length: number, field: string): boolean {
    if (this.fault !== undefined) return false;
    if (length > this.rest) {
      this.fail("truncated", field, "the message ends too early");
      return false;
    }
    this.at += length;
    return true;
  }
}
