import { fault, type HttpFault } from "./fault.ts";
import { findName, hashStep, knownNames } from "./field-names.ts";
import { fieldOctet, latin1, tokenOctet } from "./octets.ts";

/** Bounds of a message head. */
export interface HeadLimits {
  /** Octets of the start line with its line end. */
  readonly maxStartLine: number;
  /** Octets of the whole head, start line and final empty line included. */
  readonly maxHead: number;
  /** Field lines. */
  readonly maxFields: number;
}

/** Takes the first line of a head. Offsets that it keeps are relative to `base`, the first octet of the head. */
export interface StartLine {
  /** Octets of the last line ORed, or any value at or above 0x80 when one of them is. */
  readonly union: number;
  /** @returns what is wrong with `bytes[start … end)`, the line without its end */
  parse(bytes: Uint8Array, base: number, start: number, end: number): HttpFault | undefined;
}

export const headIncomplete = 0;
export const headComplete = 1;
export const headFailed = 2;
export type HeadStatus = typeof headIncomplete | typeof headComplete | typeof headFailed;

/** Empty lines that may come before a request line (RFC 9112 §2.2). */
const maxEmptyLines = 8;

/**
 * Reads the start line and field lines of a message (RFC 9112 §2.1, §5), or, without a start line, trailers.
 *
 * Fed any pieces of the input, it gives the same outcome: a line is examined once it is whole, and a bound is checked
 * before the line is. A head that lies whole in one piece is parsed where it is; only a partial one is copied.
 */
export class HeadReader {
  /** Where in the last piece the unread octets start. */
  consumed = 0;
  /** What went wrong, after {@link headFailed}. */
  fault: HttpFault | undefined = undefined;
  /** The whole head in Latin-1, after {@link headComplete}. */
  text = "";
  /** Lower-case names and their values in order, a fresh pair of arrays for each head. */
  names: string[] = [];
  values: string[] = [];
  /** For each field the number of its name in `knownNames`, or −1. Reused for the next head. */
  readonly ids: Int16Array;

  readonly #limits: HeadLimits;
  readonly #startLine: StartLine | undefined;
  /** Four offsets a field from the start of the head: name, its end, value, its end. */
  readonly #marks: Int32Array;
  #fields = 0;
  #inStart: boolean;
  #emptyLines = 0;
  /** Octets of this head so far, and where its current line starts. */
  #length = 0;
  #lineStart = 0;
  /** All octets of the head so far, ORed: below 0x80 it is ASCII. */
  #union = 0;
  /** The head so far, when it arrived in pieces. */
  #carry: Uint8Array = new Uint8Array(0);
  #carrying = false;

  constructor(limits: HeadLimits, startLine: StartLine | undefined) {
    this.#limits = limits;
    this.#startLine = startLine;
    this.#inStart = startLine !== undefined;
    this.#marks = new Int32Array(limits.maxFields * 4);
    this.ids = new Int16Array(limits.maxFields);
  }

  /** Whether part of a head was read. */
  get started(): boolean {
    return this.#length > 0;
  }

  /** Reads from `bytes[offset … end)`. After {@link headComplete} the next call starts the next head. */
  read(bytes: Uint8Array, offset: number, end: number): HeadStatus {
    let at = offset;
    let base = offset;
    while (at < end) {
      let stop = at;
      while (stop < end && bytes[stop] !== 0x0a) stop++;
      const whole = stop < end;
      if (whole) stop++;
      const length = this.#length + stop - at;
      const most = this.#inStart ? Math.min(this.#limits.maxStartLine, this.#limits.maxHead) : this.#limits.maxHead;
      if (length > most || (!whole && length === most)) {
        this.consumed = at;
        return this.#fail(
          this.#inStart
            ? fault("line-too-long", 414, most, `the start line is longer than ${most} octets`)
            : fault("head-too-large", 431, most, `the head is larger than ${most} octets`),
        );
      }
      this.#length = length;
      if (!whole) {
        if (this.#carrying) this.#keep(bytes, at, stop);
        break;
      }
      let source = bytes;
      let from = base;
      if (this.#carrying) {
        this.#keep(bytes, at, stop);
        source = this.#carry;
        from = 0;
      }
      at = stop;
      this.consumed = at;
      const start = from + this.#lineStart;
      const lineEnd = from + length - 2;
      this.#lineStart = length;
      if (lineEnd < start || source[lineEnd] !== 0x0d) {
        return this.#fail(fault("line-end", 400, length - 1, "a line ends in LF without CR"));
      }
      if (lineEnd === start) {
        if (!this.#inStart) {
          this.#finish(source, from, from + length);
          return headComplete;
        }
        if (++this.#emptyLines > maxEmptyLines) {
          return this.#fail(fault("request-line", 400, 0, "too many empty lines before the start line"));
        }
        this.#rewind();
        base = at;
        continue;
      }
      const broken = this.#inStart
        ? this.#startLine?.parse(source, from, start, lineEnd)
        : this.#field(source, from, start, lineEnd);
      if (broken !== undefined) return this.#fail(broken);
      if (this.#inStart) this.#union = this.#startLine?.union ?? 0;
      this.#inStart = false;
    }
    // Whole lines of a head whose rest is still to come.
    if (!this.#carrying && this.#length > 0) this.#keep(bytes, base, end);
    this.consumed = end;
    return headIncomplete;
  }

  #field(bytes: Uint8Array, base: number, start: number, end: number): HttpFault | undefined {
    const index = this.#fields;
    if (index === this.#limits.maxFields) {
      return fault("too-many-fields", 431, start - base, `more than ${this.#limits.maxFields} field lines`);
    }
    let at = start;
    let hash = 0;
    // The octet at `end` is CR, which is no tchar: the loop stops there at the latest.
    for (;;) {
      const lower = tokenOctet[bytes[at] ?? 0] ?? 0;
      if (lower === 0) break;
      hash = hashStep(hash, lower);
      at++;
    }
    const nameEnd = at;
    if (nameEnd === start || bytes[nameEnd] !== 0x3a) return badName(bytes, base, start, nameEnd);
    at++;
    while (at < end && isBlank(bytes[at])) at++;
    const valueStart = at;
    let valueEnd = end;
    while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--;
    let union = this.#union;
    for (; at < valueEnd; at++) {
      const octet = bytes[at] ?? 0;
      union |= octet;
      if (fieldOctet[octet] === 0) {
        return fault("field-value", 400, at - base, `octet 0x${octet.toString(16).padStart(2, "0")} in a field value`);
      }
    }
    this.#union = union;
    const marks = this.#marks;
    const mark = index * 4;
    marks[mark] = start - base;
    marks[mark + 1] = nameEnd - base;
    marks[mark + 2] = valueStart - base;
    marks[mark + 3] = valueEnd - base;
    this.ids[index] = findName(bytes, start, nameEnd, hash);
    this.#fields = index + 1;
    return undefined;
  }

  #finish(bytes: Uint8Array, start: number, end: number): void {
    const text = latin1(bytes, start, end, this.#union < 0x80);
    const count = this.#fields;
    const names: string[] = [];
    const values: string[] = [];
    const marks = this.#marks;
    for (let index = 0; index < count; index++) {
      const mark = index * 4;
      const id = this.ids[index] ?? -1;
      names.push(id >= 0 ? (knownNames[id] ?? "") : text.slice(marks[mark], marks[mark + 1]).toLowerCase());
      values.push(text.slice(marks[mark + 2], marks[mark + 3]));
    }
    this.text = text;
    this.names = names;
    this.values = values;
    this.#rewind();
    this.#emptyLines = 0;
    this.#inStart = this.#startLine !== undefined;
  }

  #rewind(): void {
    this.#length = 0;
    this.#lineStart = 0;
    this.#fields = 0;
    this.#union = 0;
    this.#carrying = false;
    if (this.#carry.length > 2048) this.#carry = new Uint8Array(0);
  }

  /** Appends to the carry so that it holds `#length` octets. */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    const before = this.#length - (end - start);
    if (this.#carry.length < this.#length) {
      const larger = new Uint8Array(Math.min(Math.max(512, this.#length * 2), this.#limits.maxHead));
      larger.set(this.#carry.subarray(0, before));
      this.#carry = larger;
    }
    for (let at = start; at < end; at++) this.#carry[before + at - start] = bytes[at] ?? 0;
    this.#carrying = true;
  }

  #fail(broken: HttpFault): HeadStatus {
    this.fault = broken;
    return headFailed;
  }
}

function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09;
}

function badName(bytes: Uint8Array, base: number, start: number, nameEnd: number): HttpFault {
  const blank = isBlank(bytes[nameEnd]);
  if (nameEnd === start && blank) {
    return fault("obs-fold", 400, start - base, "a field line starts with white space (obsolete folding)");
  }
  if (blank) return fault("field-name", 400, nameEnd - base, "white space between a field name and the colon");
  return fault("field-name", 400, nameEnd - base, "a field line without a valid name and colon");
}
