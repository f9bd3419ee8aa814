import { IpAddress } from "@tesserae/device/address";

/** What links and queues look at in the frames that they carry. Frames are anybody's: nothing is taken for granted. */

const ipv4Type = 0x0800;
const ipv6Type = 0x86dd;
const header = 14;

/**
 * A hash of the flow that a frame belongs to: addresses, protocol and ports of IPv4 and IPv6, else the MAC addresses
 * and the type. An integer from 0 to 2³² − 1.
 */
export function flowHash(bytes: Uint8Array, offset: number, length: number, perturbation: number): number {
  const type = typeOf(bytes, offset, length);
  const packet = offset + header;
  let hash = perturbation | 0;
  if (type === ipv4Type && length >= header + 20) {
    const protocol = bytes[packet + 9] ?? 0;
    hash = mix(words(hash, bytes, packet + 12, 2), protocol);
    const headerLength = ((bytes[packet] ?? 0) & 15) * 4;
    // Only the first fragment has ports.
    const fragment = (((bytes[packet + 6] ?? 0) & 0x3f) << 8) | (bytes[packet + 7] ?? 0);
    if (hasPorts(protocol) && fragment === 0 && length >= header + headerLength + 4) {
      hash = words(hash, bytes, packet + headerLength, 1);
    }
  } else if (type === ipv6Type && length >= header + 40) {
    const protocol = bytes[packet + 6] ?? 0;
    hash = mix(words(hash, bytes, packet + 8, 8), protocol);
    if (hasPorts(protocol) && length >= header + 44) hash = words(hash, bytes, packet + 40, 1);
  } else {
    for (let at = 0; at < Math.min(header, length); at++) hash = mix(hash, bytes[offset + at] ?? 0);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * Marks an IP packet with congestion experienced (RFC 3168 §5), when its sender has said that it understands: ECT(0),
 * ECT(1), or marked already.
 *
 * @returns whether the packet carries the mark now.
 */
export function markCongestion(bytes: Uint8Array, offset: number, length: number): boolean {
  const type = typeOf(bytes, offset, length);
  const packet = offset + header;
  if (type === ipv4Type && length >= header + 20) {
    const before = bytes[packet + 1] ?? 0;
    if ((before & 3) === 0) return false;
    const after = before | 3;
    bytes[packet + 1] = after;
    // RFC 1624, equation 3, for the one word that has changed.
    const old = ((bytes[packet + 10] ?? 0) << 8) | (bytes[packet + 11] ?? 0);
    let sum = (~old & 0xffff) + (~before & 0xffff) + after;
    sum = (sum & 0xffff) + (sum >>> 16);
    sum = ~((sum & 0xffff) + (sum >>> 16)) & 0xffff;
    bytes[packet + 10] = sum >>> 8;
    bytes[packet + 11] = sum & 0xff;
    return true;
  }
  if (type === ipv6Type && length >= header + 40) {
    const before = bytes[packet + 1] ?? 0;
    if ((before & 0x30) === 0) return false;
    bytes[packet + 1] = before | 0x30;
    return true;
  }
  return false;
}

/** Who an IP packet says that it is from; undefined when it is none. */
export function sourceAddress(bytes: Uint8Array, offset: number, length: number): IpAddress | undefined {
  const type = typeOf(bytes, offset, length);
  if (type === ipv4Type && length >= header + 20) return IpAddress.v4(wordAt(bytes, offset + header + 12));
  if (type !== ipv6Type || length < header + 40) return undefined;
  const [w0, w1, w2, w3] = [8, 12, 16, 20].map((at) => wordAt(bytes, offset + header + at));
  return new IpAddress(6, w0 ?? 0, w1 ?? 0, w2 ?? 0, w3 ?? 0);
}

function typeOf(bytes: Uint8Array, offset: number, length: number): number {
  return length < header ? -1 : ((bytes[offset + 12] ?? 0) << 8) | (bytes[offset + 13] ?? 0);
}

function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}

function words(hash: number, bytes: Uint8Array, at: number, count: number): number {
  let mixed = hash;
  for (let index = at; index < at + count * 4; index += 4) mixed = mix(mixed, wordAt(bytes, index));
  return mixed;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return (mixed << 15) | (mixed >>> 17);
}
