// Frames of an attacker: any source, any flags, checksums right, so that they reach the layer that they are meant for.
import type { IpAddress, MacAddress } from "@tesserae/device/address";
import { checksum, pseudoHeaderSum4 } from "@tesserae/wire/checksum";

const ethernetSize = 14;
const ipSize = 20;

export interface Ends {
  readonly fromMac: MacAddress;
  readonly toMac: MacAddress;
  /** As `IpAddress.w3`. */
  readonly from: number;
  readonly to: IpAddress;
}

/** An IPv4 packet in a frame. `fragment`: the word of flags and offset. */
export function ipv4Frame(ends: Ends, protocol: number, payload: Uint8Array, id = 0, fragment = 0): Uint8Array {
  const frame = new Uint8Array(ethernetSize + ipSize + payload.length);
  const view = new DataView(frame.buffer);
  ends.toMac.write(frame, 0);
  ends.fromMac.write(frame, 6);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, ipSize + payload.length);
  view.setUint16(18, id);
  view.setUint16(20, fragment);
  view.setUint8(22, 64);
  view.setUint8(23, protocol);
  view.setInt32(26, ends.from);
  view.setInt32(30, ends.to.w3);
  view.setUint16(24, checksum(frame, ethernetSize, ipSize));
  frame.set(payload, ethernetSize + ipSize);
  return frame;
}

export interface Tcp {
  readonly fromPort: number;
  readonly toPort: number;
  readonly sequence: number;
  readonly acknowledgement?: number;
  readonly flags: number;
  readonly data?: Uint8Array;
}

/** A TCP segment without options in a frame. */
export function tcpFrame(ends: Ends, tcp: Tcp): Uint8Array {
  const { data = new Uint8Array(0) } = tcp;
  const bytes = new Uint8Array(20 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, tcp.fromPort);
  view.setUint16(2, tcp.toPort);
  view.setInt32(4, tcp.sequence);
  view.setInt32(8, tcp.acknowledgement ?? 0);
  view.setUint8(12, 0x50);
  view.setUint8(13, tcp.flags);
  view.setUint16(14, 65_535);
  bytes.set(data, 20);
  view.setUint16(16, checksum(bytes, 0, bytes.length, pseudoHeaderSum4(ends.from, ends.to.w3, 6, bytes.length)));
  return ipv4Frame(ends, 6, bytes);
}

/** A UDP datagram in a frame, without a checksum, as RFC 768 allows. */
export function udpFrame(ends: Ends, fromPort: number, toPort: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, fromPort);
  view.setUint16(2, toPort);
  view.setUint16(4, bytes.length);
  bytes.set(data, 8);
  return ipv4Frame(ends, 17, bytes);
}

/** An echo request in a frame. */
export function echoFrame(ends: Ends, id: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 8);
  view.setUint16(4, id);
  bytes.set(data, 8);
  view.setUint16(2, checksum(bytes, 0, bytes.length));
  return ipv4Frame(ends, 1, bytes);
}

/** An ARP request: `from` asks everybody for `to`. */
export function arpFrame(ends: Ends): Uint8Array {
  const frame = new Uint8Array(42);
  const view = new DataView(frame.buffer);
  frame.fill(0xff, 0, 6);
  ends.fromMac.write(frame, 6);
  view.setUint16(12, 0x0806);
  frame.set([0, 1, 8, 0, 6, 4, 0, 1], 14);
  ends.fromMac.write(frame, 22);
  view.setInt32(28, ends.from);
  view.setInt32(38, ends.to.w3);
  return frame;
}
