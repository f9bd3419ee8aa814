import type { Crypto } from "@tesserae/device/crypto";
import { putU16, putU32 } from "../authoritative/octets.ts";
import type { TsigKey } from "./key.ts";
import { putTime, type TsigRecord } from "./record.ts";

/**
 * The code of a message (RFC 8945 §4.3), as long as the key's algorithm sends it.
 *
 * @param prior the code that came before: the request's for an answer, the last message's in a stream; absent for requests
 * @param messages without their TSIG records, with their original numbers; several when some in a stream were not signed
 * @param timersOnly whether this is not the first message of a stream (RFC 8945 §5.3.1)
 */
export function tsigCode(
  crypto: Crypto,
  key: TsigKey,
  prior: Uint8Array | undefined,
  messages: readonly Uint8Array[],
  record: Pick<TsigRecord, "timeSigned" | "fudge" | "error" | "other">,
  timersOnly: boolean,
): Uint8Array {
  const { name, algorithm, secret } = key;
  const variables = timersOnly ? 8 : name.length + algorithm.name.length + 18 + record.other.length;
  let length = variables + (prior === undefined ? 0 : 2 + prior.length);
  for (const message of messages) length += message.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  if (prior !== undefined) {
    putU16(bytes, 0, prior.length);
    bytes.set(prior, 2);
    at = 2 + prior.length;
  }
  for (const message of messages) {
    bytes.set(message, at);
    at += message.length;
  }
  if (!timersOnly) {
    bytes.set(name, at);
    at += name.length;
    putU16(bytes, at, 255);
    putU32(bytes, at + 2, 0);
    at += 6;
    bytes.set(algorithm.name, at);
    at += algorithm.name.length;
  }
  putTime(bytes, at, record.timeSigned);
  putU16(bytes, at + 6, record.fudge);
  at += 8;
  if (!timersOnly) {
    putU16(bytes, at, record.error);
    putU16(bytes, at + 2, record.other.length);
    bytes.set(record.other, at + 4);
  }
  return crypto.hmac(algorithm.hash, secret, bytes).subarray(0, algorithm.macBytes);
}

/** What is wrong with the length of a code that claims to be the algorithm's (RFC 8945 §5.2.2.1). */
export function codeLengthFault(key: TsigKey, length: number): "malformed" | "truncated" | undefined {
  const { digestBytes, macBytes } = key.algorithm;
  if (length > digestBytes || length < Math.max(10, Math.ceil(digestBytes / 2))) return "malformed";
  return length < macBytes ? "truncated" : undefined;
}
