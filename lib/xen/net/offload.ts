import { needsChecksum, type Page } from "@tesserae/device/page";
import { fold, sum } from "@tesserae/wire/checksum";

const ethernetHeader = 14;
const protocolTcp = 6;
const protocolUdp = 17;

/**
 * Where the transport checksum of a frame lies. The rings do not say it: both ends look for it in the headers.
 */
export class ChecksumPlace {
  /** Where summing starts, in bytes from the start of the frame. */
  start = 0;
  /** Where the sum is stored, in bytes from `start`: 16 is TCP, 6 is UDP. */
  offset = 0;
  isIpv6 = false;

  /** @returns false when the frame has no TCP or UDP header, or not at once behind its IP header. */
  find(bytes: Uint8Array, at: number, length: number): boolean {
    const ip = at + ethernetHeader;
    const type = ((bytes[at + 12] ?? 0) << 8) | (bytes[at + 13] ?? 0);
    let protocol: number;
    if (type === 0x0800) {
      const size = ((bytes[ip] ?? 0) & 15) * 4;
      // Neither a fragment nor its like: flags and offset, but for "don't fragment", are 0.
      const fragment = (((bytes[ip + 6] ?? 0) & 0xbf) << 8) | (bytes[ip + 7] ?? 0);
      if (length < ethernetHeader + 20 || (bytes[ip] ?? 0) >>> 4 !== 4 || size < 20 || fragment !== 0) return false;
      protocol = bytes[ip + 9] ?? 0;
      this.isIpv6 = false;
      this.start = ethernetHeader + size;
    } else if (type === 0x86dd) {
      if (length < ethernetHeader + 40 || (bytes[ip] ?? 0) >>> 4 !== 6) return false;
      protocol = bytes[ip + 6] ?? 0;
      this.isIpv6 = true;
      this.start = ethernetHeader + 40;
    } else return false;
    if (protocol === protocolTcp) this.offset = 16;
    else if (protocol === protocolUdp) this.offset = 6;
    else return false;
    return this.start + this.offset + 2 <= length;
  }
}

const place = new ChecksumPlace();

/**
 * Marks a received frame, in the page's metadata, as one whose checksum is left to a device; and writes the sum of the
 * pseudo header where the checksum belongs, which is not every sender's habit.
 *
 * @returns false when it has no checksum to be left out: nothing is changed
 */
export function markBlank(page: Page, at: number, length: number): boolean {
  const { bytes } = page;
  if (!place.find(bytes, at, length)) return false;
  const { start, offset, isIpv6 } = place;
  // What IP says, not what Ethernet has: there may be padding.
  const ip = at + ethernetHeader;
  const lengthField = ip + (isIpv6 ? 4 : 2);
  const total = ((bytes[lengthField] ?? 0) << 8) | (bytes[lengthField + 1] ?? 0);
  const transport = isIpv6 ? total : total - (start - ethernetHeader);
  if (transport < offset + 2 || start + transport > length) return false;
  const protocol = offset === 16 ? protocolTcp : protocolUdp;
  const pseudo = isIpv6 ? sum(bytes, ip + 8, 32) : sum(bytes, ip + 12, 8);
  const folded = fold(pseudo + protocol + transport);
  bytes[at + start + offset] = folded >>> 8;
  bytes[at + start + offset + 1] = folded;
  page.flags = needsChecksum;
  page.checksumStart = start;
  page.checksumOffset = offset;
  return true;
}

/**
 * Marks a received frame as one that holds several TCP segments, behind {@link markBlank}.
 *
 * @returns false when it cannot be one
 */
export function markSegmented(page: Page, at: number, length: number, segmentSize: number): boolean {
  if ((page.flags & needsChecksum) === 0 || page.checksumOffset !== 16) return false;
  const size = ((page.bytes[at + page.checksumStart + 12] ?? 0) >>> 4) * 4;
  const headers = page.checksumStart + size;
  if (size < 20 || headers >= length) return false;
  page.segmentSize = segmentSize;
  page.headerLength = headers;
  return true;
}

/** Whether the other end finds the checksum of a frame to be sent, marked with `needsChecksum`, where it is. */
export function isFound(page: Page, at: number, length: number): boolean {
  return (
    place.find(page.bytes, at, length) && place.start === page.checksumStart && place.offset === page.checksumOffset
  );
}

/** Whether a frame is one of IPv6, by its EtherType. */
export function isIpv6(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 12] === 0x86 && bytes[at + 13] === 0xdd;
}
