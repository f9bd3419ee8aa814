import { endianness } from "node:os";
import { needsChecksum, type Page } from "@tesserae/device/page";

/**
 * The header in front of each frame of a tap device with offloads: `struct virtio_net_hdr` (virtio 1.2 §5.1.6), in the
 * byte order of the machine.
 */
export const virtioNetHeaderSize = 10;

// struct virtio_net_hdr { u8 flags; u8 gso_type; u16 hdr_len; u16 gso_size; u16 csum_start; u16 csum_offset; }
const flagNeedsChecksum = 1;
const gsoNone = 0;
const gsoTcp4 = 1;
const gsoTcp6 = 4;
const gsoUdp = 5;
/** Where UDP stores its checksum: nothing else does there. */
const udpChecksumOffset = 6;
/** Where a frame has its EtherType, and the first byte of IPv6's: 0x86dd. */
const etherType = 12;
const ipv6First = 0x86;
const little = endianness() === "LE";

/** Writes the header that says what the page's metadata say, at `offset`: the frame is there, right behind it. */
export function writeHeader(page: Page, bytes: Uint8Array, offset: number): void {
  const partial = (page.flags & needsChecksum) !== 0;
  bytes[offset] = partial ? flagNeedsChecksum : 0;
  bytes[offset + 1] = page.segmentSize === 0 ? gsoNone : segmentation(page, bytes, offset + virtioNetHeaderSize);
  put16(bytes, offset + 2, page.segmentSize > 0 ? page.headerLength : 0);
  put16(bytes, offset + 4, page.segmentSize);
  put16(bytes, offset + 6, partial ? page.checksumStart : 0);
  put16(bytes, offset + 8, partial ? page.checksumOffset : 0);
}

/** What the frame at `frame` is to be cut into: virtio 1.3 §5.1.6. */
function segmentation(page: Page, bytes: Uint8Array, frame: number): number {
  if ((page.flags & needsChecksum) !== 0 && page.checksumOffset === udpChecksumOffset) return gsoUdp;
  return bytes[frame + etherType] === ipv6First ? gsoTcp6 : gsoTcp4;
}

/** Reads the header at `offset` into the page's metadata. */
export function readHeader(page: Page, bytes: Uint8Array, offset: number): void {
  if (((bytes[offset] ?? 0) & flagNeedsChecksum) === 0) {
    page.flags = 0;
    page.checksumStart = 0;
    page.checksumOffset = 0;
  } else {
    page.flags = needsChecksum;
    page.checksumStart = get16(bytes, offset + 6);
    page.checksumOffset = get16(bytes, offset + 8);
  }
  if (bytes[offset + 1] === gsoNone) {
    page.segmentSize = 0;
    page.headerLength = 0;
  } else {
    page.segmentSize = get16(bytes, offset + 4);
    page.headerLength = get16(bytes, offset + 2);
  }
}

function get16(bytes: Uint8Array, offset: number): number {
  const first = bytes[offset] ?? 0;
  const second = bytes[offset + 1] ?? 0;
  return little ? first | (second << 8) : (first << 8) | second;
}

function put16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = little ? value : value >>> 8;
  bytes[offset + 1] = little ? value >>> 8 : value;
}
