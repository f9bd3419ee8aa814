import type { IpAddress, Prefix } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { FlowError } from "@tesserae/device/flow";
import type { Log } from "@tesserae/device/log";
import type { Netif, NetifStatistics } from "@tesserae/device/netif";
import type { Random } from "@tesserae/device/random";
import type { Stack } from "@tesserae/device/stack";
import { type ArpService, type ArpStatistics, createArp } from "../arp/arp.ts";
import { type CountedEthernet, createEthernet, type EthernetStatistics } from "../ethernet/ethernet.ts";
import { isHost } from "../dhcp/lease.ts";
import { createDhcp, type Dhcp } from "../dhcp/dhcp.ts";
import type { DhcpStatistics } from "../dhcp/client.ts";
import { createIcmp, type Icmp, type IcmpStatistics } from "../icmp/icmp.ts";
import { createIpv4, type Ipv4, type Ipv4Statistics } from "../ipv4/ipv4.ts";
import type { ReassemblyOptions, ReassemblyStatistics } from "../ipv4/reassembly.ts";
import type { Route } from "../ipv4/route.ts";
import type { TcpStatistics } from "../tcp/statistics.ts";
import { createTcp, type TcpHost } from "../tcp/tcp.ts";
import type { TcpLimits } from "../tcp/context.ts";
import { createUdp, type UdpService, type UdpStatistics } from "../udp/udp.ts";

/** How the interface comes by its address. */
export type Ipv4Setting =
  | {
      readonly kind: "dhcp";
      /** Told to the server. */
      readonly hostName?: string;
      /** An address held before, asked for again first. */
      readonly previous?: IpAddress;
      /** Asks servers to broadcast their answers. Default false. */
      readonly broadcast?: boolean;
      /** Looks for other users of the address first (RFC 5227), which takes about six seconds. Default true. */
      readonly probe?: boolean;
    }
  | {
      readonly kind: "static";
      /** Our address with the length of the link's prefix. */
      readonly address: Prefix;
      /** The default router. Without it only the link can be reached. */
      readonly gateway?: IpAddress | undefined;
      readonly routes?: readonly Route[];
      /** Looks for other users of the address first (RFC 5227), which takes about six seconds. Default false. */
      readonly probe?: boolean;
    };

export interface StackOptions {
  /** The stack takes it over, and closes it when it is closed. */
  readonly netif: Netif;
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log;
  readonly ipv4: Ipv4Setting;
  /** Servers to ask for names, the preferred one first. Default: those that DHCP tells. */
  readonly nameServers?: readonly IpAddress[];
  /** Gives up waiting for an address: the promise rejects, and everything is closed. */
  readonly signal?: AbortSignal;
  readonly reassembly?: ReassemblyOptions;
  readonly tcp?: Partial<TcpLimits>;
  /** Gets what the handlers of users threw. Default: thrown again from a microtask, so that the engine reports it. */
  readonly onError?: (error: unknown) => void;
}

/** Counters of each layer, live. */
export interface StackStatistics {
  readonly netif: NetifStatistics;
  readonly ethernet: EthernetStatistics;
  readonly arp: ArpStatistics;
  readonly ipv4: Ipv4Statistics;
  readonly reassembly: ReassemblyStatistics;
  readonly icmp: IcmpStatistics;
  readonly udp: UdpStatistics;
  readonly tcp: TcpStatistics;
  /** Absent when the address is static. */
  readonly dhcp?: DhcpStatistics;
}

/** Our own {@link Stack}, its layers in sight. */
export interface IpStack extends Stack {
  readonly netif: Netif;
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  readonly ip: Ipv4;
  readonly icmp: Icmp;
  readonly udp: UdpService;
  readonly tcp: TcpHost;
  /** Absent when the address is static. */
  readonly dhcp?: Dhcp;
  /** The servers to ask for names now, the preferred one first: those given, else those that DHCP told. */
  readonly nameServers: readonly IpAddress[];
  readonly statistics: StackStatistics;
}

/**
 * Our own TCP/IP stack over one interface.
 *
 * Resolves once it has an address: at once with a static one, with DHCP when a server grants one, however long that
 * takes.
 *
 * @throws FlowError (rejects) `address-in-use` when a probe finds another user of a static address; `aborted`.
 * RangeError when the setting makes no sense.
 */
export async function createStack(options: StackOptions): Promise<IpStack> {
  const { netif, timers, random, log, ipv4: setting, signal } = options;
  checkSetting(setting);
  const ethernet = createEthernet({ netif });
  const arp = createArp({
    ethernet,
    timers,
    random,
    onConflict: (ip, mac) =>
      log?.warn("another host uses our address", { address: ip.toString(), mac: mac.toString() }),
  });
  const ip = createIpv4({
    ethernet,
    arp,
    timers,
    random,
    ...(options.reassembly === undefined ? {} : { reassembly: options.reassembly }),
  });
  const icmp = createIcmp({ ip, timers, random });
  const udp = createUdp({ ip, random, ...(options.onError === undefined ? {} : { onError: options.onError }) });
  const tcp = createTcp({
    ...options.tcp,
    ip,
    timers,
    random,
    ...(log === undefined ? {} : { log }),
    ...(options.onError === undefined ? {} : { report: options.onError }),
  });
  const dhcp =
    setting.kind === "dhcp" ? createDhcp({ ...setting, ethernet, arp, ip, udp, timers, random, log }) : undefined;
  const layers = { netif, ethernet, arp, ip, icmp, udp, tcp, ...(dhcp === undefined ? {} : { dhcp }) };
  const stack = new NetifStack(layers, options.nameServers);
  try {
    if (setting.kind === "static") {
      await claimStatic(setting, arp, ip, signal);
      log?.info("has an address", { address: setting.address.toString(), gateway: setting.gateway?.toString() });
    } else await dhcp?.ready(signal);
    return stack;
  } catch (error) {
    await stack.close();
    throw error;
  }
}

function checkSetting(setting: Ipv4Setting): void {
  if (setting.kind === "dhcp") return;
  const { address, gateway } = setting;
  const own = address.address;
  if (own.family !== 4) throw new RangeError(`ipv4.address ${address.toString()} is not an IPv4 address`);
  if (!isHost(own) || address.broadcast?.equals(own) === true) {
    throw new RangeError(`ipv4.address ${address.toString()} is not the address of a host`);
  }
  if (gateway !== undefined && (!address.contains(gateway) || gateway.equals(own))) {
    throw new RangeError(`ipv4.gateway ${gateway.toString()} is not a neighbour of ${address.toString()}`);
  }
}

async function claimStatic(
  setting: Ipv4Setting & { readonly kind: "static" },
  arp: ArpService,
  ip: Ipv4,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { address, gateway, routes, probe = false } = setting;
  const own = address.address;
  const yielded = (): void => arp.yield(own);
  signal?.addEventListener("abort", yielded);
  const ours = signal?.aborted !== true && (await arp.claim(own, { probe }));
  signal?.removeEventListener("abort", yielded);
  if (!ours) {
    if (signal?.aborted === true) throw new FlowError("aborted", "the stack was aborted", { cause: signal.reason });
    throw new FlowError("address-in-use", `another host uses ${own.toString()}`);
  }
  ip.configure({ address, gateway, routes });
}

interface Layers {
  readonly netif: Netif;
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  readonly ip: Ipv4;
  readonly icmp: Icmp;
  readonly udp: UdpService;
  readonly tcp: TcpHost;
  readonly dhcp?: Dhcp;
}

class NetifStack implements IpStack {
  readonly netif: Netif;
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  readonly ip: Ipv4;
  readonly icmp: Icmp;
  readonly udp: UdpService;
  readonly tcp: TcpHost;
  readonly dhcp?: Dhcp;
  readonly statistics: StackStatistics;
  readonly #nameServers: readonly IpAddress[] | undefined;
  #closing: Promise<void> | undefined;

  constructor(layers: Layers, nameServers: readonly IpAddress[] | undefined) {
    this.#nameServers = nameServers;
    const { netif, ethernet, arp, ip, icmp, udp, tcp, dhcp } = layers;
    this.netif = netif;
    this.ethernet = ethernet;
    this.arp = arp;
    this.ip = ip;
    this.icmp = icmp;
    this.udp = udp;
    this.tcp = tcp;
    if (dhcp !== undefined) this.dhcp = dhcp;
    this.statistics = {
      netif: netif.statistics,
      ethernet: ethernet.statistics,
      arp: arp.statistics,
      ipv4: ip.statistics,
      reassembly: ip.reassembly.statistics,
      icmp: icmp.statistics,
      udp: udp.statistics,
      // Made anew each time it is asked for.
      get tcp() {
        return tcp.statistics;
      },
      ...(dhcp === undefined ? {} : { dhcp: dhcp.statistics }),
    };
  }

  get addresses(): readonly IpAddress[] {
    return this.ip.addresses;
  }

  get nameServers(): readonly IpAddress[] {
    return this.#nameServers ?? this.dhcp?.lease?.nameServers ?? [];
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.tcp.close();
    this.dhcp?.close();
    this.udp.close();
    this.icmp.close();
    this.ip.configure(undefined);
    this.ip.close();
    this.arp.close();
    await this.netif.close();
  }
}
