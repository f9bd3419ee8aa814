/** DNS messages whose records stay bytes: for servers, transfers and validators, which look at few of them. */

import { failed, type Parsed, type ParseError } from "@tesserae/wire/parse-error";
import type { Edns } from "./message.ts";
import { expandName, expandedLength, expandedNext, longestName } from "./name-bytes.ts";
import type { WireRecord } from "./wire-record.ts";
import { recordType } from "./wire.ts";

export interface WireQuestion {
  /** As it was sent, with its case. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly class: number;
}

/** A message as {@link parseWireMessage} reads it. Nothing in it refers to the bytes it was read from. */
export interface WireMessage {
  readonly id: number;
  /** All 16 bits: see {@link messageFlag}; the opcode and the lower bits of the response code are in there too. */
  readonly flags: number;
  readonly opcode: number;
  /** 12 bits with EDNS, else 4. */
  readonly rcode: number;
  readonly questions: readonly WireQuestion[];
  readonly answers: readonly WireRecord[];
  readonly authorities: readonly WireRecord[];
  /** Without the OPT record. */
  readonly additionals: readonly WireRecord[];
  /** Absent when there is no OPT record. */
  readonly edns?: Edns;
}

const headerSize = 12;

/**
 * Reads the message `data[offset … offset + length)`. Names are expanded, also those inside the data of the types that
 * RFC 3597 §4 lists; the data of A and AAAA records has the right length.
 */
export function parseWireMessage(
  data: Uint8Array,
  offset = 0,
  length: number = data.length - offset,
): Parsed<WireMessage> {
  if (length < headerSize) return failed("truncated", "dns", "", offset, `${length} bytes are no header`);
  const reader = new Reader(data, offset, offset + length);
  return reader.message();
}

/** The question of a message, when it has exactly one that can be read; for answers to what cannot be read whole. */
export function readQuestion(data: Uint8Array, offset: number, length: number): WireQuestion | undefined {
  if (length < headerSize || data[offset + 4] !== 0 || data[offset + 5] !== 1) return undefined;
  const reader = new Reader(data, offset, offset + length);
  const question = reader.question();
  return reader.fault === undefined ? question : undefined;
}

/** Where names lie in data: bytes before the first name, names, and whether strings come before it (NAPTR). */
interface NamesInData {
  readonly before: number;
  readonly names: 1 | 2;
  readonly strings: number;
  /** Whether a sender may compress them (RFC 3597 §4: only in types of RFC 1035). */
  readonly compress: boolean;
}

function names(before: number, count: 1 | 2, compress = false, strings = 0): NamesInData {
  return { before, names: count, strings, compress };
}

/** By type: NS MD MF CNAME SOA MB MG MR PTR MINFO MX, RP AFSDB RT SIG PX NXT SRV NAPTR KX DNAME RRSIG NSEC. */
const namesInData: ReadonlyMap<number, NamesInData> = new Map([
  ...[2, 3, 4, 5, 7, 8, 9, 12].map((type) => [type, names(0, 1, true)] as const),
  ...([6, 14] as const).map((type) => [type, names(0, 2, true)] as const),
  [15, names(2, 1, true)],
  [17, names(0, 2)],
  ...[18, 21, 36].map((type) => [type, names(2, 1)] as const),
  [26, names(2, 2)],
  ...[24, 46].map((type) => [type, names(18, 1)] as const),
  ...[30, 39, 47].map((type) => [type, names(0, 1)] as const),
  [33, names(6, 1)],
  [35, names(4, 1, false, 3)],
]);

/** How the names in the data of a type are found; `undefined` when it has none that matter. */
export function namesOfType(type: number): NamesInData | undefined {
  return namesInData.get(type);
}

/** Room for one name, and for the data of one record with its names expanded. */
const nameRoom = new Uint8Array(longestName);

class Reader {
  readonly #data: Uint8Array;
  readonly #start: number;
  readonly #end: number;
  #at: number;
  #edns: Edns | undefined;
  #extendedRcode = 0;
  fault: { readonly ok: false; readonly error: ParseError } | undefined;

  constructor(data: Uint8Array, start: number, end: number) {
    this.#data = data;
    this.#start = start;
    this.#end = end;
    this.#at = start + headerSize;
  }

  message(): Parsed<WireMessage> {
    const at = this.#start;
    const flags = this.#u16At(at + 2);
    const questions: WireQuestion[] = [];
    for (let left = this.#u16At(at + 4); left > 0 && this.fault === undefined; left--) questions.push(this.question());
    const answers = this.#section(this.#u16At(at + 6), false);
    const authorities = this.#section(this.#u16At(at + 8), false);
    const additionals = this.#section(this.#u16At(at + 10), true);
    if (this.fault !== undefined) return this.fault;
    if (this.#at !== this.#end) return failed("length", "dns", "", this.#at, "bytes behind the last record");
    const edns = this.#edns;
    return {
      ok: true,
      value: {
        id: this.#u16At(at),
        flags,
        opcode: (flags >>> 11) & 15,
        rcode: (this.#extendedRcode << 4) | (flags & 15),
        questions,
        answers,
        authorities,
        additionals,
        ...(edns === undefined ? {} : { edns }),
      },
    };
  }

  question(): WireQuestion {
    const name = this.#name("question");
    if (!this.#has(4, "question")) return { name, type: 0, class: 0 };
    const question = { name, type: this.#u16At(this.#at), class: this.#u16At(this.#at + 2) };
    this.#at += 4;
    return question;
  }

  #section(count: number, isLast: boolean): WireRecord[] {
    const records: WireRecord[] = [];
    for (let left = count; left > 0 && this.fault === undefined; left--) {
      const at = this.#at;
      const owner = this.#name("record");
      if (!this.#has(10, "record")) break;
      const type = this.#u16At(this.#at);
      const recordClass = this.#u16At(this.#at + 2);
      const ttl = this.#u16At(this.#at + 4) * 65_536 + this.#u16At(this.#at + 6);
      const length = this.#u16At(this.#at + 8);
      this.#at += 10;
      if (!this.#has(length, "data")) break;
      if (type === recordType.OPT) {
        if (!isLast || this.#edns !== undefined || owner.length !== 1) {
          this.#fail("value", "record", at, "an OPT record too many, or out of place");
          break;
        }
        this.#readEdns(recordClass, ttl, length);
        continue;
      }
      // RFC 2136 §2.4: what an update asks for, or takes away, has a class of its own and may have no data.
      const isEmpty = length === 0 && (recordClass === 254 || recordClass === 255);
      const data = isEmpty ? new Uint8Array(0) : this.#recordData(type, length);
      // RFC 2181 §8: with the highest bit set it is 0.
      records.push({ owner, type, class: recordClass, ttl: ttl > 0x7fffffff ? 0 : ttl, data });
    }
    return records;
  }

  #recordData(type: number, length: number): Uint8Array {
    const start = this.#at;
    const end = start + length;
    const layout = namesInData.get(type);
    if (layout === undefined) {
      this.#at = end;
      if ((type === recordType.A && length !== 4) || (type === recordType.AAAA && length !== 16)) {
        this.#fail("length", "data", start, `${length} bytes are no address`);
      }
      return this.#data.slice(start, end);
    }
    const parts: Uint8Array[] = [];
    let before = layout.before;
    for (let left = layout.strings; left > 0; left--) before += 1 + (this.#data[start + before] ?? 0);
    if (before > length) this.#fail("truncated", "data", start, "the data ends too early");
    else parts.push(this.#data.slice(start, start + before));
    this.#at = start + before;
    for (let left: number = layout.names; left > 0 && this.fault === undefined; left--) {
      parts.push(this.#name("data"));
    }
    if (this.fault !== undefined) return new Uint8Array();
    if (this.#at > end) this.#fail("length", "data", start, "a name reaches beyond the data");
    else parts.push(this.#data.slice(this.#at, end));
    this.#at = end;
    return joined(parts);
  }

  #readEdns(udpSize: number, flags: number, length: number): void {
    const options: { code: number; bytes: Uint8Array }[] = [];
    const end = this.#at + length;
    while (this.#at < end) {
      const size = this.#at + 4 <= end ? this.#u16At(this.#at + 2) : 0;
      if (this.#at + 4 + size > end) {
        this.#fail("length", "options", this.#at, "an EDNS option reaches beyond its record");
        return;
      }
      options.push({ code: this.#u16At(this.#at), bytes: this.#data.slice(this.#at + 4, this.#at + 4 + size) });
      this.#at += 4 + size;
    }
    this.#extendedRcode = Math.floor(flags / 0x1000000);
    this.#edns = { udpSize, version: (flags >>> 16) & 255, dnssecOk: (flags & 0x8000) !== 0, options };
  }

  #name(field: string): Uint8Array {
    const expanded = expandName(this.#data, this.#at, this.#start, this.#end, nameRoom, 0);
    if (expanded < 0) {
      this.#fail("value", field, this.#at, "a malformed name");
      return nameRoom.slice(0, 0);
    }
    this.#at = expandedNext(expanded);
    return nameRoom.slice(0, expandedLength(expanded));
  }

  #has(length: number, field: string): boolean {
    if (this.fault !== undefined) return false;
    if (this.#at + length <= this.#end) return true;
    this.#fail("truncated", field, this.#at, "the message ends too early");
    return false;
  }

  #fail(kind: ParseError["kind"], field: string, at: number, what: string): void {
    this.fault ??= failed(kind, "dns", field, at, what);
  }

  #u16At(at: number): number {
    return ((this.#data[at] ?? 0) << 8) | (this.#data[at + 1] ?? 0);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
