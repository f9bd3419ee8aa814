import { toHex } from "@tesserae/wire/hex";
import { base32Hex } from "../dnssec/nsec3-hash.ts";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { base64Text } from "./encoding.ts";
import { FieldKind } from "./format.ts";
import { RestField } from "./rest-field.ts";
import type { RecordScanner } from "./scanner.ts";

/** Bytes to the end of the data, in base 64 or 16. */
class DigitsField extends RestField {
  readonly #base: 16 | 64;
  readonly #fewest: number;

  constructor(base: 16 | 64, least: number) {
    super(least);
    this.#base = base;
    this.#fewest = least;
  }

  print(parser: RecordParser): string {
    const bytes = parser.bytes(parser.rest, "");
    return this.#base === 16 ? toHex(bytes).toUpperCase() : base64Text(bytes);
  }

  scan(scanner: RecordScanner, field: string): void {
    const before = scanner.length;
    if (this.#fewest === 0 && !scanner.hasMore) return;
    if (this.#base === 16) scanner.hex(field);
    else scanner.base64(field);
    if (scanner.length - before < this.#fewest) scanner.fail(`${field} is empty`);
  }
}

/** A number of bytes that is always the same, in groups of hexadecimal digits. */
class FixedField extends FieldKind<Uint8Array> {
  readonly #size: number;
  readonly #group: number;
  readonly #separator: string;

  constructor(size: number, group: number, separator: string) {
    super();
    this.#size = size;
    this.#group = group;
    this.#separator = separator;
  }

  measure(_data: Uint8Array, at: number, end: number): number {
    return at + this.#size <= end ? at + this.#size : -1;
  }

  read(parser: RecordParser, field: string): Uint8Array {
    return parser.bytes(this.#size, field);
  }

  write(writer: RecordWriter, value: Uint8Array): void {
    if (value.length !== this.#size) throw new RangeError(`${value.length} bytes, where there are ${this.#size}`);
    writer.bytes(value);
  }

  print(parser: RecordParser): string {
    const bytes = parser.bytes(this.#size, "");
    const groups: string[] = [];
    for (let at = 0; at < this.#size; at += this.#group) groups.push(toHex(bytes, at, this.#group));
    return groups.join(this.#separator);
  }

  scan(scanner: RecordScanner, field: string): void {
    const text = scanner.word(field);
    if (scanner.fault !== undefined) return;
    const groups = text.split(this.#separator);
    const digits = this.#group * 2;
    // A locator's groups may be written short (RFC 6742 §2.1.2), the bytes of an EUI may not.
    const isGood =
      groups.length === this.#size / this.#group &&
      groups.every((each) => /^[0-9a-f]+$/i.test(each) && each.length <= digits && (digits > 2 || each.length === 2));
    if (!isGood) {
      scanner.fail(`${field}: "${text}" is not ${this.#size} bytes in hexadecimal with "${this.#separator}" between`);
      return;
    }
    for (const each of groups) {
      const value = Number.parseInt(each, 16);
      if (this.#group === 1) scanner.u8(value);
      else scanner.u16(value);
    }
  }
}

/** Up to 255 bytes with their number in front, in base 16, `-` for none, or in base 32. */
class CountedField extends FieldKind<Uint8Array> {
  readonly #base: 16 | 32;

  constructor(base: 16 | 32) {
    super();
    this.#base = base;
  }

  measure(data: Uint8Array, at: number, end: number): number {
    const next = at < end ? at + 1 + (data[at] ?? 0) : end + 1;
    return next <= end && (this.#base === 16 || data[at] !== 0) ? next : -1;
  }

  read(parser: RecordParser, field: string): Uint8Array {
    const bytes = parser.string(field);
    if (this.#base === 32 && bytes.length === 0) parser.fail("value", field, "an empty hash");
    return bytes;
  }

  write(writer: RecordWriter, value: Uint8Array): void {
    if (this.#base === 32 && value.length === 0) throw new RangeError("an empty hash");
    writer.string(value);
  }

  print(parser: RecordParser): string {
    const bytes = parser.string("");
    if (bytes.length === 0) return "-";
    return this.#base === 16 ? toHex(bytes).toUpperCase() : base32Hex(bytes).toUpperCase();
  }

  scan(scanner: RecordScanner, field: string): void {
    const at = scanner.length;
    scanner.u8(0);
    if (this.#base === 16 && scanner.peek() === "-") {
      scanner.skip();
      return;
    }
    if (this.#base === 16) scanner.hexWord(field);
    else scanner.base32Word(field);
    const length = scanner.length - at - 1;
    if (length > 255 || length === 0) scanner.fail(`${field} has ${length} bytes, and 1 to 255 are allowed`);
    else scanner.out[at] = length;
  }
}

/** Up to 65,535 bytes with their number in front, as TSIG and TKEY have them. */
class SizedField extends FieldKind<Uint8Array> {
  measure(data: Uint8Array, at: number, end: number): number {
    if (at + 2 > end) return -1;
    const next = at + 2 + (((data[at] ?? 0) << 8) | (data[at + 1] ?? 0));
    return next <= end ? next : -1;
  }

  read(parser: RecordParser, field: string): Uint8Array {
    return parser.bytes(parser.u16(field), field);
  }

  write(writer: RecordWriter, value: Uint8Array): void {
    writer.u16(value.length);
    writer.bytes(value);
  }

  print(parser: RecordParser): string {
    const bytes = this.read(parser, "");
    return bytes.length === 0 ? "0" : `${bytes.length} ${base64Text(bytes)}`;
  }

  scan(scanner: RecordScanner, field: string): void {
    const length = scanner.integer(0xffff, field);
    scanner.u16(length);
    const at = scanner.length;
    if (length > 0) scanner.base64Word(field);
    if (scanner.length - at !== length) scanner.fail(`${field} is said to have ${length} bytes, and has others`);
  }
}

export const base64: FieldKind<Uint8Array> = new DigitsField(64, 1);
export const optionalBase64: FieldKind<Uint8Array> = new DigitsField(64, 0);
export const hex: FieldKind<Uint8Array> = new DigitsField(16, 1);
export const optionalHex: FieldKind<Uint8Array> = new DigitsField(16, 0);
export const eui48: FieldKind<Uint8Array> = new FixedField(6, 1, "-");
export const eui64: FieldKind<Uint8Array> = new FixedField(8, 1, "-");
/** 64 bits as four groups of hexadecimal digits (RFC 6742 §2.1.2). */
export const locator64: FieldKind<Uint8Array> = new FixedField(8, 2, ":");
export const salt: FieldKind<Uint8Array> = new CountedField(16);
export const hash32: FieldKind<Uint8Array> = new CountedField(32);
export const sized: FieldKind<Uint8Array> = new SizedField();
