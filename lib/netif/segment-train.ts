import { fold, sum } from "@tesserae/wire/checksum";

// Offsets in an Ethernet frame with an IPv4 header without options.
const ip = 14;
const ipTotalLength = 16;
const ipFragment = 20;
const ipProtocol = 23;
const ipChecksum = 24;
const ipSource = 26;
const tcp = 34;
const tcpSequence = 38;
const tcpAcknowledgement = 42;
const tcpDataOffset = 46;
const tcpFlags = 47;
const tcpWindow = 48;
const tcpChecksum = 50;
const tcpOptions = 54;

const ack = 0x10;
const push = 0x08;

/** Shorter segments are not waited with: they are seldom one of many. In bytes of payload. */
const leastPayload = 536;
/** The longest frame that a train can become: an IP packet cannot be longer. */
export const longestTrain = ip + 65_535;
/** Where a device finds the checksum that it completes: `Page.checksumStart` and `Page.checksumOffset`. */
export const trainChecksumStart = tcp;
export const trainChecksumOffset = tcpChecksum - tcp;

/**
 * Segments of one TCP connection over IPv4 that are sent one after the other and make one long frame, for a device that
 * cuts it again (or never has to): handing over a frame costs far more than its bytes.
 *
 * A train knows sizes and what the next segment has to be; the first frame and the payloads of the others are its
 * owner's to keep. What the device makes of the long frame is what was given, byte for byte but for the IP
 * identification.
 */
export class SegmentTrain {
  /** How many segments there are. */
  count = 0;
  /** Of the long frame, in bytes. */
  length = 0;
  /** Payload of each segment but the last, in bytes. */
  segmentSize = 0;
  /** Bytes of the Ethernet, IP and TCP headers. */
  headerLength = 0;
  #nextSequence = 0;

  /**
   * Whether a frame is one to begin with: a long TCP segment over IPv4 that carries data and says nothing else.
   * A frame with PSH ends a burst, and is not waited with.
   */
  static begins(bytes: Uint8Array, offset: number, length: number): boolean {
    return payloadOf(bytes, offset, length) >= leastPayload && bytes[offset + tcpFlags] === ack;
  }

  /** Begins with a frame. The train is empty, and {@link SegmentTrain.begins} holds. */
  begin(bytes: Uint8Array, offset: number, length: number): void {
    this.count = 1;
    this.length = length;
    this.segmentSize = payloadOf(bytes, offset, length);
    this.headerLength = length - this.segmentSize;
    this.#nextSequence = (word(bytes, offset + tcpSequence) + this.segmentSize) | 0;
  }

  /**
   * Adds a frame when it continues the train; its owner keeps `bytes[offset + headerLength … offset + length)`.
   *
   * @param first memory of the first frame, which is at `firstOffset`; it gets the PSH of the last one
   * @returns 0 when it does not continue; 1 when it does; 2 when it does and is the last that can.
   */
  add(first: Uint8Array, firstOffset: number, bytes: Uint8Array, offset: number, length: number): 0 | 1 | 2 {
    const payload = payloadOf(bytes, offset, length);
    if (payload <= 0 || payload > this.segmentSize || this.length + payload > longestTrain) return 0;
    if (length - payload !== this.headerLength || word(bytes, offset + tcpSequence) !== this.#nextSequence) return 0;
    if (!this.#continues(first, firstOffset, bytes, offset)) return 0;
    this.length += payload;
    this.#nextSequence = (this.#nextSequence + payload) | 0;
    this.count++;
    const flags = bytes[offset + tcpFlags] ?? 0;
    if ((flags & push) === 0) return payload === this.segmentSize ? 1 : 2;
    // The device sets it on the last segment alone.
    first[firstOffset + tcpFlags] = flags;
    return 2;
  }

  /**
   * Writes lengths and checksums of the long frame over the headers of the first one, the TCP checksum as the partial
   * one that the device completes. A train of one stays as it is.
   */
  finish(first: Uint8Array, firstOffset: number): void {
    if (this.count <= 1) return;
    const total = this.length - ip;
    put16(first, firstOffset + ipTotalLength, total);
    put16(first, firstOffset + ipChecksum, 0);
    put16(first, firstOffset + ipChecksum, ~fold(sum(first, firstOffset + ip, tcp - ip)));
    // Over the pseudo-header (RFC 9293 §3.1): addresses, protocol 6, length of header and data.
    put16(first, firstOffset + tcpChecksum, fold(sum(first, firstOffset + ipSource, 8) + 6 + (total - (tcp - ip))));
  }

  /** Forgets the segments. The sizes stay. */
  clear(): void {
    this.count = 0;
    this.length = 0;
  }

  /** Whether all but lengths, identification, checksums, sequence number and PSH are as in the first segment. */
  #continues(first: Uint8Array, base: number, bytes: Uint8Array, offset: number): boolean {
    if (((bytes[offset + tcpFlags] ?? 0) & ~push) !== ack) return false;
    if (word(bytes, offset + tcpAcknowledgement) !== word(first, base + tcpAcknowledgement)) return false;
    if (word(bytes, offset + tcp) !== word(first, base + tcp)) return false;
    if (word(bytes, offset + ipSource) !== word(first, base + ipSource)) return false;
    if (word(bytes, offset + ipSource + 4) !== word(first, base + ipSource + 4)) return false;
    if (half(bytes, offset + tcpWindow) !== half(first, base + tcpWindow)) return false;
    // Fragment flags, time to live and protocol; version and type of service; the Ethernet header.
    if (word(bytes, offset + ipFragment) !== word(first, base + ipFragment)) return false;
    if (half(bytes, offset + ip) !== half(first, base + ip)) return false;
    for (let index = 0; index < ip; index++) if (bytes[offset + index] !== first[base + index]) return false;
    // The urgent pointer and the options: time stamps of one burst are equal.
    for (let index = tcpOptions - 2; index < this.headerLength; index++) {
      if (bytes[offset + index] !== first[base + index]) return false;
    }
    return true;
  }
}

/** Bytes of TCP data in a frame with whole, plain headers, or −1. */
function payloadOf(bytes: Uint8Array, offset: number, length: number): number {
  if (length < tcpOptions || half(bytes, offset + 12) !== 0x0800 || bytes[offset + ip] !== 0x45) return -1;
  if (bytes[offset + ipProtocol] !== 6 || (half(bytes, offset + ipFragment) & 0x3fff) !== 0) return -1;
  if (half(bytes, offset + ipTotalLength) !== length - ip) return -1;
  const header = ((bytes[offset + tcpDataOffset] ?? 0) >>> 4) * 4;
  return header < 20 || tcp + header > length ? -1 : length - tcp - header;
}

function half(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function word(bytes: Uint8Array, offset: number): number {
  return (half(bytes, offset) << 16) | half(bytes, offset + 2);
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}
