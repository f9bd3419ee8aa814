import { IpAddress } from "@tesserae/device/address";
import type { Arp } from "@tesserae/device/arp";
import type { Timers } from "@tesserae/device/clock";
import type { WritableKv } from "@tesserae/device/kv";
import type { Log } from "@tesserae/device/log";
import type { UdpSocket } from "@tesserae/device/udp";
import type { Icmp } from "../icmp/icmp.ts";
import type { Ipv4Interface } from "../ipv4/interface.ts";
import type { UdpService } from "../udp/udp.ts";
import type { Grant, GrantState } from "./lease-table.ts";
import type { DhcpPool } from "./pool.ts";
import { DhcpServer, type DhcpServerStatistics } from "./server.ts";
import { dhcpServerPort } from "./wire.ts";

export interface DhcpServiceOptions {
  /** Whose link is served; it has an address of its own. */
  readonly on: { readonly ipv4: Ipv4Interface; readonly arp: Arp };
  readonly udp: UdpService;
  readonly icmp: Icmp;
  readonly timers: Timers;
  /** The networks: that of the interface, and those behind relays. */
  readonly pools: readonly DhcpPool[];
  /** Keeps the leases over a restart; a lease is stored before it is granted. Without it they are forgotten. */
  readonly store?: WritableKv;
  /** Before each key in `store`. Default `leases/`. */
  readonly prefix?: string;
  readonly log?: Log | undefined;
  readonly check?: boolean;
  readonly authoritative?: boolean;
  readonly firstLease?: number;
}

/** A lease as an operator wants to see it. */
export interface DhcpServerLease {
  readonly address: IpAddress;
  /** The client's identifier or MAC address, in hex. */
  readonly client: string;
  readonly state: GrantState;
  /** On the `now()` axis. */
  readonly expires: number;
  readonly hostName: string | undefined;
}

/** A DHCP server on one interface. */
export interface DhcpService {
  readonly statistics: DhcpServerStatistics;
  leases(): readonly DhcpServerLease[];
  /** Stops answering; what waits to be stored is stored. */
  close(): Promise<void>;
}

/** How long an address that is to be offered is asked whether somebody has it, milliseconds. */
const checkTime = 500;

/**
 * Serves addresses (RFC 2131, RFC 2132). Takes UDP port 67 of the interface.
 *
 * @throws FlowError (rejects) `address-in-use`; RangeError when a pool makes no sense, or the interface has no address;
 * KvError when the store cannot be read.
 */
export async function createDhcpServer(options: DhcpServiceOptions): Promise<DhcpService> {
  const service = new InterfaceDhcpServer(options);
  await service.open();
  return service;
}

class InterfaceDhcpServer implements DhcpService {
  readonly #options: DhcpServiceOptions;
  readonly #server: DhcpServer;
  readonly #prefix: string;
  #socket: UdpSocket | undefined;
  /** Resolves when all that was to be stored is; `undefined`: nothing waits. */
  #storing: Promise<void> | undefined;

  constructor(options: DhcpServiceOptions) {
    const { on, timers, pools, check, authoritative, firstLease } = options;
    const address = on.ipv4.prefix?.address;
    if (address === undefined) throw new RangeError(`interface ${on.ipv4.name} has no address to serve DHCP from`);
    this.#options = options;
    this.#prefix = options.prefix ?? "leases/";
    this.#server = new DhcpServer({
      address,
      pools,
      clock: timers,
      actions: {
        send: (message, length, to) => this.#send(message, length, to.address, to.port),
        check: (asked) => void this.#check(asked),
        store: (grant) => this.#store(grant),
      },
      ...(check === undefined ? {} : { check }),
      ...(authoritative === undefined ? {} : { authoritative }),
      ...(firstLease === undefined ? {} : { firstLease }),
    });
  }

  get statistics(): DhcpServerStatistics {
    return this.#server.statistics;
  }

  leases(): readonly DhcpServerLease[] {
    return Array.from(this.#server.leases.entries(), ({ address, client, state, expires, hostName }) => ({
      address: IpAddress.v4(address),
      ...{ client, state, expires, hostName },
    }));
  }

  async open(): Promise<void> {
    await this.#restore();
    const { udp, on } = this.#options;
    this.#socket = udp.open({ port: dhcpServerPort, interface: on.ipv4.index }, ({ bytes, offset, length }) =>
      this.#server.receive(bytes, offset, length),
    );
  }

  async close(): Promise<void> {
    await this.#socket?.close();
    this.#socket = undefined;
    await this.#storing;
  }

  #send(message: Uint8Array, length: number, address: IpAddress, port: number): void {
    if (this.#storing === undefined) {
      this.#socket?.send(message, 0, length, address, port);
      return;
    }
    // RFC 2131 §3.1: what is promised is written down first.
    const copy = message.slice(0, length);
    void this.#storing.then(() => this.#socket?.send(copy, 0, length, address, port));
  }

  async #check(address: IpAddress): Promise<void> {
    const { icmp, on } = this.#options;
    const wasKnown = on.arp.lookup(address) !== undefined;
    const answered = await icmp.ping(address, { size: 0, timeout: checkTime }).then(
      () => true,
      () => false,
    );
    // A host that does not answer echoes still answers ARP. What ARP knew before may be a client of old.
    const inUse = answered || (!wasKnown && on.arp.lookup(address) !== undefined);
    if (inUse) this.#options.log?.warn("an address of the DHCP pool is in use", { address: address.toString() });
    if (this.#socket !== undefined) this.#server.checked(address, inUse);
  }

  #store(grant: Grant): void {
    const { store, timers, log } = this.#options;
    const address = IpAddress.v4(grant.address).toString();
    if (grant.state === "bound") log?.info("leased", { address, client: grant.client, name: grant.hostName });
    if (store === undefined) return;
    const key = this.#prefix + address;
    const record = {
      client: grant.client,
      expires: timers.wall() + grant.expires - timers.now(),
      name: grant.hostName,
    };
    const bytes = grant.state === "bound" ? new TextEncoder().encode(JSON.stringify(record)) : undefined;
    const failed = (error: unknown): void => log?.error("cannot store a lease", { address, error: String(error) });
    const stored = (this.#storing ?? Promise.resolve())
      .then(async () => {
        await (bytes === undefined ? store.delete(key) : store.set(key, bytes));
      })
      .catch(failed)
      .then(() => {
        if (this.#storing === stored) this.#storing = undefined;
      });
    this.#storing = stored;
  }

  async #restore(): Promise<void> {
    const { store, timers } = this.#options;
    for (const key of (await store?.list(this.#prefix)) ?? []) {
      const address = IpAddress.tryParse(key.slice(this.#prefix.length));
      const bytes = await store?.get(key);
      const record = bytes === undefined ? undefined : parseRecord(new TextDecoder().decode(bytes));
      if (address?.family !== 4 || record === undefined) continue;
      const expires = timers.now() + record.expires - timers.wall();
      this.#server.restore(address, record.client, expires, record.name);
    }
  }
}

interface LeaseRecord {
  readonly client: string;
  /** Wall-clock milliseconds. */
  readonly expires: number;
  readonly name: string | undefined;
}

/** What a store holds may have been written by anybody. */
function parseRecord(text: string): LeaseRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || !("client" in value) || !("expires" in value)) return undefined;
  const { client, expires } = value;
  if (typeof client !== "string" || typeof expires !== "number" || !Number.isFinite(expires)) return undefined;
  const name = "name" in value && typeof value.name === "string" ? value.name : undefined;
  return { client, expires, name };
}
