/**
 * The client side of DHCP (RFC 2131 §4.4): pure. Messages, the time and randomness come in; messages, a deadline and
 * decisions go out through {@link DhcpActions}.
 */

import { IpAddress, type MacAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { isHost, type Lease, readLease } from "./lease.ts";
import { addressBytes, addressesOption, option } from "./options.ts";
import { type DhcpMessage, type DhcpMessageType, emitDhcp, parseDhcp } from "./wire.ts";

/** What the client has others do. Called from inside `start`, `receive`, `tick`, `checked` and `stop`. */
export interface DhcpActions {
  /** Sends from port 68 to port 67: to `server`, or to all when it is absent. The bytes are lent. */
  send(message: Uint8Array, length: number, server: IpAddress | undefined): void;
  /** Looks for another user of `address`; answer with `checked`. */
  check(address: IpAddress): void;
  /** The lease is ours from now on, or goes on with new terms. */
  bound(lease: Lease): void;
  /** The address must not be used any more. */
  lost(reason: "expired" | "nak" | "stopped" | "conflict"): void;
}

/** As in the figure 5 of RFC 2131; `checking` is the ARP check of §4.4.1 between the ACK and `bound`. */
export type DhcpState =
  "init" | "rebooting" | "selecting" | "requesting" | "checking" | "bound" | "renewing" | "rebinding" | "stopped";

export interface DhcpClientOptions {
  readonly mac: MacAddress;
  readonly random: Random;
  readonly actions: DhcpActions;
  /** Told to the server (option 12). */
  readonly hostName?: string;
  /** An address held before, asked for again first (INIT-REBOOT). */
  readonly previous?: IpAddress;
  /** Asks servers to broadcast their answers. Default false: we take unicast before we have an address. */
  readonly broadcast?: boolean;
  /** Looks for other users of an address before it is used. Default true. */
  readonly check?: boolean;
}

export class DhcpStatistics {
  sent = 0;
  received = 0;
  malformed = 0;
  /** Not for us, of another transaction, or at the wrong time. */
  ignored = 0;
  naks = 0;
  declined = 0;
  expired = 0;
}

/** RFC 2131 §4.1: 4, 8, 16, 32, 64 seconds, each give or take one. */
const firstDelay = 4000;
const lastDelay = 64_000;
const jitter = 1000;
/** Requests for an offer before looking for another one; their delays make a minute. */
const mostRequests = 4;
/** RFC 2131 §3.1 (5): at least ten seconds after a conflict. */
const declineDelay = 10_000;
/** RFC 5227 §2.1.1: after ten conflicts, one attempt a minute. */
const mostConflicts = 10;
const rateLimitInterval = 60_000;
/** RFC 2131 §4.4.5. */
const leastRenewDelay = 60_000;

export class DhcpClient {
  readonly statistics = new DhcpStatistics();
  readonly #options: DhcpClientOptions;
  readonly #message = new Uint8Array(548);
  #state: DhcpState = "init";
  #deadline = Infinity;
  #transaction = 0;
  /** When this acquisition began, for the `secs` field. */
  #began = 0;
  #attempts = 0;
  #failures = 0;
  /** The address asked for, and of whom. */
  #wanted: IpAddress = IpAddress.any4;
  #server: IpAddress | undefined;
  #requestedAt = 0;
  #lease: Lease | undefined;
  #checking: Lease | undefined;

  constructor(options: DhcpClientOptions) {
    this.#options = options;
  }

  get state(): DhcpState {
    return this.#state;
  }

  /** The lease in use. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** When `tick` is to be called next, or `Infinity`. */
  get deadline(): number {
    return this.#deadline;
  }

  start(now: number): void {
    this.#began = now;
    if (this.#options.previous !== undefined && isHost(this.#options.previous)) {
      this.#wanted = this.#options.previous;
      this.#enter("rebooting");
      this.#request(now);
      return;
    }
    this.#discover(now);
  }

  /** Does what is due. */
  tick(now: number): void {
    if (now < this.#deadline) return;
    switch (this.#state) {
      case "init": {
        this.#discover(now);
        return;
      }
      case "selecting": {
        this.#sendDiscover(now);
        return;
      }
      case "rebooting":
      case "requesting":
        if (this.#attempts < mostRequests) {
          this.#request(now);
          return;
        }
        {
          this.#discover(now);
          return;
        }
      case "bound":
        this.#transaction = this.#options.random.uint32();
        this.#began = now;
        this.#enter("renewing");
        {
          this.#renew(now);
          return;
        }
      case "renewing":
      case "rebinding": {
        this.#renew(now);
        return;
      }
      case "checking":
      case "stopped":
        this.#deadline = Infinity;
    }
  }

  /** Takes a datagram from port 67. Anything may be in it. */
  receive(bytes: Uint8Array, offset: number, length: number, now: number): void {
    this.statistics.received++;
    const parsed = parseDhcp(bytes, offset, length);
    if (!parsed.ok) {
      this.statistics.malformed++;
      return;
    }
    const message = parsed.value;
    if (
      message.operation !== "reply" ||
      message.transactionId !== this.#transaction ||
      !message.clientMac.equals(this.#options.mac) ||
      !this.#take(message, now)
    ) {
      this.statistics.ignored++;
    }
  }

  /** Answers `check`. */
  checked(free: boolean, now: number): void {
    const lease = this.#checking;
    if (this.#state !== "checking" || lease === undefined) return;
    this.#checking = undefined;
    if (free) {
      this.#bind(lease);
      return;
    }
    this.#decline(lease, now);
  }

  /** Another host uses the address that we have, and does not give way (RFC 5227 §2.4). */
  conflict(now: number): void {
    const lease = this.#lease;
    if (lease === undefined || this.#state === "stopped") return;
    this.#lease = undefined;
    this.#options.actions.lost("conflict");
    this.#decline(lease, now);
  }

  #decline(lease: Lease, now: number): void {
    this.statistics.declined++;
    this.#transaction = this.#options.random.uint32();
    this.#send("decline", now, IpAddress.any4, undefined, [
      [option.requestedAddress, addressBytes(lease.address.address)],
      [option.serverIdentifier, addressBytes(lease.server)],
    ]);
    this.#restart(now, this.statistics.declined > mostConflicts ? rateLimitInterval : declineDelay);
  }

  /** Gives the address back. */
  stop(now: number): void {
    if (this.#state === "stopped") return;
    const lease = this.#lease;
    if (lease !== undefined) {
      this.#transaction = this.#options.random.uint32();
      this.#send("release", now, lease.address.address, lease.server, [
        [option.serverIdentifier, addressBytes(lease.server)],
      ]);
      this.#lease = undefined;
      this.#options.actions.lost("stopped");
    }
    this.#enter("stopped");
    this.#deadline = Infinity;
  }

  #enter(state: DhcpState): void {
    this.#state = state;
    this.#attempts = 0;
  }

  #restart(now: number, delay: number): void {
    this.#lease = undefined;
    this.#checking = undefined;
    this.#enter("init");
    this.#deadline = now + delay + this.#jitter();
  }

  #discover(now: number): void {
    this.#transaction = this.#options.random.uint32();
    this.#began = now;
    this.#server = undefined;
    this.#enter("selecting");
    this.#sendDiscover(now);
  }

  #sendDiscover(now: number): void {
    this.#backOff(now);
    this.#send("discover", now, IpAddress.any4, undefined, this.#wishes());
  }

  /** REQUEST while we have no address yet: in `requesting` it names the server chosen, in `rebooting` none. */
  #request(now: number): void {
    if (this.#state === "rebooting" && this.#attempts === 0) this.#transaction = this.#options.random.uint32();
    this.#backOff(now);
    this.#requestedAt = now;
    const chosen: [number, Uint8Array][] =
      this.#server === undefined ? [] : [[option.serverIdentifier, addressBytes(this.#server)]];
    this.#send("request", now, IpAddress.any4, undefined, [
      [option.requestedAddress, addressBytes(this.#wanted)],
      ...chosen,
      ...this.#wishes(),
    ]);
  }

  /** REQUEST while we hold a lease: first to its server alone, then to all, then it is over. */
  #renew(now: number): void {
    const lease = this.#lease;
    if (lease === undefined) {
      this.#discover(now);
      return;
    }
    if (now >= lease.expiresAt) {
      this.statistics.expired++;
      this.#lease = undefined;
      this.#options.actions.lost("expired");
      this.#discover(now);
      return;
    }
    if (now >= lease.rebindAt) this.#state = "rebinding";
    const rebinding = this.#state === "rebinding";
    const limit = rebinding ? lease.expiresAt : lease.rebindAt;
    // Half of what is left, at least a minute, and never past the next stage.
    this.#deadline = Math.min(limit, now + Math.max((limit - now) / 2, leastRenewDelay));
    this.#requestedAt = now;
    const server = rebinding ? undefined : lease.server;
    this.#send("request", now, lease.address.address, server, this.#wishes());
  }

  #backOff(now: number): void {
    const delay = Math.min(firstDelay * 2 ** Math.min(this.#attempts, 10), lastDelay);
    this.#attempts++;
    this.#deadline = now + delay - jitter + 2 * this.#jitter();
  }

  /** 0 to 1000 ms. */
  #jitter(): number {
    return (jitter * this.#options.random.uint32()) / 0x1_0000_0000;
  }

  #wishes(): [number, Uint8Array][] {
    const { mac, hostName } = this.#options;
    const identifier = new Uint8Array(7);
    identifier[0] = 1;
    mac.write(identifier, 1);
    const wishes: [number, Uint8Array][] = [
      [option.clientIdentifier, identifier],
      [option.maximumSize, Uint8Array.of(0x05, 0xdc - 28)],
      [
        option.parameterRequestList,
        // RFC 3442: the classless routes before the router.
        Uint8Array.of(
          option.subnetMask,
          option.classlessRoutes,
          option.router,
          option.nameServers,
          option.domainName,
          option.leaseTime,
          option.renewalTime,
          option.rebindingTime,
        ),
      ],
    ];
    if (hostName !== undefined) wishes.push([option.hostName, new TextEncoder().encode(hostName).slice(0, 255)]);
    return wishes;
  }

  #send(
    type: DhcpMessageType,
    now: number,
    clientIp: IpAddress,
    server: IpAddress | undefined,
    options: readonly [number, Uint8Array][],
  ): void {
    const message: DhcpMessage = {
      operation: "request",
      type,
      transactionId: this.#transaction,
      seconds: Math.min(0xffff, Math.floor((now - this.#began) / 1000)),
      broadcast: (this.#options.broadcast ?? false) && clientIp.isUnspecified,
      clientIp,
      yourIp: IpAddress.any4,
      clientMac: this.#options.mac,
      options: new Map(options),
    };
    this.statistics.sent++;
    this.#options.actions.send(this.#message, emitDhcp(message, this.#message), server);
  }

  /** False when the message means nothing now. */
  #take(message: DhcpMessage, now: number): boolean {
    switch (message.type) {
      case "offer":
        return this.#state === "selecting" && this.#offer(message, now);
      case "ack":
        return this.#ack(message, now);
      case "nak":
        return this.#nak(message, now);
      default:
        return false;
    }
  }

  /** The first offer that can be used is taken. */
  #offer(message: DhcpMessage, now: number): boolean {
    const [server] = addressesOption(message.options, option.serverIdentifier);
    if (server === undefined || !isHost(message.yourIp)) return false;
    this.#server = server;
    this.#wanted = message.yourIp;
    this.#enter("requesting");
    this.#request(now);
    return true;
  }

  #ack(message: DhcpMessage, now: number): boolean {
    const lease = readLease(message, this.#requestedAt);
    if (lease === undefined) return false;
    switch (this.#state) {
      case "requesting":
      case "rebooting":
        if (!lease.address.address.equals(this.#wanted)) return false;
        if (this.#server !== undefined && !this.#server.equals(lease.server)) return false;
        if (this.#options.check === false) this.#bind(lease);
        else {
          this.#enter("checking");
          this.#checking = lease;
          this.#deadline = Infinity;
          this.#options.actions.check(lease.address.address);
        }
        return true;
      case "renewing":
      case "rebinding":
        // An answer to our request extends the lease that we have; another address would need a new exchange.
        if (this.#lease?.address.address.equals(lease.address.address) !== true) return false;
        if (now >= lease.expiresAt) return false;
        this.#bind(lease);
        return true;
      default:
        return false;
    }
  }

  #nak(message: DhcpMessage, now: number): boolean {
    const [server] = addressesOption(message.options, option.serverIdentifier);
    switch (this.#state) {
      case "requesting":
        if (server === undefined || this.#server?.equals(server) !== true) return false;
        break;
      case "renewing":
        if (server === undefined || this.#lease?.server.equals(server) !== true) return false;
        break;
      case "rebooting":
      case "rebinding":
        break;
      default:
        return false;
    }
    this.statistics.naks++;
    if (this.#lease !== undefined) this.#options.actions.lost("nak");
    // A server that only ever refuses is asked ever more rarely.
    this.#restart(now, Math.min(1000 * 2 ** Math.min(this.#failures++, 6), lastDelay));
    return true;
  }

  #bind(lease: Lease): void {
    this.#lease = lease;
    this.#server = lease.server;
    this.#failures = 0;
    this.#enter("bound");
    this.#deadline = lease.renewAt;
    this.#options.actions.bound(lease);
  }
}
