import { checksumVerified, needsChecksum, type Page } from "@tesserae/device/page";

/** `struct virtio_net_hdr` of virtio 1.x (§5.1.6), always little-endian, in bytes. */
export const netHeaderSize = 12;

const flagNeedsChecksum = 1;
const flagDataValid = 2;
const gsoNone = 0;
const gsoTcp4 = 1;
const ethernetHeader = 14;

/** Writes the header that says what the page's metadata say, at `offset`. */
export function writeNetHeader(page: Page, bytes: Uint8Array, offset: number): void {
  const partial = (page.flags & needsChecksum) !== 0;
  const segmented = page.segmentSize > 0;
  bytes[offset] = partial ? flagNeedsChecksum : 0;
  bytes[offset + 1] = segmented ? gsoTcp4 : gsoNone;
  put16(bytes, offset + 2, segmented ? page.headerLength : 0);
  put16(bytes, offset + 4, segmented ? page.segmentSize : 0);
  put16(bytes, offset + 6, partial ? page.checksumStart : 0);
  put16(bytes, offset + 8, partial ? page.checksumOffset : 0);
  // num_buffers, which drivers set to 0.
  put16(bytes, offset + 10, 0);
}

/**
 * Reads the header at `offset` into the page's metadata. The device is not trusted: false when the header does not fit
 * a frame of `length` bytes, or announces what was not negotiated.
 */
export function readNetHeader(page: Page, bytes: Uint8Array, offset: number, length: number): boolean {
  const flags = bytes[offset] ?? 0;
  const gso = bytes[offset + 1] ?? 0;
  page.flags = (flags & flagDataValid) !== 0 ? checksumVerified : 0;
  page.checksumStart = 0;
  page.checksumOffset = 0;
  page.segmentSize = 0;
  page.headerLength = 0;
  if ((flags & flagNeedsChecksum) !== 0) {
    const start = get16(bytes, offset + 6);
    const field = get16(bytes, offset + 8);
    if (start < ethernetHeader || start + field + 2 > length) return false;
    page.flags = needsChecksum;
    page.checksumStart = start;
    page.checksumOffset = field;
  }
  if (gso === gsoNone) return true;
  const size = get16(bytes, offset + 4);
  // Its headers end inside the frame; hdr_len is a hint only, and some devices leave it at 0 (§5.1.6.4).
  if (gso !== gsoTcp4 || size === 0 || (flags & flagNeedsChecksum) === 0) return false;
  page.segmentSize = size;
  page.headerLength = get16(bytes, offset + 2);
  return page.headerLength <= length;
}

/** How many buffers a received frame spans, where buffers are merged. */
export function buffersOf(bytes: Uint8Array, offset: number): number {
  return get16(bytes, offset + 10);
}

function get16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}
