import type { Carrier, Line } from "./connection.ts";
import type { UpdateSource } from "./live-update.ts";
import { XenstoreServer, type Client, type Sockets, type XenstoreServerOptions } from "./server.ts";

/** Makes a server that goes on from a state: {@link XenstoreServer.restore}, of this or of newer code. */
export type Restore = (state: Uint8Array, options: XenstoreServerOptions) => XenstoreServer;

/** A client that stays while servers change. */
class StayingLine implements Line {
  readonly #carrier: Carrier;
  #line: Line | undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** Is served by another server from now on: what the one before says does not count any more. */
  attach(server: XenstoreServer, client: Client): void {
    let isCurrent = (): boolean => true;
    const line = server.connect(client, {
      wake: () => {
        if (isCurrent()) this.#carrier.wake();
      },
      closed: (reason) => {
        if (isCurrent()) this.#carrier.closed(reason);
      },
    });
    this.#line = line;
    isCurrent = () => this.#line === line;
  }

  /** Bytes that were not heard are offered again. */
  wake(): void {
    this.#carrier.wake();
  }

  get isOver(): boolean {
    return this.#line?.isOver ?? true;
  }

  get hasOutput(): boolean {
    return this.#line?.hasOutput ?? false;
  }

  receive(bytes: Uint8Array, offset: number, length: number): number {
    return this.#line?.receive(bytes, offset, length) ?? length;
  }

  take(into: Uint8Array, offset: number, length: number): number {
    return this.#line?.take(into, offset, length) ?? 0;
  }

  close(reason: string): void {
    this.#line?.close(reason);
  }
}

/**
 * A server that can be replaced by another, of newer code or after a fault, while its clients stay: sockets are kept
 * here, rings by `options.domains`. Nothing is lost: nodes, watches, transactions, half a request, what waits to be taken.
 */
export class LiveServer implements Sockets {
  readonly #options: XenstoreServerOptions;
  readonly #lines = new Map<number, StayingLine>();
  #server: XenstoreServer;
  #last = 0;
  /** How often it was replaced. */
  updates = 0;

  /**
   * @param load gives newer code; without it the present one begins anew from its state
   * @param state to begin with: none is an empty tree
   */
  constructor(
    options: Omit<XenstoreServerOptions, "sockets" | "updater">,
    load?: (source: UpdateSource, commandLine: string) => Promise<Restore>,
    state?: Uint8Array,
  ) {
    const restoreAgain: Restore = (bytes, given) => XenstoreServer.restore(bytes, given);
    this.#options = {
      ...options,
      sockets: this,
      updater: {
        load: async (source, commandLine) => {
          const restore = await (load?.(source, commandLine) ?? restoreAgain);
          return () => this.replace(restore);
        },
      },
    };
    this.#server =
      state === undefined ? new XenstoreServer(this.#options) : XenstoreServer.restore(state, this.#options);
  }

  /** The one that serves now. */
  get server(): XenstoreServer {
    return this.#server;
  }

  connect(client: Client, carrier: Carrier): Line {
    if (client.kind === "domain") return this.#server.connect(client, carrier);
    do this.#last = (this.#last + 1) & 0x7fff_ffff;
    while (this.#lines.has(this.#last));
    const socket = this.#last;
    const line = new StayingLine({
      wake: () => carrier.wake(),
      closed: (reason) => {
        this.#lines.delete(socket);
        carrier.closed(reason);
      },
    });
    this.#lines.set(socket, line);
    line.attach(this.#server, { kind: "local", socket });
    return line;
  }

  reattach(socket: number, server: XenstoreServer): boolean {
    const line = this.#lines.get(socket);
    line?.attach(server, { kind: "local", socket });
    return line !== undefined;
  }

  /**
   * Another server takes the present one's place. Not to be called in a call of the server's.
   *
   * @throws StateError, or what `restore` throws: the present one goes on then.
   */
  replace(restore: Restore): void {
    const before = this.#server;
    const state = before.save();
    try {
      this.#server = restore(state, this.#options);
    } catch (error) {
      // Clients that were handed on already come back.
      this.#server = XenstoreServer.restore(state, this.#options);
      before.retire();
      throw error;
    } finally {
      for (const line of [...this.#lines.values()]) line.wake();
    }
    before.retire();
    this.updates++;
  }
}
