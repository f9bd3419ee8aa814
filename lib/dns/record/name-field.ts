import { nameLength, nameToText } from "../name-bytes.ts";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";

class NameField extends FieldKind<string> {
  override readonly isName: boolean = true;
  override readonly isLowered: boolean;
  readonly #isCompressed: boolean;

  constructor(isCompressed: boolean, isLowered: boolean) {
    super();
    this.#isCompressed = isCompressed;
    this.isLowered = isLowered;
  }

  measure(data: Uint8Array, at: number, end: number): number {
    const length = nameLength(data, at, end);
    return length === 0 ? -1 : at + length;
  }

  read(parser: RecordParser, field: string): string {
    return parser.name(field);
  }

  write(writer: RecordWriter, value: string): void {
    writer.name(value, this.#isCompressed);
  }

  print(parser: RecordParser): string {
    return nameToText(parser.plainName(""));
  }

  scan(scanner: RecordScanner, field: string): void {
    scanner.name(field);
  }
}

/** A name of the types of RFC 1035: compressed in messages (RFC 3597 §4), in lower case for signatures. */
export const compressedName: FieldKind<string> = new NameField(true, true);
/** A name of newer types that RFC 4034 §6.2 lists: not compressed, in lower case for signatures. */
export const loweredName: FieldKind<string> = new NameField(false, true);
/** A name that is not compressed, and signed with its case. */
export const plainName: FieldKind<string> = new NameField(false, false);
