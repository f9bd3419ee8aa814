import { IpAddress } from "@tesserae/device/address";
import { hasEscape, hasQuotes, isQuoted, type Tokens } from "../master-file/tokens.ts";
import { longestName, rootName } from "../name-bytes.ts";
import { base32Values, base64Values, hexValues } from "./encoding.ts";

/** Data has at most 65,535 bytes; what is longer is noticed at the end. */
const room = 65_536;

/** What is wrong, and with which token. */
export interface ScanFault {
  /** An index into the tokens; their number when something is missing at the end. */
  readonly token: number;
  readonly what: string;
}

/**
 * Turns the tokens of a record's data into bytes. The first thing wrong stays in `fault`; what is read after it is
 * zeros and nothing.
 */
export class RecordScanner {
  fault: ScanFault | undefined;
  /** The bytes written so far are `out[0 … length)`. */
  readonly out: Uint8Array = new Uint8Array(room);
  length = 0;
  /** Completes relative names; `undefined` when there is none yet. */
  origin: Uint8Array | undefined = rootName;
  tokens: Tokens;
  /** The token to be read next. */
  next = 0;

  constructor(tokens: Tokens) {
    this.tokens = tokens;
  }

  /** Starts over at token `next`. */
  reset(next: number): void {
    this.fault = undefined;
    this.length = 0;
    this.next = next;
  }

  get hasMore(): boolean {
    return this.next < this.tokens.count;
  }

  /** @param token by default the one read last */
  fail(what: string, token: number = this.next - 1): void {
    this.fault ??= { token, what };
  }

  u8(value: number): void {
    if (this.length + 1 <= room) this.out[this.length++] = value;
    else this.#tooLong();
  }

  u16(value: number): void {
    this.u8(value >>> 8);
    this.u8(value & 255);
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  put(bytes: Uint8Array): void {
    if (this.length + bytes.length > room) {
      this.#tooLong();
      return;
    }
    this.out.set(bytes, this.length);
    this.length += bytes.length;
  }

  #tooLong(): void {
    this.fail("the data is longer than 65,535 bytes");
  }

  /** Moves on to the next token. False, with a fault, when there is none. */
  #take(field: string): boolean {
    if (this.fault !== undefined) return false;
    if (this.next >= this.tokens.count) {
      this.fail(`${field} is missing`, this.tokens.count);
      return false;
    }
    this.next++;
    return true;
  }

  /** The next token's characters, as they are written; "" when there is none. */
  peek(): string {
    return this.next < this.tokens.count ? this.#text(this.next) : "";
  }

  skip(): void {
    this.next++;
  }

  /** A token's characters, as they are written. */
  word(field: string): string {
    return this.#take(field) ? this.#text(this.next - 1) : "";
  }

  #text(token: number): string {
    const { bytes, starts, ends } = this.tokens;
    let text = "";
    const end = ends[token] ?? 0;
    for (let at = starts[token] ?? 0; at < end; at++) text += String.fromCharCode(bytes[at] ?? 0);
    return text;
  }

  /** A decimal number, 0 to `most`. */
  integer(most: number, field: string): number {
    if (!this.#take(field)) return 0;
    const { bytes, starts, ends } = this.tokens;
    const start = starts[this.next - 1] ?? 0;
    const end = ends[this.next - 1] ?? 0;
    let value = 0;
    for (let at = start; at < end; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9 || end - start > 10) {
        this.fail(`${field}: "${this.#text(this.next - 1)}" is not a number from 0 to ${most}`);
        return 0;
      }
      value = value * 10 + digit;
    }
    if (value > most || start === end) {
      this.fail(`${field}: "${this.#text(this.next - 1)}" is not a number from 0 to ${most}`);
      return 0;
    }
    return value;
  }

  /** Seconds, 0 to 2³²−1, in decimal or with units. */
  period(field: string): number {
    if (!this.#take(field)) return 0;
    const { bytes, starts, ends } = this.tokens;
    const seconds = parsePeriod(bytes, starts[this.next - 1] ?? 0, ends[this.next - 1] ?? 0);
    if (seconds >= 0) return seconds;
    this.fail(`${field}: "${this.#text(this.next - 1)}" is not a time (seconds, or as in 1w2d3h4m5s)`);
    return 0;
  }

  /** A name, relative to the origin when it does not end in a dot; `@` is the origin. */
  name(field: string): void {
    if (!this.#take(field)) return;
    const token = this.next - 1;
    const { bytes, starts, ends, flags } = this.tokens;
    const what = this.#putName(bytes, starts[token] ?? 0, ends[token] ?? 0, (flags[token] ?? 0) & isQuoted);
    if (what !== undefined) this.fail(`${field}: "${this.#text(token)}" ${what}`);
  }

  #putName(bytes: Uint8Array, at: number, end: number, quotes: number): string | undefined {
    const { out } = this;
    const start = this.length;
    if (start + longestName + 1 > room) return "does not fit into 65,535 bytes";
    if (at === end) return "is empty";
    if (end - at === 1 && quotes === 0) {
      if (bytes[at] === 0x40) return this.#putOrigin(start, start);
      if (bytes[at] === 0x2e) {
        out[this.length++] = 0;
        return undefined;
      }
    }
    let to = start + 1;
    let label = start;
    const most = start + longestName;
    while (at < end) {
      let byte = bytes[at++] ?? 0;
      if (byte === 0x2e) {
        if (to === label + 1) return "has an empty label";
        out[label] = to - label - 1;
        label = to++;
        if (to > most) return "is longer than 255 bytes";
        continue;
      }
      if (byte === 0x5c) {
        const value = escapedByte(bytes, at, end);
        if (value < 0) return "has a backslash without a character, or with a number above 255";
        byte = value & 255;
        at += value >>> 8;
      }
      if (to - label > 63) return "has a label longer than 63 bytes";
      if (to >= most) return "is longer than 255 bytes";
      out[to++] = byte;
    }
    if (to === label + 1) {
      // The text ended in a dot.
      out[label] = 0;
      this.length = to;
      return undefined;
    }
    out[label] = to - label - 1;
    return this.#putOrigin(start, to);
  }

  #putOrigin(start: number, to: number): string | undefined {
    const { origin } = this;
    if (origin === undefined) return "is relative, and there is no $ORIGIN";
    if (to - start + origin.length > longestName) return "is longer than 255 bytes with its origin";
    for (const byte of origin) this.out[to++] = byte;
    this.length = to;
    return undefined;
  }

  address4(field: string): void {
    if (!this.#take(field)) return;
    const token = this.next - 1;
    const { bytes, starts, ends } = this.tokens;
    const end = ends[token] ?? 0;
    let word = 0;
    let octet = -1;
    let octets = 0;
    let isGood = true;
    for (let at = starts[token] ?? 0; at <= end; at++) {
      const byte = at === end ? 0x2e : (bytes[at] ?? 0);
      if (byte === 0x2e) {
        if (octet < 0 || octets++ === 4) isGood = false;
        word = (word << 8) | octet;
        octet = -1;
      } else if (byte >= 0x30 && byte <= 0x39 && octet !== 0) {
        octet = (octet < 0 ? 0 : octet * 10) + byte - 0x30;
        if (octet > 255) isGood = false;
      } else {
        isGood = false;
      }
    }
    if (isGood && octets === 4) this.u32(word >>> 0);
    else this.fail(`${field}: "${this.#text(token)}" is not an IPv4 address (as in 192.0.2.1)`);
  }

  address6(field: string): void {
    const text = this.word(field);
    if (this.fault !== undefined) return;
    const address = text.includes(":") ? IpAddress.tryParse(text) : undefined;
    if (address === undefined) {
      this.fail(`${field}: "${text}" is not an IPv6 address (as in 2001:db8::1)`);
      return;
    }
    for (const word of [address.w0, address.w1, address.w2, address.w3]) this.u32(word >>> 0);
  }

  /** A character string with its length in front, at most 255 bytes. */
  string(field: string): void {
    if (!this.#take(field)) return;
    const at = this.length;
    this.u8(0);
    this.#putText(this.next - 1, field);
    const length = this.length - at - 1;
    if (length > 255) this.fail(`${field}: a string of ${length} bytes, and 255 are allowed`);
    else this.out[at] = length;
  }

  /** A string without a length. */
  text(field: string): void {
    if (this.#take(field)) this.#putText(this.next - 1, field);
  }

  /** The bytes that a token stands for: without escapes and inner quotes. */
  unescaped(field: string): Uint8Array {
    const at = this.length;
    this.text(field);
    const bytes = this.out.slice(at, this.length);
    this.length = at;
    return bytes;
  }

  /** `key`, `key=value` or `key="value"`, the value without escapes; the key in lower case. */
  unescapedPair(field: string): { readonly key: string; readonly value: Uint8Array | undefined } {
    const word = this.peek();
    const equals = word.indexOf("=");
    const token = this.next;
    if (equals < 0 || !this.hasMore) return { key: this.word(field).toLowerCase(), value: undefined };
    const { starts } = this.tokens;
    const start = starts[token] ?? 0;
    // The rest of the token is one, for the moment.
    starts[token] = start + equals + 1;
    const value = this.unescaped(field);
    starts[token] = start;
    return { key: word.slice(0, equals).toLowerCase(), value };
  }

  #putText(token: number, field: string): void {
    const { bytes, starts, ends, flags } = this.tokens;
    const start = starts[token] ?? 0;
    const end = ends[token] ?? 0;
    if (this.length + end - start > room) {
      this.#tooLong();
      return;
    }
    const kind = flags[token] ?? 0;
    if ((kind & (hasEscape | hasQuotes)) === 0) {
      for (let at = start; at < end; at++) this.out[this.length++] = bytes[at] ?? 0;
      return;
    }
    for (let at = start; at < end; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === 0x22) continue;
      if (byte !== 0x5c) {
        this.out[this.length++] = byte;
        continue;
      }
      const value = escapedByte(bytes, at + 1, end);
      if (value < 0) {
        this.fail(`${field}: a backslash without a character, or with a number above 255`);
        return;
      }
      this.out[this.length++] = value & 255;
      at += value >>> 8;
    }
  }

  /** Base 64 in all tokens that are left; none is no bytes. */
  base64(field: string): void {
    const first = this.next;
    this.#digits(base64Values, 6, this.tokens.count, field, "base 64");
    if (this.next === first && this.fault === undefined) this.fail(`${field} is missing`, first);
  }

  /** Base 64 in one token. */
  base64Word(field: string): void {
    this.#digits(base64Values, 6, this.next + 1, field, "base 64");
  }

  /** Base 16 in all tokens that are left. */
  hex(field: string): void {
    const first = this.next;
    this.#digits(hexValues, 4, this.tokens.count, field, "hexadecimal");
    if (this.next === first && this.fault === undefined) this.fail(`${field} is missing`, first);
  }

  /** Base 16 in one token. */
  hexWord(field: string): void {
    this.#digits(hexValues, 4, this.next + 1, field, "hexadecimal");
  }

  /** Base 32 with the extended hexadecimal alphabet, without padding, in one token. */
  base32Word(field: string): void {
    this.#digits(base32Values, 5, this.next + 1, field, "base 32 (0 to 9 and A to V)");
  }

  #digits(values: Int8Array, width: number, last: number, field: string, what: string): void {
    if (this.fault !== undefined) return;
    if (this.next >= this.tokens.count && last === this.next + 1) {
      this.#take(field);
      return;
    }
    const { out } = this;
    let bits = 0;
    let held = 0;
    let padding = 0;
    let digits = 0;
    let to = this.length;
    for (; this.next < last; this.next++) {
      const { bytes, starts, ends } = this.tokens;
      const end = ends[this.next] ?? 0;
      if (to + end - (starts[this.next] ?? 0) > room) {
        this.next++;
        this.#tooLong();
        return;
      }
      for (let at = starts[this.next] ?? 0; at < end; at++) {
        const code = bytes[at] ?? 0;
        const value = values[code] ?? -1;
        if (value < 0 || padding > 0) {
          if (code === 0x3d && width === 6 && padding < 2) {
            padding++;
            continue;
          }
          this.next++;
          this.fail(`${field}: "${String.fromCharCode(code)}" is not ${what}`);
          return;
        }
        digits++;
        bits = ((bits << width) | value) & 0xfff;
        held += width;
        if (held >= 8) {
          held -= 8;
          out[to++] = bits >>> held;
        }
      }
    }
    // A last digit may hold fewer bits than a byte's, and those are zeros; a whole digit too many is a mistake.
    const isComplete =
      held < width && (bits & ((1 << held) - 1)) === 0 && (width !== 6 || (digits + padding) % 4 === 0);
    if (isComplete) this.length = to;
    else this.fail(`${field}: ${what} that is cut off, or has bits too many`);
  }
}

/**
 * The byte that is meant by what follows a backslash, plus 256 times the characters that it takes; −1 when there is
 * nothing, or a number above 255 or without three digits.
 */
function escapedByte(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const first = (bytes[at] ?? 0) - 0x30;
  if (first < 0 || first > 9) return 256 + first + 0x30;
  if (at + 2 >= end) return -1;
  const second = (bytes[at + 1] ?? 0) - 0x30;
  const third = (bytes[at + 2] ?? 0) - 0x30;
  if (second < 0 || second > 9 || third < 0 || third > 9) return -1;
  const value = first * 100 + second * 10 + third;
  return value > 255 ? -1 : 3 * 256 + value;
}

/** Seconds of `3600` or `1h30m` (units w d h m s in either case), 0 to 2³²−1; −1 when it is no time. */
export function parsePeriod(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  let value = -1;
  let hasUnits = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) {
      value = (value < 0 ? 0 : value) * 10 + byte - 0x30;
      if (value > 0xffffffff) return -1;
      continue;
    }
    const unit = unitSeconds(byte | 0x20);
    if (value < 0 || unit === 0) return -1;
    total += value * unit;
    value = -1;
    hasUnits = true;
  }
  if (value >= 0) {
    if (hasUnits) return -1;
    total += value;
  } else if (!hasUnits) {
    return -1;
  }
  return total > 0xffffffff ? -1 : total;
}

function unitSeconds(letter: number): number {
  switch (letter) {
    case 0x73:
      return 1;
    case 0x6d:
      return 60;
    case 0x68:
      return 3600;
    case 0x64:
      return 86_400;
    case 0x77:
      return 604_800;
    default:
      return 0;
  }
}
