/**
 * The Internet checksum (RFC 1071), its incremental update (RFC 1624), and the sums of pseudo headers.
 *
 * Sums stay unfolded until {@link fold}: integers from 0 to 2⁵³, of which only the value modulo 65,535, and whether it
 * is 0, has a meaning. So the parts of a message can be summed one after the other, provided that each part but the
 * last has even length.
 */

import type { IpAddress } from "@tesserae/device/address";

/** From this length on, in bytes, 32-bit loads win back what it costs to find the buffer behind an array. */
const wide = 320;

/** Below this length, in bytes, the plain loop is the fastest: headers. */
const narrow = 48;

// The view of the buffer that was summed last: packets live in pools, and a pool is one buffer. At most one buffer is
// kept alive by this, and no result depends on it.
let lastBuffer: ArrayBufferLike = new ArrayBuffer(0);
let lastView: DataView = new DataView(lastBuffer);

/**
 * Adds `bytes[offset … offset + length)` to `initial`. An odd last byte counts as the high byte of a word. Any
 * alignment. The caller has checked that the bytes are there.
 *
 * @param length 0 to 2²³
 */
export function sum(bytes: Uint8Array, offset: number, length: number, initial = 0): number {
  if (length >= wide) return sumWords(bytes, offset, length, initial);
  if (length >= narrow) return sumBytes(bytes, offset, length, initial);
  let total = initial;
  let at = offset;
  for (const last = offset + length - 1; at < last; at += 2) {
    // as: the caller has checked that the bytes are there
    total += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  }
  // as: likewise
  return (length & 1) === 0 ? total : total + ((bytes[at] as number) << 8);
}

/** Bytes of even and of odd index apart: no shifts. */
function sumBytes(bytes: Uint8Array, offset: number, length: number, initial: number): number {
  let high = 0;
  let low = 0;
  let at = offset;
  const end = offset + length;
  for (const last = end - 15; at < last; at += 16) {
    // as, here and below: the caller has checked that the bytes are there
    high += (bytes[at] as number) + (bytes[at + 2] as number) + (bytes[at + 4] as number) + (bytes[at + 6] as number);
    low += (bytes[at + 1] as number) + (bytes[at + 3] as number) + (bytes[at + 5] as number); // as: above
    high += (bytes[at + 8] as number) + (bytes[at + 10] as number) + (bytes[at + 12] as number); // as: above
    low += (bytes[at + 7] as number) + (bytes[at + 9] as number) + (bytes[at + 11] as number); // as: above
    high += bytes[at + 14] as number; // as: above
    low += (bytes[at + 13] as number) + (bytes[at + 15] as number); // as: above
  }
  for (const last = end - 1; at < last; at += 2) {
    high += bytes[at] as number; // as: above
    low += bytes[at + 1] as number; // as: above
  }
  // as: above
  if (at < end) high += bytes[at] as number;
  return initial + high * 256 + low;
}

/** Words of 32 bits, which count as two of 16: 2¹⁶ is 1 modulo 65,535. A double holds 2²¹ of them without rounding. */
function sumWords(bytes: Uint8Array, offset: number, length: number, initial: number): number {
  const buffer = bytes.buffer;
  if (buffer !== lastBuffer) {
    lastBuffer = buffer;
    lastView = new DataView(buffer);
  }
  const view = lastView;
  let total = initial;
  let at = bytes.byteOffset + offset;
  const end = at + length;
  for (const last = end - 31; at < last; at += 32) {
    total +=
      view.getUint32(at) +
      view.getUint32(at + 4) +
      view.getUint32(at + 8) +
      view.getUint32(at + 12) +
      view.getUint32(at + 16) +
      view.getUint32(at + 20) +
      view.getUint32(at + 24) +
      view.getUint32(at + 28);
  }
  for (const last = end - 1; at < last; at += 2) total += view.getUint16(at);
  if (at < end) total += view.getUint8(at) * 256;
  return total;
}

/** A sum as 16 bits, carries added in: 0 only for a sum of 0. */
export function fold(sum: number): number {
  let folded = sum;
  if (folded > 0xffffffff) folded = (folded % 0x1_0000_0000) + Math.floor(folded / 0x1_0000_0000);
  // At most 2²¹ too large; 2³²−1 is 0 modulo 65,535.
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
