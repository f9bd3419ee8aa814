/** Which client has which address. Pure bookkeeping; bounded by the pools, since each entry is of one address. */

/**
 * `offered`: kept for a moment for a client that was offered it. `bound`: leased. `free`: was somebody's, who gets it
 * again if it is still there. `declined`: somebody else uses it.
 */
export type GrantState = "offered" | "bound" | "free" | "declined";

/** What is known of one address. */
export class Grant {
  /** As `IpAddress.w3`. */
  readonly address: number;
  /** The client's name for us: its identifier or its MAC address, in hex. */
  client = "";
  state: GrantState = "free";
  /** When the state ends, on the `now()` axis. */
  expires = 0;
  hostName: string | undefined = undefined;
  /** Whether the client has renewed it once. */
  renewed = false;

  constructor(address: number) {
    this.address = address;
  }

  /** Whether nobody has it now. */
  isFree(now: number): boolean {
    return this.state === "free" || this.expires <= now;
  }
}

export class LeaseTable {
  readonly #byAddress = new Map<number, Grant>();
  readonly #byClient = new Map<string, Grant>();

  get size(): number {
    return this.#byAddress.size;
  }

  entries(): IterableIterator<Grant> {
    return this.#byAddress.values();
  }

  get(address: number): Grant | undefined {
    return this.#byAddress.get(address);
  }

  ofClient(client: string): Grant | undefined {
    return this.#byClient.get(client);
  }

  /** Gives an address to a client, and takes it from the one before. */
  assign(address: number, client: string): Grant {
    let grant = this.#byAddress.get(address);
    if (grant === undefined) {
      grant = new Grant(address);
      this.#byAddress.set(address, grant);
    }
    if (grant.client !== client) {
      this.#unlink(grant);
      grant.client = client;
      grant.hostName = undefined;
      grant.renewed = false;
    }
    const before = this.#byClient.get(client);
    // A client has one address: what it had goes.
    if (before !== undefined && before !== grant && before.state !== "declined") this.#byAddress.delete(before.address);
    this.#byClient.set(client, grant);
    return grant;
  }

  /** Takes an address from its client: somebody else uses it. */
  decline(address: number, until: number): void {
    const grant = this.#byAddress.get(address) ?? new Grant(address);
    this.#unlink(grant);
    grant.client = "";
    grant.state = "declined";
    grant.expires = until;
    this.#byAddress.set(address, grant);
  }

  #unlink(grant: Grant): void {
    if (this.#byClient.get(grant.client) === grant) this.#byClient.delete(grant.client);
  }
}
