import { IpAddress, MacAddress } from "@tesserae/device/address";

/** The bits of TCP's flags byte, lowest first (RFC 9293 §3.1). */
const tcpFlags = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/**
 * One line about an Ethernet frame, whatever it holds: addresses, protocol, and what matters of TCP, UDP, ICMP and
 * ARP. Never throws; a frame that ends early is said to.
 */
export function describeFrame(bytes: Uint8Array, offset: number, length: number): string {
  const frame = bytes.subarray(offset, offset + length);
  if (frame.length < 14) return `truncated frame, ${String(frame.length)} bytes`;
  const type = u16(frame, 12);
  if (type === 0x0806) return describeArp(frame, 14);
  if (type === 0x0800) return describeIpv4(frame, 14);
  const from = MacAddress.read(frame, 6).toString();
  const to = MacAddress.read(frame, 0).toString();
  const name = type === 0x86dd ? "ipv6" : type < 0x0600 ? "802.3" : `ethertype 0x${type.toString(16).padStart(4, "0")}`;
  return `${from} → ${to} ${name}, ${String(frame.length - 14)} bytes`;
}

function describeArp(frame: Uint8Array, at: number): string {
  if (frame.length < at + 28) return "arp, truncated";
  const operation = u16(frame, at + 6);
  const sender = ip(frame, at + 14);
  const target = ip(frame, at + 24);
  if (operation === 1) return `arp who has ${target}? tell ${sender}`;
  if (operation === 2) return `arp ${sender} is at ${MacAddress.read(frame, at + 8).toString()}`;
  return `arp operation ${String(operation)}`;
}

function describeIpv4(frame: Uint8Array, at: number): string {
  if (frame.length < at + 20) return "ipv4, truncated";
  const headerLength = (u8(frame, at) & 15) * 4;
  const total = u16(frame, at + 2);
  const protocol = u8(frame, at + 9);
  const source = ip(frame, at + 12);
  const destination = ip(frame, at + 16);
  const fragment = u16(frame, at + 6);
  const inner = at + headerLength;
  const payload = total - headerLength;
  if (headerLength < 20 || payload < 0 || frame.length < at + total)
    return `${source} → ${destination} ipv4, malformed`;
  const start = (fragment & 0x1fff) * 8;
  if (start > 0) return `${source} → ${destination} ip fragment at ${String(start)}, ${String(payload)} bytes`;
  const more = (fragment & 0x2000) === 0 ? "" : ", first fragment";
  if (protocol === 6 && payload >= 20) return describeTcp(frame, inner, payload, source, destination) + more;
  if (protocol === 17 && payload >= 8) {
    const ports = `${source}:${String(u16(frame, inner))} → ${destination}:${String(u16(frame, inner + 2))}`;
    return `${ports} udp, ${String(u16(frame, inner + 4) - 8)} bytes${more}`;
  }
  if (protocol === 1 && payload >= 8) {
    const kind = describeIcmp(u8(frame, inner), u8(frame, inner + 1));
    return `${source} → ${destination} icmp ${kind}, ${String(payload - 8)} bytes${more}`;
  }
  return `${source} → ${destination} ip protocol ${String(protocol)}, ${String(payload)} bytes${more}`;
}

function describeTcp(frame: Uint8Array, at: number, length: number, source: string, destination: string): string {
  const ports = `${source}:${String(u16(frame, at))} → ${destination}:${String(u16(frame, at + 2))}`;
  const bits = u8(frame, at + 13);
  const flags = tcpFlags.filter((_, bit) => (bits & (1 << bit)) !== 0).join(",");
  const acknowledged = (bits & 16) === 0 ? "" : ` ack ${String(u32(frame, at + 8))}`;
  const payload = length - (u8(frame, at + 12) >>> 4) * 4;
  const size = payload < 0 ? "malformed" : `${String(payload)} bytes`;
  const window = String(u16(frame, at + 14));
  return `${ports} tcp ${flags} seq ${String(u32(frame, at + 4))}${acknowledged} win ${window}, ${size}`;
}

function describeIcmp(type: number, code: number): string {
  switch (type) {
    case 0:
      return "echo reply";
    case 3:
      return `unreachable (code ${String(code)})`;
    case 8:
      return "echo request";
    case 11:
      return `time exceeded (code ${String(code)})`;
    default:
      return `type ${String(type)} code ${String(code)}`;
  }
}

function u8(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function u16(bytes: Uint8Array, at: number): number {
  return (u8(bytes, at) << 8) | u8(bytes, at + 1);
}

function u32(bytes: Uint8Array, at: number): number {
  return ((u16(bytes, at) << 16) | u16(bytes, at + 2)) >>> 0;
}

function ip(bytes: Uint8Array, at: number): string {
  return IpAddress.v4(u32(bytes, at)).toString();
}
