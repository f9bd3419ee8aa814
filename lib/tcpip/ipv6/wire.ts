/** The IPv6 header and the fragment header (RFC 8200 §3, §4.5). */

import { bits, flag, ipv6 as address, layout, u16, u32, u8 } from "@tesserae/wire/layout";

export const nextHopByHop = 0;
export const nextRouting = 43;
export const nextFragment = 44;
export const nextNone = 59;
export const nextDestination = 60;

/** The smallest MTU of a link that carries IPv6 (RFC 8200 §5). */
export const leastMtu = 1280;

export const ipv6 = layout("ipv6", {
  version: bits(4),
  dscp: bits(6),
  ecn: bits(2),
  flowLabel: bits(20, { hex: true }),
  /** Everything behind this header, extension headers included. */
  payloadLength: u16(),
  nextHeader: u8({
    names: {
      0: "hop-by-hop",
      6: "tcp",
      17: "udp",
      43: "routing",
      44: "fragment",
      58: "icmpv6",
      59: "none",
      60: "destination",
    },
  }),
  hopLimit: u8(),
  source: address(),
  destination: address(),
});

export const fragment = layout("fragment", {
  nextHeader: u8(),
  reserved: u8(),
  /** In units of 8 bytes. */
  fragmentOffset: bits(13),
  reserved2: bits(2),
  moreFragments: flag(),
  identification: u32({ hex: true }),
});

/** Why a header is refused. `none`: it is not. */
export type HeaderFault = "none" | "truncated" | "version" | "length" | "source";

/**
 * Checks the header at `bytes[offset … offset + length)`. After `none` every fixed field can be relied on, and
 * `payloadLength` bytes follow. Bytes behind them are padding of the link. A payload of 0 bytes is a jumbogram
 * (RFC 2675), which we do not take, or empty.
 */
export function checkHeader(bytes: Uint8Array, offset: number, length: number): HeaderFault {
  if (length < ipv6.size) return "truncated";
  if ((bytes[offset] ?? 0) >>> 4 !== 6) return "version";
  if (ipv6.field.payloadLength.get(bytes, offset) + ipv6.size > length) return "length";
  // RFC 4291 §2.7: a multicast address is never a source.
  return bytes[offset + 8] === 0xff ? "source" : "none";
}
