/** What a DHCP server has to give on one network. */

import { IpAddress, type MacAddress, Prefix } from "@tesserae/device/address";
import type { Route } from "../ipv4/route.ts";
import { addressBytes, type DhcpOptions, option, routeBytes, uint32Bytes } from "./options.ts";

/** An address that one client always gets. It need not be within the pool's range. */
export interface FixedLease {
  readonly mac: MacAddress;
  readonly address: IpAddress;
}

export interface DhcpPool {
  /** The network. Clients are of it when they ask on its link, or through a relay with an address in it. */
  readonly network: Prefix;
  /** The first and last address to give, both in the network. At most 65,536 between them. */
  readonly first: IpAddress;
  readonly last: IpAddress;
  readonly fixed?: readonly FixedLease[];
  /** Default router. */
  readonly router?: IpAddress;
  readonly nameServers?: readonly IpAddress[];
  readonly timeServers?: readonly IpAddress[];
  readonly domainName?: string;
  /** Bytes, 68–65,535. */
  readonly mtu?: number;
  /** More routes (RFC 3442). */
  readonly routes?: readonly Route[];
  /** Milliseconds. Default 12 hours. */
  readonly leaseTime?: number;
}

const mostAddresses = 65_536;
const mostFixed = 1024;

/** A pool that has been checked. */
export class CheckedPool {
  readonly network: Prefix;
  /** As unsigned numbers. */
  readonly first: number;
  readonly size: number;
  readonly leaseTime: number;
  readonly options: DhcpOptions;
  readonly #fixed = new Map<string, IpAddress>();
  readonly #reserved = new Set<number>();

  /** @throws RangeError naming what is wrong. */
  constructor(pool: DhcpPool) {
    const { network, first, last, fixed = [], leaseTime = 43_200_000 } = pool;
    const name = `pool ${first.toString()}–${last.toString()}`;
    if (network.address.family !== 4) throw new RangeError(`${name}: ${network.toString()} is not an IPv4 network`);
    this.network = network;
    this.first = first.w3 >>> 0;
    this.size = (last.w3 >>> 0) - this.first + 1;
    if (!network.contains(first) || !network.contains(last)) {
      throw new RangeError(`${name} is not within ${network.toString()}`);
    }
    if (!(this.size >= 1 && this.size <= mostAddresses)) throw new RangeError(`${name} has not 1 to 65536 addresses`);
    if (!(leaseTime >= 60_000)) throw new RangeError(`${name}: a lease of ${leaseTime} ms is below a minute`);
    if (fixed.length > mostFixed) throw new RangeError(`${name} has more than ${mostFixed} fixed leases`);
    this.leaseTime = leaseTime;
    for (const { mac, address } of fixed) {
      if (!network.contains(address)) {
        throw new RangeError(`${name}: ${address.toString()} is not within ${network.toString()}`);
      }
      if (this.#reserved.has(address.w3)) throw new RangeError(`${name}: ${address.toString()} is fixed twice`);
      this.#reserved.add(address.w3);
      this.#fixed.set(mac.toString(), address);
    }
    this.options = optionsOf(pool);
  }

  /** The address that is kept for a client. */
  fixed(mac: MacAddress): IpAddress | undefined {
    return this.#fixed.get(mac.toString());
  }

  /** Whether the address, as `IpAddress.w3`, may go to any client. */
  offers(word: number): boolean {
    const at = (word >>> 0) - this.first;
    return at >= 0 && at < this.size && !this.#reserved.has(word) && !this.isSpecial(word);
  }

  /** Whether it is the network's own, its broadcast address, or the router's. */
  isSpecial(word: number): boolean {
    const { broadcast, address, length } = this.network;
    if (length > 30) return false;
    const network = address.w3 & (length === 0 ? 0 : -1 << (32 - length));
    return word === network || word === broadcast?.w3;
  }
}

function optionsOf(pool: DhcpPool): DhcpOptions {
  const { network, router, nameServers = [], timeServers = [], domainName, mtu, routes = [] } = pool;
  const { length, broadcast } = network;
  const options = new Map<number, Uint8Array>();
  options.set(option.subnetMask, uint32Bytes(length === 0 ? 0 : -1 << (32 - length)));
  if (router !== undefined) options.set(option.router, addressBytes(router));
  if (nameServers.length > 0) options.set(option.nameServers, addressBytes(...nameServers));
  if (domainName !== undefined) options.set(option.domainName, new TextEncoder().encode(domainName));
  if (mtu !== undefined) {
    if (!(Number.isInteger(mtu) && mtu >= 68 && mtu <= 65_535))
      throw new RangeError(`mtu ${mtu} is not from 68 to 65535`);
    options.set(option.interfaceMtu, Uint8Array.of(mtu >>> 8, mtu));
  }
  if (broadcast !== undefined) options.set(option.broadcastAddress, addressBytes(broadcast));
  if (timeServers.length > 0) options.set(option.timeServers, addressBytes(...timeServers));
  if (routes.length > 0) {
    // RFC 3442: who takes these ignores the router, so that it is among them.
    const fallback = router === undefined ? [] : [{ prefix: new Prefix(IpAddress.any4, 0), gateway: router }];
    options.set(option.classlessRoutes, routeBytes([...routes, ...fallback]));
  }
  return options;
}
