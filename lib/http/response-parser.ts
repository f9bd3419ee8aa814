import { type BodyLength, chunkedBody, FramingFields, responseBodyLength, untilClose } from "./body-framing.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { connectionOptions, keepsAlive } from "./connection-field.ts";
import { fault, type HttpFault } from "./fault.ts";
import { nameConnection, nameContentLength, nameTransferEncoding } from "./field-names.ts";
import { headComplete, headFailed, HeadReader, type HeadLimits, type StartLine } from "./head-reader.ts";
import { failed, gotData, gotEnd, gotHead, type MessageEvent, needInput } from "./message-event.ts";
import { fieldOctet } from "./octets.ts";

/** The head of one response, checked. */
export interface ResponseHead {
  /** 100–999. */
  readonly status: number;
  readonly reason: string;
  /** Of the version: 0 or 1. */
  readonly minor: number;
  /** Lower-case names and their values, in order. */
  readonly names: readonly string[];
  readonly values: readonly string[];
  readonly bodyLength: BodyLength;
  /** Whether the server keeps the connection open. */
  readonly keepAlive: boolean;
}

const stateHead = 0;
const stateFixed = 1;
const stateChunked = 2;
const stateClose = 3;
const stateEnd = 4;
const stateFailed = 5;

/**
 * Parses responses (RFC 9112 §4) from pieces of any size, interim ones (1xx) included: each is a head and an end.
 *
 * Say with {@link ResponseParser.expect} what the next response answers.
 */
export class ResponseParser {
  consumed = 0;
  dataOffset = 0;
  dataLength = 0;
  head: ResponseHead | undefined = undefined;
  fault: HttpFault | undefined = undefined;

  readonly #line = new StatusLine();
  readonly #fields: HeadReader;
  readonly #framing = new FramingFields();
  readonly #limits: HeadLimits;
  #chunked: ChunkedDecoder | undefined = undefined;
  #state = stateHead;
  #left = 0;
  #bodiless = false;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.#fields = new HeadReader(limits, this.#line);
  }

  /** Sets the method that the coming responses answer: after HEAD they have no body. */
  expect(method: string): void {
    this.#bodiless = method === "HEAD";
  }

  /** Whether the next octet would start a message. */
  get idle(): boolean {
    return this.#state === stateHead && !this.#fields.started;
  }

  /** Takes from `bytes[offset … end)` up to the next event. */
  next(bytes: Uint8Array, offset: number, end: number): MessageEvent {
    switch (this.#state) {
      case stateHead: {
        const status = this.#fields.read(bytes, offset, end);
        this.consumed = this.#fields.consumed;
        if (status === headComplete) return this.#headDone();
        return status === headFailed && this.#fields.fault !== undefined ? this.#fail(this.#fields.fault) : needInput;
      }
      case stateFixed:
      case stateClose: {
        const length = Math.min(this.#left, end - offset);
        this.consumed = offset + length;
        if (length <= 0) return needInput;
        if (this.#state === stateFixed) {
          this.#left -= length;
          if (this.#left === 0) this.#state = stateEnd;
        }
        this.dataOffset = offset;
        this.dataLength = length;
        return gotData;
      }
      case stateChunked: {
        const chunked = (this.#chunked ??= new ChunkedDecoder(this.#limits));
        const event = chunked.next(bytes, offset, end);
        this.consumed = chunked.consumed;
        this.dataOffset = chunked.dataOffset;
        this.dataLength = chunked.dataLength;
        if (event === gotEnd) this.#state = stateHead;
        return event === failed && chunked.fault !== undefined ? this.#fail(chunked.fault) : event;
      }
      case stateEnd:
        this.consumed = offset;
        this.#state = stateHead;
        return gotEnd;
      default:
        this.consumed = offset;
        return failed;
    }
  }

  /**
   * Says that the connection has ended.
   *
   * @returns `gotEnd` when that ends a body rightly, `needInput` when nothing was under way, else `failed`
   */
  finish(): MessageEvent {
    if (this.#state === stateClose || this.#state === stateEnd) {
      this.#state = stateHead;
      return gotEnd;
    }
    if (this.idle) return needInput;
    return this.#fail(this.fault ?? fault("truncated", 0, -1, "the connection ended inside a response"));
  }

  #headDone(): MessageEvent {
    const fields = this.#fields;
    const line = this.#line;
    const framing = this.#framing;
    framing.reset();
    let connection = 0;
    for (let index = 0; index < fields.names.length; index++) {
      const value = fields.values[index] ?? "";
      switch (fields.ids[index] ?? -1) {
        case nameContentLength:
          framing.contentLengths++;
          framing.contentLength = value;
          break;
        case nameTransferEncoding:
          framing.transferEncodings++;
          framing.transferEncoding = value;
          break;
        case nameConnection:
          connection |= connectionOptions(value);
          break;
      }
    }
    const bodyLength = responseBodyLength(framing, line.minor, line.status, this.#bodiless);
    if (typeof bodyLength !== "number") return this.#fail(bodyLength);
    this.head = {
      status: line.status,
      reason: fields.text.slice(line.reasonStart, line.reasonEnd),
      minor: line.minor,
      names: fields.names,
      values: fields.values,
      bodyLength,
      keepAlive: bodyLength !== untilClose && keepsAlive(connection, line.minor),
    };
    if (bodyLength === chunkedBody) {
      this.#chunked?.reset();
      this.#state = stateChunked;
    } else if (bodyLength === untilClose) {
      this.#left = Infinity;
      this.#state = stateClose;
    } else {
      this.#left = bodyLength;
      this.#state = bodyLength === 0 ? stateEnd : stateFixed;
    }
    return gotHead;
  }

  #fail(broken: HttpFault): MessageEvent {
    this.fault = broken;
    this.#state = stateFailed;
    return failed;
  }
}

/** `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4); the second space may be missing with the reason. */
class StatusLine implements StartLine {
  union = 0;
  minor = 1;
  status = 0;
  reasonStart = 0;
  reasonEnd = 0;

  parse(bytes: Uint8Array, base: number, start: number, end: number): HttpFault | undefined {
    let prefix = "HTTP/1.".length;
    for (let at = 0; at < prefix; at++) if (bytes[start + at] !== "HTTP/1.".charCodeAt(at)) prefix = -1;
    const minor = (bytes[start + 7] ?? 0) - 0x30;
    if (prefix < 0 || end - start < 12 || (minor !== 0 && minor !== 1) || bytes[start + 8] !== 0x20) {
      return fault("status-line", 400, 0, "the response does not start with HTTP/1.1 and a status");
    }
    this.minor = minor;
    let status = 0;
    for (let at = start + 9; at < start + 12; at++) {
      const digit = (bytes[at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) return fault("status-line", 400, at - base, "the status is not three digits");
      status = status * 10 + digit;
    }
    if (status < 100) return fault("status-line", 400, start + 9 - base, "the status is below 100");
    this.status = status;
    if (end - start > 12 && bytes[start + 12] !== 0x20) {
      return fault("status-line", 400, start + 12 - base, "the status is not three digits");
    }
    this.union = 0;
    for (let at = start + 12; at < end; at++) {
      const octet = bytes[at] ?? 0;
      this.union |= octet;
      if (fieldOctet[octet] === 0) return fault("status-line", 400, at - base, "an octet not allowed in a reason");
    }
    this.reasonStart = Math.min(start + 13, end) - base;
    this.reasonEnd = end - base;
    return undefined;
  }
}
