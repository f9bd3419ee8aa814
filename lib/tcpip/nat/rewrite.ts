/** Changing addresses and ports in place, checksums kept right (RFC 1624). */

import { protocolIcmp, protocolTcp, protocolUdp } from "@tesserae/device/ip";
import { fold } from "@tesserae/wire/checksum";
import { ipv4 } from "../ipv4/wire.ts";

/** Where the source and the destination address are in the header. */
export const sourceAt = 12;
export const destinationAt = 16;

/** Where ports, or what stands for them, are behind the header. */
export const sourcePortAt = 0;
export const destinationPortAt = 2;
/** The identifier of an ICMP query is its port on either side (RFC 5508 §3.1). */
export const identifierAt = 4;

export function word16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function setWord16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** What a change of one 16-bit word adds to the sum. */
function delta(before: number, after: number): number {
  return (~before & 0xffff) + after;
}

/** Where the transport checksum is, or −1. */
function checksumAt(protocol: number): number {
  return protocol === protocolTcp ? 16 : protocol === protocolUdp ? 6 : protocol === protocolIcmp ? 2 : -1;
}

function adjust(bytes: Uint8Array, at: number, change: number): void {
  setWord16(bytes, at, ~fold((~word16(bytes, at) & 0xffff) + change) & 0xffff);
}

/**
 * Writes an address and a port into the packet at `bytes[header …)`, of which `available` bytes are there: all of it, or
 * what an ICMP error quotes. The sums follow as far as they are there.
 *
 * @param addressAt {@link sourceAt} or {@link destinationAt}
 * @param address as `IpAddress.w3`
 * @param portAt {@link sourcePortAt}, {@link destinationPortAt}, {@link identifierAt}; −1: no port changes
 * @param partial whether the transport checksum holds the pseudo header's sum alone (`needsChecksum`)
 */
export function rewrite(
  bytes: Uint8Array,
  header: number,
  available: number,
  addressAt: number,
  address: number,
  portAt: number,
  port: number,
  partial: boolean,
): void {
  const at = header + addressAt;
  const high = address >>> 16;
  const low = address & 0xffff;
  const change = delta(word16(bytes, at), high) + delta(word16(bytes, at + 2), low);
  setWord16(bytes, at, high);
  setWord16(bytes, at + 2, low);
  adjust(bytes, header + 10, change);
  const protocol = bytes[header + 9] ?? 0;
  const start = header + ipv4.field.headerLength.get(bytes, header) * 4;
  let portChange = 0;
  if (portAt >= 0) {
    portChange = delta(word16(bytes, start + portAt), port);
    setWord16(bytes, start + portAt, port);
  }
  const stored = checksumAt(protocol);
  if (stored < 0 || start + stored + 2 > header + available) return;
  if (partial) {
    // The ports are not in it yet.
    if (protocol !== protocolIcmp) setWord16(bytes, start + stored, fold(word16(bytes, start + stored) + change));
    return;
  }
  if (protocol === protocolIcmp) {
    adjust(bytes, start + stored, portChange);
    return;
  }
  // A datagram without a checksum stays one (RFC 768); a sum of zero is written as all ones.
  if (protocol === protocolUdp && word16(bytes, start + stored) === 0) return;
  adjust(bytes, start + stored, change + portChange);
  if (protocol === protocolUdp && word16(bytes, start + stored) === 0) setWord16(bytes, start + stored, 0xffff);
}
