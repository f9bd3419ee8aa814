/** The IPv4 header (RFC 791 §3.1) and the checks a host makes of it (RFC 1122 §3.2.1). */

import { checksum } from "@tesserae/wire/checksum";
import { bits, flag, ipv4 as address, layout, u16, u8 } from "@tesserae/wire/layout";

export const ipv4 = layout("ipv4", {
  version: bits(4),
  /** In 32-bit words. */
  headerLength: bits(4),
  dscp: bits(6),
  ecn: bits(2),
  totalLength: u16(),
  identification: u16({ hex: true }),
  reserved: flag(),
  dontFragment: flag(),
  moreFragments: flag(),
  /** In units of 8 bytes. */
  fragmentOffset: bits(13),
  timeToLive: u8(),
  protocol: u8({ names: { 1: "icmp", 6: "tcp", 17: "udp" } }),
  checksum: u16({ hex: true }),
  source: address(),
  destination: address(),
});

/** Why a header is refused. `none`: it is not. */
export type HeaderFault = "none" | "truncated" | "version" | "length" | "checksum" | "options" | "source-route";

/**
 * Checks the header at `bytes[offset … offset + length)`: that it is whole, that its lengths agree, its checksum, and
 * its options. After `none` every fixed field, `headerLength` and `totalLength` can be relied on.
 */
export function checkHeader(bytes: Uint8Array, offset: number, length: number): HeaderFault {
  if (length < ipv4.size) return "truncated";
  const first = bytes[offset] ?? 0;
  if (first >>> 4 !== 4) return "version";
  const headerLength = (first & 15) * 4;
  const totalLength = ipv4.field.totalLength.get(bytes, offset);
  if (headerLength < ipv4.size || totalLength < headerLength) return "length";
  if (totalLength > length) return "truncated";
  if (checksum(bytes, offset, headerLength) !== 0) return "checksum";
  return headerLength === ipv4.size ? "none" : checkOptions(bytes, offset + ipv4.size, headerLength - ipv4.size);
}

const endOfOptions = 0;
const noOperation = 1;
const looseSourceRoute = 131;
const strictSourceRoute = 137;

/**
 * Walks the options. None means anything to a host that does not route, but each must have a sane length (RFC 1122
 * §3.2.1.8), and source routes are refused (RFC 7126 §4.3, §4.4).
 */
export function checkOptions(bytes: Uint8Array, offset: number, length: number): HeaderFault {
  const end = offset + length;
  let at = offset;
  while (at < end) {
    const type = bytes[at] ?? 0;
    if (type === endOfOptions) return "none";
    if (type === noOperation) {
      at++;
      continue;
    }
    if (type === looseSourceRoute || type === strictSourceRoute) return "source-route";
    const size = at + 1 < end ? (bytes[at + 1] ?? 0) : 0;
    if (size < 2 || at + size > end) return "options";
    at += size;
  }
  return "none";
}
