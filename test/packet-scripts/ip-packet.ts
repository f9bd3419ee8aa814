// The IP packets around the segments of scripts, of either version. Addresses are told by their last 32 bits.
import { IpAddress } from "@tesserae/device/address";
import { checksum, pseudoHeaderSum4, pseudoHeaderSum6 } from "@tesserae/wire/checksum";

export type Family = 4 | 6;

export const protocolTcp = 6;
/** What precedes the last 32 bits: fd00::/96. */
const prefix6 = 0xfd00_0000;

export function addressOf(family: Family, word: number): IpAddress {
  return family === 4 ? IpAddress.v4(word) : new IpAddress(6, prefix6, 0, 0, word);
}

/** Bytes of an IP header without options. */
export function headerSize(family: Family): number {
  return family === 4 ? 20 : 40;
}

/** The sum of the pseudo header of `length` bytes of a protocol. */
export function pseudoSum(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  return source.family === 4
    ? pseudoHeaderSum4(source.w3, destination.w3, protocol, length)
    : pseudoHeaderSum6(source, destination, protocol, length);
}

/** A packet around `payload`; `ecn` are the two ECN bits. */
export function wrap(
  source: IpAddress,
  destination: IpAddress,
  protocol: number,
  ecn: number,
  payload: Uint8Array,
): Uint8Array {
  const header = headerSize(source.family);
  const bytes = new Uint8Array(header + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(payload, header);
  if (source.family === 6) {
    view.setUint32(0, 0x6000_0000 | (ecn << 20));
    view.setUint16(4, payload.length);
    bytes[6] = protocol;
    bytes[7] = 64;
    writeAddress6(view, 8, source);
    writeAddress6(view, 24, destination);
    return bytes;
  }
  bytes[0] = 0x45;
  bytes[1] = ecn;
  view.setUint16(2, bytes.length);
  view.setUint16(6, 0x4000);
  bytes[8] = 64;
  bytes[9] = protocol;
  view.setInt32(12, source.w3);
  view.setInt32(16, destination.w3);
  view.setUint16(10, checksum(bytes, 0, header));
  return bytes;
}

function writeAddress6(view: DataView, at: number, address: IpAddress): void {
  view.setInt32(at, address.w0);
  view.setInt32(at + 4, address.w1);
  view.setInt32(at + 8, address.w2);
  view.setInt32(at + 12, address.w3);
}

/** A TCP packet that a subject sent. */
export interface TcpPacket {
  /** Where TCP begins. */
  readonly offset: number;
  readonly ecn: number;
  readonly dontFragment: boolean;
}

/** Which peer a packet is for, by the last 32 bits of its destination; `undefined` for what is no IP packet. */
export function destinationOf(packet: Uint8Array): number | undefined {
  const version = (packet[0] ?? 0) >>> 4;
  const at = version === 4 ? 16 : 36;
  if ((version !== 4 && version !== 6) || packet.length < at + 4) return undefined;
  return new DataView(packet.buffer, packet.byteOffset, packet.length).getUint32(at);
}

/**
 * Reads a packet; `undefined` when it is none of TCP.
 *
 * @throws Error when it is malformed: no subject may send that.
 */
export function readTcp(packet: Uint8Array): TcpPacket | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const family = (packet[0] ?? 0) >>> 4 === 6 ? 6 : 4;
  const offset = headerSize(family);
  if (packet.length < offset || packet[family === 6 ? 6 : 9] !== protocolTcp) return undefined;
  const length = family === 6 ? view.getUint16(4) + offset : view.getUint16(2);
  if (length !== packet.length) throw new Error("an IP packet of a wrong length was sent");
  if (family === 4 && (packet[0] !== 0x45 || checksum(packet, 0, offset) !== 0)) {
    throw new Error("a bad IPv4 header was sent");
  }
  const size = length - offset;
  const [source, destination] = ends(view, family);
  if (checksum(packet, offset, size, pseudoSum(source, destination, protocolTcp, size)) !== 0) {
    throw new Error("a segment with a wrong checksum was sent");
  }
  return {
    offset,
    ecn: family === 6 ? (view.getUint32(0) >>> 20) & 3 : (packet[1] ?? 0) & 3,
    dontFragment: family === 6 || (view.getUint16(6) & 0x4000) !== 0,
  };
}

function ends(view: DataView, family: Family): readonly [IpAddress, IpAddress] {
  if (family === 4) return [IpAddress.v4(view.getInt32(12)), IpAddress.v4(view.getInt32(16))];
  const read = (at: number): IpAddress =>
    new IpAddress(6, view.getInt32(at), view.getInt32(at + 4), view.getInt32(at + 8), view.getInt32(at + 12));
  return [read(8), read(24)];
}
