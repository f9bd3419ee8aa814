/** How records and the names of zones are kept in stores. */

import { putU16, putU32, u16At, u32At } from "../authoritative/octets.ts";
import { lowerName, nameLength, nameToText } from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";

/** Type, class, time to live, and length of data. */
const fixedLength = 10;

/**
 * The path of a zone's entries below `root`. Letters, digits, hyphens, underscores and dots stay; segments are short, and
 * none is a dot alone.
 */
export function folderOf(root: string, apex: Uint8Array): string {
  const name = nameToText(lowerName(apex)).replaceAll(
    /[^a-z0-9_.-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return [root, ...(name.match(/.{1,100}/g) ?? []).map((part) => `=${part}`)].join("/");
}

/** Bytes that a record takes. */
export function encodedLength({ owner, data }: WireRecord): number {
  return owner.length + fixedLength + data.length;
}

/** Records one behind the other, as on the wire, uncompressed. */
export function encodeRecords(records: readonly WireRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + encodedLength(record), 0));
  let at = 0;
  for (const record of records) {
    bytes.set(record.owner, at);
    at += record.owner.length;
    putU16(bytes, at, record.type);
    putU16(bytes, at + 2, record.class);
    putU32(bytes, at + 4, record.ttl);
    putU16(bytes, at + 8, record.data.length);
    bytes.set(record.data, at + fixedLength);
    at += fixedLength + record.data.length;
  }
  return bytes;
}

/** The records that fill `bytes[at … end)`; undefined when something else does. */
export function decodeRecords(bytes: Uint8Array, at: number, end: number): WireRecord[] | undefined {
  const records: WireRecord[] = [];
  while (at < end) {
    const length = nameLength(bytes, at);
    const fixed = at + length;
    if (length === 0 || fixed + fixedLength > end) return undefined;
    const next = fixed + fixedLength + u16At(bytes, fixed + 8);
    if (next > end) return undefined;
    records.push({
      ...{ owner: bytes.slice(at, fixed), type: u16At(bytes, fixed), class: u16At(bytes, fixed + 2) },
      ...{ ttl: u32At(bytes, fixed + 4), data: bytes.slice(fixed + fixedLength, next) },
    });
    at = next;
  }
  return records;
}
