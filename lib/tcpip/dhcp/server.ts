/**
 * The server side of DHCP (RFC 2131 §4.3): pure. Messages, the time and the results of checks come in; messages and
 * what is to be stored go out through {@link DhcpServerActions}.
 */

import { IpAddress } from "@tesserae/device/address";
import type { Clock } from "@tesserae/device/clock";
import { TokenBucket } from "../ipv4/token-bucket.ts";
import { type Grant, LeaseTable } from "./lease-table.ts";
import { isHost } from "./lease.ts";
import { addressBytes, addressesOption, type DhcpOptions, option, textOption, uint32Bytes } from "./options.ts";
import { CheckedPool, type DhcpPool } from "./pool.ts";
import { type DhcpMessage, type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

/** Where an answer goes (RFC 2131 §4.1). */
export interface DhcpDestination {
  /** The broadcast address where the client has none yet. */
  readonly address: IpAddress;
  /** 68, or 67 of a relay. */
  readonly port: number;
}

/** What the server has others do. Called from inside `receive` and `checked`. */
export interface DhcpServerActions {
  /** Sends from port 67. The bytes are lent. */
  send(message: Uint8Array, length: number, to: DhcpDestination): void;
  /** Looks whether somebody uses an address already; answer with `checked`. */
  check(address: IpAddress): void;
  /** A lease has been granted, has changed or has ended; what is sent after it waits until it is stored. */
  store(grant: Grant): void;
}

export interface DhcpServerOptions {
  /** Our address: how clients name us. */
  readonly address: IpAddress;
  readonly pools: readonly DhcpPool[];
  readonly clock: Clock;
  readonly actions: DhcpServerActions;
  /** Whether new addresses are checked before they are offered. Default true. */
  readonly check?: boolean;
  /**
   * Whether we alone serve the network: then a client that asks for an address it cannot have, and that we know nothing
   * of, is told so. Default false: somebody else may know it.
   */
  readonly authoritative?: boolean;
  /**
   * Milliseconds of the lease that a client gets that has not been seen before; when it renews, it gets a whole one. So
   * made-up clients do not keep the pool for long. Default 10 minutes.
   */
  readonly firstLease?: number;
}

export class DhcpServerStatistics {
  received = 0;
  malformed = 0;
  /** For another server, from nowhere we serve, or for nothing. */
  ignored = 0;
  offers = 0;
  acks = 0;
  naks = 0;
  releases = 0;
  /** Addresses that were found in use, by us or by clients. */
  conflicts = 0;
  /** New clients that found no address. */
  exhausted = 0;
  /** New clients that came too fast. */
  suppressed = 0;
}

/** How long an offer is kept. */
const offerTime = 15_000;
/** How long an address that somebody else uses is left alone. */
const declinedTime = 600_000;
/** Addresses tried for one client. */
const mostChecks = 4;
/** Checks under way. */
const mostPending = 64;
/** Longer identifiers are not of this world. */
const mostIdentifier = 64;
const mostRelayInformation = 128;
/** RFC 2131 §2: what every client can take. */
const messageSize = 548;

interface Pending {
  readonly message: DhcpMessage;
  readonly pool: CheckedPool;
  readonly client: string;
  readonly checks: number;
}

export class DhcpServer {
  readonly statistics = new DhcpServerStatistics();
  readonly leases = new LeaseTable();
  readonly #options: DhcpServerOptions;
  readonly #pools: readonly CheckedPool[];
  readonly #newcomers: TokenBucket;
  readonly #message = new Uint8Array(messageSize);
  /** Address → who waits for its check. */
  readonly #pending = new Map<number, Pending>();

  /** @throws RangeError when a pool makes no sense, or says more than a message holds. */
  constructor(options: DhcpServerOptions) {
    this.#options = options;
    this.#pools = options.pools.map((pool) => new CheckedPool(pool));
    this.#newcomers = new TokenBucket(options.clock, 50, 100);
    for (const pool of this.#pools) {
      let length = 240 + 3 + 6 * 4 + 2 + mostIdentifier + 2 + mostRelayInformation + 1;
      for (const value of pool.options.values())
        length += value.length + 2 * Math.max(1, Math.ceil(value.length / 255));
      if (length > messageSize) {
        throw new RangeError(`the options of ${pool.network.toString()} are ${length - messageSize} bytes too long`);
      }
    }
  }

  /** Takes a lease of an earlier life. Ignored when no pool has its address. */
  restore(address: IpAddress, client: string, expires: number, hostName: string | undefined): void {
    const known = this.#pools.some((pool) => pool.network.contains(address));
    if (!known || client.length > mostIdentifier * 2 || client === "") return;
    const grant = this.leases.assign(address.w3, client);
    grant.state = "bound";
    grant.expires = expires;
    grant.hostName = hostName;
    grant.renewed = true;
  }

  /** Takes a message that came to port 67 at `bytes[offset … offset + length)`. */
  receive(bytes: Uint8Array, offset: number, length: number): void {
    const { statistics } = this;
    statistics.received++;
    const parsed = parseDhcp(bytes, offset, length);
    if (!parsed.ok || parsed.value.operation !== "request") {
      statistics.malformed++;
      return;
    }
    const message = parsed.value;
    const pool = this.#poolOf(message);
    const client = clientOf(message);
    if (pool === undefined || client === undefined || message.clientMac.isGroup) {
      statistics.ignored++;
      return;
    }
    switch (message.type) {
      case "discover":
        this.#discover(message, pool, client);
        break;
      case "request":
        this.#request(message, pool, client);
        break;
      case "decline":
        this.#decline(message, client);
        break;
      case "release":
        this.#release(message, client);
        break;
      case "inform":
        this.#inform(message, pool);
        break;
      default:
        statistics.ignored++;
    }
  }

  /** Says what a check has found. */
  checked(address: IpAddress, inUse: boolean): void {
    const pending = this.#pending.get(address.w3);
    if (pending === undefined) return;
    this.#pending.delete(address.w3);
    const { message, pool, client, checks } = pending;
    if (inUse) {
      this.statistics.conflicts++;
      this.leases.decline(address.w3, this.#now() + declinedTime);
      if (checks + 1 < mostChecks) this.#offerNew(message, pool, client, checks + 1);
      return;
    }
    const grant = this.leases.get(address.w3);
    if (grant?.client === client && grant.state === "offered") this.#offer(message, pool, grant);
  }

  #now(): number {
    return this.#options.clock.now();
  }

  /** The pool of the network that the client is on. */
  #poolOf({ relayIp, clientIp, type }: DhcpMessage): CheckedPool | undefined {
    const on = relayIp ?? this.#options.address;
    const found = this.#pools.find(({ network }) => network.contains(on));
    if (found !== undefined || relayIp !== undefined || type === "discover") return found;
    // A client behind a relay renews with us directly.
    return this.#pools.find(({ network }) => network.contains(clientIp));
  }

  /** The grant of a client that it still can have, or could have again. */
  #known(pool: CheckedPool, client: string): Grant | undefined {
    const grant = this.leases.ofClient(client);
    if (grant === undefined || !pool.network.contains(IpAddress.v4(grant.address))) return undefined;
    return grant;
  }

  #discover(message: DhcpMessage, pool: CheckedPool, client: string): void {
    const fixed = pool.fixed(message.clientMac);
    const grant = fixed === undefined ? this.#known(pool, client) : this.leases.assign(fixed.w3, client);
    if (grant !== undefined && (fixed !== undefined || pool.offers(grant.address))) {
      const pending = this.#pending.get(grant.address);
      if (pending !== undefined) {
        // It asks again while the address is checked: the answer is to be to this question.
        this.#pending.set(grant.address, { ...pending, message });
        return;
      }
      if (grant.isFree(this.#now())) this.#reserve(grant);
      this.#offer(message, pool, grant);
      return;
    }
    if (!this.#newcomers.take()) {
      this.statistics.suppressed++;
      return;
    }
    this.#offerNew(message, pool, client, 0);
  }

  #reserve(grant: Grant): void {
    grant.state = "offered";
    grant.expires = this.#now() + offerTime;
  }

  #offerNew(message: DhcpMessage, pool: CheckedPool, client: string, checks: number): void {
    const [requested] = addressesOption(message.options, option.requestedAddress);
    const address = this.#choose(pool, client, requested);
    if (address === undefined) {
      this.statistics.exhausted++;
      return;
    }
    const grant = this.leases.assign(address, client);
    this.#reserve(grant);
    if (this.#options.check === false) {
      this.#offer(message, pool, grant);
      return;
    }
    if (this.#pending.size >= mostPending) {
      this.statistics.suppressed++;
      return;
    }
    this.#pending.set(address, { message, pool, client, checks });
    this.#options.actions.check(IpAddress.v4(address));
  }

  /** RFC 2131 §4.3.1: the address asked for if it is free, else one that nobody had, else the one free for longest. */
  #choose(pool: CheckedPool, client: string, requested: IpAddress | undefined): number | undefined {
    const now = this.#now();
    const isFree = (word: number): boolean =>
      pool.offers(word) && word !== this.#options.address.w3 && (this.leases.get(word)?.isFree(now) ?? true);
    if (requested !== undefined && isFree(requested.w3)) return requested.w3;
    // A client that comes back, after we have forgotten it, mostly gets what it had.
    let start = 0;
    for (let at = 0; at < client.length; at++) start = (Math.imul(start, 31) + client.charCodeAt(at)) >>> 0;
    let oldest: Grant | undefined;
    for (let step = 0; step < pool.size; step++) {
      const word = (pool.first + ((start + step) % pool.size)) | 0;
      if (!isFree(word)) continue;
      const grant = this.leases.get(word);
      if (grant === undefined) return word;
      if (oldest === undefined || grant.expires < oldest.expires) oldest = grant;
    }
    return oldest?.address;
  }

  #request(message: DhcpMessage, pool: CheckedPool, client: string): void {
    const [requested] = addressesOption(message.options, option.requestedAddress);
    const [server] = addressesOption(message.options, option.serverIdentifier);
    const grant = this.leases.ofClient(client);
    if (server !== undefined && !server.equals(this.#options.address)) {
      // It took another's offer.
      if (grant?.state === "offered") grant.state = "free";
      this.statistics.ignored++;
      return;
    }
    const wanted = requested ?? message.clientIp;
    if (!isHost(wanted)) {
      this.statistics.ignored++;
      return;
    }
    const isTheirs = grant !== undefined && grant.address === wanted.w3 && this.#mayHave(pool, message, wanted.w3);
    if (isTheirs) {
      this.#grant(message, pool, grant);
      return;
    }
    if (server === undefined && !this.#mustRefuse(message, pool, client, wanted)) return;
    this.#refuse(message);
  }

  /** Whether the pool has the address for that client. */
  #mayHave(pool: CheckedPool, message: DhcpMessage, word: number): boolean {
    const fixed = pool.fixed(message.clientMac);
    return fixed === undefined ? pool.offers(word) : fixed.w3 === word;
  }

  /**
   * Of a client that asks for an address it says it had, and we do not know it: whether to say no (RFC 2131 §4.3.2). One
   * that renews what is free gets it: we may have forgotten.
   */
  #mustRefuse(message: DhcpMessage, pool: CheckedPool, client: string, wanted: IpAddress): boolean {
    if (!pool.network.contains(wanted)) return true;
    const known = this.leases.get(wanted.w3);
    const isFree = known?.isFree(this.#now()) ?? true;
    if (!isFree && known?.client !== client) return true;
    if (!message.clientIp.isUnspecified && isFree && this.#mayHave(pool, message, wanted.w3)) {
      this.#grant(message, pool, this.leases.assign(wanted.w3, client));
      return false;
    }
    if (this.#options.authoritative === true || this.leases.ofClient(client) !== undefined) return true;
    this.statistics.ignored++;
    return false;
  }

  #grant(message: DhcpMessage, pool: CheckedPool, grant: Grant): void {
    const now = this.#now();
    if (grant.state === "bound" && grant.expires > now && !message.clientIp.isUnspecified) grant.renewed = true;
    const isFixed = pool.fixed(message.clientMac) !== undefined;
    const { firstLease = 600_000 } = this.#options;
    const time = grant.renewed || isFixed ? pool.leaseTime : Math.min(pool.leaseTime, firstLease);
    grant.state = "bound";
    grant.expires = now + time;
    grant.hostName = textOption(message.options, option.hostName)?.slice(0, 64) ?? grant.hostName;
    this.#options.actions.store(grant);
    this.statistics.acks++;
    this.#reply(message, "ack", IpAddress.v4(grant.address), this.#leaseOptions(message, pool, time));
  }

  #offer(message: DhcpMessage, pool: CheckedPool, grant: Grant): void {
    this.statistics.offers++;
    const isFixed = pool.fixed(message.clientMac) !== undefined;
    const { firstLease = 600_000 } = this.#options;
    const time = grant.renewed || isFixed ? pool.leaseTime : Math.min(pool.leaseTime, firstLease);
    this.#reply(message, "offer", IpAddress.v4(grant.address), this.#leaseOptions(message, pool, time));
  }

  #refuse(message: DhcpMessage): void {
    this.statistics.naks++;
    this.#reply(message, "nak", IpAddress.any4, new Map());
  }

  #decline(message: DhcpMessage, client: string): void {
    const [requested] = addressesOption(message.options, option.requestedAddress);
    const grant = this.leases.ofClient(client);
    if (requested === undefined || grant?.address !== requested.w3 || grant.state === "free") {
      this.statistics.ignored++;
      return;
    }
    this.statistics.conflicts++;
    // Fixed addresses come back to their clients however often they complain.
    this.leases.decline(requested.w3, this.#now() + declinedTime);
    this.#options.actions.store(this.leases.get(requested.w3) ?? grant);
  }

  #release(message: DhcpMessage, client: string): void {
    const grant = this.leases.ofClient(client);
    if (grant?.address !== message.clientIp.w3 || grant.state !== "bound") {
      this.statistics.ignored++;
      return;
    }
    this.statistics.releases++;
    grant.state = "free";
    grant.expires = this.#now();
    this.#options.actions.store(grant);
  }

  #inform(message: DhcpMessage, pool: CheckedPool): void {
    if (!isHost(message.clientIp)) {
      this.statistics.ignored++;
      return;
    }
    this.statistics.acks++;
    this.#reply(message, "ack", IpAddress.any4, wantedOptions(message, pool.options));
  }

  #leaseOptions(message: DhcpMessage, pool: CheckedPool, time: number): DhcpOptions {
    const seconds = Math.floor(time / 1000);
    return new Map([
      [option.leaseTime, uint32Bytes(seconds)],
      [option.renewalTime, uint32Bytes(Math.floor(seconds / 2))],
      [option.rebindingTime, uint32Bytes(Math.floor(seconds * 0.875))],
      ...wantedOptions(message, pool.options),
    ]);
  }

  #reply(message: DhcpMessage, type: DhcpMessageType, yourIp: IpAddress, said: DhcpOptions): void {
    const options = new Map([[option.serverIdentifier, addressBytes(this.#options.address)], ...said]);
    // RFC 6842, RFC 3046 §2.2: these are given back as they came.
    const identifier = message.options.get(option.clientIdentifier);
    if (identifier !== undefined) options.set(option.clientIdentifier, identifier);
    const information = message.options.get(option.relayInformation);
    if (information !== undefined && information.length <= mostRelayInformation && message.relayIp !== undefined) {
      options.set(option.relayInformation, information);
    }
    const isNak = type === "nak";
    const length = emitDhcp(
      {
        operation: "reply",
        type,
        transactionId: message.transactionId,
        seconds: 0,
        // A relay is to broadcast a refusal: the client may not listen to the address it has.
        broadcast: message.broadcast || (isNak && message.relayIp !== undefined),
        clientIp: isNak ? IpAddress.any4 : message.clientIp,
        yourIp,
        ...(message.relayIp === undefined ? {} : { relayIp: message.relayIp }),
        clientMac: message.clientMac,
        options,
      },
      this.#message,
    );
    this.#options.actions.send(this.#message, length, destinationOf(message, isNak));
  }
}

/** RFC 2131 §4.1. A client without an address gets a broadcast, since ARP cannot find it. */
function destinationOf({ relayIp, clientIp }: DhcpMessage, isNak: boolean): DhcpDestination {
  if (relayIp !== undefined) return { address: relayIp, port: 67 };
  if (isNak || !isHost(clientIp)) return { address: IpAddress.broadcast4, port: 68 };
  return { address: clientIp, port: 68 };
}

/** The client's name: its identifier, else its MAC address (RFC 2131 §4.2). */
function clientOf({ options, clientMac }: DhcpMessage): string | undefined {
  const identifier = options.get(option.clientIdentifier);
  if (identifier === undefined) return `01${clientMac.toString().replaceAll(":", "")}`;
  if (identifier.length < 2 || identifier.length > mostIdentifier) return undefined;
  return Array.from(identifier, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Of what there is, what the client asks for; without a list, all of it. */
function wantedOptions({ options }: DhcpMessage, all: DhcpOptions): DhcpOptions {
  const list = options.get(option.parameterRequestList);
  if (list === undefined) return all;
  const wanted = new Map<number, Uint8Array>();
  for (const code of [option.subnetMask, ...list]) {
    const value = all.get(code);
    if (value !== undefined) wanted.set(code, value);
  }
  return wanted;
}
