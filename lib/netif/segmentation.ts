import type { Netif } from "@tesserae/device/netif";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { SegmentedPacket } from "@tesserae/wire/segmented-packet";
import { headerSize } from "./port.ts";

const protocolUdp = 17;
/** Where UDP stores its checksum; nothing else does there. */
const udpChecksumField = 6;

const packet = new SegmentedPacket();

/**
 * Sends a frame that holds several TCP segments or UDP datagrams (`Page.segmentSize`) as frames of one each, over an
 * interface that does not cut them itself, as {@link SegmentedPacket} says. The page stays the caller's.
 *
 * @returns false when none was sent: it is no such frame, its segments are longer than the MTU, or there is no page.
 */
export function transmitSegments(to: Netif, page: Page, offset: number, length: number): boolean {
  const { bytes, segmentSize } = page;
  const ip = offset + headerSize;
  if (!isOfItsVersion(bytes, offset) || !packet.read(bytes, ip, offset + length)) return false;
  const count = packet.count(segmentSize);
  if (count === 0 || packet.lengthOf(0, segmentSize) > to.mtu) return false;
  const leaveChecksum = to.features.transmitChecksum;
  const start = headroom - headerSize;
  for (let index = 0; index < count; index++) {
    const own = to.allocate();
    if (own === undefined) return index > 0;
    own.bytes.set(bytes.subarray(offset, ip), start);
    const total = packet.write(bytes, own.bytes, headroom, index, segmentSize, leaveChecksum);
    if (leaveChecksum) {
      own.flags = needsChecksum;
      own.checksumStart = headerSize + packet.ipHeader;
      own.checksumOffset = packet.checksumField;
    }
    to.transmit(own, start, headerSize + total);
  }
  return true;
}

/** Whether a frame with several segments is to be taken for one of datagrams: by its headers, or by its metadata. */
export function holdsDatagrams(page: Page, offset: number): boolean {
  const { bytes } = page;
  const ip = offset + headerSize;
  const protocol = bytes[offset + 12] === 0x86 ? bytes[ip + 6] : bytes[ip + 9];
  return protocol === protocolUdp || ((page.flags & needsChecksum) !== 0 && page.checksumOffset === udpChecksumField);
}

/** Whether the EtherType is that of the IP version behind it. */
function isOfItsVersion(bytes: Uint8Array, offset: number): boolean {
  const type = ((bytes[offset + 12] ?? 0) << 8) | (bytes[offset + 13] ?? 0);
  const version = (bytes[offset + headerSize] ?? 0) >>> 4;
  return (type === 0x0800 && version === 4) || (type === 0x86dd && version === 6);
}
