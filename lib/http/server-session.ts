import { formatEndpoint } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import { type BodyContent, type BodySource, isSource, StreamSource } from "./body-content.ts";
import { sendBody, smallBody } from "./body-sender.ts";
import type { BufferShelf } from "./buffer-shelf.ts";
import type { DateField } from "./date.ts";
import { EngineResponse } from "./engine-response.ts";
import { HttpError } from "./fault.ts";
import type { Handler } from "./handler.ts";
import { InputBuffer } from "./input-buffer.ts";
import { LightRequest, type RequestOrigin } from "./light-request.ts";
import { LightResponse } from "./light-response.ts";
import { failed, gotData, gotEnd, gotHead, type MessageEvent, needInput } from "./message-event.ts";
import {
  phaseBody,
  phaseHandler,
  phaseHead,
  phaseIdle,
  phaseWrite,
  PhaseTimer,
  type ServerTimeouts,
} from "./phase-timer.ts";
import { ResponseWriter } from "./response-writer.ts";
import { type ConnectionLimits, sendChunked, sendLength, sendNothing, ServerConnection } from "./server-connection.ts";
import { endsAtOnce, isSettledSoon, lengthAtOnce } from "./settled.ts";
import type { TargetUris } from "./target-uris.ts";

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
  readonly targetUris: TargetUris;
  readonly shelf: BufferShelf;
  readonly standardRequests: boolean;
}

/** Responses to pipelined requests are gathered up to this size. */
const gather = 32_768;

/** Drives one {@link ServerConnection} over a flow: reads, calls the handler, writes, watches the clock. */
export class ServerSession implements RequestOrigin {
  readonly #host: SessionHost;
  readonly #flow: Flow;
  readonly #connection: ServerConnection;
  readonly #input: InputBuffer;
  readonly #writer: ResponseWriter;
  readonly #phases: PhaseTimer;
  #request: LightRequest | undefined = undefined;
  /** The request whose signal somebody holds, if it is the one under way. */
  #watched: LightRequest | undefined = undefined;
  /** The read of the body under way. */
  #bodyRead: Promise<Uint8Array | undefined> | undefined = undefined;
  #stopping = false;
  #timedOut = false;

  constructor(host: SessionHost, flow: Flow) {
    this.#host = host;
    this.#flow = flow;
    this.#connection = new ServerConnection(host.limits, host.date);
    this.#phases = new PhaseTimer(host.timers, host.timeouts, () => this.#expire());
    this.#input = new InputBuffer(flow, host.shelf.take());
    this.#writer = new ResponseWriter(flow, host.shelf.take(), this.#phases, (error) => this.#lose(error));
  }

  /** Serves until the connection is over. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#serve();
      // The end of the flow follows at once, and leaves with the last octets: of a client that has the whole response and
      // no end yet many are the first to close, and run out of ports for it.
      await this.#writer.flush(true);
    } catch (error) {
      this.#lose(error);
    }
    this.#writer.over = true;
    this.#phases.cancel();
    await this.#flow.close();
    // The flow is over, and all its calls with it: the buffers are another connection's.
    this.#host.shelf.give(this.#input.release());
    this.#host.shelf.give(this.#writer.release());
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
    this.#writer.over = true;
    this.#connection.open = false;
    void this.#flow.close();
  }

  async #serve(): Promise<void> {
    const connection = this.#connection;
    for (;;) {
      let event = this.#next();
      while (event === needInput) {
        if (this.#writer.out.length > 0) this.#writer.send();
        const idle = connection.idle;
        if (idle && this.#stopping) return;
        if (idle) this.#phases.enter(phaseIdle);
        else if (this.#phases.phase !== phaseHead) this.#phases.enter(phaseHead);
        if (!(await this.#input.fill())) {
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
    const input = this.#input;
    const event = connection.next(input.bytes, input.start, input.end);
    input.start = connection.consumed;
    return event;
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
    const url = this.#host.targetUris.resolve(authority, target.path);
    if (url === undefined) return this.#reject(400, "the host and the target make no URL");
    const request = new LightRequest(this, head, url);
    this.#request = request;
    this.#phases.enter(phaseHandler);
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
    if (this.#writer.out.length > 0) this.#writer.send();
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
    if (this.#writer.over) return this.#forget(response);
    // Until the write under way is done its octets must stay as they are.
    if (this.#writer.writing !== undefined) return this.#afterWrite(request, response);
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
    this.#phases.enter(phaseWrite);
    await this.#writer.writing;
    await this.#respond(request, response);
  }

  #respondWhole(
    status: number,
    statusText: string,
    names: readonly string[],
    values: readonly string[],
    body: string | Uint8Array | null,
  ): Promise<void> | undefined {
    const out = this.#writer.out;
    const bytes = typeof body === "string" && body.length * 3 > smallBody ? encoder.encode(body) : body;
    const sized = bytes === null ? 0 : typeof bytes === "string" ? bytes : bytes.length;
    const sending = this.#connection.respond(out, status, statusText, names, values, sized);
    if (sending !== sendNothing && bytes instanceof Uint8Array) {
      if (bytes.length > smallBody) return this.#writer.writeBehind(bytes);
      out.appendBytes(bytes);
    }
    return out.length > gather ? this.#writer.flush() : undefined;
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
    const out = this.#writer.out;
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
      else {
        const length = sending === sendLength ? connection.sendingLength : Infinity;
        const begun = { first, second };
        await sendBody(this.#writer, this.#phases, source, sending === sendChunked, length, begun, () =>
          this.watch(request),
        );
      }
    } catch (error) {
      source.cancel(error);
      if (this.#writer.over) throw error;
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
    if (this.#writer.out.length > 0) await this.#writer.flush();
    this.watch(request);
    return reading;
  }

  /** Reads what is left of the request body, up to a bound, so that the connection can go on. */
  async #finish(request: LightRequest, sent: Promise<void> | undefined): Promise<void> {
    if (sent !== undefined) await sent;
    const connection = this.#connection;
    if (!connection.received) await this.#writer.flush();
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
        this.#phases.enter(phaseBody);
        if (await this.#input.fill()) continue;
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
    if (this.#writer.writing !== undefined) await this.#writer.writing;
    if (!this.#timedOut) this.#connection.refuse(this.#writer.out, broken.status, broken.message);
    await this.#writer.flush();
  }

  async #reject(status: number, message: string): Promise<void> {
    if (this.#writer.writing !== undefined) await this.#writer.writing;
    this.#connection.refuse(this.#writer.out, status, message);
    await this.#writer.flush();
  }

  readBody(request: LightRequest): Promise<Uint8Array | undefined> {
    if (this.#request !== request || this.#writer.over) {
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
    if (this.#writer.writing !== undefined) await this.#writer.writing;
    for (;;) {
      switch (this.#next()) {
        case gotData:
          return this.#input.bytes.slice(connection.dataOffset, connection.dataOffset + connection.dataLength);
        case gotEnd:
        case gotHead:
          this.#phases.enter(phaseHandler);
          if (this.#watched === request) void this.#watch(request);
          return undefined;
        case failed: {
          const broken = connection.fault;
          this.#host.statistics.faults++;
          throw broken === undefined ? new HttpError("closed", "the connection is over") : HttpError.of(broken);
        }
        default:
          if (connection.wantBody(this.#writer.out)) await this.#writer.flush();
          this.#phases.enter(phaseBody);
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
      return await this.#input.fill();
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
    if (this.#request !== request || this.#writer.over) return;
    this.#watched = request;
    void this.#watch(request);
  }

  async #watch(request: LightRequest): Promise<void> {
    try {
      while (this.#request === request && this.#input.hasRoom) {
        if (this.#input.filling || !this.#connection.received) return;
        if (await this.#input.fill()) continue;
        LightRequest.abort(request, new HttpError("closed", "the client has gone"));
        return;
      }
    } catch (error) {
      this.#lose(error);
    }
  }

  /** The connection is lost, or something failed after the response had begun: reset, so that no half looks whole. */
  #lose(error: unknown): void {
    if (this.#writer.over) return;
    this.#writer.over = true;
    this.#connection.open = false;
    const request = this.#request;
    if (request !== undefined) {
      this.#host.statistics.lost++;
      this.#host.log?.debug("connection lost", { error: String(error), url: request.url });
      LightRequest.abort(request, error);
    }
    this.#flow.abort();
  }

  #expire(): void {
    if (this.#writer.over) return;
    this.#timedOut = true;
    this.#connection.open = false;
    if (this.#phases.phase !== phaseIdle) this.#host.statistics.timeouts++;
    const slow = new HttpError("timeout", "the client was too slow");
    const responded = this.#connection.responded && this.#phases.phase !== phaseHead;
    if (this.#phases.phase === phaseWrite || (this.#phases.phase === phaseBody && responded)) {
      this.#lose(slow);
      return;
    }
    if (this.#phases.phase !== phaseIdle && this.#writer.writing === undefined) {
      this.#connection.refuse(this.#writer.out, 408, "the request took too long");
      this.#writer.send();
    }
    this.#shut();
    if (this.#request !== undefined) LightRequest.abort(this.#request, slow);
  }
}

const encoder = new TextEncoder();
