import type { Netif } from "@tesserae/device/netif";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { checksum, fold, sum } from "@tesserae/wire/checksum";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { headerSize } from "./port.ts";

const protocolTcp = 6;
const flagsFinPsh = 0x09;
const flagCwr = 0x80;
/** Of the TCP header, in bytes. */
const sequenceField = 4;
const flagsField = 13;
const checksumField = 16;

/** Where the parts of a frame with TCP in it lie, in bytes from the start of the array. */
class TcpFrame {
  isIpv6 = false;
  ip = 0;
  tcp = 0;
  payload = 0;
  end = 0;

  /** @returns false when it is no whole TCP segment in IPv4 or IPv6, or has extension headers. */
  read(bytes: Uint8Array, offset: number, length: number): boolean {
    const ip = offset + headerSize;
    const end = offset + length;
    const type = get16(bytes, offset + 12);
    this.ip = ip;
    if (type === 0x0800) {
      const size = ((bytes[ip] ?? 0) & 15) * 4;
      // Neither a fragment nor its like: flags and offset, but for "don't fragment", are 0.
      if (end - ip < 20 || (bytes[ip] ?? 0) >>> 4 !== 4 || size < 20 || (get16(bytes, ip + 6) & 0xbfff) !== 0)
        return false;
      if (bytes[ip + 9] !== protocolTcp) return false;
      this.isIpv6 = false;
      this.tcp = ip + size;
      this.end = ip + get16(bytes, ip + 2);
    } else if (type === 0x86dd) {
      if (end - ip < 40 || (bytes[ip] ?? 0) >>> 4 !== 6 || bytes[ip + 6] !== protocolTcp) return false;
      this.isIpv6 = true;
      this.tcp = ip + 40;
      this.end = this.tcp + get16(bytes, ip + 4);
    } else return false;
    if (this.end > end || this.tcp + 20 > this.end) return false;
    const size = ((bytes[this.tcp + 12] ?? 0) >>> 4) * 4;
    this.payload = this.tcp + size;
    return size >= 20 && this.payload <= this.end;
  }
}

const frame = new TcpFrame();

/**
 * Sends a frame that holds several TCP segments (`Page.segmentSize`) as frames of one each, over an interface that does
 * not cut them itself. The page stays the caller's.
 *
 * What is repeated and what is counted on is as for a device (virtio 1.2 §5.1.6.2): lengths, the IPv4 identification,
 * sequence numbers; FIN and PSH are on the last segment only, CWR on the first (RFC 3168 §6.1.2).
 *
 * @returns false when none was sent: it is no such frame, its segments are longer than the MTU, or there is no page.
 */
export function transmitSegments(to: Netif, page: Page, offset: number, length: number): boolean {
  const { bytes, segmentSize } = page;
  if (segmentSize <= 0 || !frame.read(bytes, offset, length)) return false;
  const header = frame.payload - offset;
  const payload = frame.end - frame.payload;
  if (payload === 0 || header - headerSize + Math.min(segmentSize, payload) > to.mtu) return false;
  let at = 0;
  for (let index = 0; at < payload; index++) {
    const part = Math.min(segmentSize, payload - at);
    const own = to.allocate();
    if (own === undefined) break;
    const start = headroom - headerSize;
    own.bytes.set(bytes.subarray(offset, offset + header), start);
    own.bytes.set(bytes.subarray(frame.payload + at, frame.payload + at + part), start + header);
    finishSegment(own, start - offset, index, at, part, at + part === payload, to.features.transmitChecksum);
    to.transmit(own, start, header + part);
    at += part;
  }
  return at > 0;
}

/** @param shift from where the parts lie in the long frame to where they lie in this one */
function finishSegment(
  page: Page,
  shift: number,
  index: number,
  at: number,
  part: number,
  isLast: boolean,
  leaveChecksum: boolean,
): void {
  const { bytes } = page;
  const ip = frame.ip + shift;
  const tcp = frame.tcp + shift;
  const tcpLength = frame.payload - frame.tcp + part;
  let pseudo = protocolTcp + tcpLength;
  if (frame.isIpv6) {
    put16(bytes, ip + 4, tcpLength);
    pseudo = sum(bytes, ip + 8, 32, pseudo);
  } else {
    put16(bytes, ip + 2, tcp - ip + tcpLength);
    put16(bytes, ip + 4, get16(bytes, ip + 4) + index);
    put16(bytes, ip + 10, 0);
    put16(bytes, ip + 10, checksum(bytes, ip, tcp - ip));
    pseudo = sum(bytes, ip + 12, 8, pseudo);
  }
  const sequence = ((get16(bytes, tcp + sequenceField) << 16) | get16(bytes, tcp + sequenceField + 2)) + at;
  put16(bytes, tcp + sequenceField, sequence >>> 16);
  put16(bytes, tcp + sequenceField + 2, sequence);
  let flags = bytes[tcp + flagsField] ?? 0;
  if (!isLast) flags &= ~flagsFinPsh;
  if (index > 0) flags &= ~flagCwr;
  bytes[tcp + flagsField] = flags;
  put16(bytes, tcp + checksumField, fold(pseudo));
  if (leaveChecksum) {
    page.flags = needsChecksum;
    page.checksumStart = tcp - ip + headerSize;
    page.checksumOffset = checksumField;
  } else completeChecksum(bytes, tcp, tcpLength, 0, checksumField);
}

function get16(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}
