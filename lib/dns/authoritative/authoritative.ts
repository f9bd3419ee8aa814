import type { IpAddress } from "@tesserae/device/address";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { ednsOption, messageFlag, rcode, recordType } from "../wire.ts";
import { clientCookieLength, cookieLength, type Cookies } from "./cookie.ts";
import type { Transport } from "./extension.ts";
import { Lookup } from "./lookup.ts";
import { Memo } from "./memo.ts";
import { putU16, putU32, u16At, u8At } from "./octets.ts";
import { dropped, headerLength, Query } from "./query.ts";
import { questionName, Response } from "./response.ts";
import type { Zones } from "./zones.ts";

const classIn = 1;
const classChaos = 3;
const classAny = 255;
const typeTxt = 16;
const badVersion = 16;
const notAuthoritative = 9;
const opcodeNotify = 4;
const opcodeUpdate = 5;
/** An OPT record without options, and an option without data. */
const optLength = 11;
const optionHeaderLength = 4;
/** Extended errors (RFC 8914 §4). */
const extendedError = { none: -1, notReady: 14, notAuthoritative: 20, notSupported: 21 } as const;
/** Encrypted responses are padded to a multiple of this (RFC 8467 §4.1), bytes. */
const padding = 468;
/** DNS over UDP without EDNS (RFC 1035 §2.3.4). */
const plainLimit = 512;

const kinds: Readonly<Record<Transport, number>> = { udp: 0, tcp: 1, tls: 2, https: 3 };

/** What an answerer works with. */
export interface AuthoritativeOptions {
  readonly zones: Zones;
  /** The longest response over UDP, bytes; default 1232, which passes unfragmented nearly everywhere. */
  readonly udpSize?: number;
  /** Answers to NSID (RFC 5001); default: none. At most 64 bytes. */
  readonly nsid?: Uint8Array;
  /** Answers to `version.bind` and `version.server` of class CH; default: refused. At most 64 bytes of ASCII. */
  readonly version?: string;
  /** Answers to `id.server` and `hostname.bind` of class CH (RFC 4892); default: refused. At most 64 bytes of ASCII. */
  readonly identity?: string;
  /** Makes and checks server cookies; default: the option is ignored. */
  readonly cookies?: Cookies;
  /** How long a connection without queries is kept, milliseconds, for who asks (RFC 7828); default: not said. */
  readonly idleTimeout?: number;
  /** Bytes for remembered responses, a power of two from 4096; 0 for none. Default 8 MiB. */
  readonly memory?: number;
}

/** How often what happened. */
export interface AuthoritativeCounts {
  /** Responses by response code, 0 to 23. */
  readonly rcodes: Float64Array;
  /** Messages that got no response. */
  dropped: number;
  truncated: number;
}

/**
 * Answers queries from zones. A function of the zones and the query, but for the cookie's timestamp: nothing it does
 * waits, and nothing is allocated for an answer of ordinary size.
 */
export class Authoritative {
  readonly counts: AuthoritativeCounts = { rcodes: new Float64Array(24), dropped: 0, truncated: 0 };
  /** Whether the last message was for an extension: the response made is for when none takes it. */
  special = false;
  /** Whether the last message carried a server cookie of ours, so that its source address is true (RFC 7873 §5.2). */
  trusted = false;
  readonly query: Query = new Query();
  /** Where the last response is that {@link Authoritative.respond} gave. */
  response: Uint8Array = new Uint8Array(0);
  responseAt = 0;
  readonly #zones: Zones;
  readonly #udpSize: number;
  readonly #nsid: Uint8Array | undefined;
  readonly #version: Uint8Array | undefined;
  readonly #identity: Uint8Array | undefined;
  readonly #cookies: Cookies | undefined;
  readonly #idleTimeout: number | undefined;
  readonly #memo: Memo | undefined;
  readonly #lookup = new Lookup();
  readonly #writer = new Response();

  /** @throws RangeError when an option is out of range. */
  constructor(options: AuthoritativeOptions) {
    const { udpSize = 1232, memory = 8 * 2 ** 20, nsid, idleTimeout } = options;
    if (!(udpSize >= plainLimit && udpSize <= 65_507)) {
      throw new RangeError(`udpSize must be from 512 to 65507, not ${udpSize}`);
    }
    if (nsid !== undefined && nsid.length > 64) throw new RangeError(`nsid has ${nsid.length} bytes, of at most 64`);
    this.#zones = options.zones;
    this.#udpSize = udpSize;
    this.#nsid = nsid;
    this.#version = textOf("version", options.version);
    this.#identity = textOf("identity", options.identity);
    this.#cookies = options.cookies;
    // In units of 100 ms.
    this.#idleTimeout = idleTimeout === undefined ? undefined : Math.min(0xffff, Math.floor(idleTimeout / 100));
    this.#memo = memory === 0 ? undefined : new Memo(memory);
  }

  /** Responses that were remembered. */
  get memoised(): number {
    return this.#memo?.hits ?? 0;
  }

  /**
   * Answers the message `bytes[offset … offset + length)` with what it writes to `out[outOffset …)`. `out` may be the
   * same array when the two places do not overlap.
   *
   * @param limit the longest response that there is room for, bytes: at least 512, at most 65,535
   * @param transport how it came: responses over UDP are short, those that are encrypted padded
   * @param client who asks, for cookies
   * @returns the length of the response; 0 when there is none.
   */
  answer(
    bytes: Uint8Array,
    offset: number,
    length: number,
    out: Uint8Array,
    outOffset: number,
    limit: number,
    transport: Transport,
    client: IpAddress,
  ): number {
    const size = this.respond(bytes, offset, length, out, outOffset, limit, transport, client);
    if (size > 0 && this.response !== out) copyBytes(this.response, this.responseAt, out, outOffset, size);
    return size;
  }

  /**
   * As {@link answer}, but a response that is remembered is not copied: it is where {@link response} and
   * {@link responseAt} say, until the next message, and must not be changed.
   */
  respond(
    bytes: Uint8Array,
    offset: number,
    length: number,
    out: Uint8Array,
    outOffset: number,
    limit: number,
    transport: Transport,
    client: IpAddress,
  ): number {
    const { generation } = this.#zones;
    const kind = kinds[transport];
    const memo = this.#memo;
    this.#reset();
    if (memo !== undefined && length >= headerLength) {
      const known = memo.recall(bytes, offset, length, kind, limit, generation);
      if (known > 0) {
        this.response = memo.bytes;
        this.responseAt = memo.at;
        const code = u8At(memo.bytes, memo.at + 3) & 15;
        this.counts.rcodes[code] = (this.counts.rcodes[code] ?? 0) + 1;
        return known;
      }
    }
    this.response = out;
    this.responseAt = outOffset;
    const { query } = this;
    const fault = query.read(bytes, offset, length);
    if (fault === dropped) {
      this.counts.dropped++;
      return 0;
    }
    const size = this.#respond(fault, out, outOffset, limit, kind, client);
    // What has a cookie is different each time; what depends on more than its bytes is not remembered. Nor is a response
    // whose code has more than the four bits of the header, which the count of responses could not be kept by.
    const isWell = fault === rcode.noError && query.version === 0;
    const isPlain = isWell && !this.special && query.cookieLength < 0 && query.opcode === 0;
    if (isPlain) memo?.remember(bytes, offset, length, kind, limit, generation, out, outOffset, size);
    return size;
  }

  #reset(): void {
    this.special = false;
    this.trusted = false;
  }

  /** Makes the response to {@link query}. */
  #respond(fault: number, out: Uint8Array, base: number, limit: number, kind: number, client: IpAddress): number {
    const { query } = this;
    const response = this.#writer;
    const isStream = kind !== 0;
    if (!isStream) limit = Math.min(limit, query.hasEdns ? Math.min(query.udpSize, this.#udpSize) : plainLimit);
    const options = query.hasEdns && fault === rcode.noError ? this.#optionsLength(client) : 0;
    const edns = query.hasEdns ? optLength + options : 0;
    response.begin(query, out, base, limit - edns);
    let code = fault;
    let flags =
      messageFlag.response |
      (query.opcode << 11) |
      (query.flags & (messageFlag.recursionDesired | messageFlag.checkingDisabled));
    let error: number = extendedError.none;
    if (fault !== rcode.noError) {
      // A question that could not be read is not repeated: then `questionEnd` is the header's end.
    } else if (query.version !== 0) {
      code = badVersion;
    } else if (query.signed || query.opcode !== 0 || query.type === recordType.AXFR || query.type === recordType.IXFR) {
      this.special = true;
      code = this.#unhandled();
    } else if (query.type === 0 && query.questionEnd === query.start + headerLength) {
      code = rcode.noError;
    } else if (query.class === classChaos) {
      code = this.#chaos(response) ? rcode.noError : rcode.refused;
      if (code !== rcode.noError) error = extendedError.notSupported;
    } else if (query.class !== classIn && query.class !== classAny) {
      code = rcode.refused;
      error = extendedError.notSupported;
    } else if (isMeta(query.type)) {
      code = rcode.formatError;
    } else {
      const lookup = this.#lookup;
      lookup.run(this.#zones, query, response, isStream);
      code = lookup.rcode;
      // RFC 1035 §4.1.1 knows no authority over all classes.
      if (lookup.authoritative && query.class === classIn) flags |= messageFlag.authoritative;
      if (lookup.truncated) {
        flags |= messageFlag.truncated;
        this.counts.truncated++;
      }
      if (lookup.notOurs) error = extendedError.notAuthoritative;
      else if (lookup.notReady) error = extendedError.notReady;
    }
    response.limit = limit;
    if (query.hasEdns) this.#writeEdns(response, code, options, error, kind, client);
    this.counts.rcodes[code] = (this.counts.rcodes[code] ?? 0) + 1;
    const questions = query.questionEnd === query.start + headerLength ? 0 : 1;
    response.finish(u16At(query.bytes, query.start), flags | (code & 15), questions);
    return response.length;
  }

  /** The response code for what no extension took. */
  #unhandled(): number {
    const { query } = this;
    if (query.signed) return notAuthoritative;
    if (query.opcode === 0) return rcode.refused;
    return query.opcode === opcodeNotify || query.opcode === opcodeUpdate ? rcode.refused : rcode.notImplemented;
  }

  /** Bytes that the options take, padding and extended errors apart. Finds out whether the cookie is ours. */
  #optionsLength(client: IpAddress): number {
    const { query } = this;
    let length = 0;
    if (query.wantsNsid && this.#nsid !== undefined) length += optionHeaderLength + this.#nsid.length;
    if (query.wantsKeepAlive && this.#idleTimeout !== undefined) length += optionHeaderLength + 2;
    if (query.cookieLength >= 0 && this.#cookies !== undefined) {
      length += optionHeaderLength + cookieLength;
      this.trusted =
        query.cookieLength > clientCookieLength &&
        this.#cookies.isOurs(query.bytes, query.cookieAt, query.cookieLength, client);
    }
    return length;
  }

  #writeEdns(response: Response, code: number, options: number, error: number, kind: number, client: IpAddress): void {
    const { query } = this;
    const { bytes, base } = response;
    let at = base + response.length;
    const start = at;
    bytes[at] = 0;
    putU16(bytes, at + 1, recordType.OPT);
    putU16(bytes, at + 3, this.#udpSize);
    bytes[at + 5] = code >>> 4;
    bytes[at + 6] = 0;
    putU16(bytes, at + 7, query.dnssecOk ? 0x8000 : 0);
    at += optLength;
    if (options > 0) {
      if (query.wantsNsid && this.#nsid !== undefined) {
        at = optionHeader(bytes, at, ednsOption.nsid, this.#nsid.length);
        copyBytes(this.#nsid, 0, bytes, at, this.#nsid.length);
        at += this.#nsid.length;
      }
      // RFC 7828 §3.2.1: never over UDP.
      if (query.wantsKeepAlive && this.#idleTimeout !== undefined && kind !== 0) {
        at = optionHeader(bytes, at, ednsOption.keepAlive, 2);
        putU16(bytes, at, this.#idleTimeout);
        at += 2;
      }
      if (query.cookieLength >= 0 && this.#cookies !== undefined) {
        at = optionHeader(bytes, at, ednsOption.cookie, cookieLength);
        this.#cookies.write(query.bytes, query.cookieAt, client, bytes, at);
        at += cookieLength;
      }
    }
    if (error >= 0 && at - base + optionHeaderLength + 2 <= response.limit) {
      at = optionHeader(bytes, at, ednsOption.extendedError, 2);
      putU16(bytes, at, error);
      at += 2;
    }
    // RFC 7830 §4: only for who padded, and only where it hides something.
    if (query.wantsPadding && kind >= 2) {
      const unpadded = at - base + optionHeaderLength;
      const length = Math.min(response.limit, Math.ceil(unpadded / padding) * padding) - unpadded;
      if (length >= 0) {
        at = optionHeader(bytes, at, ednsOption.padding, length);
        bytes.fill(0, at, at + length);
        at += length;
      }
    }
    putU16(bytes, start + 9, at - start - optLength);
    response.length = at - base;
    response.additionals++;
  }

  /** Answers questions about the server itself; false when it does not. */
  #chaos(response: Response): boolean {
    const { query } = this;
    if (query.type !== typeTxt && query.type !== recordType.ANY) return false;
    const text = isName(query, versionNames)
      ? this.#version
      : isName(query, identityNames)
        ? this.#identity
        : undefined;
    if (text === undefined) return false;
    const length = 2 + 10 + 1 + text.length;
    if (response.length + length > response.limit) return false;
    const { bytes } = response;
    const at = response.base + response.length;
    putU16(bytes, at, 0xc000 | questionName);
    putU16(bytes, at + 2, typeTxt);
    putU16(bytes, at + 4, classChaos);
    putU32(bytes, at + 6, 0);
    putU16(bytes, at + 10, text.length + 1);
    bytes[at + 12] = text.length;
    copyBytes(text, 0, bytes, at + 13, text.length);
    response.length += length;
    response.answers++;
    return true;
  }
}

/** An answerer for `zones`. */
export function createAuthoritative(options: AuthoritativeOptions): Authoritative {
  return new Authoritative(options);
}

/** Types that are not of records, and are no questions either. */
function isMeta(code: number): boolean {
  return (
    code === 0 ||
    code === recordType.OPT ||
    (code >= 128 && code < recordType.IXFR) ||
    code === recordType.MAILB ||
    code === recordType.MAILA
  );
}

/** Keys of names of class CH. */
const versionNames = ["\x04bind\x07version", "\x06server\x07version"].map(latin1);
const identityNames = ["\x06server\x02id", "\x04bind\x08hostname"].map(latin1);

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function textOf(name: string, text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined;
  if (!/^[\x20-\x7e]{0,64}$/.test(text)) throw new RangeError(`${name} must be at most 64 characters of ASCII`);
  return latin1(text);
}

function isName({ name }: Query, keys: readonly Uint8Array[]): boolean {
  return keys.some((key) => key.length === name.length && key.every((byte, index) => byte === name.bytes[index]));
}

function optionHeader(bytes: Uint8Array, at: number, code: number, length: number): number {
  putU16(bytes, at, code);
  putU16(bytes, at + 2, length);
  return at + optionHeaderLength;
}
