import { chunkedBody } from "./body-framing.ts";
import { connectionClose, connectionOptions } from "./connection-field.ts";
import type { DateField } from "./date.ts";
import { fault, type HttpFault } from "./fault.ts";
import type { HeadLimits } from "./head-reader.ts";
import { failed, gotData, gotEnd, gotHead, type MessageEvent } from "./message-event.ts";
import { parseContentLength } from "./body-framing.ts";
import type { OutputBuffer } from "./output-buffer.ts";
import { RequestParser, type RequestHead } from "./request-parser.ts";
import { isBodiless, reasonPhrase, statusLine } from "./status.ts";

/** Bounds of one connection. */
export interface ConnectionLimits extends HeadLimits {
  /** Octets of a request body. */
  readonly maxBody: number;
  /** Requests on one connection; the last response says `connection: close`. */
  readonly maxRequests: number;
  /** Octets of a body that nobody read and that are read and dropped to keep the connection. */
  readonly maxDrain: number;
}

/** How a response body goes out. */
export const sendNothing = 0;
/** As many octets as Content-Length said. */
export const sendLength = 1;
export const sendChunked = 2;
/** Until the connection ends: HTTP/1.0 and a body of unknown length. */
export const sendUntilClose = 3;
export type BodySending = typeof sendNothing | typeof sendLength | typeof sendChunked | typeof sendUntilClose;

/**
 * The server's side of one connection, without the connection: octets in, events and heads of responses out. It knows
 * when the connection may carry another request and how each response body is framed.
 *
 * The order of calls for each request is: {@link ServerConnection.next} gives `gotHead`; then data and `gotEnd` as
 * they come, and at any time once {@link ServerConnection.respond} and the body that it asks for. The next request is
 * read after both.
 */
export class ServerConnection {
  /** Whether the connection can carry another request once this one is over. */
  open = true;
  /** Requests seen. */
  requests = 0;
  /** The request under way. */
  head: RequestHead | undefined = undefined;
  /** Whether all of its body was read. */
  received = true;
  /** Whether its response was started. */
  responded = false;
  /** After `failed`. */
  fault: HttpFault | undefined = undefined;
  /** Whether the handler reads the request body: what is left of it is then worth waiting for. */
  bodyWanted = false;
  /** The octets that the body must have when it is sent by {@link sendLength}. */
  sendingLength = 0;

  readonly #parser: RequestParser;
  readonly #limits: ConnectionLimits;
  readonly #date: DateField;
  #bodyOctets = 0;
  #continueDue = false;

  constructor(limits: ConnectionLimits, date: DateField) {
    this.#limits = limits;
    this.#date = date;
    this.#parser = new RequestParser(limits);
  }

  /** See `RequestParser`. */
  get consumed(): number {
    return this.#parser.consumed;
  }

  get dataOffset(): number {
    return this.#parser.dataOffset;
  }

  get dataLength(): number {
    return this.#parser.dataLength;
  }

  /** Whether no request is under way, not even the start of one. */
  get idle(): boolean {
    return this.received && this.#parser.idle;
  }

  /** Reads from `bytes[offset … end)` up to the next event; see `RequestParser.next`. */
  next(bytes: Uint8Array, offset: number, end: number): MessageEvent {
    if (this.fault !== undefined) return failed;
    const event = this.#parser.next(bytes, offset, end);
    if (event === gotHead) return this.#started();
    if (event === gotData) {
      this.#bodyOctets += this.#parser.dataLength;
      this.#continueDue = false;
      if (this.#bodyOctets > this.#limits.maxBody) return this.#fail(tooLarge(this.#limits.maxBody));
    } else if (event === gotEnd) {
      this.received = true;
      this.#continueDue = false;
    } else if (event === failed && this.#parser.fault !== undefined) return this.#fail(this.#parser.fault);
    return event;
  }

  /**
   * Says that the handler waits for more of the body.
   *
   * @returns whether `HTTP/1.1 100 Continue` was appended to `out` for a client that waits for it
   */
  wantBody(out: OutputBuffer): boolean {
    this.bodyWanted = true;
    if (!this.#continueDue || this.responded) return false;
    this.#continueDue = false;
    out.appendText("HTTP/1.1 100 Continue\r\n\r\n");
    return true;
  }

  /**
   * Starts the response to the request under way: appends its head to `out`, or, when `body` is a string, all of it.
   *
   * Fields that belong to the connection are made here; a handler's own `connection: close` is obeyed, its
   * `content-length` is believed when the length is not known otherwise, `transfer-encoding` and `keep-alive` are
   * dropped.
   *
   * @param body the whole body, its length in octets, or `undefined` when it is not known
   * @returns how the body, unless it was a string, is to follow
   */
  respond(
    out: OutputBuffer,
    status: number,
    statusText: string,
    names: readonly string[],
    values: readonly string[],
    body: string | number | undefined,
  ): BodySending {
    const request = this.head;
    const minor = request?.minor ?? 1;
    this.responded = true;
    out.appendText(statusLine(status, statusText));
    let length = typeof body === "number" ? body : -1;
    let dated = false;
    const bodiless = isBodiless(status);
    const headOnly = request?.method === "HEAD";
    for (let index = 0; index < names.length; index++) {
      const name = names[index] ?? "";
      const value = values[index] ?? "";
      if (name === "content-length") {
        if (body === undefined || ((headOnly || bodiless) && length <= 0)) length = parseContentLength(value);
        continue;
      }
      if (name === "connection") {
        if ((connectionOptions(value) & connectionClose) !== 0) this.open = false;
        continue;
      }
      if (name === "transfer-encoding" || name === "keep-alive") continue;
      if (name === "date") dated = true;
      out.appendField(name, value);
    }
    if (!dated) out.appendText(this.#date.line());
    if (request === undefined || !request.keepAlive || this.requests >= this.#limits.maxRequests) this.open = false;
    if (!this.received && !this.#drainable(request)) this.open = false;
    const whole = typeof body === "string" && !bodiless && !headOnly;
    const known = length >= 0 || whole;
    if (!known && !bodiless && !headOnly && minor === 0) this.open = false;
    if (!this.open) out.appendText("connection: close\r\n");
    else if (minor === 0) out.appendText("connection: keep-alive\r\n");
    if (whole) {
      out.appendLengthAndBody(body);
      return sendNothing;
    }
    let sending: BodySending = sendNothing;
    if (bodiless) {
      // RFC 9110 §8.6: none with 1xx and 204; 304 may say what 200 would have said.
      if (status === 304 && length > 0) out.appendField("content-length", String(length));
    } else if (length >= 0) {
      out.appendField("content-length", String(length));
      this.sendingLength = length;
      sending = sendLength;
    } else if (typeof body === "string") {
      out.appendField("content-length", String(utf8Length(body)));
    } else if (minor > 0) {
      // RFC 9112 §6.1: a response to HEAD may name the coding that a response to GET would have.
      out.appendField("transfer-encoding", "chunked");
      sending = sendChunked;
    } else sending = sendUntilClose;
    out.appendText("\r\n");
    return headOnly ? sendNothing : sending;
  }

  /** Appends the answer to a request that could not be read, and closes the connection to further ones. */
  refuse(out: OutputBuffer, status: number, message: string): void {
    this.open = false;
    this.responded = true;
    const body = `${status} ${reasonPhrase(status)}: ${message}\n`;
    const head = statusLine(status, "");
    out.appendText(`${head}content-type: text/plain;charset=UTF-8\r\n${this.#date.line()}connection: close\r\n`);
    out.appendLengthAndBody(body);
  }

  #started(): MessageEvent {
    const head = this.#parser.head;
    this.head = head;
    this.requests++;
    this.received = false;
    this.responded = false;
    this.#bodyOctets = 0;
    this.bodyWanted = false;
    this.#continueDue = head?.expectsContinue ?? false;
    if (head !== undefined && head.bodyLength > this.#limits.maxBody) return this.#fail(tooLarge(this.#limits.maxBody));
    return gotHead;
  }

  /** Whether what is left of the request body is to come and small, or wanted: so that the connection can go on. */
  #drainable(request: RequestHead | undefined): boolean {
    // A client still waiting for 100 may or may not send the body after a final status: nobody can tell which.
    if (request === undefined || this.#continueDue) return false;
    if (this.bodyWanted || request.bodyLength === chunkedBody) return true;
    return request.bodyLength - this.#bodyOctets <= this.#limits.maxDrain;
  }

  #fail(broken: HttpFault): MessageEvent {
    this.fault = broken;
    this.open = false;
    return failed;
  }
}

function tooLarge(most: number): HttpFault {
  return fault("body-too-large", 413, -1, `the body is larger than ${most} octets`);
}

const encoder = new TextEncoder();

function utf8Length(text: string): number {
  return encoder.encode(text).length;
}
