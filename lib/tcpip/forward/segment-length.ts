import { protocolUdp } from "@tesserae/device/ip";
import type { Page } from "@tesserae/device/page";

const udpHeader = 8;

/**
 * Bytes of the longest IP packet that a device makes of a TCP or UDP packet that it is to cut.
 *
 * The header's length is taken from the packet itself: what came with the page is a hint (virtio 1.2 §5.1.6.2), which
 * Linux makes larger than it is.
 *
 * @param header where the IP header begins @param size its length, bytes
 */
export function segmentLength({ bytes, segmentSize }: Page, header: number, size: number, protocol: number): number {
  const transport = protocol === protocolUdp ? udpHeader : ((bytes[header + size + 12] ?? 0) >>> 4) * 4;
  return size + transport + segmentSize;
}
