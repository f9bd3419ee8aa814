import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Page } from "@tesserae/device/page";
import type { Link } from "../ip/link.ts";
import { GroupTable } from "./group-table.ts";
import type { Route } from "./route.ts";

/** What IPv4 needs of the layer that finds MAC addresses. */
export interface NextHopSender {
  /**
   * Sends an IPv4 packet to a neighbour, or keeps it while the neighbour's address is asked for. Takes the page.
   *
   * @param nextHop a unicast address on the link, as `IpAddress.w3`
   * @returns false when it was dropped at once.
   */
  sendIpv4(nextHop: number, page: Page, offset: number, length: number): boolean;
  /** Says which addresses are on the link; neighbours elsewhere are not noted when they ask us. */
  configureLink(link: Prefix | undefined): void;
  /** Sets who is told of each packet that is dropped because the neighbour does not answer. The page is lent. */
  listenUnreachable(handler: (page: Page, offset: number, length: number) => void): void;
}

/** An interface's address and the ways out of it. */
export interface Ipv4Configuration {
  /** Our address with the length of the link's prefix. */
  readonly address: Prefix;
  /** The default router. */
  readonly gateway?: IpAddress | undefined;
  /** More routes, beside the link's own and the default one. */
  readonly routes?: readonly Route[] | undefined;
}

const everywhere = new Prefix(IpAddress.any4, 0);

/** One interface as IPv4 sees it. Made by `createIpv4`. */
export class Ipv4Interface {
  readonly link: Link;
  readonly arp: NextHopSender;
  /** The multicast groups that are heard here. */
  readonly groups: GroupTable;
  /** Our address with its prefix, or `undefined` while there is none. */
  prefix: Prefix | undefined;
  /** Our address and the directed broadcast address, as `IpAddress.w3`; 0 while there is none. */
  own = 0;
  broadcast = 0;
  /** Whether redirects that pass the checks of RFC 1122 §3.2.2.2 are followed. */
  redirects = false;
  readonly #changed: (changed: Ipv4Interface, routes: readonly Route[]) => void;

  /** @param changed told when the address or the routes are others */
  constructor(link: Link, arp: NextHopSender, changed: (changed: Ipv4Interface, routes: readonly Route[]) => void) {
    this.link = link;
    this.arp = arp;
    this.groups = new GroupTable();
    this.#changed = changed;
  }

  /** From 1, in the order of declaration. */
  get index(): number {
    return this.link.index;
  }

  get name(): string {
    return this.link.name;
  }

  /** The largest packet, in bytes. */
  get linkMtu(): number {
    return this.link.mtu;
  }

  /** Sets or, with `undefined`, removes the interface's address and routes. */
  configure(configuration: Ipv4Configuration | undefined): void {
    this.prefix = configuration?.address;
    this.arp.configureLink(configuration?.address);
    this.own = configuration?.address.address.w3 ?? 0;
    this.broadcast = configuration?.address.broadcast?.w3 ?? 0;
    if (configuration === undefined) {
      this.#changed(this, []);
      return;
    }
    const { address, gateway, routes = [] } = configuration;
    const fallback: Route[] = gateway === undefined ? [] : [{ prefix: everywhere, gateway }];
    this.#changed(this, [{ prefix: address }, ...routes, ...fallback]);
  }
}
