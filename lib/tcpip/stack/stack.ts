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
import { createIcmp6, type Icmp6 } from "../icmpv6/icmpv6.ts";
import { createDualStack } from "../ip/dual-stack.ts";
import type { HostIp } from "../ip/host-ip.ts";
import { Link } from "../ip/link.ts";
import type { Ipv4Interface } from "../ipv4/interface.ts";
import { createIgmp, type Igmp, type IgmpStatistics } from "../igmp/igmp.ts";
import { createIpv4, type Ipv4 } from "../ipv4/ipv4.ts";
import type { ReassemblyOptions, ReassemblyStatistics } from "../ip/reassembly-slots.ts";
import type { Route } from "../ipv4/route.ts";
import type { Ipv4Statistics } from "../ipv4/statistics.ts";
import type { Ipv6Interface, Ipv6InterfaceOptions } from "../ipv6/interface.ts";
import { createIpv6, type Ipv6 } from "../ipv6/ipv6.ts";
import { isLinkLocal } from "../ipv6/scope.ts";
import type { Ipv6Statistics } from "../ipv6/statistics.ts";
import type { TcpStatistics } from "../tcp/statistics.ts";
import { createTcp, type TcpHost } from "../tcp/tcp.ts";
import type { TcpLimits } from "../tcp/context.ts";
import { createUdp, type UdpService, type UdpStatistics } from "../udp/udp.ts";
import { checkSetting6, configure6, type Ipv6Setting, standardIpv6 } from "./ipv6-setting.ts";

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
      /** Gives the address up when another host goes on using it (RFC 5227 §2.4 b). Default false: it is defended. */
      readonly yields?: boolean;
      /** Whether redirects that pass the checks of RFC 1122 §3.2.2.2 are followed. Default false. */
      readonly redirects?: boolean;
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
      /** Whether redirects that pass the checks of RFC 1122 §3.2.2.2 are followed. Default false. */
      readonly redirects?: boolean;
    };

/** What all stacks may be told. */
interface CommonOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly log?: Log;
  /** Servers to ask for names, the preferred one first. Default: those that DHCP tells. */
  readonly nameServers?: readonly IpAddress[];
  /** Gives up waiting for an address: the promise rejects, and everything is closed. */
  readonly signal?: AbortSignal;
  readonly reassembly?: ReassemblyOptions;
  readonly tcp?: Partial<TcpLimits>;
  /** Gets what the handlers of users threw. Default: thrown again from a microtask, so that the engine reports it. */
  readonly onError?: (error: unknown) => void;
}

/** One of several interfaces. */
export interface InterfaceSetting {
  /** The stack takes it over, and closes it when it is closed. */
  readonly netif: Netif;
  /** For messages. Default: the device's. */
  readonly name?: string;
  /** Absent: no IPv4 address until `stack.ip.interface(n).configure` gives one. */
  readonly ipv4?: Ipv4Setting | undefined;
  /** Default: see {@link standardIpv6}. */
  readonly ipv6?: Ipv6Setting | undefined;
}

/** A stack over one interface. */
export interface SingleStackOptions extends CommonOptions {
  /** The stack takes it over, and closes it when it is closed. */
  readonly netif: Netif;
  readonly ipv4: Ipv4Setting;
  /** Default: see {@link standardIpv6}. */
  readonly ipv6?: Ipv6Setting | undefined;
  readonly interfaces?: undefined;
}

/** A stack over several. */
export interface SeveralStackOptions extends CommonOptions {
  /** At least one. They are numbered from 1 in this order; of routes that are alike the first one's is used. */
  readonly interfaces: readonly InterfaceSetting[];
  readonly netif?: undefined;
}

/** Counters of the layers of one interface, live. */
export interface InterfaceStatistics {
  readonly netif: NetifStatistics;
  readonly ethernet: EthernetStatistics;
  readonly arp: ArpStatistics;
  /** Absent when the address is static. */
  readonly dhcp?: DhcpStatistics;
}

/** Counters of each layer, live; those of {@link InterfaceStatistics} are the first interface's. */
export interface StackStatistics extends InterfaceStatistics {
  /** In the order of the interfaces. */
  readonly interfaces: readonly InterfaceStatistics[];
  readonly ipv4: Ipv4Statistics;
  readonly reassembly: ReassemblyStatistics;
  readonly icmp: IcmpStatistics;
  readonly igmp: IgmpStatistics;
  /** These are absent where IPv6 is off on every interface. */
  readonly ipv6?: Ipv6Statistics;
  readonly reassembly6?: ReassemblyStatistics;
  readonly icmp6?: IcmpStatistics;
  readonly udp: UdpStatistics;
  readonly tcp: TcpStatistics;
}

/** One interface of a stack. */
export interface StackInterface {
  /** From 1. */
  readonly index: number;
  readonly name: string;
  readonly netif: Netif;
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  readonly ipv4: Ipv4Interface;
  /** Absent where IPv6 is off on every interface. */
  readonly ipv6?: Ipv6Interface;
  /** Absent when the address is static. */
  readonly dhcp?: Dhcp;
}

/** Our own {@link Stack}, its layers in sight. `netif`, `ethernet`, `arp` and `dhcp` are the first interface's. */
export interface IpStack extends Stack {
  readonly netif: Netif;
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  readonly ip: Ipv4;
  readonly icmp: Icmp;
  /** Absent, and ICMPv6 with it, where it is off on every interface. */
  readonly ipv6?: Ipv6;
  readonly icmp6?: Icmp6;
  /** Both families as one: what TCP and UDP use. */
  readonly network: HostIp;
  readonly udp: UdpService;
  readonly tcp: TcpHost;
  /** Absent when the address is static. */
  readonly dhcp?: Dhcp;
  /** In the order of their indices. */
  readonly interfaces: readonly StackInterface[];
  /** The servers to ask for names now, the preferred one first: those given, else those that DHCP told. */
  readonly nameServers: readonly IpAddress[];
  readonly statistics: StackStatistics;
}

/**
 * Our own TCP/IP stack, over one interface or several.
 *
 * Resolves once each interface has its address: at once with static ones, with DHCP when a server grants one, however
 * long that takes.
 *
 * @throws FlowError (rejects) `address-in-use` when a probe finds another user of a static address; `aborted`.
 * RangeError when the setting makes no sense.
 */
export async function createStack(options: SingleStackOptions): Promise<IpStack>;
// One signature with a union would not tell TypeScript what the literals in a spread object are.
// eslint-disable-next-line @typescript-eslint/unified-signatures
export async function createStack(options: SeveralStackOptions): Promise<IpStack>;
export async function createStack(options: SingleStackOptions | SeveralStackOptions): Promise<IpStack> {
  const { timers, random, log, signal } = options;
  const settings: readonly InterfaceSetting[] = options.interfaces ?? [
    { netif: options.netif, ipv4: options.ipv4, ipv6: options.ipv6 },
  ];
  for (const { ipv4 } of settings) if (ipv4 !== undefined) checkSetting(ipv4);
  const settings6 = settings.map(({ ipv6 = standardIpv6 }) => checkSetting6(ipv6));
  const below = settings.map(({ netif, name }, place) => {
    const ethernet = createEthernet({ netif });
    const link = new Link(place + 1, name ?? netif.name, ethernet);
    const arp = createArp({
      ethernet,
      timers,
      random,
      onConflict: (ip, mac) =>
        log?.warn("another host uses our address", { address: ip.toString(), mac: mac.toString() }),
    });
    return { netif, ethernet, link, arp };
  });
  const ip = createIpv4({
    interfaces: below,
    timers,
    random,
    ...(options.reassembly === undefined ? {} : { reassembly: options.reassembly }),
  });
  const icmp = createIcmp({ ip, timers, random });
  const igmp = createIgmp({ ip, timers, random });
  const ipv6 = settings6.every(({ kind }) => kind === "off")
    ? undefined
    : createIpv6({
        interfaces: below.map(({ link }, place) => ({
          link,
          ...secretOf(settings[place]?.netif),
          ...identity(settings6[place]),
          onConflict: (address) =>
            log?.warn("another host uses our address", { address: address.toString(), interface: link.name }),
        })),
        timers,
        random,
        ...(options.reassembly === undefined ? {} : { reassembly: options.reassembly }),
      });
  const icmp6 = ipv6 === undefined ? undefined : createIcmp6({ ip: ipv6, timers, random });
  // Queues are of one interface: the first that is one says so for all.
  const queue = settings.find(({ netif }) => netif.queue !== undefined)?.netif.queue;
  const ports = queue === undefined ? {} : { ports: queue };
  const network = ipv6 === undefined ? ip : createDualStack(ip, ipv6);
  const udp = createUdp({
    ip: network,
    random,
    ...ports,
    ...(options.onError === undefined ? {} : { onError: options.onError }),
  });
  const tcp = createTcp({
    ...options.tcp,
    ...ports,
    ip: network,
    timers,
    random,
    ...(log === undefined ? {} : { log }),
    ...(options.onError === undefined ? {} : { report: options.onError }),
  });
  const interfaces = below.map(({ netif, ethernet, link, arp }, place): StackInterface => {
    const setting = settings[place]?.ipv4;
    const ipv4 = ip.interface(link.index);
    ipv4.redirects = setting?.redirects ?? false;
    const needs = { ethernet, arp, interface: ipv4, udp, timers, random, log };
    const dhcp = setting?.kind === "dhcp" ? createDhcp({ ...setting, ...needs }) : undefined;
    const { index, name } = link;
    return {
      ...{ index, name, netif, ethernet, arp, ipv4 },
      ...(ipv6 === undefined ? {} : { ipv6: ipv6.interface(index) }),
      ...(dhcp === undefined ? {} : { dhcp }),
    };
  });
  const both = ipv6 === undefined || icmp6 === undefined ? {} : { ipv6, icmp6 };
  const stack = new NetifStack({ interfaces, ip, icmp, igmp, network, udp, tcp, ...both }, options.nameServers);
  try {
    await Promise.all([
      ...interfaces.map((each, place) => address(each, settings[place]?.ipv4, log, signal)),
      ...interfaces.map((each, place) => configure6(each.ipv6, settings6[place], signal)),
    ]);
    return stack;
  } catch (error) {
    await stack.close();
    throw error;
  }
}

/** Sees to it that an interface has its address. */
async function address(
  on: StackInterface,
  setting: Ipv4Setting | undefined,
  log: Log | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (setting?.kind === "static") {
    await claimStatic(setting, on.arp, on.ipv4, signal);
    log?.info("has an address", { address: setting.address.toString(), gateway: setting.gateway?.toString() });
  } else await on.dhcp?.ready(signal);
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
  on: Ipv4Interface,
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
  on.configure({ address, gateway, routes });
}

/** What a setting says of the interface itself. */
function identity(
  setting: Ipv6Setting | undefined,
): Pick<Ipv6InterfaceOptions, "identifiers" | "secret" | "redirects"> {
  if (setting === undefined || setting.kind === "off") return {};
  const { identifiers, secret, redirects } = setting;
  return {
    ...(identifiers === undefined ? {} : { identifiers }),
    ...(secret === undefined ? {} : { secret }),
    ...(redirects === undefined ? {} : { redirects }),
  };
}

/** What a queue of an interface has in common with the others. */
function secretOf(netif: Netif | undefined): Pick<Ipv6InterfaceOptions, "secret"> {
  return netif?.queue === undefined ? {} : { secret: netif.queue.secret };
}

interface Layers {
  readonly interfaces: readonly StackInterface[];
  readonly ip: Ipv4;
  readonly icmp: Icmp;
  readonly igmp: Igmp;
  readonly ipv6?: Ipv6;
  readonly icmp6?: Icmp6;
  readonly network: HostIp;
  readonly udp: UdpService;
  readonly tcp: TcpHost;
}

class NetifStack implements IpStack {
  readonly netif: Netif;
  readonly ethernet: CountedEthernet;
  readonly arp: ArpService;
  readonly ip: Ipv4;
  readonly icmp: Icmp;
  readonly ipv6?: Ipv6;
  readonly icmp6?: Icmp6;
  readonly network: HostIp;
  readonly udp: UdpService;
  readonly tcp: TcpHost;
  readonly dhcp?: Dhcp;
  readonly interfaces: readonly StackInterface[];
  readonly statistics: StackStatistics;
  readonly #nameServers: readonly IpAddress[] | undefined;
  readonly #igmp: Igmp;
  #closing: Promise<void> | undefined;

  /** @throws RangeError when there is no interface. */
  constructor(layers: Layers, nameServers: readonly IpAddress[] | undefined) {
    this.#nameServers = nameServers;
    const { interfaces, ip, icmp, igmp, ipv6, icmp6, network, udp, tcp } = layers;
    const [first] = interfaces;
    if (first === undefined) throw new RangeError("a stack needs an interface");
    this.interfaces = interfaces;
    this.netif = first.netif;
    this.ethernet = first.ethernet;
    this.arp = first.arp;
    this.ip = ip;
    this.icmp = icmp;
    this.#igmp = igmp;
    if (ipv6 !== undefined) this.ipv6 = ipv6;
    if (icmp6 !== undefined) this.icmp6 = icmp6;
    this.network = network;
    this.udp = udp;
    this.tcp = tcp;
    if (first.dhcp !== undefined) this.dhcp = first.dhcp;
    this.statistics = {
      ...statisticsOf(first),
      interfaces: interfaces.map(statisticsOf),
      ipv4: ip.statistics,
      reassembly: ip.reassembly.statistics,
      icmp: icmp.statistics,
      igmp: igmp.statistics,
      ...(ipv6 === undefined ? {} : { ipv6: ipv6.statistics, reassembly6: ipv6.reassembly.statistics }),
      ...(icmp6 === undefined ? {} : { icmp6: icmp6.statistics }),
      udp: udp.statistics,
      // Made anew each time it is asked for.
      get tcp() {
        return tcp.statistics;
      },
    };
  }

  get addresses(): readonly IpAddress[] {
    return this.network.addresses.filter((each) => !isLinkLocal(each));
  }

  get nameServers(): readonly IpAddress[] {
    if (this.#nameServers !== undefined) return this.#nameServers;
    for (const { dhcp } of this.interfaces) {
      const told = dhcp?.lease?.nameServers;
      if (told !== undefined && told.length > 0) return [...told, ...(this.ipv6?.nameServers ?? [])];
    }
    return this.ipv6?.nameServers ?? [];
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.tcp.close();
    for (const { dhcp } of this.interfaces) dhcp?.close();
    this.udp.close();
    this.icmp.close();
    this.#igmp.close();
    this.icmp6?.close();
    this.ipv6?.close();
    for (const { ipv4 } of this.interfaces) ipv4.configure(undefined);
    this.ip.close();
    for (const { arp } of this.interfaces) arp.close();
    await Promise.all(this.interfaces.map(({ netif }) => netif.close()));
  }
}

function statisticsOf({ netif, ethernet, arp, dhcp }: StackInterface): InterfaceStatistics {
  return {
    netif: netif.statistics,
    ethernet: ethernet.statistics,
    arp: arp.statistics,
    ...(dhcp === undefined ? {} : { dhcp: dhcp.statistics }),
  };
}
