import type { Timer, Timers } from "@tesserae/device/clock";
import { type Flow, FlowError } from "@tesserae/device/flow";
import { formatEndpoint } from "@tesserae/device/address";
import type { Log } from "@tesserae/device/log";
import { type BodyContent, type BodySource, isSource, StreamSource } from "./body-content.ts";
import type { BufferShelf } from "./buffer-shelf.ts";
import { chunkedEnd, maxChunkHead, writeChunkHead } from "./chunked.ts";
import type { DateField } from "./date.ts";
import { EngineResponse } from "./engine-response.ts";
import { HttpError } from "./fault.ts";
import { LightRequest, type RequestOrigin } from "./light-request.ts";
import { LightResponse } from "./light-response.ts";
import { failed, gotData, gotEnd, gotHead, type MessageEvent, needInput } from "./message-event.ts";
import { OutputBuffer } from "./output-buffer.ts";
import type { RequestUrl } from "./request-url.ts";
import {
  type BodySending,
  type ConnectionLimits,
  sendChunked,
  sendLength,
  sendNothing,
  ServerConnection,
} from "./server-connection.ts";

/** An application: a request in, a response out. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** Milliseconds that a connection may take, each at least 1; `Infinity` turns one off. */
export interface ServerTimeouts {
  /** From the first octet of a head to its last: then 408. */
  readonly head: number;
  /** Between two pieces of a request body: then 408, or a reset when the response has begun. */
  readonly body: number;
  /** Between requests, and before the first: then the connection is closed. */
  readonly idle: number;
  /** For the peer to take one piece of a response: then the connection is reset. */
  readonly write: number;
}

/** Counters of a server since it began. */
export interface ServerStatistics {
  connections: number;
  /** Connections reset at once because there were too many. */
  refused: number;
  requests: number;
  /** Requests that broke a rule. */
  faults: number;
  timeouts: number;
  /** Handlers that threw or gave no response. */
  failures: number;
  /** Connections lost while a request was under way. */
  lost: number;
}

/** What a session needs of its server. */
export interface SessionHost {
  readonly handler: Handler;
  readonly timers: Timers;
  readonly log: Log | undefined;
  readonly date: DateField;
  readonly limits: ConnectionLimits;
  readonly timeouts: ServerTimeouts;
  readonly statistics: ServerStatistics;
  readonly url: RequestUrl;
  readonly shelf: BufferShelf;
  readonly standardRequests: boolean;
}

const largestInput = 65_536;
/** A response body up to this size is copied behind its head, so that both are one write. */
const smallBody = 16_384;
/** What a peer must take within the time for a write: a long body is written in slices of this size. */
const writeSlice = 262_144;
/** Responses to pipelined requests are gathered up to this size. */
const gather = 32_768;

const phaseIdle = 0;
const phaseHead = 1;
const phaseBody = 2;
const phaseWrite = 3;
const phaseHandler = 4;

/** Drives one {@link ServerConnection} over a flow: reads, calls the handler, writes, watches the clock. */
export class ServerSession implements RequestOrigin {
  readonly #host: SessionHost;
  readonly #flow: Flow;
  readonly #connection: ServerConnection;
  readonly #out: OutputBuffer;
  readonly #timer: Timer;
  #input: Uint8Array;
  #start = 0;
  #end = 0;
  #ended = false;
  #filling: Promise<boolean> | undefined = undefined;
  /** The write under way, which owns the output buffer. */
  #writing: Promise<void> | undefined = undefined;
  #request: LightRequest | undefined = undefined;
  /** The request whose signal somebody holds, if it is the one under way. */
  #watched: LightRequest | undefined = undefined;
  /** The read of the body under way. */
  #bodyRead: Promise<Uint8Array | undefined> | undefined = undefined;
  #phase: number = phaseIdle;
  #deadline = Infinity;
  #stopping = false;
  #timedOut = false;
  #over = false;

  constructor(host: SessionHost, flow: Flow) {
    this.#host = host;
    this.#flow = flow;
    this.#input = host.shelf.take();
    this.#out = new OutputBuffer(host.shelf.take());
    this.#connection = new ServerConnection(host.limits, host.date);
    this.#timer = host.timers.timer(() => this.#expire());
  }

  /** Serves until the connection is over. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#serve();
      // The end of the flow follows at once, and leaves with the last octets: of a client that has the whole response and
      // no end yet many are the first to close, and run out of ports for it.
      await this.#flush(true);
    } catch (error) {
      this.#lose(error);
    }
    this.#over = true;
    this.#timer.cancel();
    await this.#flow.close();
    this.#giveBack();
  }

  /** The flow is over, and all its calls with it: the buffers are another connection's. */
  #giveBack(): void {
    const { shelf } = this.#host;
    shelf.give(this.#input);
    shelf.give(this.#out.bytes);
    this.#input = none;
    this.#out.bytes = none;
    this.#out.length = 0;
    this.#start = 0;
    this.#end = 0;
  }

  /** Ends the connection once the request under way is answered; at once when there is none. */
  stop(): void {
    this.#stopping = true;
    this.#connection.open = false;
    if (this.#connection.idle && this.#request === undefined) this.#shut();
  }

  /** Resets the connection, whatever is under way. */
  abort(): void {
    this.#lose(new HttpError("closed", "the server has closed"));
    // Also when all was said and the flow is only closing: a peer that never ends must not hold up the server.
    this.#flow.abort();
  }

  /** Closes in order: what was written is delivered, and the read that is pending rejects. */
  #shut(): void {
    this.#over = true;
    this.#connection.open = false;
    void this.#flow.close();
  }

  async #serve(): Promise<void> {
    const connection = this.#connection;
    for (;;) {
      let event = this.#next();
      while (event === needInput) {
        if (this.#out.length > 0) this.#send();
        const idle = connection.idle;
        if (idle && this.#stopping) return;
        if (idle) this.#enter(phaseIdle, this.#host.timeouts.idle);
        else if (this.#phase !== phaseHead) this.#enter(phaseHead, this.#host.timeouts.head);
        if (!(await this.#fill())) {
          if (!connection.idle && !this.#timedOut) this.#host.statistics.lost++;
          return;
        }
        event = this.#next();
      }
      if (event === failed) {
        await this.#refuse();
        return;
      }
      const pending = this.#exchange();
      if (pending !== undefined) await pending;
      if (!connection.open) return;
    }
  }

  #next(): MessageEvent {
    const connection = this.#connection;
    const event = connection.next(this.#input, this.#start, this.#end);
    this.#start = connection.consumed;
    return event;
  }

  /** Waits for input. False at its end. */
  #fill(): Promise<boolean> {
    return (this.#filling ??= this.#read());
  }

  async #read(): Promise<boolean> {
    if (this.#ended) {
      this.#filling = undefined;
      return false;
    }
    let into = this.#input;
    if (this.#start === this.#end) {
      this.#start = 0;
      this.#end = 0;
    } else {
      if (this.#end === into.length) {
        into.copyWithin(0, this.#start, this.#end);
        this.#end -= this.#start;
        this.#start = 0;
      }
      into = into.subarray(this.#end);
    }
    try {
      const length = await this.#flow.read(into);
      if (length === 0) {
        this.#ended = true;
        return false;
      }
      this.#end += length;
      if (length === into.length && this.#input.length < largestInput) this.#grow();
      return true;
    } finally {
      this.#filling = undefined;
    }
  }

  /** A read that fills the whole buffer means that there is more where it came from. */
  #grow(): void {
    const larger = new Uint8Array(this.#input.length * 4);
    larger.set(this.#input.subarray(this.#start, this.#end));
    this.#end -= this.#start;
    this.#start = 0;
    this.#input = larger;
  }

  #exchange(): Promise<void> | undefined {
    const connection = this.#connection;
    const head = connection.head;
    if (head === undefined) return undefined;
    const { statistics, handler } = this.#host;
    statistics.requests++;
    if (head.bodyLength === 0) this.#next();
    const { method, target } = head;
    if (method === "CONNECT" || method === "TRACE" || method === "TRACK") {
      return this.#reject(501, `${method} is not implemented`);
    }
    // A request that names no authority means this end.
    const authority = target.authority ?? head.host ?? formatEndpoint(this.#flow.local);
    const url = this.#host.url.resolve(authority, target.path);
    if (url === undefined) return this.#reject(400, "the host and the target make no URL");
    const request = new LightRequest(this, head, url);
    this.#request = request;
    this.#enter(phaseHandler, Infinity);
    let result: Response | Promise<Response>;
    try {
      result = handler(this.#host.standardRequests ? request.standard() : request);
    } catch (error) {
      result = this.#failure(error);
    }
    if (result instanceof Promise) return this.#later(request, result);
    return this.#respond(request, result);
  }

  async #later(request: LightRequest, result: Promise<Response>): Promise<void> {
    if (this.#out.length > 0) this.#send();
    let response: Response;
    try {
      response = await result;
    } catch (error) {
      response = this.#failure(error);
    }
    const pending = this.#respond(request, response);
    if (pending !== undefined) await pending;
  }

  #failure(error: unknown): Response {
    if (error instanceof HttpError && error.status >= 400 && !this.#connection.responded) {
      this.#connection.open = false;
      return new LightResponse(`${error.status} ${error.message}\n`, { status: error.status });
    }
    this.#host.statistics.failures++;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#host.log?.error("handler failed", { error: text, url: this.#request?.url });
    return new LightResponse("500 Internal Server Error\n", { status: 500 });
  }

  #respond(request: LightRequest, response: Response): Promise<void> | undefined {
    if (this.#over) return this.#forget(response);
    // Until the write under way is done its octets must stay as they are.
    if (this.#writing !== undefined) return this.#afterWrite(request, response);
    const names: string[] = [];
    const values: string[] = [];
    let body: BodyContent;
    try {
      if (response instanceof LightResponse) body = LightResponse.send(response, names, values);
      else {
        if (!(response instanceof EngineResponse)) throw new TypeError("the handler gave no Response");
        if (response.bodyUsed) throw new TypeError("the body of the response was already used");
        response.headers.forEach((value, name) => {
          names.push(name);
          values.push(value);
        });
        body = response.body;
      }
      if (response.status < 200) throw new RangeError(`a handler cannot answer with status ${response.status}`);
    } catch (error) {
      return this.#respond(request, this.#failure(error));
    }
    const { status, statusText } = response;
    if (body === null || typeof body === "string" || body instanceof Uint8Array) {
      const pending = this.#respondWhole(status, statusText, names, values, body);
      if (pending === undefined && this.#connection.received) {
        this.#request = undefined;
        return undefined;
      }
      return this.#finish(request, pending);
    }
    return this.#finish(request, this.#respondPulled(request, status, statusText, names, values, body));
  }

  /** Nobody is there to get the response: whoever produces its body is told. */
  async #forget(response: Response): Promise<void> {
    this.#request = undefined;
    if (!response.bodyUsed) await response.body?.cancel();
  }

  async #afterWrite(request: LightRequest, response: Response): Promise<void> {
    this.#enter(phaseWrite, this.#host.timeouts.write);
    await this.#writing;
    await this.#respond(request, response);
  }

  #respondWhole(
    status: number,
    statusText: string,
    names: readonly string[],
    values: readonly string[],
    body: string | Uint8Array | null,
  ): Promise<void> | undefined {
    const out = this.#out;
    const bytes = typeof body === "string" && body.length * 3 > smallBody ? encoder.encode(body) : body;
    const sized = bytes === null ? 0 : typeof bytes === "string" ? bytes : bytes.length;
    const sending = this.#connection.respond(out, status, statusText, names, values, sized);
    if (sending !== sendNothing && bytes instanceof Uint8Array) {
      if (bytes.length > smallBody) return this.#writeTwo(bytes);
      out.appendBytes(bytes);
    }
    return out.length > gather ? this.#flush() : undefined;
  }

  /** The output buffer, then `bytes` without a copy. */
  async #writeTwo(bytes: Uint8Array): Promise<void> {
    this.#enter(phaseWrite, this.#host.timeouts.write);
    if (this.#out.length > 0) await this.#flow.write(this.#out.view(), true);
    this.#out.clear();
    let at = 0;
    for (; bytes.length - at > writeSlice; at += writeSlice) {
      await this.#flow.write(bytes.subarray(at, at + writeSlice), true);
      this.#enter(phaseWrite, this.#host.timeouts.write);
    }
    await this.#flow.write(at === 0 ? bytes : bytes.subarray(at));
  }

  async #respondPulled(
    request: LightRequest,
    status: number,
    statusText: string,
    names: readonly string[],
    values: readonly string[],
    body: ReadableStream<Uint8Array> | BodySource,
  ): Promise<void> {
    const source = isSource(body) ? body : new StreamSource(body);
    const connection = this.#connection;
    const out = this.#out;
    try {
      if (connection.head?.method === "HEAD") {
        const length = source instanceof StreamSource ? await lengthAtOnce(source) : source.length;
        connection.respond(out, status, statusText, names, values, length);
        source.cancel();
        return;
      }
      let first: Uint8Array | undefined;
      let second: Promise<Uint8Array | undefined> | undefined;
      if (source instanceof StreamSource) {
        // Most streams hold one piece that was there from the start. To send it as one message with its length, see
        // whether the end comes without waiting for anything but the engine's own bookkeeping.
        first = await this.#firstPiece(request, source);
        if (first === undefined) {
          const pending = this.#respondWhole(status, statusText, names, values, null);
          if (pending !== undefined) await pending;
          return;
        }
        second = source.read();
        if (await endsAtOnce(second)) {
          const pending = this.#respondWhole(status, statusText, names, values, first);
          if (pending !== undefined) await pending;
          return;
        }
      }
      const sending = connection.respond(out, status, statusText, names, values, source.length);
      if (sending === sendNothing) source.cancel();
      else await this.#pump(request, source, sending, first, second);
    } catch (error) {
      source.cancel(error);
      if (this.#over) throw error;
      if (connection.responded) {
        // What the peer did is no failure of the handler.
        if (!(error instanceof FlowError || error instanceof HttpError)) this.#failure(error);
        throw error;
      }
      const pending = this.#respond(request, this.#failure(error));
      if (pending !== undefined) await pending;
    }
  }

  async #firstPiece(request: LightRequest, source: StreamSource): Promise<Uint8Array | undefined> {
    const reading = source.read();
    if (await isSettledSoon(reading)) return reading;
    // What was gathered must not wait for a slow body, and a client that leaves must not go unnoticed.
    if (this.#out.length > 0) await this.#flush();
    this.watch(request);
    return reading;
  }

  async #pump(
    request: LightRequest,
    source: BodySource,
    sending: BodySending,
    first: Uint8Array | undefined,
    second: Promise<Uint8Array | undefined> | undefined,
  ): Promise<void> {
    const out = this.#out;
    let left = sending === sendLength ? this.#connection.sendingLength : Infinity;
    let chunks = 0;
    let piece = first;
    let coming = second;
    for (;;) {
      if (piece === undefined) {
        const reading = coming ?? source.read();
        coming = undefined;
        if (out.length > 0 && !(await isSettledSoon(reading))) {
          await this.#flush();
          this.watch(request);
        }
        this.#enter(phaseHandler, Infinity);
        piece = await reading;
        if (piece === undefined) break;
      }
      if (this.#over) throw new HttpError("closed", "the connection is over");
      left -= piece.length;
      if (left < 0) throw new RangeError("the response body is longer than its content-length");
      if (sending === sendChunked) {
        out.reserve(maxChunkHead);
        out.length = writeChunkHead(out.bytes, out.length, piece.length, chunks === 0);
        chunks++;
      }
      if (piece.length <= smallBody) {
        out.appendBytes(piece);
        if (out.length > smallBody) await this.#flush(true);
      } else await this.#writeTwo(piece);
      piece = undefined;
    }
    if (sending === sendLength && left > 0)
      throw new RangeError("the response body is shorter than its content-length");
    if (sending === sendChunked) out.appendText(chunkedEnd(chunks === 0));
  }

  /** Reads what is left of the request body, up to a bound, so that the connection can go on. */
  async #finish(request: LightRequest, sent: Promise<void> | undefined): Promise<void> {
    if (sent !== undefined) await sent;
    const connection = this.#connection;
    if (!connection.received) await this.#flush();
    // From here on its body is nobody's: a handler that still reads would get what is not drained, a part as the whole.
    if (this.#request === request) this.#request = undefined;
    if (!connection.received && connection.open) await this.#drain();
  }

  async #drain(): Promise<void> {
    const connection = this.#connection;
    if (this.#bodyRead !== undefined) await this.#bodyRead.catch(() => undefined);
    let octets = 0;
    while (!connection.received) {
      const event = this.#next();
      if (event === needInput) {
        this.#enter(phaseBody, this.#host.timeouts.body);
        if (await this.#fill()) continue;
      } else if (event === gotData) octets += connection.dataLength;
      if (event === needInput || event === failed || octets > this.#host.limits.maxDrain) {
        connection.open = false;
        return;
      }
    }
  }

  async #refuse(): Promise<void> {
    const broken = this.#connection.fault;
    if (broken === undefined) return;
    this.#host.statistics.faults++;
    if (this.#writing !== undefined) await this.#writing;
    if (!this.#timedOut) this.#connection.refuse(this.#out, broken.status, broken.message);
    await this.#flush();
  }

  async #reject(status: number, message: string): Promise<void> {
    if (this.#writing !== undefined) await this.#writing;
    this.#connection.refuse(this.#out, status, message);
    await this.#flush();
  }

  /** Starts writing what was gathered; what comes next waits for it. */
  #send(more = false): void {
    // The octets in the buffer are on their way already; nothing is added to them until they have gone.
    if (this.#writing !== undefined) return;
    const writing = this.#flow.write(this.#out.view(), more).then(this.#written, this.#writeFailed);
    this.#writing = writing;
  }

  readonly #written = (): void => {
    this.#writing = undefined;
    this.#out.clear();
  };

  readonly #writeFailed = (error: unknown): void => {
    this.#written();
    this.#lose(error);
  };

  /** Writes what was gathered and waits until it is taken. */
  async #flush(more = false): Promise<void> {
    if (this.#writing === undefined && this.#out.length > 0) this.#send(more);
    if (this.#writing === undefined) return;
    this.#enter(phaseWrite, this.#host.timeouts.write);
    await this.#writing;
    if (this.#over) throw new HttpError("closed", "the connection is over");
  }

  readBody(request: LightRequest): Promise<Uint8Array | undefined> {
    if (this.#request !== request || this.#over) {
      return Promise.reject(new HttpError("closed", "the request is over, and its body with it"));
    }
    if (this.#bodyRead !== undefined) return Promise.reject(new TypeError("the body is being read"));
    const reading = this.#readPiece(request);
    this.#bodyRead = reading;
    const done = (): void => {
      this.#bodyRead = undefined;
    };
    reading.then(done, done);
    return reading;
  }

  async #readPiece(request: LightRequest): Promise<Uint8Array | undefined> {
    const connection = this.#connection;
    if (connection.received) return undefined;
    connection.bodyWanted = true;
    if (this.#writing !== undefined) await this.#writing;
    for (;;) {
      switch (this.#next()) {
        case gotData:
          return this.#input.slice(connection.dataOffset, connection.dataOffset + connection.dataLength);
        case gotEnd:
        case gotHead:
          this.#enter(phaseHandler, Infinity);
          if (this.#watched === request) void this.#watch(request);
          return undefined;
        case failed: {
          const broken = connection.fault;
          this.#host.statistics.faults++;
          throw broken === undefined ? new HttpError("closed", "the connection is over") : HttpError.of(broken);
        }
        default:
          if (connection.wantBody(this.#out)) await this.#flush();
          this.#enter(phaseBody, this.#host.timeouts.body);
          if (!(await this.#fillBody())) {
            const error = this.#timedOut
              ? new HttpError("timeout", "the client stopped sending its request body")
              : new HttpError("truncated", "the client ended inside its request body");
            connection.open = false;
            LightRequest.abort(request, error);
            throw error;
          }
      }
    }
  }

  async #fillBody(): Promise<boolean> {
    try {
      return await this.#fill();
    } catch (error) {
      if (this.#timedOut) return false;
      this.#lose(error);
      throw error;
    }
  }

  cancelBody(): void {
    // What is left is drained, or the connection closed, once the response is sent.
  }

  watch(request: LightRequest): void {
    if (this.#request !== request || this.#over) return;
    this.#watched = request;
    void this.#watch(request);
  }

  async #watch(request: LightRequest): Promise<void> {
    try {
      while (this.#request === request && (this.#end < this.#input.length || this.#start === this.#end)) {
        if (this.#filling !== undefined || !this.#connection.received) return;
        if (await this.#fill()) continue;
        LightRequest.abort(request, new HttpError("closed", "the client has gone"));
        return;
      }
    } catch (error) {
      this.#lose(error);
    }
  }

  /** The connection is lost, or something failed after the response had begun: reset, so that no half looks whole. */
  #lose(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection.open = false;
    const request = this.#request;
    if (request !== undefined) {
      this.#host.statistics.lost++;
      this.#host.log?.debug("connection lost", { error: String(error), url: request.url });
      LightRequest.abort(request, error);
    }
    this.#flow.abort();
  }

  #enter(phase: number, timeout: number): void {
    this.#phase = phase;
    if (timeout === Infinity) {
      this.#deadline = Infinity;
      return;
    }
    const deadline = this.#host.timers.now() + timeout;
    this.#deadline = deadline;
    // The timer is moved only to be earlier: when it fires too early it is set again, and most never fire.
    if (this.#timer.deadline > deadline) this.#timer.set(deadline);
  }

  #expire(): void {
    if (this.#over || this.#deadline === Infinity) return;
    if (this.#host.timers.now() < this.#deadline) {
      this.#timer.set(this.#deadline);
      return;
    }
    this.#timedOut = true;
    this.#connection.open = false;
    if (this.#phase !== phaseIdle) this.#host.statistics.timeouts++;
    const slow = new HttpError("timeout", "the client was too slow");
    const responded = this.#connection.responded && this.#phase !== phaseHead;
    if (this.#phase === phaseWrite || (this.#phase === phaseBody && responded)) {
      this.#lose(slow);
      return;
    }
    if (this.#phase !== phaseIdle && this.#writing === undefined) {
      this.#connection.refuse(this.#out, 408, "the request took too long");
      this.#send();
    }
    this.#shut();
    if (this.#request !== undefined) LightRequest.abort(this.#request, slow);
  }
}

const encoder = new TextEncoder();
const none = new Uint8Array(0);

const turnOfQueue = Promise.resolve();

/** Whether `promise` settles within a few turns of the microtask queue, without any input or output. */
async function isSettledSoon(promise: Promise<unknown>): Promise<boolean> {
  const seen = { settled: false };
  const settle = (): void => {
    seen.settled = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 8 && !seen.settled; turn++) await turnOfQueue;
  return seen.settled;
}

async function endsAtOnce(second: Promise<Uint8Array | undefined>): Promise<boolean> {
  return (await isSettledSoon(second)) && (await second) === undefined;
}

/** The length of a body that is there as one piece, without waiting for more. */
async function lengthAtOnce(source: BodySource): Promise<number | undefined> {
  const reading = source.read();
  if (!(await isSettledSoon(reading))) return undefined;
  const first = await reading;
  if (first === undefined) return 0;
  return (await endsAtOnce(source.read())) ? first.length : undefined;
}
