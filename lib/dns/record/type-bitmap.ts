import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { FieldKind } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";
import { typeFromText, typeName } from "./type-name.ts";

/** The bitmap (RFC 4034 §4.1.2) of record types; none is no bytes. @param types in any order */
export function typeBitmap(types: readonly number[]): Uint8Array {
  const bytes: number[] = [];
  let window = -1;
  let lengthAt = 0;
  for (const type of [...types].sort((a, b) => a - b)) {
    if (type >>> 8 !== window) {
      window = type >>> 8;
      lengthAt = bytes.push(window, 0) - 1;
    }
    const byte = (type & 255) >>> 3;
    while ((bytes[lengthAt] ?? 0) <= byte) {
      bytes.push(0);
      bytes[lengthAt] = (bytes[lengthAt] ?? 0) + 1;
    }
    const at = lengthAt + 1 + byte;
    bytes[at] = (bytes[at] ?? 0) | (0x80 >>> (type & 7));
  }
  return Uint8Array.from(bytes);
}

/** The types of a well-formed bitmap, ascending. */
export function bitmapTypes(data: Uint8Array, at: number, end: number): number[] {
  const types: number[] = [];
  for (let next = at; next + 2 <= end; next += 2 + (data[next + 1] ?? 0)) {
    const bits = (data[next + 1] ?? 0) * 8;
    for (let bit = 0; bit < bits; bit++) {
      if (((data[next + 2 + (bit >>> 3)] ?? 0) & (0x80 >>> (bit & 7))) !== 0) {
        types.push(((data[next] ?? 0) << 8) | bit);
      }
    }
  }
  return types;
}

/** Windows ascend, each has 1 to 32 bytes, and the last byte of each has a bit. */
class BitmapField extends FieldKind<readonly number[]> {
  measure(data: Uint8Array, at: number, end: number): number {
    let window = -1;
    let next = at;
    while (next < end) {
      const length = data[next + 1] ?? 0;
      const last = next + 1 + length;
      if ((data[next] ?? 0) <= window || length < 1 || length > 32 || last >= end || data[last] === 0) return -1;
      window = data[next] ?? 0;
      next = last + 1;
    }
    return next;
  }

  read(parser: RecordParser, field: string): readonly number[] {
    const at = parser.at;
    const bytes = parser.bytes(parser.rest, field);
    if (this.measure(bytes, 0, bytes.length) < 0) parser.fail("value", field, "a malformed bitmap of types", at);
    return bitmapTypes(bytes, 0, bytes.length);
  }

  write(writer: RecordWriter, value: readonly number[]): void {
    writer.bytes(typeBitmap(value));
  }

  print(parser: RecordParser): string {
    return this.read(parser, "").map(typeName).join(" ");
  }

  scan(scanner: RecordScanner, field: string): void {
    const types: number[] = [];
    while (scanner.hasMore && scanner.fault === undefined) {
      const word = scanner.word(field);
      const type = typeFromText(word);
      if (type === undefined) scanner.fail(`${field}: "${word}" is not a record type (as in A, or TYPE65280)`);
      else types.push(type);
    }
    scanner.put(typeBitmap(types));
  }
}

export const typeSet: FieldKind<readonly number[]> = new BitmapField();
