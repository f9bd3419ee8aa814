import { toHex } from "@tesserae/wire/hex";
import { nameLength, nameToText } from "../name-bytes.ts";
import type { RecordParser } from "../record-parser.ts";
import type { RecordWriter } from "../record-writer.ts";
import { base64Text } from "./encoding.ts";
import { FieldKind, RecordFormat } from "./format.ts";
import type { RecordScanner } from "./scanner.ts";

export interface HostIdentity {
  readonly algorithm: number;
  /** The host identity tag, at most 255 bytes. */
  readonly tag: Uint8Array;
  readonly key: Uint8Array;
  /** Rendezvous servers, as names. */
  readonly servers: readonly string[];
}

class HostIdentityField extends FieldKind<HostIdentity> {
  measure(data: Uint8Array, at: number, end: number): number {
    if (at + 4 > end) return -1;
    const tag = data[at] ?? 0;
    const key = ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
    let next = at + 4 + tag + key;
    if (tag === 0 || key === 0 || next > end) return -1;
    while (next < end) {
      const length = nameLength(data, next, end);
      if (length === 0) return -1;
      next += length;
    }
    return next;
  }

  read(parser: RecordParser, field: string): HostIdentity {
    const tagLength = parser.u8(field);
    const algorithm = parser.u8(field);
    const keyLength = parser.u16(field);
    const tag = parser.bytes(tagLength, field);
    const key = parser.bytes(keyLength, field);
    const servers: string[] = [];
    while (parser.rest > 0 && parser.fault === undefined) servers.push(parser.name(field));
    if (tagLength === 0 || keyLength === 0) parser.fail("value", field, "no tag, or no key");
    return { algorithm, tag, key, servers };
  }

  write(writer: RecordWriter, { algorithm, tag, key, servers }: HostIdentity): void {
    if (tag.length === 0 || key.length === 0) throw new RangeError("a host identity has a tag and a key");
    writer.u8(tag.length);
    writer.u8(algorithm);
    writer.u16(key.length);
    writer.bytes(tag);
    writer.bytes(key);
    for (const server of servers) writer.name(server, false);
  }

  print(parser: RecordParser): string {
    const tagLength = parser.u8("");
    const algorithm = parser.u8("");
    const keyLength = parser.u16("");
    const tag = toHex(parser.bytes(tagLength, "")).toUpperCase();
    const parts = [algorithm, tag, base64Text(parser.bytes(keyLength, ""))];
    while (parser.rest > 0 && parser.fault === undefined) parts.push(nameToText(parser.plainName("")));
    return parts.join(" ");
  }

  scan(scanner: RecordScanner): void {
    const at = scanner.length;
    scanner.u8(0);
    scanner.u8(scanner.integer(255, "algorithm"));
    scanner.u16(0);
    scanner.hexWord("tag");
    const tag = scanner.length - at - 4;
    if (tag > 255) scanner.fail(`tag: ${tag} bytes, and 255 are allowed`);
    scanner.base64Word("key");
    const key = scanner.length - at - 4 - tag;
    while (scanner.hasMore && scanner.fault === undefined) scanner.name("server");
    scanner.out[at] = tag;
    scanner.out[at + 2] = key >>> 8;
    scanner.out[at + 3] = key & 255;
  }
}

/** A host identity (RFC 8005). */
export const hip = new RecordFormat("HIP", { identity: new HostIdentityField() });
