import { fault, type HttpFault } from "./fault.ts";
import { headComplete, headFailed, HeadReader, type HeadLimits } from "./head-reader.ts";
import { failed, gotData, gotEnd, type MessageEvent, needInput } from "./message-event.ts";
import { fieldOctet, hexOctet, tokenOctet } from "./octets.ts";

/** Octets of extensions that one chunk, and all chunks of one body, may carry (RFC 9112 §7.1.1 asks for a bound). */
const maxExtension = 256;
const maxExtensions = 16_384;
/** Hexadecimal digits of a chunk size: 13 reach 2⁵² and leave the sum below 2⁵³. */
const maxDigits = 13;

const stateSize = 0;
const stateExtension = 1;
const stateSizeEnd = 2;
const stateData = 3;
const stateDataCr = 4;
const stateDataLf = 5;
const stateTrailers = 6;
const stateFailed = 7;

/** Where in an extension the decoder is. */
const partName = 0;
const partNameRest = 1;
const partValue = 2;
const partValueRest = 3;
const partQuoted = 4;
const partEscape = 5;
const partEnd = 6;

/**
 * Decodes the chunked transfer coding (RFC 9112 §7.1) from pieces of any size.
 *
 * Every line end is CRLF, extensions are checked, bounded and ignored, white space around their parts is refused, and trailers are checked as fields are and kept apart from them.
 */
export class ChunkedDecoder {
  /** Where in the last piece the unread octets start. */
  consumed = 0;
  dataOffset = 0;
  dataLength = 0;
  fault: HttpFault | undefined = undefined;

  readonly #limits: HeadLimits;
  #trailers: HeadReader | undefined = undefined;
  #state = stateSize;
  #digits = 0;
  /** Of the current chunk: its size while that is read, then what is left of it. */
  #size = 0;
  #extension = 0;
  #extensions = 0;
  #part = partName;

  /** @param limits of the trailers */
  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** Takes from `bytes[offset … end)` up to the next piece of data or the end of the body. */
  next(bytes: Uint8Array, offset: number, end: number): MessageEvent {
    let at = offset;
    while (at < end) {
      const octet = bytes[at] ?? 0;
      switch (this.#state) {
        case stateSize: {
          const digit = hexOctet[octet] ?? -1;
          if (digit >= 0) {
            if (++this.#digits > maxDigits) return this.#fail(at, "chunk-size", "a chunk size of too many digits");
            this.#size = this.#size * 16 + digit;
          } else if (this.#digits === 0) {
            return this.#fail(at, "chunk-size", "a chunk without a size");
          } else if (octet === 0x0d) this.#state = stateSizeEnd;
          else if (octet === 0x3b) {
            this.#state = stateExtension;
            this.#part = partName;
          } else return this.#fail(at, "chunk-size", "a chunk size that is not hexadecimal digits");
          at++;
          break;
        }
        case stateExtension:
          if (++this.#extension > maxExtension || ++this.#extensions > maxExtensions) {
            return this.#fail(at, "chunk-extension", "chunk extensions are too long");
          }
          if (!this.#extend(octet)) return this.#fail(at, "chunk-extension", "a malformed chunk extension");
          at++;
          break;
        case stateSizeEnd:
          if (octet !== 0x0a) return this.#fail(at, "chunk-size", "a chunk size line ends in CR without LF");
          this.#state = this.#size === 0 ? stateTrailers : stateData;
          at++;
          break;
        case stateData: {
          const length = Math.min(this.#size, end - at);
          this.#size -= length;
          if (this.#size === 0) this.#state = stateDataCr;
          this.dataOffset = at;
          this.dataLength = length;
          this.consumed = at + length;
          return gotData;
        }
        case stateDataCr:
          if (octet !== 0x0d) return this.#fail(at, "chunk-end", "chunk data is not followed by CRLF");
          this.#state = stateDataLf;
          at++;
          break;
        case stateDataLf:
          if (octet !== 0x0a) return this.#fail(at, "chunk-end", "chunk data is not followed by CRLF");
          this.#state = stateSize;
          this.#digits = 0;
          this.#extension = 0;
          at++;
          break;
        case stateTrailers:
          return this.#trailer(bytes, at, end);
        default:
          this.consumed = at;
          return failed;
      }
    }
    this.consumed = at;
    return needInput;
  }

  /** The trailer fields of the last body: lower-case names and values in order. */
  get trailers(): { readonly names: readonly string[]; readonly values: readonly string[] } {
    return this.#trailers ?? { names: [], values: [] };
  }

  /** Starts over, for the next body. */
  reset(): void {
    this.#state = stateSize;
    this.#digits = 0;
    this.#size = 0;
    this.#extension = 0;
    this.#extensions = 0;
    this.fault = undefined;
    this.#trailers = undefined;
  }

  /** One octet of `*( ";" name [ "=" ( token / quoted-string ) ] ) CR`. */
  #extend(octet: number): boolean {
    switch (this.#part) {
      case partName:
      case partValue:
        if (octet === 0x22 && this.#part === partValue) {
          this.#part = partQuoted;
          return true;
        }
        if (tokenOctet[octet] === 0) return false;
        this.#part = this.#part === partName ? partNameRest : partValueRest;
        return true;
      case partQuoted:
        if (octet === 0x22) this.#part = partEnd;
        else if (octet === 0x5c) this.#part = partEscape;
        return fieldOctet[octet] === 1;
      case partEscape:
        this.#part = partQuoted;
        return fieldOctet[octet] === 1;
      default:
        if (octet === 0x0d) this.#state = stateSizeEnd;
        else if (octet === 0x3b) this.#part = partName;
        else if (octet === 0x3d && this.#part === partNameRest) this.#part = partValue;
        else return this.#part !== partEnd && tokenOctet[octet] !== 0;
        return true;
    }
  }

  #trailer(bytes: Uint8Array, at: number, end: number): MessageEvent {
    this.#trailers ??= new HeadReader(this.#limits, undefined);
    const status = this.#trailers.read(bytes, at, end);
    this.consumed = this.#trailers.consumed;
    if (status === headFailed) {
      const cause = this.#trailers.fault;
      const kind = cause?.status === 431 ? cause.kind : "trailer";
      this.#state = stateFailed;
      this.fault = fault(kind, cause?.status ?? 400, cause?.offset ?? -1, `in a trailer: ${cause?.message ?? ""}`);
      return failed;
    }
    return status === headComplete ? gotEnd : needInput;
  }

  #fail(at: number, kind: HttpFault["kind"], message: string): MessageEvent {
    this.#state = stateFailed;
    this.consumed = at;
    this.fault = fault(kind, 400, -1, message);
    return failed;
  }
}

const hex = "0123456789abcdef";

/** The most octets that {@link writeChunkHead} writes. */
export const maxChunkHead = 18;

/**
 * Writes the line before `size` (at least 1) octets of chunk data, and, unless the chunk is the first, the CRLF that
 * ends the chunk before it: so that each chunk is one contiguous write.
 *
 * @returns the offset after it
 */
export function writeChunkHead(bytes: Uint8Array, offset: number, size: number, first: boolean): number {
  let at = offset;
  if (!first) {
    bytes[at++] = 0x0d;
    bytes[at++] = 0x0a;
  }
  let digits = 1;
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 16)) digits++;
  let rest = size;
  for (let index = digits - 1; index >= 0; index--) {
    bytes[at + index] = hex.charCodeAt(rest % 16);
    rest = Math.floor(rest / 16);
  }
  at += digits;
  bytes[at++] = 0x0d;
  bytes[at++] = 0x0a;
  return at;
}

/** The end of a chunked body without trailers. `first` as in {@link writeChunkHead}. */
export function chunkedEnd(first: boolean): string {
  return first ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
}
