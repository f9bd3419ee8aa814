import type { Timers } from "@tesserae/device/clock";
import { IpAddress } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { ResolveError, type Resolver } from "@tesserae/device/resolver";
import type { Tcp } from "@tesserae/device/tcp";
import { connectAny } from "@tesserae/dns/happy-eyeballs";
import { ClientConnection, type ClientTimeouts } from "./client-connection.ts";
import { HttpError } from "./fault.ts";
import type { HeadLimits } from "./head-reader.ts";

/** Bounds of a client. */
export interface ClientLimits extends HeadLimits {
  /** Connections to one origin, idle ones included. */
  readonly maxPerOrigin: number;
  /** Idle connections to all origins; the oldest is closed for one more. */
  readonly maxIdle: number;
  /** Requests that wait for a connection to one origin; one more is refused. */
  readonly maxWaiting: number;
  /** Redirects followed for one request. */
  readonly maxRedirects: number;
}

export interface PoolOptions {
  readonly tcp: Tcp;
  readonly resolver: Resolver | undefined;
  readonly timers: Timers;
  readonly limits: ClientLimits;
  readonly timeouts: ClientTimeouts;
}

interface Waiter {
  readonly give: (connection: ClientConnection | undefined) => void;
  readonly refuse: (error: Error) => void;
}

interface Origin {
  readonly name: string;
  /** The one freed last is last, and taken first. */
  readonly idle: ClientConnection[];
  readonly waiting: Waiter[];
  /** Open or opening. */
  count: number;
}

/** Connections kept for further requests, by origin. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #origins = new Map<string, Origin>();
  /** Every idle connection, the oldest first. */
  readonly #idle = new Map<ClientConnection, Origin>();
  readonly #all = new Set<ClientConnection>();
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /**
   * An idle connection to the host, or a new one, or the next that gets free.
   *
   * @param fresh not an idle one
   * @throws HttpError (rejects) `exhausted` when too many wait; FlowError; ResolveError; the reason of `signal`.
   */
  async take(host: string, port: number, fresh: boolean, signal: AbortSignal | undefined): Promise<ClientConnection> {
    if (this.#closed) throw new HttpError("closed", "the client is closed");
    const name = `${host}:${port}`;
    let origin = this.#origins.get(name);
    if (origin === undefined) {
      origin = { name, idle: [], waiting: [], count: 0 };
      this.#origins.set(name, origin);
    }
    for (;;) {
      const idle = origin.idle.pop();
      if (idle !== undefined) {
        this.#idle.delete(idle);
        if (!fresh) return idle;
        origin.count--;
        this.#all.delete(idle);
        void idle.close();
      } else if (origin.count < this.#options.limits.maxPerOrigin) return this.#open(origin, host, port, signal);
      else {
        const given = await this.#wait(origin, signal);
        if (given !== undefined) return given;
      }
    }
  }

  /** Closes every connection and refuses whoever waits. */
  async close(): Promise<void> {
    this.#closed = true;
    const error = new HttpError("closed", "the client is closed");
    for (const origin of this.#origins.values()) for (const waiter of origin.waiting.splice(0)) waiter.refuse(error);
    const closing: Promise<void>[] = [];
    for (const connection of this.#all) {
      if (this.#idle.has(connection)) closing.push(connection.close());
      else connection.destroy(error);
    }
    this.#idle.clear();
    this.#all.clear();
    this.#origins.clear();
    await Promise.all(closing);
  }

  async #open(origin: Origin, host: string, port: number, signal: AbortSignal | undefined): Promise<ClientConnection> {
    const { timers, timeouts, limits } = this.#options;
    origin.count++;
    try {
      const flow = await this.#connect(host, port, signal);
      const connection = new ClientConnection(flow, timers, timeouts, limits, (freed) => this.#freed(origin, freed));
      if (this.#closed) {
        flow.abort();
        throw new HttpError("closed", "the client is closed");
      }
      this.#all.add(connection);
      return connection;
    } catch (error) {
      origin.count--;
      this.#serveWaiting(origin, undefined);
      throw signal?.aborted === true ? signal.reason : error;
    }
  }

  async #connect(host: string, port: number, signal: AbortSignal | undefined): Promise<Flow> {
    const { tcp, resolver, timers, timeouts } = this.#options;
    const literal = IpAddress.tryParse(host.startsWith("[") ? host.slice(1, -1) : host);
    let addresses: readonly IpAddress[];
    if (literal !== undefined) addresses = [literal];
    else if (resolver === undefined) throw new ResolveError("not-found", host, `no resolver to ask for ${host}`);
    else addresses = await resolver.resolve(host, signal === undefined ? {} : { signal });
    if (addresses.length === 0) throw new ResolveError("not-found", host, `${host} has no address`);
    const options = { tcp, timers, addresses, port, noDelay: true };
    const timed = timeouts.connect === Infinity ? options : { ...options, timeout: timeouts.connect };
    return connectAny(signal === undefined ? timed : { ...timed, signal });
  }

  #wait(origin: Origin, signal: AbortSignal | undefined): Promise<ClientConnection | undefined> {
    if (origin.waiting.length >= this.#options.limits.maxWaiting) {
      return Promise.reject(new HttpError("exhausted", `too many requests wait for ${origin.name}`));
    }
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        const at = origin.waiting.indexOf(waiter);
        if (at >= 0) origin.waiting.splice(at, 1);
        // as: a signal's reason is whatever its owner chose
        reject(signal?.reason as Error);
      };
      const waiter: Waiter = {
        give: (connection) => {
          signal?.removeEventListener("abort", leave);
          resolve(connection);
        },
        refuse: (error) => {
          signal?.removeEventListener("abort", leave);
          reject(error);
        },
      };
      signal?.addEventListener("abort", leave, { once: true });
      origin.waiting.push(waiter);
    });
  }

  #freed(origin: Origin, connection: ClientConnection): void {
    if (!this.#all.has(connection)) return;
    if (connection.dead) {
      this.#all.delete(connection);
      this.#idle.delete(connection);
      const at = origin.idle.indexOf(connection);
      if (at >= 0) origin.idle.splice(at, 1);
      origin.count--;
      this.#serveWaiting(origin, undefined);
      return;
    }
    if (this.#serveWaiting(origin, connection)) return;
    origin.idle.push(connection);
    this.#idle.set(connection, origin);
    if (this.#idle.size <= this.#options.limits.maxIdle) return;
    for (const [oldest, owner] of this.#idle) {
      this.#idle.delete(oldest);
      this.#all.delete(oldest);
      owner.idle.splice(owner.idle.indexOf(oldest), 1);
      owner.count--;
      void oldest.close();
      this.#forget(owner);
      return;
    }
  }

  /** Gives a freed connection, or with `undefined` the room for a new one, to the first who waits. */
  #serveWaiting(origin: Origin, connection: ClientConnection | undefined): boolean {
    const waiter = origin.waiting.shift();
    if (waiter === undefined) {
      if (connection === undefined) this.#forget(origin);
      return false;
    }
    waiter.give(connection);
    return true;
  }

  #forget(origin: Origin): void {
    if (origin.count === 0 && origin.waiting.length === 0) this.#origins.delete(origin.name);
  }
}
