import { putU16, putU32, u16At, u32At } from "../authoritative/octets.ts";
import { expandedLength, expandedNext, expandName, longestName, lowerName } from "../name-bytes.ts";

export const typeTsig = 250;
const classAny = 255;
const headerSize = 12;

/** Error codes of a TSIG record (RFC 8945 §3). */
export const tsigError = { none: 0, badSignature: 16, badKey: 17, badTime: 18, badTruncation: 22 } as const;

/** A TSIG record (RFC 8945 §4.2). */
export interface TsigRecord {
  /** In lower case. */
  readonly keyName: Uint8Array;
  /** In lower case. */
  readonly algorithm: Uint8Array;
  /** Seconds since 1970, below 2⁴⁸. */
  readonly timeSigned: number;
  /** Seconds by which clocks may differ, below 2¹⁶. */
  readonly fudge: number;
  readonly mac: Uint8Array;
  readonly originalId: number;
  readonly error: number;
  readonly other: Uint8Array;
}

export type FoundTsig =
  | { readonly kind: "none" }
  /** `at`: where the record begins. */
  | { readonly kind: "tsig"; readonly record: TsigRecord; readonly at: number }
  /** The message cannot be read, or the record is not the last one, or there are two. */
  | { readonly kind: "malformed"; readonly message: string };

const nameRoom = new Uint8Array(longestName);

/** Looks for the TSIG record of a message, which is the last record of the last section if there is one. */
export function findTsig(message: Uint8Array): FoundTsig {
  if (message.length < headerSize) return malformed(`${message.length} bytes are no header`);
  let at = headerSize;
  for (let left = u16At(message, 4); left > 0; left--) {
    at = skipName(message, at);
    if (at < 0 || at + 4 > message.length) return malformed("the question cannot be read");
    at += 4;
  }
  const before = u16At(message, 6) + u16At(message, 8);
  const count = before + u16At(message, 10);
  for (let index = 0; index < count; index++) {
    const start = at;
    at = skipName(message, at);
    if (at < 0 || at + 10 > message.length) return malformed(`record ${index + 1} cannot be read`);
    const type = u16At(message, at);
    const end = at + 10 + u16At(message, at + 8);
    if (end > message.length) return malformed(`record ${index + 1} reaches beyond the message`);
    if (type === typeTsig) {
      if (index !== count - 1 || index < before) return malformed("the TSIG record is not the last");
      if (end !== message.length) return malformed("bytes behind the TSIG record");
      return readTsig(message, start, at, end);
    }
    at = end;
  }
  return { kind: "none" };
}

function readTsig(message: Uint8Array, start: number, at: number, end: number): FoundTsig {
  const named = expandName(message, start, 0, message.length, nameRoom, 0);
  const keyName = lowerName(nameRoom.slice(0, expandedLength(named)));
  if (u16At(message, at + 2) !== classAny || u32At(message, at + 4) !== 0) {
    return malformed("a TSIG record with another class or time to live");
  }
  const method = expandName(message, at + 10, 0, end, nameRoom, 0);
  if (method < 0) return malformed("the name of the algorithm cannot be read");
  const algorithm = lowerName(nameRoom.slice(0, expandedLength(method)));
  let next = expandedNext(method);
  if (next + 10 > end) return malformed("the TSIG record is too short");
  const timeSigned = u16At(message, next) * 2 ** 32 + u32At(message, next + 2);
  const fudge = u16At(message, next + 6);
  const macLength = u16At(message, next + 8);
  next += 10;
  if (next + macLength + 6 > end) return malformed("the code reaches beyond the TSIG record");
  const mac = message.slice(next, next + macLength);
  next += macLength;
  const otherLength = u16At(message, next + 4);
  if (next + 6 + otherLength !== end) return malformed("the TSIG record has another length than its parts");
  return {
    kind: "tsig",
    at: start,
    record: {
      ...{ keyName, algorithm, timeSigned, fudge, mac },
      originalId: u16At(message, next),
      error: u16At(message, next + 2),
      other: message.slice(next + 6, end),
    },
  };
}

/** Where what follows the name is; −1 when it cannot be read. */
function skipName(message: Uint8Array, at: number): number {
  const expanded = expandName(message, at, 0, message.length, nameRoom, 0);
  return expanded < 0 ? -1 : expandedNext(expanded);
}

/** The message with the record at its end, and counted. */
export function withTsig(message: Uint8Array, record: TsigRecord): Uint8Array {
  const { keyName, algorithm, mac, other } = record;
  const dataLength = algorithm.length + 16 + mac.length + other.length;
  const signed = new Uint8Array(message.length + keyName.length + 10 + dataLength);
  signed.set(message);
  putU16(signed, 10, u16At(message, 10) + 1);
  let at = message.length;
  signed.set(keyName, at);
  at += keyName.length;
  putU16(signed, at, typeTsig);
  putU16(signed, at + 2, classAny);
  putU16(signed, at + 8, dataLength);
  at += 10;
  signed.set(algorithm, at);
  at += algorithm.length;
  putTime(signed, at, record.timeSigned);
  putU16(signed, at + 6, record.fudge);
  putU16(signed, at + 8, mac.length);
  signed.set(mac, at + 10);
  at += 10 + mac.length;
  putU16(signed, at, record.originalId);
  putU16(signed, at + 2, record.error);
  putU16(signed, at + 4, other.length);
  signed.set(other, at + 6);
  return signed;
}

/** The message as it was before it was signed: without the record, which begins at `at`, and with its first number. */
export function withoutTsig(message: Uint8Array, at: number, originalId: number): Uint8Array {
  const plain = message.slice(0, at);
  putU16(plain, 0, originalId);
  putU16(plain, 10, u16At(message, 10) - 1);
  return plain;
}

/** Bytes that the record adds to a message. */
export function tsigLength(record: Pick<TsigRecord, "keyName" | "algorithm" | "other">, macBytes: number): number {
  return record.keyName.length + 26 + record.algorithm.length + macBytes + record.other.length;
}

/** 48 bits. */
export function putTime(bytes: Uint8Array, at: number, seconds: number): void {
  putU16(bytes, at, Math.floor(seconds / 2 ** 32));
  putU32(bytes, at + 2, seconds % 2 ** 32);
}

function malformed(message: string): FoundTsig {
  return { kind: "malformed", message };
}
