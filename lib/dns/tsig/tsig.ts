/** Messages signed with a shared secret (RFC 8945): pure functions of bytes, keys and the time in seconds since 1970. */

import type { Crypto } from "@tesserae/device/crypto";
import { u16At } from "../authoritative/octets.ts";
import { equalNames } from "../name-bytes.ts";
import { codeLengthFault, tsigCode } from "./digest.ts";
import type { TsigKey, TsigKeyring } from "./key.ts";
import { findTsig, putTime, tsigError, tsigLength, type TsigRecord, withoutTsig, withTsig } from "./record.ts";

/** RFC 8945 §10: how far clocks may be apart. */
const usualFudge = 300;
/** Messages of a stream in a row that need not be signed (RFC 8945 §5.3.1). */
const mostUnsigned = 99;
const none = new Uint8Array(0);
const notAuth = 9;
const formatError = 1;

/** What a server makes of a message that may be signed. */
export type VerifiedRequest =
  /** Not signed. */
  | { readonly kind: "plain"; readonly message: Uint8Array }
  /** `message` is what was signed; `session` signs what is answered. */
  | { readonly kind: "good"; readonly message: Uint8Array; readonly session: TsigSession }
  /** To be answered with `response`, which is whole, and not to be believed. `why` is for the log. */
  | { readonly kind: "bad"; readonly response: Uint8Array; readonly why: string };

/** Checks a request (RFC 8945 §5.2): the key, the code, the time, the code's length. */
export function verifyRequest(crypto: Crypto, keys: TsigKeyring, message: Uint8Array, now: number): VerifiedRequest {
  const found = findTsig(message);
  if (found.kind === "none") return { kind: "plain", message };
  if (found.kind === "malformed") {
    return { kind: "bad", response: refusal(message, formatError), why: found.message };
  }
  const { record, at } = found;
  const plain = withoutTsig(message, at, record.originalId);
  const key = keys.get(record.keyName);
  if (key === undefined || !equalNames(key.algorithm.name, record.algorithm)) {
    return { kind: "bad", response: unsignedError(plain, record, tsigError.badKey), why: "BADKEY" };
  }
  const lengthFault = codeLengthFault(key, record.mac.length);
  if (lengthFault === "malformed") {
    return { kind: "bad", response: refusal(plain, formatError), why: `a code of ${record.mac.length} bytes` };
  }
  const code = tsigCode(crypto, key, undefined, [plain], record, false);
  const compared = lengthFault === "truncated" ? code.subarray(0, record.mac.length) : code;
  if (!crypto.timingSafeEqual(compared, record.mac)) {
    return { kind: "bad", response: unsignedError(plain, record, tsigError.badSignature), why: "BADSIG" };
  }
  const session = new TsigSession(crypto, key, record.mac);
  if (Math.abs(now - record.timeSigned) > record.fudge) {
    const other = new Uint8Array(6);
    putTime(other, 0, now);
    const fields = { timeSigned: record.timeSigned, fudge: record.fudge, error: tsigError.badTime, other };
    return { kind: "bad", response: session.signError(refusal(plain, notAuth), fields), why: "BADTIME" };
  }
  if (lengthFault === "truncated") {
    const fields = { timeSigned: now, fudge: usualFudge, error: tsigError.badTruncation, other: none };
    return { kind: "bad", response: session.signError(refusal(plain, notAuth), fields), why: "BADTRUNC" };
  }
  return { kind: "good", message: plain, session };
}

/** The answers to one signed request. */
export class TsigSession {
  readonly key: TsigKey;
  readonly #crypto: Crypto;
  #prior: Uint8Array;
  #isFirst = true;

  constructor(crypto: Crypto, key: TsigKey, requestCode: Uint8Array) {
    this.key = key;
    this.#crypto = crypto;
    this.#prior = requestCode;
  }

  /** Bytes that {@link sign} adds. */
  get overhead(): number {
    const { name, algorithm } = this.key;
    return tsigLength({ keyName: name, algorithm: algorithm.name, other: none }, algorithm.macBytes);
  }

  /** Signs the next answer. The first one's code covers the request's, each later one that before it. */
  sign(message: Uint8Array, now: number): Uint8Array {
    return this.#sign(message, { timeSigned: now, fudge: usualFudge, error: tsigError.none, other: none });
  }

  /** Signs an answer that says what is wrong with the request. */
  signError(message: Uint8Array, fields: Pick<TsigRecord, "timeSigned" | "fudge" | "error" | "other">): Uint8Array {
    return this.#sign(message, fields);
  }

  #sign(message: Uint8Array, fields: Pick<TsigRecord, "timeSigned" | "fudge" | "error" | "other">): Uint8Array {
    const mac = tsigCode(this.#crypto, this.key, this.#prior, [message], fields, !this.#isFirst);
    this.#isFirst = false;
    this.#prior = mac;
    return withTsig(message, recordOf(this.key, fields, mac, u16At(message, 0)));
  }
}

/** A request that was signed, and the check of what is answered. */
export interface SignedRequest {
  readonly message: Uint8Array;
  readonly answers: TsigVerifier;
}

/** Signs a request. */
export function signRequest(crypto: Crypto, key: TsigKey, message: Uint8Array, now: number): SignedRequest {
  const fields = { timeSigned: now, fudge: usualFudge, error: tsigError.none, other: none };
  const mac = tsigCode(crypto, key, undefined, [message], fields, false);
  return {
    message: withTsig(message, recordOf(key, fields, mac, u16At(message, 0))),
    answers: new TsigVerifier(crypto, key, mac),
  };
}

export type VerifiedAnswer =
  /** `message` without the signature. Believe it once {@link TsigVerifier.settled}. */
  | { readonly kind: "good"; readonly message: Uint8Array }
  /** `error`: what the server says is wrong with the request, if anything, of {@link tsigError}. */
  | { readonly kind: "bad"; readonly why: string; readonly error: number };

/** Checks the answer to a signed request, or the messages of a stream in their order. */
export class TsigVerifier {
  readonly #crypto: Crypto;
  readonly #key: TsigKey;
  #prior: Uint8Array;
  #isFirst = true;
  /** Since the last one that was signed. */
  readonly #unsigned: Uint8Array[] = [];

  constructor(crypto: Crypto, key: TsigKey, requestCode: Uint8Array) {
    this.#crypto = crypto;
    this.#key = key;
    this.#prior = requestCode;
  }

  /** Whether all messages so far are covered by a signature: a stream must end so. */
  get settled(): boolean {
    return !this.#isFirst && this.#unsigned.length === 0;
  }

  verify(message: Uint8Array, now: number): VerifiedAnswer {
    const found = findTsig(message);
    if (found.kind === "malformed") return bad(found.message);
    if (found.kind === "none") {
      if (this.#isFirst) return bad("the answer is not signed");
      if (this.#unsigned.length >= mostUnsigned) return bad(`more than ${mostUnsigned} messages are not signed`);
      this.#unsigned.push(message.slice());
      return { kind: "good", message };
    }
    const { record, at } = found;
    const plain = withoutTsig(message, at, record.originalId);
    const sameName = equalNames(record.keyName, this.#key.name);
    if (!sameName || !equalNames(record.algorithm, this.#key.algorithm.name)) return bad("signed with another key");
    // An error of the key or the code cannot be signed; it says nothing that could be believed but "no".
    if (record.mac.length === 0) {
      return { kind: "bad", why: `the server says ${errorText(record.error)}`, error: record.error };
    }
    if (codeLengthFault(this.#key, record.mac.length) !== undefined) return bad("the code has a wrong length");
    const covered = [...this.#unsigned, plain];
    const code = tsigCode(this.#crypto, this.#key, this.#prior, covered, record, !this.#isFirst);
    if (!this.#crypto.timingSafeEqual(code, record.mac)) return bad("the signature is wrong");
    if (record.error !== tsigError.none) {
      return { kind: "bad", why: `the server says ${errorText(record.error)}`, error: record.error };
    }
    if (Math.abs(now - record.timeSigned) > record.fudge) return bad("the signature is of another time");
    this.#prior = record.mac;
    this.#isFirst = false;
    this.#unsigned.length = 0;
    return { kind: "good", message: plain };
  }
}

function recordOf(
  key: TsigKey,
  fields: Pick<TsigRecord, "timeSigned" | "fudge" | "error" | "other">,
  mac: Uint8Array,
  originalId: number,
): TsigRecord {
  return { keyName: key.name, algorithm: key.algorithm.name, mac, originalId, ...fields };
}

/** An answer with the header and the question alone, where that can be read. */
function refusal(request: Uint8Array, code: number): Uint8Array {
  if (request.length < 12) return none;
  const response = new Uint8Array(12);
  response.set(request.subarray(0, 4));
  response[2] = ((request[2] ?? 0) & 0x79) | 0x80;
  response[3] = code;
  return response;
}

function unsignedError(request: Uint8Array, record: TsigRecord, error: number): Uint8Array {
  return withTsig(refusal(request, notAuth), { ...record, mac: none, error, other: none });
}

function errorText(error: number): string {
  for (const [text, code] of Object.entries(errorNames)) if (code === error) return text;
  return `TSIG error ${error}`;
}

const errorNames = {
  BADSIG: tsigError.badSignature,
  BADKEY: tsigError.badKey,
  BADTIME: tsigError.badTime,
  BADTRUNC: tsigError.badTruncation,
} as const;

function bad(why: string): VerifiedAnswer {
  return { kind: "bad", why, error: tsigError.none };
}
