import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Netif } from "@tesserae/device/netif";
import type { Random } from "@tesserae/device/random";
import type { Forwarding } from "@tesserae/tcpip/forward/forward";
import type { Nat } from "@tesserae/tcpip/nat/nat";
import type { AdvertisingOptions } from "@tesserae/tcpip/ndp/ndp";
import type { Ipv6Setting } from "@tesserae/tcpip/stack/ipv6-setting";
import { createRouter, type RouterOptions } from "@tesserae/tcpip/stack/router";
import { createStack, type Ipv4Setting, type IpStack } from "@tesserae/tcpip/stack/stack";
import type { PathSettings } from "./link-settings.ts";

/** One interface of a host. */
export interface HostInterface {
  /** `10.0.0.1/24`, or `dhcp`. Default: of a host's first interface the next address of 10.0.0.0/16, else none. */
  readonly ipv4?: string;
  /**
   * `on`: of a host's first interface the next address of fd00::/64; `fd00::1/64`; `auto`: what routers tell; `off`.
   * Default: of a host's first interface what the world says, which is `on` (`off` where the MTU
   * is below IPv6's 1280), else `off`.
   */
  readonly ipv6?: string;
  /** Where packets for other networks go. */
  readonly gateway?: string;
  /** The same for IPv6, where its address is given. */
  readonly gateway6?: string;
  /** More ways, of either family: `{ to: "10.2.0.0/16", via: "10.0.0.2" }`; without `via` they are on the link. */
  readonly routes?: readonly { readonly to: string; readonly via?: string }[];
  /** The LAN it is plugged into. Default `lan` for a host's first interface; false: none, the scenario links it. */
  readonly lan?: string | false;
  /** Of a router: tells the hosts on the link of itself and of the prefix of its IPv6 address. Default false. */
  readonly advertise?: boolean | AdvertisingOptions;
  /** The path to its LAN, where it differs from the LAN's. */
  readonly link?: PathSettings;
  /** 576 to 65,535 bytes. Default 1500. */
  readonly mtu?: number;
}

/** What a router does beside passing packets on. */
export interface HostForwarding {
  /** Whether packets must come from where the way back leads (RFC 3704). Default `strict`. */
  readonly reversePath?: "strict" | "off";
  /** Translates the addresses of what leaves by that interface, counted from 1. */
  readonly nat?: RouterOptions["nat"];
}

/** A host's own stack, and what makes a router of it. */
export interface HostStack {
  readonly stack: IpStack;
  readonly forwarding: Forwarding | undefined;
  readonly forwarding6: Forwarding | undefined;
  readonly nat: Nat | undefined;
}

/** What a host's stack is made of. */
export interface HostStackOptions {
  readonly netifs: readonly Netif[];
  /** In the order of the interfaces. */
  readonly interfaces: readonly HostInterface[];
  readonly forwarding: boolean | HostForwarding;
  readonly timers: Timers;
  readonly random: Random;
  readonly onError: (error: unknown) => void;
}

/** @throws as `createStack` */
export async function createHostStack(options: HostStackOptions): Promise<HostStack> {
  const { netifs, timers, random, onError, forwarding } = options;
  const settings = netifs.map((netif, index) => {
    const given = options.interfaces[index] ?? {};
    return { netif, ipv4: settingOf(given), ipv6: setting6Of(given), advertise: given.advertise };
  });
  const common = { timers, random, onError };
  if (forwarding !== false) {
    const router = await createRouter({ ...(forwarding === true ? {} : forwarding), ...common, interfaces: settings });
    addRoutes6(router, options.interfaces);
    return { stack: router, forwarding: router.forwarding, forwarding6: router.forwarding6, nat: router.nat };
  }
  const [first] = settings;
  const stack =
    settings.length === 1 && first?.ipv4 !== undefined
      ? await createStack({ ...common, netif: first.netif, ipv4: first.ipv4, ipv6: first.ipv6 })
      : await createStack({ ...common, interfaces: settings });
  addRoutes6(stack, options.interfaces);
  return { stack, forwarding: undefined, forwarding6: undefined, nat: undefined };
}

function settingOf({ ipv4, gateway, routes }: HostInterface): Ipv4Setting | undefined {
  if (ipv4 === undefined) return undefined;
  if (ipv4 === "dhcp") return { kind: "dhcp" };
  return {
    kind: "static",
    address: Prefix.parse(ipv4),
    ...(gateway === undefined ? {} : { gateway: IpAddress.parse(gateway) }),
    ...(routes === undefined
      ? {}
      : { routes: routes.map(routeOf).filter(({ prefix }) => prefix.address.family === 4) }),
  };
}

function routeOf({ to, via }: { readonly to: string; readonly via?: string }): {
  readonly prefix: Prefix;
  readonly gateway?: IpAddress;
} {
  return { prefix: Prefix.parse(to), ...(via === undefined ? {} : { gateway: IpAddress.parse(via) }) };
}

function addRoutes6(stack: IpStack, interfaces: readonly HostInterface[]): void {
  for (const [index, { routes = [] }] of interfaces.entries()) {
    for (const { prefix, gateway } of routes.map(routeOf)) {
      if (prefix.address.family === 6) stack.interfaces[index]?.ipv6?.addRoute(prefix, gateway);
    }
  }
}

function setting6Of({ ipv6 = "off", gateway6 }: HostInterface): Ipv6Setting {
  if (ipv6 === "off" || ipv6 === "auto") return { kind: ipv6 };
  return {
    kind: "static",
    address: Prefix.parse(ipv6),
    ...(gateway6 === undefined ? {} : { gateway: IpAddress.parse(gateway6) }),
  };
}
