import { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { FlowError } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Random } from "@tesserae/device/random";
import type { UdpSocket } from "@tesserae/device/udp";
import type { ArpService } from "../arp/arp.ts";
import type { CountedEthernet } from "../ethernet/ethernet.ts";
import type { Ipv4Interface } from "../ipv4/interface.ts";
import type { UdpService } from "../udp/udp.ts";
import { DhcpClient, type DhcpStatistics } from "./client.ts";
import type { Lease } from "./lease.ts";
import { dhcpClientPort, dhcpServerPort } from "./wire.ts";

export interface DhcpOptions {
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  /** The interface that gets the address. */
  readonly interface: Ipv4Interface;
  readonly udp: UdpService;
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log | undefined;
  /** Told to the server. */
  readonly hostName?: string | undefined;
  /** An address held before, asked for again first. */
  readonly previous?: IpAddress | undefined;
  /** Asks servers to broadcast their answers. Default false. */
  readonly broadcast?: boolean | undefined;
  /** Looks for other users of an address first (RFC 5227), which takes about six seconds. Default true. */
  readonly probe?: boolean | undefined;
  /**
   * Gives the address up, and asks for another, when another host goes on using it although it was defended (RFC 5227
   * §2.4 b). Default false: it is kept, so that a forger cannot take it from us.
   */
  readonly yields?: boolean | undefined;
}

/** Keeps an interface configured by DHCP. */
export interface Dhcp {
  readonly statistics: DhcpStatistics;
  readonly lease: Lease | undefined;
  /**
   * The first lease.
   *
   * @throws FlowError (rejects) `aborted` when the signal aborts, or it is closed before.
   */
  ready(signal?: AbortSignal): Promise<Lease>;
  /** Gives the address back and stops. */
  close(): void;
}

/**
 * Gets an address with DHCP, configures the interface with it, and keeps it. Takes UDP port 68.
 *
 * @throws FlowError `address-in-use` when that is taken.
 */
export function createDhcp(options: DhcpOptions): Dhcp {
  return new InterfaceDhcp(options);
}

/** Messages without any answer before the operator is told: some twelve seconds. */
const unansweredMost = 3;

class InterfaceDhcp implements Dhcp {
  readonly #options: DhcpOptions;
  readonly #client: DhcpClient;
  readonly #socket: UdpSocket;
  readonly #timer: Timer;
  readonly #waiting = new Set<(lease: Lease | undefined) => void>();
  /** The address that the interface has from us. */
  #address: IpAddress | undefined;
  #complained = false;
  readonly #onLost: (() => void) | undefined;

  constructor(options: DhcpOptions) {
    this.#onLost = options.yields === true ? () => this.#turn((now) => this.#client.conflict(now)) : undefined;
    const { ethernet, random, timers, udp, hostName, previous, broadcast, probe } = options;
    this.#options = options;
    this.#timer = timers.timer(() => this.#turn((now) => this.#client.tick(now)));
    this.#socket = udp.open(
      { port: dhcpClientPort, interface: options.interface.index },
      ({ bytes, offset, length, sourcePort }) => {
        if (sourcePort === dhcpServerPort) this.#turn((now) => this.#client.receive(bytes, offset, length, now));
      },
    );
    this.#client = new DhcpClient({
      mac: ethernet.mac,
      random,
      actions: {
        send: (message, length, server) => {
          this.#socket.send(message, 0, length, server ?? IpAddress.broadcast4, dhcpServerPort);
        },
        check: (address) => this.#check(address),
        bound: (lease) => this.#bound(lease),
        lost: (reason) => this.#lost(reason),
      },
      check: probe ?? true,
      ...(hostName === undefined ? {} : { hostName }),
      ...(previous === undefined ? {} : { previous }),
      ...(broadcast === undefined ? {} : { broadcast }),
    });
    this.#turn((now) => this.#client.start(now));
  }

  get statistics(): DhcpStatistics {
    return this.#client.statistics;
  }

  get lease(): Lease | undefined {
    return this.#client.lease;
  }

  ready(signal?: AbortSignal): Promise<Lease> {
    return new Promise((resolve, reject) => {
      if (this.lease !== undefined) {
        resolve(this.lease);
        return;
      }
      const settle = (lease: Lease | undefined): void => {
        this.#waiting.delete(settle);
        signal?.removeEventListener("abort", aborted);
        if (lease !== undefined) resolve(lease);
        else reject(new FlowError("aborted", "no DHCP lease: closed before", { cause: signal?.reason }));
      };
      const aborted = (): void => settle(undefined);
      if (this.#client.state === "stopped" || signal?.aborted === true) {
        settle(undefined);
        return;
      }
      this.#waiting.add(settle);
      signal?.addEventListener("abort", aborted);
    });
  }

  close(): void {
    this.#turn((now) => this.#client.stop(now));
    this.#timer.cancel();
    void this.#socket.close();
    for (const settle of [...this.#waiting]) settle(undefined);
  }

  /** Enters the client and sets the timer to what it wants next. */
  #turn(enter: (now: number) => void): void {
    enter(this.#options.timers.now());
    this.#timer.set(this.#client.deadline);
    const { sent, received } = this.#client.statistics;
    if (received > 0 || sent < unansweredMost || this.#complained) return;
    this.#complained = true;
    this.#options.log?.warn("no DHCP server answers; still asking", { messages: sent });
  }

  #check(address: IpAddress): void {
    // The promise settles outside of the client, so that it is never entered twice.
    void this.#options.arp.claim(address, { probe: true, onLost: this.#onLost }).then((ours) => {
      this.#turn((now) => this.#client.checked(ours, now));
    });
  }

  #bound(lease: Lease): void {
    const { arp, interface: on, log } = this.#options;
    const address = lease.address.address;
    if (this.#address?.equals(address) !== true) {
      this.#address = address;
      // Already claimed when it was checked; announced without probes otherwise.
      void arp.claim(address, { probe: false, onLost: this.#onLost });
      log?.info("got an address with DHCP", {
        address: lease.address.toString(),
        gateway: lease.gateway?.toString(),
        server: lease.server.toString(),
      });
    }
    on.configure({ address: lease.address, gateway: lease.gateway, routes: lease.routes });
    for (const settle of [...this.#waiting]) settle(lease);
  }

  #lost(reason: string): void {
    const { arp, interface: on, log } = this.#options;
    if (this.#address === undefined) return;
    const fields = { address: this.#address.toString(), reason };
    // Giving it back at the end is what was wanted.
    if (reason === "stopped") log?.info("gave up the address from DHCP", fields);
    else log?.warn("gave up the address from DHCP", fields);
    on.configure(undefined);
    arp.yield(this.#address);
    this.#address = undefined;
  }
}
