/** What a DHCP server grants, read with suspicion. */

import type { IpAddress } from "@tesserae/device/address";
import { Prefix } from "@tesserae/device/address";
import type { Route } from "../ipv4/route.ts";
import { addressesOption, maskLength, option, routesOption, textOption, uint32Option } from "./options.ts";
import type { DhcpMessage } from "./wire.ts";

export interface Lease {
  readonly address: Prefix;
  readonly server: IpAddress;
  readonly gateway: IpAddress | undefined;
  readonly routes: readonly Route[];
  readonly nameServers: readonly IpAddress[];
  readonly domainName: string | undefined;
  /** Instants on the `now()` axis; `Infinity` for a lease without end. */
  readonly renewAt: number;
  readonly rebindAt: number;
  readonly expiresAt: number;
}

/** A server that grants less would have us ask all day long. Seconds. */
const leastLeaseTime = 10;

/**
 * The lease that an ACK grants, or `undefined` when it cannot be one.
 *
 * @param requested when the request was sent: the lease runs from then (RFC 2131 §4.4.1)
 */
export function readLease(ack: DhcpMessage, requested: number): Lease | undefined {
  const { options, yourIp } = ack;
  const [server] = addressesOption(options, option.serverIdentifier);
  const granted = uint32Option(options, option.leaseTime);
  if (server === undefined || granted === undefined || !isHost(yourIp)) return undefined;
  const [mask] = addressesOption(options, option.subnetMask);
  const length = mask === undefined ? classLength(yourIp) : maskLength(mask.w3);
  if (length === undefined || length === 0) return undefined;
  const address = new Prefix(yourIp, length);
  // RFC 3442: a client that knows classless routes ignores the routers.
  const classless = routesOption(options);
  const [router] = addressesOption(options, option.router);
  const fallback = classless?.find((route) => route.prefix.length === 0);
  const gateway = classless === undefined ? router : fallback?.gateway;
  const life = granted === 0xffff_ffff ? Infinity : Math.max(granted, leastLeaseTime);
  const t1 = uint32Option(options, option.renewalTime);
  const t2 = uint32Option(options, option.rebindingTime);
  // RFC 2131 §4.4.5: T1 before T2 before the end; the defaults are 0.5 and 0.875 of the lease.
  const rebind = t2 !== undefined && t2 > 1 && t2 < life ? t2 : life * 0.875;
  const renew = t1 !== undefined && t1 > 0 && t1 < rebind ? t1 : Math.min(life * 0.5, rebind * 0.75);
  return {
    address,
    server,
    gateway: gateway !== undefined && isHost(gateway) ? gateway : undefined,
    routes: (classless ?? []).filter((route) => route !== fallback),
    nameServers: addressesOption(options, option.nameServers).filter(isHost),
    domainName: textOption(options, option.domainName),
    renewAt: requested + renew * 1000,
    rebindAt: requested + rebind * 1000,
    expiresAt: requested + life * 1000,
  };
}

/** Whether it can be the address of one host on a network. */
export function isHost(address: IpAddress): boolean {
  const first = address.w3 >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

/** Without a mask, the classes of RFC 791 §3.2. */
function classLength(address: IpAddress): number {
  const first = address.w3 >>> 24;
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
