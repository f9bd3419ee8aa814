import type { Timer, Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { BodySource } from "./body-content.ts";
import { chunkedEnd, maxChunkHead, writeChunkHead } from "./chunked.ts";
import { HttpError } from "./fault.ts";
import type { HeadLimits } from "./head-reader.ts";
import { failed, gotData, gotEnd, gotHead, type MessageEvent, needInput } from "./message-event.ts";
import { OutputBuffer } from "./output-buffer.ts";
import { type ResponseHead, ResponseParser } from "./response-parser.ts";

/** A request ready to be written. */
export interface OutgoingRequest {
  readonly method: string;
  /** Request line and fields, each with its line end, without those that frame the body. */
  readonly head: string;
  readonly body: Uint8Array | BodySource | null;
}

/** Milliseconds, each at least 1; `Infinity` turns one off. */
export interface ClientTimeouts {
  /** To open a connection. */
  readonly connect: number;
  /** From the request's being written, or its body going on, to the head of the response. */
  readonly response: number;
  /** Between two pieces of a response body that is being read. */
  readonly body: number;
  /** How long a connection that nobody uses is kept. */
  readonly idle: number;
}

/** A response as it comes: the head, and the body to be read or cancelled. */
export interface IncomingResponse {
  readonly head: ResponseHead;
  readonly body: BodySource | null;
}

const inputSize = 16_384;
const smallBody = 16_384;
/** Interim responses (1xx) before the final one. */
const maxInterim = 16;

/** The client's side of one connection: one request at a time. */
export class ClientConnection {
  /** Whether an earlier request went over it: the server may have closed it meanwhile. */
  used = false;
  /** Whether it can carry no further request. */
  dead = false;
  /** Whether any octet of the response under way has come. */
  answered = false;

  readonly #flow: Flow;
  readonly #timers: Timers;
  readonly #timeouts: ClientTimeouts;
  readonly #parser: ResponseParser;
  readonly #out = new OutputBuffer();
  readonly #timer: Timer;
  readonly #onFree: (connection: ClientConnection) => void;
  readonly #input: Uint8Array = new Uint8Array(inputSize);
  #start = 0;
  #end = 0;
  #filling: Promise<boolean> | undefined = undefined;
  #idle = true;
  #sending: Promise<void> | undefined = undefined;
  /** What the request body comes from, while it goes out in pieces. */
  #source: BodySource | undefined = undefined;
  #signal: AbortSignal | undefined = undefined;
  /** Why this side gave up, if it did. */
  #reason: unknown = undefined;
  readonly #onAbort = (): void => this.destroy(this.#signal?.reason);

  /** @param onFree called when an exchange is over, or an idle connection died: ask `dead` which */
  constructor(
    flow: Flow,
    timers: Timers,
    timeouts: ClientTimeouts,
    limits: HeadLimits,
    onFree: (connection: ClientConnection) => void,
  ) {
    this.#flow = flow;
    this.#timers = timers;
    this.#timeouts = timeouts;
    this.#parser = new ResponseParser(limits);
    this.#onFree = onFree;
    this.#timer = timers.timer(() => this.#expire());
  }

  /**
   * Sends a request and waits for the head of its response. The connection is free again when the body was read, see
   * `onFree`, or dead when it was cancelled.
   *
   * @throws HttpError (rejects) when the server broke the protocol, was too slow or closed; FlowError; the reason of
   * `signal`.
   */
  async exchange(request: OutgoingRequest, signal: AbortSignal | undefined): Promise<IncomingResponse> {
    this.#idle = false;
    this.answered = false;
    this.#signal = signal;
    try {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", this.#onAbort, { once: true });
      this.#parser.expect(request.method);
      this.#timer.set(this.#timers.now() + this.#timeouts.response);
      this.#sending = this.#send(request);
      // A failed send is seen where the response is read: a server may answer, and close, before it has read it all.
      this.#sending.catch(() => undefined);
      const head = await this.#head();
      this.#timer.cancel();
      if (head.bodyLength === 0) {
        await this.#bodyPiece(head);
        return { head, body: null };
      }
      return { head, body: new ResponseSource(this, head) };
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Closes it at once; what is pending rejects with `reason`. */
  destroy(reason: unknown): void {
    if (this.dead) return;
    this.dead = true;
    this.#reason ??= reason;
    this.#timer.cancel();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#flow.abort();
    void this.#flow.close();
    this.#source?.cancel(reason);
    this.#onFree(this);
  }

  /** Closes an idle connection in order. */
  async close(): Promise<void> {
    this.dead = true;
    this.#timer.cancel();
    await this.#flow.close();
  }

  /** For the source of the body. */
  async bodyPiece(head: ResponseHead): Promise<Uint8Array | undefined> {
    try {
      this.#timer.set(this.#timers.now() + this.#timeouts.body);
      return await this.#bodyPiece(head);
    } catch (error) {
      throw this.#fail(error);
    } finally {
      if (!this.#idle) this.#timer.cancel();
    }
  }

  async #head(): Promise<ResponseHead> {
    for (let interim = 0; interim <= maxInterim; interim++) {
      await this.#until(gotHead);
      const head = this.#parser.head;
      if (head === undefined) break;
      if (head.status >= 200) return head;
      if (head.status === 101) throw new HttpError("status-line", "the server switched protocols unasked");
      await this.#until(gotEnd);
    }
    throw new HttpError("status-line", "too many interim responses");
  }

  async #bodyPiece(head: ResponseHead): Promise<Uint8Array | undefined> {
    for (;;) {
      let event = this.#next();
      if (event === needInput) {
        if (await this.#fill()) continue;
        event = this.#parser.finish();
        if (event === needInput) return undefined;
      }
      if (event === failed) throw this.#broken();
      if (event === gotData) {
        return this.#input.slice(this.#parser.dataOffset, this.#parser.dataOffset + this.#parser.dataLength);
      }
      await this.#free(head);
      return undefined;
    }
  }

  async #until(wanted: MessageEvent): Promise<void> {
    for (;;) {
      const event = this.#next();
      if (event === wanted) return;
      if (event === failed) throw this.#broken();
      if (event === needInput && !(await this.#fill())) {
        throw new HttpError("closed", "the server closed the connection before it answered");
      }
    }
  }

  #next(): MessageEvent {
    const event = this.#parser.next(this.#input, this.#start, this.#end);
    this.#start = this.#parser.consumed;
    return event;
  }

  #broken(): HttpError {
    const broken = this.#parser.fault;
    return broken === undefined ? new HttpError("closed", "the connection is over") : HttpError.of(broken);
  }

  #fill(): Promise<boolean> {
    return (this.#filling ??= this.#read());
  }

  async #read(): Promise<boolean> {
    // Every octet was parsed before more is asked for.
    this.#start = 0;
    this.#end = 0;
    try {
      const length = await this.#flow.read(this.#input);
      this.#end = length;
      if (length > 0) this.answered = true;
      return length > 0;
    } finally {
      this.#filling = undefined;
    }
  }

  async #send(request: OutgoingRequest): Promise<void> {
    const { head, body } = request;
    const out = this.#out;
    out.clear();
    if (body === null) {
      const empty = request.method === "POST" || request.method === "PUT" || request.method === "PATCH";
      out.appendText(empty ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`);
    } else if (body instanceof Uint8Array) {
      out.appendText(`${head}content-length: ${body.length}\r\n\r\n`);
      if (body.length <= smallBody) out.appendBytes(body);
      else {
        await this.#flow.write(out.view(), true);
        await this.#flow.write(body);
        return;
      }
    } else {
      await this.#sendSource(head, body);
      return;
    }
    await this.#flow.write(out.view());
  }

  async #sendSource(head: string, body: BodySource): Promise<void> {
    const out = this.#out;
    const { length } = body;
    out.appendText(
      `${head}${length === undefined ? "transfer-encoding: chunked" : `content-length: ${length}`}\r\n\r\n`,
    );
    let left = length ?? Infinity;
    let first = true;
    this.#source = body;
    try {
      for (let piece = await body.read(); piece !== undefined; piece = await body.read()) {
        left -= piece.length;
        if (left < 0) throw new RangeError("the request body is longer than its length");
        if (length === undefined) {
          out.reserve(maxChunkHead);
          out.length = writeChunkHead(out.bytes, out.length, piece.length, first);
          first = false;
        }
        if (piece.length <= smallBody) out.appendBytes(piece);
        if (out.length > 0) await this.#flow.write(out.view(), piece.length > smallBody);
        out.clear();
        if (piece.length > smallBody) await this.#flow.write(piece);
        if (!this.answered) this.#timer.set(this.#timers.now() + this.#timeouts.response);
      }
      if (length !== undefined && left > 0) throw new RangeError("the request body is shorter than its length");
    } catch (error) {
      body.cancel(error);
      // A half-sent request can only be taken back by a reset; but an answer that is on its way is worth reading.
      if (!this.answered && !this.#isFlowEnd(error)) this.destroy(error);
      throw error;
    } finally {
      this.#source = undefined;
    }
    if (length === undefined) out.appendText(chunkedEnd(first));
    if (out.length > 0) await this.#flow.write(out.view());
  }

  #isFlowEnd(error: unknown): boolean {
    return error instanceof Error && error.name === "FlowError";
  }

  /** The response is whole. */
  async #free(head: ResponseHead): Promise<void> {
    this.#timer.cancel();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#signal = undefined;
    const sent = await settledSoon(this.#sending);
    // With the request still going out, or more input than was asked for, the next response could not be told apart.
    if (!head.keepAlive || !sent || this.#start < this.#end || this.dead) {
      if (this.dead) return;
      this.dead = true;
      if (sent) void this.#flow.close();
      else {
        this.#flow.abort();
        this.#source?.cancel(new HttpError("closed", "the server answered before it had the whole request"));
      }
      this.#onFree(this);
      return;
    }
    this.used = true;
    this.#idle = true;
    this.#timer.set(this.#timers.now() + this.#timeouts.idle);
    // Whatever an idle connection brings, it is the end of it.
    this.#fill().then(
      () => {
        if (this.#idle) this.destroy(undefined);
      },
      () => {
        if (this.#idle) this.destroy(undefined);
      },
    );
    this.#onFree(this);
  }

  #expire(): void {
    if (this.#idle) {
      void this.close();
      this.#onFree(this);
    } else this.destroy(new HttpError("timeout", "the server was too slow"));
  }

  #fail(error: unknown): unknown {
    const reason = this.#reason ?? error;
    this.destroy(reason);
    return reason;
  }
}

class ResponseSource implements BodySource {
  readonly length: number | undefined;
  readonly #connection: ClientConnection;
  readonly #head: ResponseHead;
  #done = false;

  constructor(connection: ClientConnection, head: ResponseHead) {
    this.#connection = connection;
    this.#head = head;
    this.length = head.bodyLength >= 0 ? head.bodyLength : undefined;
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#done) return undefined;
    const piece = await this.#connection.bodyPiece(this.#head);
    if (piece === undefined) this.#done = true;
    return piece;
  }

  cancel(reason?: unknown): void {
    if (this.#done) return;
    this.#done = true;
    this.#connection.destroy(reason ?? new HttpError("aborted", "the response body was cancelled"));
  }
}

/** Whether `sending` has succeeded, without waiting for anything but the microtask queue. */
async function settledSoon(sending: Promise<void> | undefined): Promise<boolean> {
  if (sending === undefined) return true;
  const seen = { sent: false };
  sending.then(
    () => {
      seen.sent = true;
    },
    () => undefined,
  );
  for (let turn = 0; turn < 4 && !seen.sent; turn++) await nothing;
  return seen.sent;
}

const nothing = Promise.resolve();
