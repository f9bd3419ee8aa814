// Segments of scripts: from a line to the bytes, and from the bytes to what can be compared with a line.
import { IpAddress } from "@tesserae/device/address";
import { checksum } from "@tesserae/wire/checksum";
import { addressOf, type Family, protocolTcp, pseudoSum, readTcp, wrap } from "./ip-packet.ts";
import { type OptionSpec, flagAck, flagLetters, flagUrg, type IcmpSpec, type SegmentSpec } from "./script.ts";

/** One end's address and port. Addresses are 32-bit integers. */
export interface Ends {
  readonly family: Family;
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

const tcpHeader = 20;
/** By version of IP. */
const protocolIcmp = { 4: 1, 6: 58 };
/** How much of a packet an error quotes: all that matters here. */
const quotedBytes = 96;

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
  const source = sourceOf(malformed.from, ends);
  const destination = addressOf(ends.family, ends.subject);
  const sent = tcp.subarray(0, malformed.truncate ?? tcp.length);
  const sum = checksum(sent, 0, sent.length, pseudoSum(source, destination, protocolTcp, sent.length));
  if (sent.length >= tcpHeader) view.setUint16(16, malformed.badChecksum ? sum ^ 0x5555 : sum);
  return wrap(source, destination, protocolTcp, spec.ecn ?? 0, sent);
}

function sourceOf(from: SegmentSpec["malformed"]["from"], { family, subject, peer }: Ends): IpAddress {
  if (from === "multicast") return family === 4 ? IpAddress.v4(0xe000_0009) : IpAddress.parse("ff02::9");
  if (from === "broadcast") return IpAddress.broadcast4;
  return addressOf(family, from === "subject" ? subject : peer);
}

/** An ICMP error of a router's about `quoted`, a packet of the subject's; `undefined`: about a forged one. */
export function buildIcmp(spec: IcmpSpec, ends: Ends, origins: Origins, quoted: Uint8Array | undefined): Uint8Array {
  const about = quoted ?? forged(spec, ends, origins);
  const { family } = ends;
  const copied = about.subarray(0, Math.min(about.length, quotedBytes));
  const icmp = new Uint8Array(8 + copied.length);
  const view = new DataView(icmp.buffer);
  const [type, code] = icmpCodes[family][spec.kind];
  icmp[0] = type;
  icmp[1] = code;
  if (spec.kind === "too-big" && family === 4) view.setUint16(6, spec.mtu);
  if (spec.kind === "too-big" && family === 6) view.setUint32(4, spec.mtu);
  icmp.set(copied, 8);
  const source = addressOf(family, ends.peer);
  const destination = addressOf(family, ends.subject);
  const pseudo = family === 4 ? 0 : pseudoSum(source, destination, protocolIcmp[6], icmp.length);
  view.setUint16(2, checksum(icmp, 0, icmp.length, pseudo));
  return wrap(source, destination, protocolIcmp[family], 0, icmp);
}

/** Type and code, by version of IP. */
const icmpCodes = {
  4: {
    network: [3, 0],
    host: [3, 1],
    protocol: [3, 2],
    port: [3, 3],
    "too-big": [3, 4],
    prohibited: [3, 13],
    "time-exceeded": [11, 0],
  },
  6: {
    network: [1, 0],
    host: [1, 3],
    protocol: [4, 1],
    port: [1, 4],
    "too-big": [2, 0],
    prohibited: [1, 1],
    "time-exceeded": [3, 0],
  },
} as const;

function forged(spec: IcmpSpec, ends: Ends, origins: Origins): Uint8Array {
  const tcp = new Uint8Array(tcpHeader);
  const view = new DataView(tcp.buffer);
  view.setUint16(0, ends.subjectPort);
  view.setUint16(2, ends.peerPort);
  view.setUint32(4, origins.subjectSequence + spec.quoting);
  tcp[12] = 5 << 4;
  tcp[13] = flagAck;
  return wrap(addressOf(ends.family, ends.subject), addressOf(ends.family, ends.peer), protocolTcp, 0, tcp);
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
              : option.echo === "first"
                ? origins.subjectStamp
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
  const ip = readTcp(packet);
  if (ip === undefined) return undefined;
  const { offset, ecn, dontFragment } = ip;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const header = ((packet[offset + 12] ?? 0) >>> 4) * 4;
  if (header < tcpHeader || offset + header > packet.length) throw new Error(`a data offset of ${header} was sent`);
  return {
    peerPort: view.getUint16(offset + 2),
    subjectPort: view.getUint16(offset),
    flags: packet[offset + 13] ?? 0,
    sequence: view.getUint32(offset + 4),
    acknowledgement: view.getUint32(offset + 8),
    window: view.getUint16(offset + 14),
    urgent: view.getUint16(offset + 18),
    options: readOptions(packet.subarray(offset + tcpHeader, offset + header)),
    payload: packet.subarray(offset + header),
    ecn,
    dontFragment,
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
