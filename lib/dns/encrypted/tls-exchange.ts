import type { Endpoint, IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import { withTimeout } from "@tesserae/time/sleep";
import { MessageStream } from "../message-stream.ts";
import type { Exchange, ExchangeRequest } from "../recursive/upstream.ts";

/** A server that is asked over TLS alone (RFC 8310 §5: the strict profile). */
export interface TlsServer {
  readonly address: IpAddress;
  /** What its certificate must be for. */
  readonly name: string;
  /** Default 853. */
  readonly port?: number;
}

export interface TlsExchangeOptions {
  readonly servers: readonly TlsServer[];
  /** Opens a connection whose certificate is for `name`; rejects when it is not. */
  readonly connect: (where: Endpoint, name: string, signal: AbortSignal) => Promise<Flow>;
  readonly timers: Timers;
  /** Asks all other servers. */
  readonly otherwise: Exchange;
  /** Questions at once on one connection; more fail. Default 1,000. */
  readonly outstanding?: number;
  /** How long a connection without questions is kept, milliseconds. Default 10,000. */
  readonly idle?: number;
}

/**
 * DNS over TLS (RFC 7858) for servers that have a name: one connection each, kept and shared, with answers in any order
 * (RFC 7766 §6.2.1). What cannot be asked over TLS is not asked.
 */
export function createTlsExchange(options: TlsExchangeOptions): Exchange {
  const servers = new Map<string, TlsConnection>();
  for (const server of options.servers) servers.set(server.address.toString(), new TlsConnection(options, server));
  return (request) => {
    const server = servers.get(request.server.address.toString());
    return server === undefined ? options.otherwise(request) : server.exchange(request);
  };
}

/** A question on its way. */
interface Waiting {
  readonly request: ExchangeRequest;
  readonly done: (isAnswered: boolean) => void;
}

class TlsConnection {
  readonly #options: TlsExchangeOptions;
  readonly #server: TlsServer;
  readonly #idleTimer: Timer;
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  constructor(options: TlsExchangeOptions, server: TlsServer) {
    this.#options = options;
    this.#server = server;
    this.#idleTimer = options.timers.timer(() => this.#opened?.close());
  }

  async exchange(request: ExchangeRequest): ReturnType<Exchange> {
    const { timers } = this.#options;
    try {
      const isAnswered = await withTimeout(
        timers,
        request.timeout,
        (signal) => this.#ask(request, signal),
        request.signal,
      );
      return isAnswered ? "accepted" : "unreachable";
    } catch (error) {
      const isTimeout = error instanceof Error && (error.name === "TimeoutError" || request.signal.aborted);
      return isTimeout ? "timeout" : "unreachable";
    }
  }

  /** A connection that was kept may have ended just now: then once more on a new one (RFC 7766 §6.2.4). */
  async #ask(request: ExchangeRequest, signal: AbortSignal): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      const wasOpen = this.#opened !== undefined;
      const opened = this.#opened ?? (await this.#open());
      this.#idleTimer.cancel();
      const isAnswered = await opened.ask(request, signal);
      if (opened.isIdle) this.#idleTimer.set(this.#options.timers.now() + (this.#options.idle ?? 10_000));
      if (isAnswered || !wasOpen || tries > 0 || signal.aborted) return isAnswered;
    }
  }

  /** Whoever asks while it is being opened waits for the same. */
  #open(): Promise<Opened> {
    const { connect, timers, outstanding = 1000 } = this.#options;
    const { address, port = 853, name } = this.#server;
    // Not the question's signal: another one may want the connection.
    this.#opening ??= withTimeout(timers, 10_000, (signal) => connect({ address, port }, name, signal))
      .then((flow) => {
        const opened = new Opened(flow, outstanding, () => {
          if (this.#opened === opened) this.#opened = undefined;
        });
        this.#opened = opened;
        return opened;
      })
      .finally(() => (this.#opening = undefined));
    return this.#opening;
  }
}

/** One connection, and the questions on it by numbers of its own. */
class Opened {
  readonly #flow: Flow;
  readonly #stream: MessageStream;
  readonly #most: number;
  readonly #gone: () => void;
  readonly #waiting = new Map<number, Waiting>();
  /** Writes go out one after the other. */
  #writing: Promise<void> = Promise.resolve();
  #next = 0;
  #isClosed = false;

  constructor(flow: Flow, most: number, gone: () => void) {
    this.#flow = flow;
    this.#stream = new MessageStream(flow);
    this.#most = most;
    this.#gone = gone;
    void this.#read();
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  /** False when the connection ended first, or has too much to do. */
  ask(request: ExchangeRequest, signal: AbortSignal): Promise<boolean> {
    if (this.#isClosed || this.#waiting.size >= this.#most) return Promise.resolve(false);
    // Questions of different askers may have one number.
    while (this.#waiting.has(this.#next)) this.#next = (this.#next + 1) & 0xffff;
    const id = this.#next;
    this.#next = (this.#next + 1) & 0xffff;
    const query = request.query.slice();
    query[0] = id >>> 8;
    query[1] = id & 255;
    return new Promise((resolve) => {
      const abort = (): void => done(false);
      const done = (isAnswered: boolean): void => {
        signal.removeEventListener("abort", abort);
        this.#waiting.delete(id);
        resolve(isAnswered);
      };
      signal.addEventListener("abort", abort, { once: true });
      this.#waiting.set(id, { request, done });
      this.#writing = this.#writing.then(() => this.#stream.write(query)).catch(() => this.close());
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#gone();
    for (const { done } of [...this.#waiting.values()]) done(false);
    void this.#flow.close();
  }

  /** Never rejects. */
  async #read(): Promise<void> {
    try {
      for (let message = await this.#stream.read(); message !== undefined; message = await this.#stream.read()) {
        const waiting = this.#waiting.get(((message[0] ?? 0) << 8) | (message[1] ?? 0));
        // To a question that was given up.
        if (waiting === undefined || message.length < 12) continue;
        const answer = message.slice();
        answer.set(waiting.request.query.subarray(0, 2));
        if (waiting.request.accept(answer, 0, answer.length)) waiting.done(true);
      }
    } catch {
      // The connection broke: as if it had ended.
    }
    this.close();
  }
}
