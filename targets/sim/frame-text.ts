import { formatEndpoint, MacAddress, type IpAddress } from "@tesserae/device/address";
import { arp, isArp } from "@tesserae/tcpip/arp/wire";
import { ethernet, etherTypeArp, etherTypeIpv4, etherTypeIpv6 } from "@tesserae/tcpip/ethernet/wire";
import { icmp } from "@tesserae/tcpip/icmp/wire";
import { icmp6 } from "@tesserae/tcpip/icmpv6/wire";
import { checkHeader, ipv4 } from "@tesserae/tcpip/ipv4/wire";
import { ChainReader } from "@tesserae/tcpip/ipv6/extension-headers";
import { checkHeader as checkHeader6, fragment, ipv6 } from "@tesserae/tcpip/ipv6/wire";
import { mld1, mld2Record, mld2Report } from "@tesserae/tcpip/mld/wire";
import { neighbourAdvertisement, neighbourSolicitation } from "@tesserae/tcpip/ndp/wire";
import { header as tcp, readOptions, SegmentOptions } from "@tesserae/tcpip/tcp/wire";
import { udp } from "@tesserae/tcpip/udp/wire";

/** A TCP segment inside a frame, for those who draw connections. */
export interface TcpFacts {
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
  /** As tcpdump writes them: `S.`, `P.`, `.`, `F.`, `R`. */
  readonly flags: string;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly hasAcknowledgement: boolean;
  readonly window: number;
  /** Payload bytes. */
  readonly length: number;
  /** Options in words, each with a space in front: ` mss=1460 ws=7`. */
  readonly options: string;
}

const options = new SegmentOptions();
const chain = new ChainReader();

/** One line about a frame, in the manner of tcpdump. Never throws, whatever the bytes. */
export function frameText(bytes: Uint8Array, offset: number, length: number): string {
  if (length < ethernet.size) return `runt of ${length} bytes`;
  const type = ethernet.field.etherType.get(bytes, offset);
  const at = offset + ethernet.size;
  const rest = length - ethernet.size;
  if (type === etherTypeArp) return arpText(bytes, at, rest);
  if (type === etherTypeIpv4) return ipv4Text(bytes, at, rest);
  if (type === etherTypeIpv6) return ipv6Text(bytes, at, rest);
  const from = MacAddress.read(bytes, offset + 6).toString();
  const to = MacAddress.read(bytes, offset).toString();
  return `ethernet ${from} > ${to} type 0x${type.toString(16).padStart(4, "0")} len=${rest}`;
}

/** The TCP segment in a frame, or `undefined` when there is none, or only a part of one. */
export function tcpFacts(bytes: Uint8Array, offset: number, length: number): TcpFacts | undefined {
  if (length < ethernet.size) return undefined;
  const type = ethernet.field.etherType.get(bytes, offset);
  const at = offset + ethernet.size;
  if (type === etherTypeIpv6) return tcpFacts6(bytes, at, length - ethernet.size);
  if (type !== etherTypeIpv4) return undefined;
  if (checkHeader(bytes, at, length - ethernet.size) !== "none") return undefined;
  const { headerLength, totalLength, protocol, moreFragments, fragmentOffset } = ipv4.field;
  if (protocol.get(bytes, at) !== 6 || moreFragments.get(bytes, at) || fragmentOffset.get(bytes, at) !== 0) {
    return undefined;
  }
  const size = headerLength.get(bytes, at) * 4;
  return segment(bytes, at, at + size, totalLength.get(bytes, at) - size);
}

function tcpFacts6(bytes: Uint8Array, at: number, length: number): TcpFacts | undefined {
  if (checkHeader6(bytes, at, length) !== "none") return undefined;
  const end = at + ipv6.size + ipv6.field.payloadLength.get(bytes, at);
  if (chain.read(bytes, at, end, false) !== "upper" || chain.protocol !== 6) return undefined;
  return segment(bytes, at, chain.offset, end - chain.offset);
}

function arpText(bytes: Uint8Array, at: number, length: number): string {
  if (!isArp(bytes, at, length)) return `ARP malformed, len=${length}`;
  const { operation, senderIp, senderMac, targetIp } = arp.field;
  const sender = senderIp.get(bytes, at).toString();
  const target = targetIp.get(bytes, at).toString();
  switch (operation.get(bytes, at)) {
    case 1:
      if (sender === target) return `ARP announce ${sender}`;
      return sender === "0.0.0.0" ? `ARP probe ${target}` : `ARP who-has ${target} tell ${sender}`;
    case 2:
      return `ARP ${sender} is-at ${MacAddress.read(bytes, at + senderMac.offset).toString()}`;
    default:
      return `ARP operation ${operation.get(bytes, at)}`;
  }
}

function ipv4Text(bytes: Uint8Array, at: number, length: number): string {
  const fault = checkHeader(bytes, at, length);
  if (fault !== "none" && fault !== "options" && fault !== "source-route") return `IPv4 bad ${fault}, len=${length}`;
  const field = ipv4.field;
  const size = field.headerLength.get(bytes, at) * 4;
  const payload = at + size;
  const rest = field.totalLength.get(bytes, at) - size;
  const protocol = field.protocol.get(bytes, at);
  const fragment = field.fragmentOffset.get(bytes, at) * 8;
  if (fragment !== 0 || field.moreFragments.get(bytes, at)) {
    const id = field.identification.get(bytes, at);
    const more = field.moreFragments.get(bytes, at) ? "+" : "";
    return `IPv4 ${addresses(bytes, at)} fragment id=${id} at=${fragment} len=${rest}${more} protocol=${protocol}`;
  }
  if (protocol === 6) {
    const facts = segment(bytes, at, payload, rest);
    return facts === undefined ? `TCP ${addresses(bytes, at)} malformed, len=${rest}` : segmentText(facts);
  }
  if (protocol === 17) return udpText(bytes, at, payload, rest);
  if (protocol === 1) return icmpText(bytes, at, payload, rest);
  return `IPv4 ${addresses(bytes, at)} protocol=${protocol} len=${rest}`;
}

function ipv6Text(bytes: Uint8Array, at: number, length: number): string {
  const fault = checkHeader6(bytes, at, length);
  if (fault !== "none") return `IPv6 bad ${fault}, len=${length}`;
  const end = at + ipv6.size + ipv6.field.payloadLength.get(bytes, at);
  const verdict = chain.read(bytes, at, end, false);
  const { offset, protocol } = chain;
  const rest = end - offset;
  if (verdict === "fragment") {
    const id = fragment.field.identification.get(bytes, offset);
    const from = fragment.field.fragmentOffset.get(bytes, offset) * 8;
    const more = fragment.field.moreFragments.get(bytes, offset) ? "+" : "";
    const part = rest - fragment.size;
    return `IPv6 ${addresses(bytes, at)} fragment id=${id} at=${from} len=${part}${more} protocol=${protocol}`;
  }
  if (verdict !== "upper") return `IPv6 ${addresses(bytes, at)} next=${protocol} len=${rest}`;
  if (protocol === 6) {
    const facts = segment(bytes, at, offset, rest);
    return facts === undefined ? `TCP ${addresses(bytes, at)} malformed, len=${rest}` : segmentText(facts);
  }
  if (protocol === 17) return udpText(bytes, at, offset, rest);
  if (protocol === 58) return icmp6Text(bytes, at, offset, rest);
  return `IPv6 ${addresses(bytes, at)} protocol=${protocol} len=${rest}`;
}

const icmp6Names: Readonly<Record<number, string>> = {
  1: "unreachable",
  2: "packet-too-big",
  3: "time-exceeded",
  4: "parameter-problem",
  128: "echo-request",
  129: "echo-reply",
  130: "query",
  131: "report",
  132: "done",
  133: "router-solicitation",
  134: "router-advertisement",
  137: "redirect",
};

function icmp6Text(bytes: Uint8Array, at: number, payload: number, length: number): string {
  const ends = addresses(bytes, at);
  if (length < icmp6.size) return `ICMPv6 ${ends} malformed, len=${length}`;
  const type = icmp6.field.type.get(bytes, payload);
  const solicitation = neighbourSolicitation;
  if (type === 135 && length >= solicitation.size) {
    return `NDP ${ends} who-has ${solicitation.field.target.get(bytes, payload).toString()}`;
  }
  if (type === 136 && length >= neighbourAdvertisement.size) {
    return `NDP ${ends} is-at ${neighbourAdvertisement.field.target.get(bytes, payload).toString()}`;
  }
  if (type === 143 && length >= mld2Report.size + mld2Record.size) {
    const groups = mld2Report.field.records.get(bytes, payload);
    const first = mld2Record.field.group.get(bytes, payload + mld2Report.size).toString();
    return `MLD ${ends} report ${first}${groups > 1 ? ` and ${groups - 1} more` : ""}`;
  }
  const name = icmp6Names[type] ?? `type=${type}`;
  if (type >= 130 && type <= 132 && length >= mld1.size) {
    return `MLD ${ends} ${name} ${mld1.field.group.get(bytes, payload).toString()}`;
  }
  const isEcho = type === 128 || type === 129;
  const detail = isEcho
    ? `id=${icmp6.field.identifier.get(bytes, payload)} seq=${icmp6.field.sequence.get(bytes, payload)}`
    : `code=${icmp6.field.code.get(bytes, payload)}`;
  return `ICMPv6 ${ends} ${name} ${detail} len=${length - icmp6.size}`;
}

function addresses(bytes: Uint8Array, at: number): string {
  return `${sourceOf(bytes, at).toString()} > ${destinationOf(bytes, at).toString()}`;
}

function sourceOf(bytes: Uint8Array, at: number): IpAddress {
  return (bytes[at] ?? 0) >>> 4 === 6 ? ipv6.field.source.get(bytes, at) : ipv4.field.source.get(bytes, at);
}

function destinationOf(bytes: Uint8Array, at: number): IpAddress {
  return (bytes[at] ?? 0) >>> 4 === 6 ? ipv6.field.destination.get(bytes, at) : ipv4.field.destination.get(bytes, at);
}

function segmentText(facts: TcpFacts): string {
  const from = formatEndpoint({ address: facts.source, port: facts.sourcePort });
  const to = formatEndpoint({ address: facts.destination, port: facts.destinationPort });
  const acknowledgement = facts.hasAcknowledgement ? ` ack=${facts.acknowledgement}` : "";
  const numbers = `seq=${facts.sequence}${acknowledgement} win=${facts.window} len=${facts.length}`;
  return `TCP ${from} > ${to} [${facts.flags}] ${numbers}${facts.options}`;
}

function segment(bytes: Uint8Array, at: number, payload: number, length: number): TcpFacts | undefined {
  if (length < tcp.size) return undefined;
  const field = tcp.field;
  const size = field.dataOffset.get(bytes, payload) * 4;
  if (size < tcp.size || size > length) return undefined;
  const bits = bytes[payload + 13] ?? 0;
  readOptions(bytes, payload + tcp.size, payload + size, options);
  return {
    source: sourceOf(bytes, at),
    sourcePort: field.sourcePort.get(bytes, payload),
    destination: destinationOf(bytes, at),
    destinationPort: field.destinationPort.get(bytes, payload),
    flags: flagsText(bits),
    sequence: field.sequence.get(bytes, payload),
    acknowledgement: field.acknowledgement.get(bytes, payload),
    hasAcknowledgement: (bits & 0x10) !== 0,
    window: field.window.get(bytes, payload),
    length: length - size,
    options: optionsText(),
  };
}

/** FIN, SYN, RST, PSH, URG, ECE, CWR and ACK as tcpdump writes them. */
function flagsText(bits: number): string {
  const letters = ["F", "S", "R", "P"].filter((_, bit) => (bits & (1 << bit)) !== 0).join("");
  const rest = `${(bits & 0x20) === 0 ? "" : "U"}${(bits & 0x40) === 0 ? "" : "E"}${(bits & 0x80) === 0 ? "" : "W"}`;
  return `${letters}${rest}${(bits & 0x10) === 0 ? "" : "."}` || "none";
}

function optionsText(): string {
  let text = "";
  if (options.mss >= 0) text += ` mss=${options.mss}`;
  if (options.windowShift >= 0) text += ` ws=${options.windowShift}`;
  if (options.sackPermitted) text += " sackOK";
  if (options.hasTimestamp) text += ` ts=${options.timestampValue >>> 0}/${options.timestampEcho >>> 0}`;
  for (let block = 0; block < options.sackBlocks; block++) {
    const edge = (index: number): number => (options.sackEdges[index] ?? 0) >>> 0;
    text += ` sack=${edge(2 * block)}-${edge(2 * block + 1)}`;
  }
  return text;
}

const dhcpTypes = ["", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"];

function udpText(bytes: Uint8Array, at: number, payload: number, length: number): string {
  if (length < udp.size) return `UDP ${addresses(bytes, at)} malformed, len=${length}`;
  const from = udp.field.sourcePort.get(bytes, payload);
  const to = udp.field.destinationPort.get(bytes, payload);
  const sender = formatEndpoint({ address: sourceOf(bytes, at), port: from });
  const ends = `${sender} > ${formatEndpoint({ address: destinationOf(bytes, at), port: to })}`;
  const isDhcp = (from === 67 || from === 68) && (to === 67 || to === 68);
  if (isDhcp) return `DHCP ${ends} ${dhcpType(bytes, payload + udp.size, length - udp.size)}`;
  return `UDP ${ends} len=${length - udp.size}`;
}

/** The message type of DHCP (RFC 2132 §9.6), in a word. */
function dhcpType(bytes: Uint8Array, at: number, length: number): string {
  // After the fixed fields and the magic cookie come the options.
  for (let option = at + 240; option + 2 < at + length;) {
    const kind = bytes[option] ?? 255;
    if (kind === 255) break;
    if (kind === 53) return dhcpTypes[bytes[option + 2] ?? 0] ?? "of unknown type";
    option += kind === 0 ? 1 : 2 + (bytes[option + 1] ?? 0);
  }
  return "of unknown type";
}

const icmpNames: Readonly<Record<number, string>> = {
  0: "echo-reply",
  3: "unreachable",
  5: "redirect",
  8: "echo-request",
  11: "time-exceeded",
  12: "parameter-problem",
};

function icmpText(bytes: Uint8Array, at: number, payload: number, length: number): string {
  if (length < icmp.size) return `ICMP ${addresses(bytes, at)} malformed, len=${length}`;
  const type = icmp.field.type.get(bytes, payload);
  const name = icmpNames[type] ?? `type=${type}`;
  const isEcho = type === 0 || type === 8;
  const detail = isEcho
    ? `id=${icmp.field.identifier.get(bytes, payload)} seq=${icmp.field.sequence.get(bytes, payload)}`
    : `code=${icmp.field.code.get(bytes, payload)}`;
  return `ICMP ${addresses(bytes, at)} ${name} ${detail} len=${length - icmp.size}`;
}
