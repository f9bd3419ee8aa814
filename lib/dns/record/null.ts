import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind, RecordFormat } from "./format.ts";
import { printGeneric } from "./generic.ts";
import type { RecordScanner } from "./scanner.ts";

class AnythingField extends FieldKind<Uint8Array> {
  measure(_data: Uint8Array, _at: number, end: number): number {
    return end;
  }

  read(parser: RecordParser, field: string): Uint8Array {
    return parser.bytes(parser.rest, field);
  }

  write(writer: RecordWriter, value: Uint8Array): void {
    writer.bytes(value);
  }

  print(parser: RecordParser): string {
    return printGeneric(parser.bytes(parser.rest, ""));
  }

  scan(scanner: RecordScanner, field: string): void {
    scanner.word(field);
    scanner.fail("NULL has no text of its own: \\# LENGTH HEX");
  }
}

/** Anything (RFC 1035 §3.3.10). */
export const nullData = new RecordFormat("NULL", { data: new AnythingField() });
