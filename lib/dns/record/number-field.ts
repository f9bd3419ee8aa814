import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";
import { typeFromText, typeName } from "./type-name.ts";

/** An unsigned integer of 1, 2 or 4 bytes, in decimal. */
class IntegerField extends FieldKind<number> {
  readonly size: 1 | 2 | 4;

  constructor(size: 1 | 2 | 4) {
    super();
    this.size = size;
  }

  measure(_data: Uint8Array, at: number, end: number): number {
    return at + this.size <= end ? at + this.size : -1;
  }

  read(parser: RecordParser, field: string): number {
    return this.size === 1 ? parser.u8(field) : this.size === 2 ? parser.u16(field) : parser.u32(field);
  }

  write(writer: RecordWriter, value: number): void {
    if (this.size === 1) writer.u8(value);
    else if (this.size === 2) writer.u16(value);
    else writer.u32(value);
  }

  print(parser: RecordParser): string {
    return String(this.read(parser, ""));
  }

  scan(scanner: RecordScanner, field: string): void {
    this.put(scanner, scanner.integer(2 ** (8 * this.size) - 1, field));
  }

  protected put(scanner: RecordScanner, value: number): void {
    if (this.size === 1) scanner.u8(value);
    else if (this.size === 2) scanner.u16(value);
    else scanner.u32(value);
  }
}

/** Seconds, also written with units: `1h30m`. */
class PeriodField extends IntegerField {
  override scan(scanner: RecordScanner, field: string): void {
    scanner.u32(scanner.period(field));
  }
}

/** A number that also has a name in text; written as a number. */
class NamedField extends IntegerField {
  readonly #names: Readonly<Record<string, number>>;

  constructor(size: 1 | 2, names: Readonly<Record<string, number>>) {
    super(size);
    this.#names = names;
  }

  override scan(scanner: RecordScanner, field: string): void {
    const value = this.#names[scanner.peek().toUpperCase()];
    if (value === undefined) {
      super.scan(scanner, field);
      return;
    }
    scanner.skip();
    this.put(scanner, value);
  }
}

/** The number of a record type, written by name. */
class TypeField extends IntegerField {
  override print(parser: RecordParser): string {
    return typeName(this.read(parser, ""));
  }

  override scan(scanner: RecordScanner, field: string): void {
    const type = typeFromText(scanner.word(field));
    if (type === undefined) scanner.fail(`${field}: not a record type (as in A, or TYPE65280)`);
    else this.put(scanner, type);
  }
}

/** Seconds since 1970 modulo 2³², written as YYYYMMDDHHmmSS (RFC 4034 §3.2). */
class TimeField extends IntegerField {
  override print(parser: RecordParser): string {
    return timeText(this.read(parser, ""));
  }

  override scan(scanner: RecordScanner, field: string): void {
    const text = scanner.word(field);
    if (scanner.fault !== undefined) return;
    const seconds = timeFromText(text);
    if (seconds === undefined) scanner.fail(`${field}: "${text}" is no time: YYYYMMDDHHmmSS, or seconds since 1970`);
    else this.put(scanner, seconds);
  }
}

/** An integer of 48 bits. */
class LongField extends FieldKind<number> {
  measure(_data: Uint8Array, at: number, end: number): number {
    return at + 6 <= end ? at + 6 : -1;
  }

  read(parser: RecordParser, field: string): number {
    return parser.u16(field) * 2 ** 32 + parser.u32(field);
  }

  write(writer: RecordWriter, value: number): void {
    writer.u16(Math.floor(value / 2 ** 32));
    writer.u32(value % 2 ** 32);
  }

  print(parser: RecordParser): string {
    return String(this.read(parser, ""));
  }

  scan(scanner: RecordScanner, field: string): void {
    const text = scanner.word(field);
    if (scanner.fault !== undefined) return;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : 2 ** 48;
    if (value >= 2 ** 48) scanner.fail(`${field}: "${text}" is not a number of 48 bits`);
    scanner.u16(Math.floor(value / 2 ** 32));
    scanner.u32(value % 2 ** 32);
  }
}

/** Seconds since 1970 as YYYYMMDDHHmmSS. */
export function timeText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replaceAll(/[-T:]|\..*/g, "");
}

/** Seconds since 1970, modulo 2³², of YYYYMMDDHHmmSS or of at most ten digits of seconds. */
export function timeFromText(text: string): number | undefined {
  if (/^\d{1,10}$/.test(text)) {
    const seconds = Number(text);
    return seconds <= 0xffffffff ? seconds : undefined;
  }
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1).map(Number);
  const time = Date.UTC(year, month - 1, day, hour, minute, second) / 1000;
  // What `Date` would carry over, as the 31st of June, is a mistake.
  if (year < 1970 || timeText(time) !== text) return undefined;
  return time % 2 ** 32;
}

/** DNSSEC algorithms (RFC 4034 A.1 and successors) by the names that master files have for them. */
export const algorithmNumber = {
  DELETE: 0,
  RSAMD5: 1,
  DH: 2,
  DSA: 3,
  RSASHA1: 5,
  DSANSEC3SHA1: 6,
  "DSA-NSEC3-SHA1": 6,
  RSASHA1NSEC3SHA1: 7,
  "RSASHA1-NSEC3-SHA1": 7,
  NSEC3RSASHA1: 7,
  RSASHA256: 8,
  RSASHA512: 10,
  ECCGOST: 12,
  ECDSAP256SHA256: 13,
  ECDSAP384SHA384: 14,
  ED25519: 15,
  ED448: 16,
  INDIRECT: 252,
  PRIVATEDNS: 253,
  PRIVATEOID: 254,
} as const;

export const u8: FieldKind<number> = new IntegerField(1);
export const u16: FieldKind<number> = new IntegerField(2);
export const u32: FieldKind<number> = new IntegerField(4);
export const u48: FieldKind<number> = new LongField();
/** Seconds, 32 bits. */
export const period: FieldKind<number> = new PeriodField(4);
export const typeNumber: FieldKind<number> = new TypeField(2);
export const time: FieldKind<number> = new TimeField(4);
export const algorithm: FieldKind<number> = new NamedField(1, algorithmNumber);
/** A number of `size` bytes that `names` may stand for. */
export function named(size: 1 | 2, names: Readonly<Record<string, number>>): FieldKind<number> {
  return new NamedField(size, names);
}
