import type { Edns } from "../message.ts";
import { parseWireMessage, readQuestion, type WireQuestion } from "../wire-message.ts";
import { WireMessageWriter } from "../wire-message-writer.ts";
import { classIn, ednsOption, messageFlag, rcode, recordType } from "../wire.ts";
import { type Failure } from "./kept.ts";
import { keyOf } from "./name-key.ts";
import type { Aged, Resolution } from "./recursive.ts";
import { recordsOf, typeCode } from "./rrset.ts";
import { extendedErrorCode } from "../edns/extended-error.ts";

/** A client's question, or what it is told at once. */
export type ClientQuery =
  | { readonly kind: "question"; readonly query: AskedQuery }
  | { readonly kind: "refusal"; readonly query: AskedQuery; readonly rcode: number; readonly failure?: Failure }
  /** Not worth an answer: a response, or no header. */
  | { readonly kind: "ignored" };

/** What an answer repeats, and what the client takes. */
export interface AskedQuery {
  readonly id: number;
  readonly flags: number;
  readonly opcode: number;
  readonly question: WireQuestion | undefined;
  readonly edns: Edns | undefined;
}

/** What comes with an answer beside the resolution. */
export interface ReplyOptions {
  /** How long it may be, bytes. */
  readonly limit: number;
  /** The client's and the server's cookie (RFC 7873 §5.2.3). */
  readonly cookie?: Uint8Array;
  /** Whether the answer is padded (RFC 8467 §4.1): it goes over an encrypted transport. */
  readonly padded?: boolean;
}

const udpSize = 1232;
const paddingBlock = 468;
const chaos = 3;

/** Types that ask for no records of a zone: of messages (OPT, TKEY, TSIG) and of transfers, and 128–254 all of them. */
function isMeta(type: number): boolean {
  return type === 0 || type === recordType.OPT || (type >= 128 && type <= 254);
}

const dnssecTypes: ReadonlySet<number> = new Set([typeCode.NSEC, typeCode.NSEC3, typeCode.DS, typeCode.DNSKEY]);

/** Reads a message from a client. */
export function readClientQuery(bytes: Uint8Array, offset: number, length: number): ClientQuery {
  if (length < 12) return { kind: "ignored" };
  const flags = ((bytes[offset + 2] ?? 0) << 8) | (bytes[offset + 3] ?? 0);
  if ((flags & messageFlag.response) !== 0) return { kind: "ignored" };
  const id = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  const opcode = (flags >>> 11) & 15;
  const parsed = parseWireMessage(bytes, offset, length);
  if (!parsed.ok || parsed.value.questions.length !== 1) {
    const question = readQuestion(bytes, offset, length);
    const query = { id, flags, opcode, question, edns: undefined };
    return { kind: "refusal", query, rcode: opcode === 0 ? rcode.formatError : rcode.notImplemented };
  }
  const { questions, edns } = parsed.value;
  const [question] = questions;
  const query = { id, flags, opcode, question, edns };
  const refusal = (code: number, why?: Failure): ClientQuery => {
    return { kind: "refusal", query, rcode: code, ...(why === undefined ? {} : { failure: why }) };
  };
  if (opcode !== 0 || question === undefined) return refusal(rcode.notImplemented);
  if (edns !== undefined && edns.version !== 0) return refusal(rcode.badVersion);
  if (question.class === chaos || question.class !== classIn) return refusal(rcode.refused);
  if (isMeta(question.type)) return refusal(rcode.notImplemented);
  // Signatures come with what they sign; alone they cannot be validated.
  if (question.type === typeCode.RRSIG) return refusal(rcode.refused);
  if ((flags & messageFlag.recursionDesired) === 0) {
    const text = "recursion was not asked for, and there are no zones here";
    return refusal(rcode.refused, { code: extendedErrorCode.notAuthoritative, text });
  }
  return { kind: "question", query };
}

/** How long an answer over UDP may be: what the client says, between 512 bytes and what passes unfragmented. */
export function udpLimit({ edns }: AskedQuery): number {
  return edns === undefined ? 512 : Math.max(512, Math.min(edns.udpSize, udpSize));
}

/** Room for any message, with some to spare for what turns out not to fit. */
const room = new Uint8Array(65_535 + 70_000);

/** Says no. The result is valid until the next call of this file's functions. */
export function writeRefusal(
  query: AskedQuery,
  code: number,
  failure: Failure | undefined,
  options: ReplyOptions,
): Uint8Array {
  return write(query, code, [], [], false, failure, options);
}

/** Writes the answer that a resolution comes to. The result is valid until the next call of this file's functions. */
export function writeReply(query: AskedQuery, resolution: Resolution, options: ReplyOptions): Uint8Array {
  const { security, failure, answers, authorities } = resolution;
  const checkingDisabled = (query.flags & messageFlag.checkingDisabled) !== 0;
  const isSecure =
    security === "secure" && (resolution.rcode === rcode.noError || resolution.rcode === rcode.nameError);
  // RFC 4035 §3.2.2: what is bogus is told only to those who look for themselves.
  if (security === "bogus" && !checkingDisabled) {
    return write(query, rcode.serverFailure, [], [], false, failure, options);
  }
  if (resolution.rcode === rcode.serverFailure) return write(query, resolution.rcode, [], [], false, failure, options);
  const wantsSignatures = query.edns?.dnssecOk === true;
  const asked = query.question?.type ?? 0;
  const shown = authorities.filter(({ set }) => wantsSignatures || !dnssecTypes.has(set.type) || set.type === asked);
  // RFC 6840 §5.7: AD, for those who show that they know it.
  const wantsAd = wantsSignatures || (query.flags & messageFlag.authenticData) !== 0;
  return write(query, resolution.rcode, answers, shown, isSecure && wantsAd, failure, options);
}

function write(
  query: AskedQuery,
  code: number,
  answers: readonly Aged[],
  authorities: readonly Aged[],
  isAuthentic: boolean,
  failure: Failure | undefined,
  options: ReplyOptions,
): Uint8Array {
  const { question, edns } = query;
  const opt = edns === undefined ? undefined : optionsOf(edns, failure, options);
  const reserved = opt === undefined ? 0 : opt.options.reduce((sum, { bytes }) => sum + 4 + bytes.length, 11);
  const writer = new WireMessageWriter(room, Math.max(12, options.limit - reserved));
  let isWhole = true;
  if (question !== undefined && !writer.question(question)) isWhole = false;
  const name = question === undefined ? undefined : { key: keyOf(question.name), bytes: question.name };
  const put = (section: "answers" | "authorities", { set, ttl }: Aged): boolean => {
    const owner = name?.key === set.name ? name.bytes : undefined;
    const withSignatures = edns?.dnssecOk === true;
    return writer.records(section, recordsOf(set, ttl, withSignatures, owner));
  };
  for (const aged of answers) isWhole &&= put("answers", aged);
  for (const aged of authorities) isWhole &&= put("authorities", aged);
  writer.extend(options.limit);
  if (opt !== undefined) {
    const block = options.padded === true ? paddingBlock : 0;
    const rest = block === 0 ? 0 : block - ((writer.length + reserved + 4) % block);
    const fits = block > 0 && writer.length + reserved + 4 + rest <= options.limit;
    const padding = fits ? [{ code: ednsOption.padding, bytes: new Uint8Array(rest % block) }] : [];
    writer.edns({ ...opt, options: [...opt.options, ...padding] }, code);
  }
  const kept = query.flags & (messageFlag.recursionDesired | messageFlag.checkingDisabled | 0x7800);
  const flags =
    messageFlag.response |
    messageFlag.recursionAvailable |
    kept |
    (isAuthentic ? messageFlag.authenticData : 0) |
    (isWhole ? 0 : messageFlag.truncated);
  return room.subarray(0, writer.finish(query.id, flags, opt === undefined && code > 15 ? rcode.serverFailure : code));
}

function optionsOf(asked: Edns, failure: Failure | undefined, { cookie }: ReplyOptions): Edns {
  const options: { code: number; bytes: Uint8Array }[] = [];
  if (cookie !== undefined) options.push({ code: ednsOption.cookie, bytes: cookie });
  if (failure !== undefined) {
    const text = new TextEncoder().encode(failure.text.slice(0, 160));
    options.push({
      code: ednsOption.extendedError,
      bytes: Uint8Array.from([failure.code >>> 8, failure.code, ...text]),
    });
  }
  return { udpSize, version: 0, dnssecOk: asked.dnssecOk, options };
}
