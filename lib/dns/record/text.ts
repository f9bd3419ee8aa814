import { Tokens } from "../master-file/tokens.ts";
import { nameToText, rootName } from "../name-bytes.ts";
import { RecordParser } from "../record-parser.ts";
import type { WireRecord } from "../wire-record.ts";
import { printGeneric, scanGeneric } from "./generic.ts";
import { formatOf } from "./registry.ts";
import { RecordScanner } from "./scanner.ts";
import { className, typeName } from "./type-name.ts";

/** Records as text, as master files have them (RFC 1035 §5.1). */

/** The data of a record as text; as `\# LENGTH HEX` (RFC 3597 §5) when the type is not known, or the data malformed. */
export function printRecordData(type: number, data: Uint8Array): string {
  const format = formatOf(type);
  if (format?.isValid(data, 0, data.length) !== true) return printGeneric(data);
  return format.print(new RecordParser(data, 0, data.length, 0));
}

/** A record on one line: owner, time to live, class, type and data, with tabs between them. */
export function printRecord(record: WireRecord): string {
  const { owner, ttl, type, data } = record;
  const fixed = `${nameToText(owner)}\t${ttl}\t${className(record.class)}\t${typeName(type)}`;
  const text = printRecordData(type, data);
  return text === "" ? fixed : `${fixed}\t${text}`;
}

/** Data as bytes, or what is wrong with their text. */
export type ScannedData =
  | { readonly ok: true; readonly data: Uint8Array }
  /** `column`: of the text, from 1. */
  | { readonly ok: false; readonly column: number; readonly what: string };

/**
 * Reads the data of a record of `type` from text, which may have several lines.
 *
 * @param origin completes names that do not end in a dot
 */
export function parseRecordData(type: number, text: string, origin: Uint8Array = rootName): ScannedData {
  const bytes = new TextEncoder().encode(text);
  const tokens = new Tokens();
  // In parentheses, as it were: lines do not end the data.
  for (let at = 0; at < bytes.length; at++) if (bytes[at] === 0x0a) bytes[at] = 0x20;
  if (tokens.read(bytes, 0, bytes.length, true) < 0) {
    return { ok: false, column: tokens.fault?.column ?? 1, what: tokens.fault?.what ?? "malformed" };
  }
  const scanner = new RecordScanner(tokens);
  scanner.origin = origin;
  scanData(scanner, type);
  const { fault } = scanner;
  if (fault === undefined) return { ok: true, data: scanner.out.slice(0, scanner.length) };
  const column = fault.token < tokens.count ? (tokens.columns[fault.token] ?? 1) : bytes.length + 1;
  return { ok: false, column, what: fault.what };
}

/** Reads the data of a record from the scanner's next token to its last. Faults stay in `scanner`. */
export function scanData(scanner: RecordScanner, type: number): void {
  const format = formatOf(type);
  const { tokens, next } = scanner;
  const start = tokens.starts[next] ?? 0;
  const isGeneric =
    scanner.hasMore &&
    (tokens.ends[next] ?? 0) - start === 2 &&
    tokens.bytes[start] === 0x5c &&
    tokens.bytes[start + 1] === 0x23;
  if (isGeneric) {
    scanner.skip();
    scanGeneric(scanner);
    if (scanner.fault === undefined && format?.isValid(scanner.out, 0, scanner.length) === false) {
      scanner.fail(`the bytes are not data of a ${typeName(type)} record`, next + 2);
    }
  } else if (format === undefined) {
    scanner.fail(`the data of ${typeName(type)} are written \\# LENGTH HEX`, next);
  } else {
    format.scan(scanner);
  }
  if (scanner.fault !== undefined) return;
  if (scanner.hasMore) scanner.fail(`more than the data of a ${typeName(type)} record`, scanner.next);
  else if (scanner.length > 0xffff) scanner.fail("the data is longer than 65,535 bytes", next);
}
