/**
 * The Internet checksum (RFC 1071), its incremental update (RFC 1624), and the sums of pseudo headers.
 *
 * Sums are of 16-bit words in network order and stay unfolded, as integers below 2⁵³, until {@link fold}: so the parts
 * of a message can be summed one after the other, in any order, provided that each part but the last has even length.
 */

import type { IpAddress } from "@tesserae/device/address";

/**
 * Adds `bytes[offset … offset + length)` to `initial`. An odd last byte counts as the high byte of a word. Any
 * alignment. The caller has checked that the bytes are there.
 */
export function sum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  let high = 0;
  let low = 0;
  let at = offset;
  const end = offset + length;
  const unrolled = end - 15;
  // Bytes of even and odd index apart: no shifts, and no carry for any length below 16 MiB.
  for (; at < unrolled; at += 16) {
    high +=
      (bytes[at] ?? 0) +
      (bytes[at + 2] ?? 0) +
      (bytes[at + 4] ?? 0) +
      (bytes[at + 6] ?? 0) +
      (bytes[at + 8] ?? 0) +
      (bytes[at + 10] ?? 0) +
      (bytes[at + 12] ?? 0) +
      (bytes[at + 14] ?? 0);
    low +=
      (bytes[at + 1] ?? 0) +
      (bytes[at + 3] ?? 0) +
      (bytes[at + 5] ?? 0) +
      (bytes[at + 7] ?? 0) +
      (bytes[at + 9] ?? 0) +
      (bytes[at + 11] ?? 0) +
      (bytes[at + 13] ?? 0) +
      (bytes[at + 15] ?? 0);
  }
  for (; at < end - 1; at += 2) {
    high += bytes[at] ?? 0;
    low += bytes[at + 1] ?? 0;
  }
  if (at < end) high += bytes[at] ?? 0;
  return initial + high * 256 + low;
}

/** A sum as 16 bits, carries added in: 0 only for a sum of 0. */
export function fold(sum: number): number {
  let folded = sum;
  if (folded > 0xffffffff) folded = (folded % 0x1_0000_0000) + Math.floor(folded / 0x1_0000_0000);
  if (folded > 0xffffffff) folded -= 0xffffffff;
  folded = (folded >>> 16) + (folded & 0xffff);
  return ((folded >>> 16) + folded) & 0xffff;
}

/**
 * The value of a checksum field: the complement of the folded sum, 0 to 65,535. Over a message with a correct
 * checksum in it the result is 0.
 */
export function checksum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  return ~fold(sum(bytes, offset, length, initial)) & 0xffff;
}

/**
 * The checksum of a message in which one 16-bit word has changed (RFC 1624 §3, equation 3).
 *
 * @param old the checksum before, 0 to 65,535
 * @param oldWord the word before, 0 to 65,535
 * @param newWord the word now, 0 to 65,535
 */
export function updateChecksum(old: number, oldWord: number, newWord: number): number {
  return ~fold((~old & 0xffff) + (~oldWord & 0xffff) + newWord) & 0xffff;
}

/**
 * The sum of the IPv4 pseudo header (RFC 9293 §3.1, RFC 768).
 *
 * @param source the address as `IpAddress.w3`, signed or unsigned
 * @param destination likewise
 * @param length bytes in the transport header and payload
 */
export function pseudoHeaderSum4(source: number, destination: number, protocol: number, length: number): number {
  return (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + length;
}

/**
 * The sum of the IPv6 pseudo header (RFC 8200 §8.1).
 *
 * @param nextHeader the transport protocol, not that of an extension header
 * @param length bytes in the transport header and payload, 0 to 2³²−1
 */
export function pseudoHeaderSum6(
  source: IpAddress,
  destination: IpAddress,
  nextHeader: number,
  length: number,
): number {
  return words(source) + words(destination) + (length >>> 16) + (length & 0xffff) + nextHeader;
}

function words(address: IpAddress): number {
  return word(address.w0) + word(address.w1) + word(address.w2) + word(address.w3);
}

function word(bits: number): number {
  return (bits >>> 16) + (bits & 0xffff);
}
