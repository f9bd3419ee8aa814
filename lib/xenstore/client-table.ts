import { Connection, type Answerer, type Carrier } from "./connection.ts";
import type { ClientNumber } from "./journal.ts";
import type { Limits } from "./limits.ts";
import { domainPath } from "./path.ts";
import type { Actor } from "./permissions.ts";
import type { Serves } from "./serve.ts";
import type { Client, XenstoreServerOptions } from "./server-options.ts";
import type { SavedConnection } from "./state.ts";

/** A domain that was introduced. */
export interface Domain {
  connection: Connection | undefined;
  target: number;
  readonly port: number;
}

export const master: Actor = { domain: 0, target: -1, privileged: true };

/** A server's clients: domains that were introduced or have connected, and programs with sockets. */
export class ClientTable {
  readonly domains = new Map<number, Domain>();
  /** Those whose sockets have numbers. */
  readonly sockets = new Map<number, Connection>();
  readonly #server: Answerer & Serves;
  readonly #limits: Limits;
  readonly #options: XenstoreServerOptions;

  constructor(server: Answerer & Serves, limits: Limits, options: XenstoreServerOptions) {
    this.#server = server;
    this.#limits = limits;
    this.#options = options;
  }

  get size(): number {
    return this.domains.size + this.sockets.size;
  }

  *connections(): IterableIterator<Connection> {
    for (const { connection } of this.domains.values()) if (connection !== undefined) yield connection;
    yield* this.sockets.values();
  }

  /** By its number in a journal. */
  byNumber(client: ClientNumber): Connection | undefined {
    return client >= 0 ? this.sockets.get(client) : this.domains.get(-1 - client)?.connection;
  }

  /** A new client. Whoever has its number loses its connection. */
  connect(client: Client, carrier: Carrier): Connection {
    if (client.kind === "local") {
      const local = new Connection(master, domainPath(0), this.#server, carrier, this.#limits);
      if (client.socket !== undefined) {
        this.sockets.get(client.socket)?.close("another client has its number");
        this.sockets.set(client.socket, local);
        local.socket = client.socket;
      }
      return local;
    }
    const { domain } = client;
    const known = this.domains.get(domain);
    known?.connection?.close("the domain was connected anew");
    const actor: Actor = { domain, target: known?.target ?? -1, privileged: domain === 0 };
    const connection = new Connection(actor, domainPath(domain), this.#server, carrier, this.#limits);
    if (known === undefined) this.domains.set(domain, { connection, target: -1, port: 0 });
    else known.connection = connection;
    return connection;
  }

  /** A client is gone. */
  forget(connection: Connection): void {
    if (this.sockets.get(connection.socket) === connection) this.sockets.delete(connection.socket);
    const known = this.domains.get(connection.actor.domain);
    if (known?.connection === connection) known.connection = undefined;
  }

  /** A domain is introduced, perhaps again: whoever brings its bytes connects it. False: it cannot be reached. */
  introduce(domain: number, frame: number, port: number): boolean {
    const isNew = !this.domains.has(domain);
    if (isNew) this.domains.set(domain, { connection: undefined, target: -1, port });
    const { domains } = this.#options;
    if (domains === undefined || domains.introduce(domain, frame, port, this.#server)) return true;
    if (isNew) this.domains.delete(domain);
    return false;
  }

  /** A domain acts for another one, too, from now on. */
  setTarget(domain: Domain, target: number): void {
    domain.target = target;
    const { connection } = domain;
    if (connection !== undefined) connection.actor = { ...connection.actor, target };
  }

  /** A domain of the server before: its ring is where it was. Undefined: it is not there any more. */
  reachAgain({ domain, target, port }: Pick<SavedConnection, "domain" | "target" | "port">): Connection | undefined {
    const known: Domain = { connection: undefined, target, port };
    this.domains.set(domain, known);
    const isThere = this.#options.domains?.introduce(domain, -1, port, this.#server) ?? false;
    if (isThere) this.setTarget(known, target);
    return isThere ? known.connection : undefined;
  }

  /** A client with a socket of the server before. Undefined: it left. */
  reattach(socket: number): Connection | undefined {
    const isThere = this.#options.sockets?.reattach(socket, this.#server) ?? false;
    return isThere ? this.sockets.get(socket) : undefined;
  }
}
