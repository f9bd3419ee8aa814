/** How a payload is cut to fit (RFC 791 §2.3): pure arithmetic, so that the sender allocates nothing. */

import { ipv4 } from "./wire.ts";

/** Payload bytes in each fragment but the last: a multiple of 8 that fits `mtu` with a plain header. */
export function fragmentSize(mtu: number): number {
  return (mtu - ipv4.size) & ~7;
}

/** How many fragments carry `length` payload bytes over `mtu`; 1 is an unfragmented packet. */
export function fragmentCount(length: number, mtu: number): number {
  return length <= mtu - ipv4.size ? 1 : Math.ceil(length / fragmentSize(mtu));
}
