import { checksum, fold, sum } from "./checksum.ts";
import { completeChecksum } from "./complete-checksum.ts";
import { copyBytes } from "./copy-bytes.ts";

const protocolTcp = 6;
const protocolUdp = 17;
const flagsFinPsh = 0x09;
const flagCwr = 0x80;
const udpHeader = 8;
/** Datagrams in one packet: what Linux makes of one `send` at most. */
export const mostDatagrams = 128;
/** Of the TCP header, in bytes. */
const sequenceField = 4;
const flagsField = 13;

/**
 * An IP packet that holds several TCP segments or UDP datagrams, and the packets of one each that a device makes of it
 * (virtio 1.2 §5.1.6.2). One object is read into again and again.
 *
 * What is repeated and what is counted on is as for a device: lengths, the IPv4 identification, sequence numbers; FIN and
 * PSH are on the last segment only, CWR on the first (RFC 3168 §6.1.2).
 */
export class SegmentedPacket {
  isUdp = false;
  /** Bytes of the IP header. */
  ipHeader = 0;
  /** Bytes of all headers, which each segment begins with. */
  headers = 0;
  /** Bytes of payload in all. */
  payload = 0;
  /** Where the transport checksum is stored, in bytes from the transport header. */
  checksumField = 0;
  #isIpv6 = false;
  /** Where the packet begins. */
  #ip = 0;

  /**
   * Finds the parts of the packet at `bytes[ip … end)`. What is behind the packet's own end is padding.
   *
   * @returns false when it is no whole TCP segment or UDP datagram in IPv4 or IPv6, or has extension headers: nothing may
   * be asked of it then.
   */
  read(bytes: Uint8Array, ip: number, end: number): boolean {
    const version = (bytes[ip] ?? 0) >>> 4;
    let protocol: number;
    let own: number;
    if (version === 4) {
      const size = ((bytes[ip] ?? 0) & 15) * 4;
      // Neither a fragment nor its like: flags and offset, but for "don't fragment", are 0.
      if (end - ip < 20 || size < 20 || (get16(bytes, ip + 6) & 0xbfff) !== 0) return false;
      protocol = bytes[ip + 9] ?? 0;
      this.ipHeader = size;
      own = ip + get16(bytes, ip + 2);
    } else if (version === 6) {
      if (end - ip < 40) return false;
      protocol = bytes[ip + 6] ?? 0;
      this.ipHeader = 40;
      own = ip + 40 + get16(bytes, ip + 4);
    } else return false;
    this.#ip = ip;
    this.#isIpv6 = version === 6;
    const transport = ip + this.ipHeader;
    let size = udpHeader;
    if (protocol === protocolTcp) {
      size = ((bytes[transport + 12] ?? 0) >>> 4) * 4;
      if (size < 20) return false;
    } else if (protocol !== protocolUdp) return false;
    this.isUdp = protocol === protocolUdp;
    this.headers = this.ipHeader + size;
    this.payload = own - transport - size;
    this.checksumField = this.isUdp ? 6 : 16;
    if (own > end || this.payload < 0) return false;
    return !this.isUdp || get16(bytes, transport + 4) === own - transport;
  }

  /** How many packets it becomes; 0 when it cannot be cut so: there is no payload, or there were too many datagrams. */
  count(size: number): number {
    if (size <= 0 || (this.isUdp && this.payload > size * mostDatagrams)) return 0;
    return Math.ceil(this.payload / size);
  }

  /** Bytes of the packet with segment `index` of at most `size` bytes. */
  lengthOf(index: number, size: number): number {
    return this.headers + Math.min(size, this.payload - index * size);
  }

  /**
   * Writes the packet with segment `index` to `to[at …)`.
   *
   * @param bytes where the packet was read
   * @param index from 0, below {@link count}
   * @param size payload bytes of each segment
   * @param leaveChecksum whether the transport checksum is to be the sum of the pseudo header alone
   * @returns its length, bytes: {@link lengthOf}
   */
  write(bytes: Uint8Array, to: Uint8Array, at: number, index: number, size: number, leaveChecksum: boolean): number {
    const { headers, payload, ipHeader, checksumField } = this;
    const ip = this.#ip;
    const done = index * size;
    const part = Math.min(size, payload - done);
    copyBytes(bytes, ip, to, at, headers);
    copyBytes(bytes, ip + headers + done, to, at + headers, part);
    const transport = at + ipHeader;
    const length = headers - ipHeader + part;
    let pseudo = (this.isUdp ? protocolUdp : protocolTcp) + length;
    if (this.#isIpv6) {
      put16(to, at + 4, length);
      pseudo = sum(to, at + 8, 32, pseudo);
    } else {
      put16(to, at + 2, ipHeader + length);
      put16(to, at + 4, get16(to, at + 4) + index);
      put16(to, at + 10, 0);
      put16(to, at + 10, checksum(to, at, ipHeader));
      pseudo = sum(to, at + 12, 8, pseudo);
    }
    if (this.isUdp) put16(to, transport + 4, length);
    else countOn(to, transport, index === 0, done, done + part === payload);
    put16(to, transport + checksumField, fold(pseudo));
    if (!leaveChecksum) completeChecksum(to, transport, length, 0, checksumField);
    return headers + part;
  }
}

/** Makes the header of the whole that of a segment which `done` bytes are in front of. */
function countOn(bytes: Uint8Array, tcp: number, isFirst: boolean, done: number, isLast: boolean): void {
  const sequence = ((get16(bytes, tcp + sequenceField) << 16) | get16(bytes, tcp + sequenceField + 2)) + done;
  put16(bytes, tcp + sequenceField, sequence >>> 16);
  put16(bytes, tcp + sequenceField + 2, sequence);
  let flags = bytes[tcp + flagsField] ?? 0;
  if (!isLast) flags &= ~flagsFinPsh;
  if (!isFirst) flags &= ~flagCwr;
  bytes[tcp + flagsField] = flags;
}

function get16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}
