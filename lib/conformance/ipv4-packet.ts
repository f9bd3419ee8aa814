import type { IpAddress } from "@tesserae/device/address";

/** Bytes of a header without options. */
export const headerSize = 20;

/** What a case says of a packet it makes. */
export interface PacketSettings {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** Default 1. */
  readonly identification?: number;
  /** Of a fragment, in bytes: a multiple of 8. Default 0. */
  readonly fragmentOffset?: number;
  /** Default false. */
  readonly moreFragments?: boolean;
}

/** The folded ones' complement sum of `bytes` (RFC 1071), begun with `initial`. A block that checks sums to 0xffff. */
export function onesComplementSum(bytes: Uint8Array, initial = 0): number {
  let total = initial;
  for (const [index, value] of bytes.entries()) total += index % 2 === 0 ? value << 8 : value;
  while (total > 0xffff) total = (total % 0x1_0000) + Math.floor(total / 0x1_0000);
  return total;
}

/** The folded sum of the pseudo header of TCP and UDP (RFC 9293 §3.1). */
export function pseudoHeaderSum(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  payloadLength: number,
): number {
  const header = new Uint8Array(12);
  writeWord(header, 0, source.w3);
  writeWord(header, 4, destination.w3);
  header[9] = protocol;
  writeHalf(header, 10, payloadLength);
  return onesComplementSum(header);
}

/** A packet of IPv4 (RFC 791 §3.1). */
export function ipv4Packet(settings: PacketSettings): Uint8Array {
  const { source, destination, protocol, payload } = settings;
  const bytes = new Uint8Array(headerSize + payload.length);
  bytes[0] = 0x45;
  writeHalf(bytes, 2, bytes.length);
  writeHalf(bytes, 4, settings.identification ?? 1);
  writeHalf(bytes, 6, (settings.moreFragments === true ? 0x2000 : 0) | ((settings.fragmentOffset ?? 0) >>> 3));
  bytes[8] = 64;
  bytes[9] = protocol;
  writeWord(bytes, 12, source.w3);
  writeWord(bytes, 16, destination.w3);
  writeHalf(bytes, 10, ~onesComplementSum(bytes.subarray(0, headerSize)));
  bytes.set(payload, headerSize);
  return bytes;
}

/** An ICMP error (RFC 792) that quotes the beginning of a packet. `rest` is the second half of its second word. */
export function icmpError(type: number, code: number, rest: number, quoted: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + quoted.length);
  bytes[0] = type;
  bytes[1] = code;
  writeHalf(bytes, 6, rest);
  bytes.set(quoted, 8);
  writeHalf(bytes, 2, ~onesComplementSum(bytes));
  return bytes;
}

export function writeHalf(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

function writeWord(bytes: Uint8Array, offset: number, value: number): void {
  writeHalf(bytes, offset, value >>> 16);
  writeHalf(bytes, offset + 2, value);
}
