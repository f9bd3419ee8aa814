import { toHex } from "@tesserae/wire/hex";
import { latin1 } from "../latin1.ts";
import { nameFromText, nameLength, nameToText } from "../name-bytes.ts";
import { quoted } from "../record/string-field.ts";
import { type ClientSubnet, clientSubnetBytes, parseClientSubnet } from "./client-subnet.ts";
import { type ExtendedError, extendedErrorBytes, extendedErrorName, parseExtendedError } from "./extended-error.ts";
import { ednsOption } from "../wire.ts";

/** What an option says. */
export type EdnsOptionData =
  /** Empty in a query: the server is asked for it. */
  | { readonly kind: "nsid"; readonly id: Uint8Array }
  | { readonly kind: "algorithms"; readonly code: 5 | 6 | 7; readonly numbers: readonly number[] }
  | { readonly kind: "client-subnet"; readonly subnet: ClientSubnet }
  /** Seconds; absent in a query. */
  | { readonly kind: "expire"; readonly seconds: number | undefined }
  /** `client` has 8 bytes, `server` 8 to 32, or none when it is not known yet. */
  | { readonly kind: "cookie"; readonly client: Uint8Array; readonly server: Uint8Array }
  /** Milliseconds, a multiple of 100; absent in a query. */
  | { readonly kind: "keep-alive"; readonly timeout: number | undefined }
  /** Bytes. */
  | { readonly kind: "padding"; readonly length: number }
  /** The closest name that the client has validated. */
  | { readonly kind: "chain"; readonly closest: string }
  | { readonly kind: "key-tag"; readonly tags: readonly number[] }
  | { readonly kind: "extended-error"; readonly error: ExtendedError }
  /** Where errors are to be told. */
  | { readonly kind: "report-channel"; readonly agent: string }
  | { readonly kind: "unknown"; readonly code: number; readonly bytes: Uint8Array };

/** Reads an option; `undefined` when its data are malformed. */
export function parseOption(code: number, bytes: Uint8Array): EdnsOptionData | undefined {
  const { length } = bytes;
  switch (code) {
    case ednsOption.nsid:
      return { kind: "nsid", id: bytes };
    case ednsOption.dau:
    case ednsOption.dhu:
    case ednsOption.n3u:
      return { kind: "algorithms", code, numbers: [...bytes] };
    case ednsOption.clientSubnet: {
      const subnet = parseClientSubnet(bytes);
      return subnet === undefined ? undefined : { kind: "client-subnet", subnet };
    }
    case ednsOption.expire:
      if (length !== 0 && length !== 4) return undefined;
      return { kind: "expire", seconds: length === 0 ? undefined : u16(bytes, 0) * 65_536 + u16(bytes, 2) };
    case ednsOption.cookie:
      if (length !== 8 && (length < 16 || length > 40)) return undefined;
      return { kind: "cookie", client: bytes.slice(0, 8), server: bytes.slice(8) };
    case ednsOption.keepAlive:
      if (length !== 0 && length !== 2) return undefined;
      return { kind: "keep-alive", timeout: length === 0 ? undefined : u16(bytes, 0) * 100 };
    case ednsOption.padding:
      return { kind: "padding", length };
    case ednsOption.chain:
    case ednsOption.reportChannel: {
      if (length === 0 || nameLength(bytes, 0) !== length) return undefined;
      const name = nameToText(bytes);
      return code === ednsOption.chain ? { kind: "chain", closest: name } : { kind: "report-channel", agent: name };
    }
    case ednsOption.keyTag: {
      if (length < 2 || length % 2 !== 0) return undefined;
      return { kind: "key-tag", tags: Array.from({ length: length / 2 }, (_, index) => u16(bytes, index * 2)) };
    }
    case ednsOption.extendedError: {
      const error = parseExtendedError(bytes);
      return error === undefined ? undefined : { kind: "extended-error", error };
    }
    default:
      return { kind: "unknown", code, bytes };
  }
}

/**
 * The number and the data of an option.
 *
 * @throws RangeError when a name is none.
 */
export function emitOption(data: EdnsOptionData): { readonly code: number; readonly bytes: Uint8Array } {
  switch (data.kind) {
    case "nsid":
      return { code: ednsOption.nsid, bytes: data.id };
    case "algorithms":
      return { code: data.code, bytes: Uint8Array.from(data.numbers) };
    case "client-subnet":
      return { code: ednsOption.clientSubnet, bytes: clientSubnetBytes(data.subnet) };
    case "expire": {
      const high = Math.floor((data.seconds ?? 0) / 65_536);
      const bytes = data.seconds === undefined ? [] : [...pair(high), ...pair(data.seconds % 65_536)];
      return { code: ednsOption.expire, bytes: Uint8Array.from(bytes) };
    }
    case "cookie":
      return { code: ednsOption.cookie, bytes: Uint8Array.from([...data.client, ...data.server]) };
    case "keep-alive": {
      const bytes = data.timeout === undefined ? [] : pair(Math.min(Math.floor(data.timeout / 100), 0xffff));
      return { code: ednsOption.keepAlive, bytes: Uint8Array.from(bytes) };
    }
    case "padding":
      return { code: ednsOption.padding, bytes: new Uint8Array(data.length) };
    case "chain":
      return { code: ednsOption.chain, bytes: nameFromText(data.closest) };
    case "report-channel":
      return { code: ednsOption.reportChannel, bytes: nameFromText(data.agent) };
    case "key-tag":
      return { code: ednsOption.keyTag, bytes: Uint8Array.from(data.tags.flatMap(pair)) };
    case "extended-error":
      return { code: ednsOption.extendedError, bytes: extendedErrorBytes(data.error) };
    case "unknown":
      return { code: data.code, bytes: data.bytes };
  }
}

/** The option for people, as in `EDE: 18 (prohibited): "no"`. */
export function printOption(code: number, bytes: Uint8Array): string {
  const data = parseOption(code, bytes);
  switch (data?.kind) {
    case undefined:
      return `OPT${code}: malformed: ${toHex(bytes)}`;
    case "nsid":
      return `NSID: ${toHex(data.id)}${data.id.length === 0 ? "" : ` ${quoted(data.id)}`}`;
    case "algorithms":
      return `${["DAU", "DHU", "N3U"][data.code - 5] ?? ""}: ${data.numbers.join(" ")}`;
    case "client-subnet": {
      const { source, scopeLength } = data.subnet;
      return `CLIENT-SUBNET: ${source.address.toString()}/${source.length}/${scopeLength}`;
    }
    case "expire":
      return `EXPIRE: ${data.seconds === undefined ? "?" : `${data.seconds} s`}`;
    case "cookie":
      return `COOKIE: ${toHex(data.client)}${data.server.length === 0 ? "" : ` ${toHex(data.server)}`}`;
    case "keep-alive":
      return `TCP-KEEPALIVE: ${data.timeout === undefined ? "?" : `${data.timeout / 1000} s`}`;
    case "padding":
      return `PADDING: ${data.length} bytes`;
    case "chain":
      return `CHAIN: ${data.closest}`;
    case "report-channel":
      return `REPORT-CHANNEL: ${data.agent}`;
    case "key-tag":
      return `KEY-TAG: ${data.tags.join(" ")}`;
    case "extended-error": {
      const { code: number, text } = data.error;
      const words = quoted(new TextEncoder().encode(text));
      return `EDE: ${number} (${extendedErrorName(number)})${text === "" ? "" : `: ${words}`}`;
    }
    case "unknown":
      return `OPT${data.code}: ${toHex(data.bytes)}${data.bytes.length === 0 ? "" : ` (${latin1(data.bytes).replaceAll(/[^ -~]/g, ".")})`}`;
  }
}

/**
 * How many bytes of padding a message needs to become a multiple of `block` (RFC 8467 §4.1: 128 for queries, 468 for
 * responses), with the option's own four counted; fewer when it would become longer than `limit`.
 *
 * @param length of the message without the option, bytes
 */
export function paddingFor(length: number, block: number, limit: number): number {
  const rest = (length + 4) % block;
  const needed = rest === 0 ? 0 : block - rest;
  return length + 4 + needed > limit ? Math.max(0, limit - length - 4) : needed;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function pair(value: number): number[] {
  return [value >>> 8, value & 255];
}
