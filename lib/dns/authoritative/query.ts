import { ednsOption, messageFlag, rcode, recordType } from "../wire.ts";
import { NameKey } from "./name-key.ts";
import { i32At, u16At, u8At } from "./octets.ts";

export const headerLength = 12;

/** A message that gets no answer at all: too short for a header, or a response. */
export const dropped = -1;

/**
 * A query, read where it lies. One object is used for ever: {@link read} replaces what it holds.
 *
 * Offsets are into `bytes`, and are valid as long as these are.
 */
export class Query {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  flags = 0;
  opcode = 0;
  /** The question's name. */
  readonly name: NameKey = new NameKey();
  /** Where its first label is. */
  readonly nameAt = headerLength;
  /** Type and class of the question; 0 while there is no question. */
  type = 0;
  class = 0;
  /** Where the question ends; the header's end when there is no question. */
  questionEnd = 0;
  hasEdns = false;
  /** The longest UDP payload that the client takes, bytes. */
  udpSize = 512;
  version = 0;
  dnssecOk = false;
  /** Whether the client takes NXDOMAIN with a compact denial (RFC 9824 §5.1). */
  compactOk = false;
  wantsNsid = false;
  wantsKeepAlive = false;
  wantsPadding = false;
  /** Where the data of the cookie option is, and its length; −1 when there is none. */
  cookieAt = 0;
  cookieLength = -1;
  /** Whether the last record is a TSIG record. */
  signed = false;

  /**
   * Reads the message `bytes[offset … offset + length)`.
   *
   * @returns a response code, 0 when the query is well formed; {@link dropped} when it gets no answer.
   */
  read(bytes: Uint8Array, offset: number, length: number): number {
    if (length < headerLength) return dropped;
    this.bytes = bytes;
    this.start = offset;
    this.end = offset + length;
    this.flags = u16At(bytes, offset + 2);
    this.opcode = (this.flags >>> 11) & 15;
    this.type = 0;
    this.class = 0;
    this.questionEnd = offset + headerLength;
    this.hasEdns = false;
    this.udpSize = 512;
    this.version = 0;
    this.dnssecOk = false;
    this.compactOk = false;
    this.wantsNsid = false;
    this.wantsKeepAlive = false;
    this.wantsPadding = false;
    this.cookieLength = -1;
    this.signed = false;
    if ((this.flags & messageFlag.response) !== 0) return dropped;
    return this.#body();
  }

  #body(): number {
    const { bytes, start, end } = this;
    const questions = u16At(bytes, start + 4);
    let at = start + headerLength;
    if (questions === 1) {
      at = this.name.read(bytes, at, end);
      if (at < 0 || at + 4 > end) return rcode.formatError;
      this.type = u16At(bytes, at);
      this.class = u16At(bytes, at + 2);
      at += 4;
      this.questionEnd = at;
    } else if (questions !== 0) {
      return rcode.formatError;
    }
    const answers = u16At(bytes, start + 6);
    const authorities = u16At(bytes, start + 8);
    // Only who asks for an IXFR says what he has (RFC 1995 §3).
    if (this.opcode === 0 && (answers > 0 || (authorities > 0 && this.type !== recordType.IXFR)))
      return rcode.formatError;
    const before = answers + authorities;
    const additionals = u16At(bytes, start + 10);
    // What comes with a NOTIFY, an UPDATE or an IXFR query is for others to read; only where the message ends matters.
    for (let left = before + additionals; left > 0; left--) {
      at = this.#record(at, left <= additionals, left === 1);
      if (at < 0) return rcode.formatError;
    }
    if (at !== end) return rcode.formatError;
    // A query without a question asks for a cookie (RFC 7873 §5.4).
    return questions === 0 && this.opcode === 0 && this.cookieLength < 0 ? rcode.formatError : rcode.noError;
  }

  /** Reads a record; where the next one is, −1 when it is malformed. */
  #record(at: number, isAdditional: boolean, isLast: boolean): number {
    const { bytes, end } = this;
    const isRoot = at < end && u8At(bytes, at) === 0;
    at = this.#skipName(at);
    if (at < 0 || at + 10 > end) return -1;
    const code = u16At(bytes, at);
    const data = at + 10;
    const next = data + u16At(bytes, at + 8);
    if (next > end) return -1;
    if (code === recordType.TSIG) {
      // RFC 8945 §5.1
      if (!isLast || !isAdditional) return -1;
      this.signed = true;
    }
    if (code !== recordType.OPT || !isAdditional) return next;
    if (this.hasEdns || !isRoot) {
      this.hasEdns = false;
      return -1;
    }
    this.hasEdns = true;
    this.udpSize = Math.max(512, u16At(bytes, at + 2));
    this.version = u8At(bytes, at + 5);
    this.dnssecOk = (u8At(bytes, at + 6) & 0x80) !== 0;
    this.compactOk = (u8At(bytes, at + 6) & 0x40) !== 0;
    return this.#options(data, next) ? next : -1;
  }

  #options(at: number, end: number): boolean {
    const { bytes } = this;
    while (at < end) {
      if (at + 4 > end) return false;
      const code = u16At(bytes, at);
      const length = u16At(bytes, at + 2);
      at += 4;
      if (at + length > end) return false;
      if (code === ednsOption.nsid) this.wantsNsid = true;
      else if (code === ednsOption.keepAlive) this.wantsKeepAlive = true;
      else if (code === ednsOption.padding) this.wantsPadding = true;
      else if (code === ednsOption.cookie && this.cookieLength < 0) {
        // RFC 7873 §5.2.2
        if (length !== 8 && (length < 16 || length > 40)) return false;
        this.cookieAt = at;
        this.cookieLength = length;
      }
      at += length;
    }
    return true;
  }

  /** A name that may be compressed; only where it ends matters. */
  #skipName(at: number): number {
    const { bytes, end } = this;
    let total = 0;
    while (at < end) {
      const length = u8At(bytes, at);
      if (length >= 0xc0) return at + 2 <= end ? at + 2 : -1;
      total += length + 1;
      if (length > 63 || total > 255) return -1;
      at += length + 1;
      if (length === 0) return at;
    }
    return -1;
  }

  /** Where the suffix of the question's name with `labels` labels is in the message. */
  suffixAt(labels: number): number {
    let at = headerLength;
    for (let label = this.name.labels; label > labels; label--) at += u8At(this.bytes, this.start + at) + 1;
    return at;
  }

  /** The length of the question's name, its 0 included. */
  get nameLength(): number {
    return i32At(this.name.ends, this.name.labels) + 1;
  }
}
