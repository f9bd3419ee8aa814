import { fold, sum } from "@tesserae/wire/checksum";
import { virtioNetHeaderSize } from "./virtio-net-header.ts";

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
/** The longest frame that can be gathered: an IP packet cannot be longer. */
const longestFrame = ip + 65_535;

/**
 * Joins the segments of one TCP connection that are sent one after the other to one long frame, for a device that cuts
 * it again (or never has to): handing a frame to the kernel costs far more than copying its bytes.
 *
 * What the device makes of the long frame is what was given, byte for byte but for the IP identification.
 */
export class SegmentGatherer {
  /** The gathered frame, behind room for the device's header; valid up to what {@link SegmentGatherer.finish} says. */
  readonly bytes: Uint8Array = new Uint8Array(virtioNetHeaderSize + longestFrame);
  /** How many segments are gathered. */
  count = 0;
  /** Payload of each but the last, in bytes. */
  segmentSize = 0;
  /** Bytes of the Ethernet, IP and TCP headers. */
  headerLength = 0;
  #length = 0;
  #nextSequence = 0;

  /**
   * Whether a frame is one to begin with: a long TCP segment over IPv4 that carries data and says nothing else.
   * A frame with PSH ends a burst, and is not waited with.
   */
  static begins(bytes: Uint8Array, offset: number, length: number): boolean {
    return payloadOf(bytes, offset, length) >= leastPayload && bytes[offset + tcpFlags] === ack;
  }

  /** Begins with a copy of a frame. There is nothing gathered, and {@link SegmentGatherer.begins} holds. */
  begin(bytes: Uint8Array, offset: number, length: number): void {
    this.bytes.set(bytes.subarray(offset, offset + length), virtioNetHeaderSize);
    this.count = 1;
    this.#length = length;
    this.segmentSize = payloadOf(bytes, offset, length);
    this.headerLength = length - this.segmentSize;
    this.#nextSequence = (word(bytes, offset + tcpSequence) + this.segmentSize) | 0;
  }

  /**
   * Adds a copy of a frame when it continues what is gathered.
   *
   * @returns 0 when it does not; 1 when it does; 2 when it does and is the last that can.
   */
  add(bytes: Uint8Array, offset: number, length: number): 0 | 1 | 2 {
    const payload = payloadOf(bytes, offset, length);
    if (payload <= 0 || payload > this.segmentSize || this.#length + payload > longestFrame) return 0;
    if (length - payload !== this.headerLength || word(bytes, offset + tcpSequence) !== this.#nextSequence) return 0;
    if (!this.#continues(bytes, offset)) return 0;
    const end = virtioNetHeaderSize + this.#length;
    this.bytes.set(bytes.subarray(offset + this.headerLength, offset + length), end);
    this.#length += payload;
    this.#nextSequence = (this.#nextSequence + payload) | 0;
    this.count++;
    const flags = bytes[offset + tcpFlags] ?? 0;
    if ((flags & push) === 0) return payload === this.segmentSize ? 1 : 2;
    // The device sets it on the last segment alone.
    this.bytes[virtioNetHeaderSize + tcpFlags] = flags;
    return 2;
  }

  /**
   * Ends gathering: writes the lengths and checksums of the long frame, the TCP checksum as the partial one that the
   * device completes. `count` and the sizes stay for the device's header.
   *
   * @returns the length of the frame, without the device's header
   */
  finish(): number {
    const length = this.#length;
    if (this.count > 1) {
      const { bytes } = this;
      const base = virtioNetHeaderSize;
      const total = length - ip;
      put16(bytes, base + ipTotalLength, total);
      put16(bytes, base + ipChecksum, 0);
      put16(bytes, base + ipChecksum, ~fold(sum(bytes, base + ip, tcp - ip)));
      // Over the pseudo-header (RFC 9293 §3.1): addresses, protocol 6, length of header and data.
      put16(bytes, base + tcpChecksum, fold(sum(bytes, base + ipSource, 8) + 6 + (total - (tcp - ip))));
    }
    return length;
  }

  /** Forgets what was gathered. */
  clear(): void {
    this.count = 0;
    this.#length = 0;
  }

  /** Whether all but lengths, identification, checksums, sequence number and PSH are as in the first segment. */
  #continues(bytes: Uint8Array, offset: number): boolean {
    const own = this.bytes;
    const base = virtioNetHeaderSize;
    if (((bytes[offset + tcpFlags] ?? 0) & ~push) !== ack) return false;
    if (word(bytes, offset + tcpAcknowledgement) !== word(own, base + tcpAcknowledgement)) return false;
    if (word(bytes, offset + tcp) !== word(own, base + tcp)) return false;
    if (word(bytes, offset + ipSource) !== word(own, base + ipSource)) return false;
    if (word(bytes, offset + ipSource + 4) !== word(own, base + ipSource + 4)) return false;
    if (half(bytes, offset + tcpWindow) !== half(own, base + tcpWindow)) return false;
    // Fragment flags, time to live and protocol; version and type of service; the Ethernet header.
    if (word(bytes, offset + ipFragment) !== word(own, base + ipFragment)) return false;
    if (half(bytes, offset + ip) !== half(own, base + ip)) return false;
    for (let index = 0; index < ip; index++) if (bytes[offset + index] !== own[base + index]) return false;
    // The urgent pointer and the options: time stamps of one burst are equal.
    for (let index = tcpOptions - 2; index < this.headerLength; index++) {
      if (bytes[offset + index] !== own[base + index]) return false;
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
