/** What kind of address it is: scope, multicast groups (RFC 4291, RFC 4007). */

import { IpAddress, MacAddress } from "@tesserae/device/address";

/** Scopes as multicast addresses name them (RFC 7346 §2). */
export const scopeInterface = 1;
export const scopeLink = 2;
export const scopeSite = 5;
export const scopeGlobal = 14;

export function isLinkLocal(address: IpAddress): boolean {
  return address.w0 >>> 22 === 0x3fa && address.family === 6;
}

/** The scope of an address (RFC 6724 §3.1): of unicast addresses loopback counts as link-local. */
export function scopeOf(address: IpAddress): number {
  const high = address.w0 >>> 16;
  if (high >>> 8 === 0xff) return high & 15;
  if (high >>> 6 === 0x3fa || address.isLoopback) return scopeLink;
  // Site-local addresses are deprecated (RFC 3879), and have their scope all the same.
  return high >>> 6 === 0x3fb ? scopeSite : scopeGlobal;
}

/** `ff02::1`. */
export const allNodes: IpAddress = new IpAddress(6, 0xff020000, 0, 0, 1);
/** `ff02::2`. */
export const allRouters: IpAddress = new IpAddress(6, 0xff020000, 0, 0, 2);

/** `ff02::1:ff00:0/104` and the low 24 bits of the address (RFC 4291 §2.7.1). */
export function solicitedNode(address: IpAddress): IpAddress {
  return new IpAddress(6, 0xff020000, 0, 1, 0xff000000 | (address.w3 & 0xffffff));
}

/** Where a group's packets go on Ethernet (RFC 2464 §7): `33:33` and the low 32 bits. */
export function multicastMac(group: IpAddress): MacAddress {
  return new MacAddress(0x3333, group.w3);
}
