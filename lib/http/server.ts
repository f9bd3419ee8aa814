import type { Endpoint, IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Flow } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Tcp, TcpListener } from "@tesserae/device/tcp";
import { BufferShelf } from "./buffer-shelf.ts";
import { DateField } from "./date.ts";
import type { Handler } from "./handler.ts";
import { bridgeRequest } from "./light-request.ts";
import type { ServerTimeouts } from "./phase-timer.ts";
import type { ConnectionLimits } from "./server-connection.ts";
import { ServerSession, type ServerStatistics } from "./server-session.ts";
import { TargetUris } from "./target-uris.ts";

/** Bounds of a server; see {@link ConnectionLimits} for those of one connection. */
export interface ServerLimits extends ConnectionLimits {
  /** Connections at one time; one more is reset. */
  readonly maxConnections: number;
}

/** 8 KiB lines, 16 KiB heads of 100 fields, bodies of any size, 100,000 requests on each of 10,000 connections. */
export const defaultLimits: ServerLimits = {
  maxStartLine: 8192,
  maxHead: 16_384,
  maxFields: 100,
  maxBody: Infinity,
  maxRequests: 100_000,
  maxDrain: 65_536,
  maxConnections: 10_000,
};

/** 30 s for a head, for each piece of a body and for each write; a minute idle. */
export const defaultTimeouts: ServerTimeouts = { head: 30_000, body: 30_000, idle: 60_000, write: 30_000 };

export interface ServeOptions {
  readonly tcp: Tcp;
  readonly timers: Timers;
  /** 0 takes a free port. */
  readonly port: number;
  /** One of our addresses; absent is all of them. */
  readonly address?: IpAddress;
  /** When aborted the server closes as by {@link HttpServer.close}. */
  readonly signal?: AbortSignal;
  /** Gets failures of the handler (error) and lost connections (debug). */
  readonly log?: Log;
  readonly limits?: Partial<ServerLimits>;
  readonly timeouts?: Partial<ServerTimeouts>;
  /** Of the URLs that requests get; default `http`. */
  readonly scheme?: "http" | "https";
  /** Milliseconds that requests under way get when the server closes; default 10,000. */
  readonly grace?: number;
  /**
   * Gives the handler the engine's own `Request` instead of a light one: slower, but the engine takes it wherever it
   * wants a `Request` of its own, as in `new Request(request)`. Default false.
   */
  readonly standardRequests?: boolean;
}

export interface HttpServer {
  readonly local: Endpoint;
  readonly statistics: Readonly<ServerStatistics>;
  /** Connections now. */
  readonly active: number;
  /** Resolves when the server has closed, by whatever cause. */
  readonly closed: Promise<void>;

  /**
   * Stops accepting, closes idle connections, lets requests under way finish for `grace` milliseconds, then resets what
   * is left. Resolves when all of that is done. Idempotent.
   */
  close(grace?: number): Promise<void>;
}

/**
 * Serves HTTP/1.1 (RFC 9112) on a port. Each request goes to `handler`; what it throws, or rejects with, is answered
 * with 500 and logged.
 *
 * @throws FlowError (rejects) as `Tcp.listen`; RangeError for a limit or timeout that is not positive.
 */
export async function serve(options: ServeOptions, handler: Handler): Promise<HttpServer> {
  bridgeRequest();
  const server = new Server(options, handler);
  await server.listen();
  return server;
}

class Server implements HttpServer {
  readonly limits: ServerLimits;
  readonly timeouts: ServerTimeouts;
  readonly handler: Handler;
  readonly timers: Timers;
  readonly log: Log | undefined;
  readonly date: DateField;
  readonly targetUris: TargetUris;
  readonly shelf: BufferShelf = new BufferShelf();
  readonly standardRequests: boolean;
  readonly statistics: ServerStatistics = {
    connections: 0,
    refused: 0,
    requests: 0,
    faults: 0,
    timeouts: 0,
    failures: 0,
    lost: 0,
  };
  readonly closed: Promise<void>;
  readonly #options: ServeOptions;
  readonly #sessions = new Set<ServerSession>();
  readonly #grace: number;
  #listener: TcpListener | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  #idle: (() => void) | undefined = undefined;
  #resolveClosed: () => void = () => undefined;
  readonly #onAbort = (): void => void this.close();

  constructor(options: ServeOptions, handler: Handler) {
    this.#options = options;
    this.handler = handler;
    this.timers = options.timers;
    this.log = options.log;
    this.date = new DateField(options.timers);
    this.limits = { ...defaultLimits, ...options.limits };
    this.timeouts = { ...defaultTimeouts, ...options.timeouts };
    this.targetUris = new TargetUris(options.scheme ?? "http");
    this.standardRequests = options.standardRequests ?? false;
    this.#grace = options.grace ?? 10_000;
    for (const [name, value] of Object.entries({ ...this.limits, ...this.timeouts })) {
      if (!(value >= (name === "maxBody" || name === "maxDrain" ? 0 : 1))) {
        throw new RangeError(`${name} ${value} is not a positive number`);
      }
    }
    if (this.limits.maxStartLine > this.limits.maxHead) throw new RangeError("maxStartLine is above maxHead");
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  get local(): Endpoint {
    const listener = this.#listener;
    if (listener === undefined) throw new TypeError("the server does not listen yet");
    return listener.local;
  }

  get active(): number {
    return this.#sessions.size;
  }

  async listen(): Promise<void> {
    const { tcp, port, address, signal } = this.#options;
    signal?.throwIfAborted();
    const at = address === undefined ? { port } : { port, address };
    this.#listener = await tcp.listen({ ...at, noDelay: true }, (flow) => this.#accept(flow));
    if (signal?.aborted === true) await this.close();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  close(grace = this.#grace): Promise<void> {
    return (this.#closing ??= this.#close(grace));
  }

  async #close(grace: number): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    await this.#listener?.close();
    for (const session of this.#sessions) session.stop();
    if (this.#sessions.size > 0) {
      const timer = this.timers.timer(() => {
        for (const session of this.#sessions) session.abort();
      });
      timer.set(this.timers.now() + grace);
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
      timer.cancel();
    }
    this.#resolveClosed();
  }

  async #accept(flow: Flow): Promise<void> {
    this.statistics.connections++;
    if (this.#closing !== undefined || this.#sessions.size >= this.limits.maxConnections) {
      this.statistics.refused++;
      flow.abort();
      return;
    }
    const session = new ServerSession(this, flow);
    this.#sessions.add(session);
    await session.run();
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#idle?.();
  }
}
