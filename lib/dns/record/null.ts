import type { RecordParser } from "../record-parser.ts";
import { type FieldKind, RecordFormat } from "./format.ts";
import { printGeneric } from "./generic.ts";
import { RestField } from "./rest-field.ts";
import type { RecordScanner } from "./scanner.ts";

class AnythingField extends RestField {
  print(parser: RecordParser): string {
    return printGeneric(parser.bytes(parser.rest, ""));
  }

  scan(scanner: RecordScanner, field: string): void {
    scanner.word(field);
    scanner.fail("NULL has no text of its own: \\# LENGTH HEX");
  }
}

const anything: FieldKind<Uint8Array> = new AnythingField();
/** Anything (RFC 1035 §3.3.10). */
export const nullData = new RecordFormat("NULL", { data: anything });
