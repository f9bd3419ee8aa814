// IPv4 packets of scripts: from a line to the bytes, and from the bytes to what can be compared with a line.
import { checksum, pseudoHeaderSum4 } from "@tesserae/wire/checksum";
import { type OptionSpec, flagAck, flagLetters, flagUrg, type IcmpSpec, type SegmentSpec } from "./script.ts";

/** One end's address and port. Addresses are 32-bit integers. */
export interface Ends {
  readonly subject: number;
  readonly subjectPort: number;
  readonly peer: number;
  readonly peerPort: number;
}

/** The numbers that a script's relative numbers count from. */
export interface Origins {
  /** The subject's initial sequence number and its first TSval. */
  readonly subjectSequence: number;
  readonly subjectStamp: number;
  /** The TSval it sent last. */
  readonly lastStamp: number;
  readonly peerSequence: number;
  /** How far into the peer's stream the byte with the relative number 1 is. */
  readonly peerOffset: number;
}

const ipHeader = 20;
const tcpHeader = 20;
const protocolTcp = 6;
const protocolIcmp = 1;

/** The byte at that offset of any stream: what is read, and what is sent, can be told from any other place. */
export function patternByte(offset: number): number {
  return (offset * 31 + (offset >>> 8) * 7 + 3) & 255;
}

/** A segment of the peer's as a packet. */
export function buildSegment(spec: SegmentSpec, ends: Ends, origins: Origins): Uint8Array {
  const options = emitOptions(spec.options ?? [], origins);
  const payload = spec.end - spec.seq;
  const { malformed } = spec;
  const tcp = new Uint8Array(tcpHeader + options.length + payload);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, malformed.zeroPort ? 0 : ends.peerPort);
  view.setUint16(2, ends.subjectPort);
  view.setUint32(4, origins.peerSequence + spec.seq);
  const hasAck = (spec.flags & flagAck) !== 0;
  view.setUint32(8, spec.ack !== undefined ? origins.subjectSequence + spec.ack : hasAck ? origins.subjectSequence : 0);
  tcp[12] = (malformed.dataOffset ?? 5 + options.length / 4) << 4;
  tcp[13] = spec.flags;
  view.setUint16(14, spec.window?.value ?? 65_535);
  if ((spec.flags & flagUrg) !== 0) view.setUint16(18, spec.urgent ?? 0);
  tcp.set(options, tcpHeader);
  // The first byte of a stream has the number 1.
  for (let at = 0; at < payload; at++)
    tcp[tcpHeader + options.length + at] = patternByte(origins.peerOffset + spec.seq - 1 + at);
  const source =
    malformed.from === "multicast"
      ? 0xe000_0009
      : malformed.from === "broadcast"
        ? 0xffff_ffff
        : malformed.from === "subject"
          ? ends.subject
          : ends.peer;
  const sent = tcp.subarray(0, malformed.truncate ?? tcp.length);
  const sum = checksum(sent, 0, sent.length, pseudoHeaderSum4(source, ends.subject, protocolTcp, sent.length));
  if (sent.length >= tcpHeader) view.setUint16(16, malformed.badChecksum ? sum ^ 0x5555 : sum);
  return ipPacket(source, ends.subject, protocolTcp, spec.ecn ?? 0, sent);
}

/** An ICMP error of a router's about `quoted`, a packet of the subject's; `undefined`: about a forged one. */
export function buildIcmp(spec: IcmpSpec, ends: Ends, origins: Origins, quoted: Uint8Array | undefined): Uint8Array {
  const about = quoted ?? forged(spec, ends, origins);
  const copied = about.subarray(0, Math.min(about.length, 28 + 20));
  const icmp = new Uint8Array(8 + copied.length);
  const [type, code] = icmpCodes[spec.kind];
  icmp[0] = type;
  icmp[1] = code;
  if (spec.kind === "too-big") new DataView(icmp.buffer).setUint16(6, spec.mtu);
  icmp.set(copied, 8);
  new DataView(icmp.buffer).setUint16(2, checksum(icmp, 0, icmp.length));
  return ipPacket(ends.peer, ends.subject, protocolIcmp, 0, icmp);
}

const icmpCodes = {
  network: [3, 0],
  host: [3, 1],
  protocol: [3, 2],
  port: [3, 3],
  "too-big": [3, 4],
  prohibited: [3, 13],
  "time-exceeded": [11, 0],
} as const;

function forged(spec: IcmpSpec, ends: Ends, origins: Origins): Uint8Array {
  const tcp = new Uint8Array(tcpHeader);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, ends.subjectPort);
  view.setUint16(2, ends.peerPort);
  view.setUint32(4, origins.subjectSequence + spec.quoting);
  tcp[12] = 5 << 4;
  tcp[13] = flagAck;
  return ipPacket(ends.subject, ends.peer, protocolTcp, 0, tcp);
}

function ipPacket(source: number, destination: number, protocol: number, ecn: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ipHeader + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x45;
  bytes[1] = ecn;
  view.setUint16(2, bytes.length);
  view.setUint16(6, 0x4000);
  bytes[8] = 64;
  bytes[9] = protocol;
  view.setUint32(12, source);
  view.setUint32(16, destination);
  view.setUint16(10, checksum(bytes, 0, ipHeader));
  bytes.set(payload, ipHeader);
  return bytes;
}

/** Options as bytes, padded with ends of the list to whole words. */
function emitOptions(options: readonly OptionSpec[], origins: Origins): Uint8Array {
  const out: number[] = [];
  const word = (value: number): void =>
    void out.push(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
  for (const option of options) {
    switch (option.kind) {
      case "mss":
        out.push(2, 4, option.value >>> 8, option.value & 255);
        break;
      case "wscale":
        out.push(3, 3, option.shift === "any" ? 0 : option.shift);
        break;
      case "sackOK":
        out.push(4, 2);
        break;
      case "TS":
        out.push(8, 10);
        word(typeof option.value === "number" ? option.value : 0);
        word(
          option.echo === 0
            ? 0
            : typeof option.echo === "number"
              ? origins.subjectStamp + option.echo
              : origins.lastStamp,
        );
        break;
      case "sack":
        out.push(5, 2 + option.blocks.length * 8);
        for (const [left, right] of option.blocks) {
          word(origins.subjectSequence + left);
          word(origins.subjectSequence + right);
        }
        break;
      case "nop":
        out.push(1);
        break;
      case "eol":
        out.push(0);
        break;
      case "raw":
        out.push(...option.bytes);
        break;
    }
  }
  while (out.length % 4 !== 0) out.push(0);
  return Uint8Array.from(out);
}

/** A TCP segment that a subject sent, in the numbers of the wire. */
export interface SentSegment {
  readonly peer: number;
  readonly peerPort: number;
  readonly subjectPort: number;
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly window: number;
  readonly urgent: number;
  readonly options: readonly OptionSpec[];
  readonly payload: Uint8Array;
  readonly ecn: number;
  readonly dontFragment: boolean;
  readonly packet: Uint8Array;
}

/**
 * Reads a packet that a subject sent; `undefined` when it is none of TCP.
 *
 * @throws Error when it is malformed: no subject may send that.
 */
export function readSent(packet: Uint8Array): SentSegment | undefined {
  if (packet.length < ipHeader || packet[0] !== 0x45 || packet[9] !== protocolTcp) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const length = view.getUint16(2);
  if (length !== packet.length || checksum(packet, 0, ipHeader) !== 0) throw new Error("a bad IPv4 header was sent");
  const source = view.getUint32(12);
  const destination = view.getUint32(16);
  const size = length - ipHeader;
  if (checksum(packet, ipHeader, size, pseudoHeaderSum4(source, destination, protocolTcp, size)) !== 0) {
    throw new Error("a segment with a wrong checksum was sent");
  }
  const header = ((packet[ipHeader + 12] ?? 0) >>> 4) * 4;
  if (header < tcpHeader || header > size) throw new Error(`a data offset of ${header} bytes was sent`);
  return {
    peer: destination,
    peerPort: view.getUint16(ipHeader + 2),
    subjectPort: view.getUint16(ipHeader),
    flags: packet[ipHeader + 13] ?? 0,
    sequence: view.getUint32(ipHeader + 4),
    acknowledgement: view.getUint32(ipHeader + 8),
    window: view.getUint16(ipHeader + 14),
    urgent: view.getUint16(ipHeader + 18),
    options: readOptions(packet.subarray(ipHeader + tcpHeader, ipHeader + header)),
    payload: packet.subarray(ipHeader + header),
    ecn: (packet[1] ?? 0) & 3,
    dontFragment: (view.getUint16(6) & 0x4000) !== 0,
    packet,
  };
}

function readOptions(bytes: Uint8Array): OptionSpec[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const options: OptionSpec[] = [];
  for (let at = 0; at < bytes.length;) {
    const kind = bytes[at] ?? 0;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) throw new Error(`option ${kind} of length ${length} was sent`);
    if (kind === 2 && length === 4) options.push({ kind: "mss", value: view.getUint16(at + 2) });
    else if (kind === 3 && length === 3) options.push({ kind: "wscale", shift: bytes[at + 2] ?? 0 });
    else if (kind === 4 && length === 2) options.push({ kind: "sackOK" });
    else if (kind === 8 && length === 10) {
      options.push({ kind: "TS", value: view.getUint32(at + 2), echo: view.getUint32(at + 6) });
    } else if (kind === 5 && (length - 2) % 8 === 0) {
      const blocks: [number, number][] = [];
      for (let edge = at + 2; edge < at + length; edge += 8) {
        blocks.push([view.getUint32(edge), view.getUint32(edge + 4)]);
      }
      options.push({ kind: "sack", blocks });
    } else options.push({ kind: "raw", bytes: bytes.slice(at, at + length) });
    at += length;
  }
  return options;
}

/** `S.`; `-` when there are none. */
export function printFlags(flags: number): string {
  const letters = flagLetters.filter(([, mask]) => (flags & mask) !== 0).map(([letter]) => letter);
  return letters.length === 0 ? "-" : letters.join("");
}
