import type { RecordParser } from "../record-parser.ts";
import { latin1, latin1Bytes } from "../latin1.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind } from "./format.ts";
import { RestField } from "./rest-field.ts";
import type { RecordScanner } from "./scanner.ts";

/** A character string (RFC 1035 §3.3): up to 255 bytes, with their number in front; its characters are the bytes. */
class StringField extends FieldKind<string> {
  readonly #isQuoted: boolean;

  constructor(isQuoted: boolean) {
    super();
    this.#isQuoted = isQuoted;
  }

  measure(data: Uint8Array, at: number, end: number): number {
    return measureString(data, at, end);
  }

  read(parser: RecordParser, field: string): string {
    return latin1(parser.string(field));
  }

  write(writer: RecordWriter, value: string): void {
    writer.string(latin1Bytes(value));
  }

  print(parser: RecordParser): string {
    const bytes = parser.string("");
    return this.#isQuoted || bytes.length === 0 ? quoted(bytes) : unquoted(bytes);
  }

  scan(scanner: RecordScanner, field: string): void {
    scanner.string(field);
  }
}

/** One that may be missing at the end of the data: `undefined`. */
class OptionalStringField extends FieldKind<string | undefined> {
  measure(data: Uint8Array, at: number, end: number): number {
    return at === end ? at : measureString(data, at, end);
  }

  read(parser: RecordParser, field: string): string | undefined {
    return parser.rest === 0 ? undefined : latin1(parser.string(field));
  }

  write(writer: RecordWriter, value: string | undefined): void {
    if (value !== undefined) writer.string(latin1Bytes(value));
  }

  print(parser: RecordParser): string {
    return parser.rest === 0 ? "" : quoted(parser.string(""));
  }

  scan(scanner: RecordScanner, field: string): void {
    if (scanner.hasMore) scanner.string(field);
  }
}

/** One string or more, to the end of the data. */
class StringsField extends FieldKind<readonly Uint8Array[]> {
  measure(data: Uint8Array, at: number, end: number): number {
    let next = measureString(data, at, end);
    while (next >= 0 && next < end) next = measureString(data, next, end);
    return next;
  }

  read(parser: RecordParser, field: string): readonly Uint8Array[] {
    const strings: Uint8Array[] = [];
    do strings.push(parser.string(field));
    while (parser.fault === undefined && parser.rest > 0);
    return strings;
  }

  write(writer: RecordWriter, value: readonly Uint8Array[]): void {
    if (value.length === 0) throw new RangeError("there is at least one string in a record of text");
    for (const string of value) writer.string(string);
  }

  print(parser: RecordParser): string {
    return this.read(parser, "").map(quoted).join(" ");
  }

  scan(scanner: RecordScanner, field: string): void {
    do scanner.string(field);
    while (scanner.hasMore && scanner.fault === undefined);
  }
}

/** Text to the end of the data, without a length, in quotes. */
class TextField extends RestField {
  print(parser: RecordParser): string {
    return quoted(parser.bytes(parser.rest, ""));
  }

  scan(scanner: RecordScanner, field: string): void {
    scanner.text(field);
  }
}

function measureString(data: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const next = at + 1 + (data[at] ?? 0);
  return next <= end ? next : -1;
}

function escaped(byte: number, special: string): string {
  const character = String.fromCharCode(byte);
  if (special.includes(character)) return `\\${character}`;
  return byte >= 0x20 && byte < 0x7f ? character : `\\${String(byte).padStart(3, "0")}`;
}

/** Bytes as a string in quotes, as in master files. */
export function quoted(bytes: Uint8Array): string {
  let text = '"';
  for (const byte of bytes) text += escaped(byte, '"\\');
  return `${text}"`;
}

/** Bytes as a word without quotes. */
export function unquoted(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte === 0x20 ? "\\032" : escaped(byte, '"\\;()');
  return text;
}

/** In quotes. */
export const string: FieldKind<string> = new StringField(true);
/** Without quotes where it can be. */
export const wordString: FieldKind<string> = new StringField(false);
export const optionalString: FieldKind<string | undefined> = new OptionalStringField();
export const strings: FieldKind<readonly Uint8Array[]> = new StringsField();
export const text: FieldKind<Uint8Array> = new TextField();
