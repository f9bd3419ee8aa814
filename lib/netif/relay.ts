import { cuts, type Netif } from "@tesserae/device/netif";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { headerSize } from "./port.ts";
import { holdsDatagrams, transmitSegments } from "./segmentation.ts";

/** For which pages have room beside the payload of a long frame, in bytes. */
const longestHeaders = 80;

/**
 * Sends a copy of a frame that another interface has received. What the sender left to a device is left to this one if
 * it can, else done here: checksums are completed, long frames are cut.
 *
 * @returns false when nothing was sent: it is longer than the MTU, or there is no page.
 */
export function relay(to: Netif, page: Page, offset: number, length: number): boolean {
  const { features, mtu } = to;
  const { bytes } = page;
  const isLong = length > mtu + headerSize;
  if (page.segmentSize > 0) {
    const isIpv6 = bytes[offset + 12] === 0x86;
    const fits = length - headerSize <= features.maxSegmentation + longestHeaders;
    const isCut = fits && cuts(features, holdsDatagrams(page, offset), isIpv6);
    // When long pages are out, it goes out in short ones.
    const own = isCut ? to.allocate(isLong ? length - headerSize : undefined) : undefined;
    return own === undefined ? transmitSegments(to, page, offset, length) : send(to, own, page, offset, length);
  }
  if (isLong) return false;
  const own = to.allocate();
  return own !== undefined && send(to, own, page, offset, length);
}

function send(to: Netif, own: Page, page: Page, offset: number, length: number): boolean {
  const start = headroom - headerSize;
  own.bytes.set(page.bytes.subarray(offset, offset + length), start);
  own.copyMetadata(page);
  if ((page.flags & needsChecksum) !== 0 && !to.features.transmitChecksum) {
    own.flags &= ~needsChecksum;
    completeChecksum(own.bytes, start, length, page.checksumStart, page.checksumOffset);
  }
  return to.transmit(own, start, length);
}
