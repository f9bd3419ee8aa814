/** The IPv4 header (RFC 791 §3.1) and the checks a host makes of it (RFC 1122 §3.2.1). */

import { checksum, fold } from "@tesserae/wire/checksum";
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
  if (headerLength === ipv4.size) return isSummed(bytes, offset) ? "none" : "checksum";
  if (checksum(bytes, offset, headerLength) !== 0) return "checksum";
  return checkOptions(bytes, offset + ipv4.size, headerLength - ipv4.size);
}

/** Whether the checksum of a header without options is right: it is summed for each packet, so without a loop. */
function isSummed(bytes: Uint8Array, at: number): boolean {
  // as, here and below: the caller has checked that the header is there
  const high0 = (bytes[at] as number) + (bytes[at + 2] as number) + (bytes[at + 4] as number);
  const high1 = (bytes[at + 6] as number) + (bytes[at + 8] as number) + (bytes[at + 10] as number); // as: above
  const high2 = (bytes[at + 12] as number) + (bytes[at + 14] as number) + (bytes[at + 16] as number); // as: above
  const low0 = (bytes[at + 1] as number) + (bytes[at + 3] as number) + (bytes[at + 5] as number); // as: above
  const low1 = (bytes[at + 7] as number) + (bytes[at + 9] as number) + (bytes[at + 11] as number); // as: above
  const low2 = (bytes[at + 13] as number) + (bytes[at + 15] as number) + (bytes[at + 17] as number); // as: above
  const high = high0 + high1 + high2 + (bytes[at + 18] as number); // as: above
  const low = low0 + low1 + low2 + (bytes[at + 19] as number); // as: above
  return fold(high * 256 + low) === 0xffff;
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
