import { type BodyLength, chunkedBody, FramingFields, requestBodyLength } from "./body-framing.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { connectionOptions, connectionUpgrade, keepsAlive } from "./connection-field.ts";
import { fault, type HttpFault } from "./fault.ts";
import { nameConnection, nameContentLength, nameExpect, nameHost, nameTransferEncoding } from "./field-names.ts";
import { headComplete, headFailed, HeadReader, type HeadLimits, type StartLine } from "./head-reader.ts";
import { failed, gotData, gotEnd, gotHead, type MessageEvent, needInput } from "./message-event.ts";
import { equalsIgnoreCase, targetOctet, tokenOctet } from "./octets.ts";
import { RepeatedHead } from "./repeated-head.ts";
import { isAuthority, parseTarget, type Target } from "./target.ts";

/** The head of one request, checked. */
export interface RequestHead {
  readonly method: string;
  /** As sent. */
  readonly rawTarget: string;
  readonly target: Target;
  /** Of the version: 0 or 1. */
  readonly minor: number;
  /** Lower-case names and their values, in order. */
  readonly names: readonly string[];
  readonly values: readonly string[];
  /** The Host field, `undefined` when it is absent or empty. */
  readonly host: string | undefined;
  readonly bodyLength: BodyLength;
  /** Whether the client keeps the connection open. */
  readonly keepAlive: boolean;
  /** The client waits for 100 (Continue) before it sends the body (RFC 9110 §10.1.1). */
  readonly expectsContinue: boolean;
  /** Connection names the option `upgrade`. */
  readonly upgrade: boolean;
}

const stateHead = 0;
const stateFixed = 1;
const stateChunked = 2;
const stateEnd = 3;
const stateFailed = 4;

/**
 * Parses requests (RFC 9112 §3) one after the other from pieces of any size. Call {@link RequestParser.next} until it
 * says that it needs input; advance by `consumed`.
 */
export class RequestParser {
  consumed = 0;
  dataOffset = 0;
  dataLength = 0;
  head: RequestHead | undefined = undefined;
  fault: HttpFault | undefined = undefined;

  readonly #line = new RequestLine();
  readonly #fields: HeadReader;
  readonly #framing = new FramingFields();
  readonly #limits: HeadLimits;
  readonly #repeated = new RepeatedHead();
  #chunked: ChunkedDecoder | undefined = undefined;
  #state = stateHead;
  #left = 0;
  /** The last Host value found valid: connections repeat it. */
  #validHost = "";

  constructor(limits: HeadLimits) {
    this.#limits = limits;
    this.#fields = new HeadReader(limits, this.#line);
  }

  /** Whether the next octet would start a message: none is under way. */
  get idle(): boolean {
    return this.#state === stateHead && !this.#fields.started;
  }

  /** Takes from `bytes[offset … end)` up to the next event. */
  next(bytes: Uint8Array, offset: number, end: number): MessageEvent {
    switch (this.#state) {
      case stateHead: {
        const isFirst = !this.#fields.started;
        const repeated = isFirst ? this.#repeated.find(bytes, offset, end) : 0;
        if (repeated > 0) {
          this.consumed = offset + repeated;
          this.#state = stateEnd;
          return gotHead;
        }
        const status = this.#fields.read(bytes, offset, end);
        this.consumed = this.#fields.consumed;
        if (status === headComplete) {
          const event = this.#headDone();
          // Without a body, and all of it here at once.
          if (isFirst && event === gotHead && this.head?.bodyLength === 0)
            this.#repeated.remember(bytes, offset, this.consumed);
          else this.#repeated.forget();
          return event;
        }
        return status === headFailed && this.#fields.fault !== undefined ? this.#fail(this.#fields.fault) : needInput;
      }
      case stateFixed: {
        const length = Math.min(this.#left, end - offset);
        this.consumed = offset + length;
        if (length <= 0) return needInput;
        this.#left -= length;
        if (this.#left === 0) this.#state = stateEnd;
        this.dataOffset = offset;
        this.dataLength = length;
        return gotData;
      }
      case stateChunked:
        return this.#chunk(bytes, offset, end);
      case stateEnd:
        this.consumed = offset;
        this.#state = stateHead;
        return gotEnd;
      default:
        this.consumed = offset;
        return failed;
    }
  }

  #chunk(bytes: Uint8Array, offset: number, end: number): MessageEvent {
    const chunked = (this.#chunked ??= new ChunkedDecoder(this.#limits));
    const event = chunked.next(bytes, offset, end);
    this.consumed = chunked.consumed;
    if (event === gotData) {
      this.dataOffset = chunked.dataOffset;
      this.dataLength = chunked.dataLength;
    } else if (event === gotEnd) this.#state = stateHead;
    else if (event === failed && chunked.fault !== undefined) return this.#fail(chunked.fault);
    return event;
  }

  #headDone(): MessageEvent {
    const fields = this.#fields;
    const line = this.#line;
    const text = fields.text;
    const framing = this.#framing;
    framing.reset();
    let host: string | undefined;
    let connection = 0;
    let expect: string | undefined;
    for (let index = 0; index < fields.names.length; index++) {
      const value = fields.values[index] ?? "";
      switch (fields.ids[index] ?? -1) {
        case nameHost:
          if (host !== undefined) return this.#fail(fault("host", 400, -1, "more than one Host"));
          host = value;
          break;
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
        case nameExpect:
          expect = expect === undefined ? value : `${expect}, ${value}`;
          break;
      }
    }
    const method = line.method(text);
    const rawTarget = text.slice(line.targetStart, line.targetEnd);
    const target = parseTarget(method, rawTarget);
    if ("kind" in target) return this.#fail(target);
    if (host === undefined) {
      if (line.minor > 0) return this.#fail(fault("host", 400, -1, "HTTP/1.1 without Host"));
    } else if (host === "") host = undefined;
    else if (host !== this.#validHost) {
      if (!isAuthority(host)) return this.#fail(fault("host", 400, -1, "Host is not a host with an optional port"));
      this.#validHost = host;
    }
    const bodyLength = requestBodyLength(framing, line.minor);
    if (typeof bodyLength !== "number") return this.#fail(bodyLength);
    if (expect !== undefined && line.minor > 0 && !equalsIgnoreCase(expect, "100-continue")) {
      return this.#fail(fault("expectation", 417, -1, "an expectation other than 100-continue"));
    }
    this.head = {
      method,
      rawTarget,
      target,
      minor: line.minor,
      names: fields.names,
      values: fields.values,
      host,
      bodyLength,
      keepAlive: keepsAlive(connection, line.minor),
      // RFC 9110 §10.1.1: ignored in HTTP/1.0, and without a body there is nothing to wait for.
      expectsContinue: expect !== undefined && line.minor > 0 && bodyLength !== 0,
      upgrade: (connection & connectionUpgrade) !== 0,
    };
    if (bodyLength === chunkedBody) {
      this.#chunked?.reset();
      this.#state = stateChunked;
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

const methods: readonly string[] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/** `method SP request-target SP HTTP-version` (RFC 9112 §3), with exactly those spaces. */
class RequestLine implements StartLine {
  readonly union = 0;
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  minor = 1;

  parse(bytes: Uint8Array, base: number, start: number, end: number): HttpFault | undefined {
    let at = start;
    while (tokenOctet[bytes[at] ?? 0] !== 0) at++;
    if (at === start || bytes[at] !== 0x20) return fault("method", 400, at - base, "no method, or not a token");
    this.methodStart = start - base;
    this.methodEnd = at - base;
    at++;
    this.targetStart = at - base;
    while (targetOctet[bytes[at] ?? 0] !== 0) at++;
    this.targetEnd = at - base;
    if (this.targetEnd === this.targetStart || bytes[at] !== 0x20) {
      return fault("target", 400, at - base, "no target, or an octet that a target cannot have");
    }
    at++;
    // HTTP-version = "HTTP/" DIGIT "." DIGIT, case-sensitive.
    const major = (bytes[at + 5] ?? 0) - 0x30;
    const minor = (bytes[at + 7] ?? 0) - 0x30;
    if (
      end - at !== 8 ||
      bytes[at] !== 0x48 ||
      bytes[at + 1] !== 0x54 ||
      bytes[at + 2] !== 0x54 ||
      bytes[at + 3] !== 0x50 ||
      bytes[at + 4] !== 0x2f ||
      bytes[at + 6] !== 0x2e ||
      !(major >= 0 && major <= 9 && minor >= 0 && minor <= 9)
    ) {
      return fault("request-line", 400, at - base, "the request line does not end in an HTTP version");
    }
    if (major !== 1 || minor > 1) return fault("version", 505, at - base, `HTTP/${major}.${minor} is not spoken here`);
    this.minor = minor;
    return undefined;
  }

  /** The method, interned when it is a usual one. */
  method(text: string): string {
    if (text.startsWith("GET ", this.methodStart)) return "GET";
    const method = text.slice(this.methodStart, this.methodEnd);
    return methods.find((each) => each === method) ?? method;
  }
}
