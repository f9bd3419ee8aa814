import { checksum } from "./checksum.ts";

/**
 * Does what a frame marked `needsChecksum` asks of a device: the field at `checksumStart + checksumOffset` of
 * `bytes[offset … offset + length)` holds the sum of the pseudo header, and gets the checksum (virtio 1.2 §5.1.6.2).
 *
 * @returns false when the field is not inside the frame: nothing has changed.
 */
export function completeChecksum(
  bytes: Uint8Array,
  offset: number,
  length: number,
  checksumStart: number,
  checksumOffset: number,
): boolean {
  const stored = checksumStart + checksumOffset;
  if (stored + 2 > length) return false;
  const sum = checksum(bytes, offset + checksumStart, length - checksumStart);
  // UDP, whose field is the only one at 6, says 0xffff for a sum of zero: zero would be no checksum (RFC 768).
  const value = sum === 0 && checksumOffset === 6 ? 0xffff : sum;
  bytes[offset + stored] = value >>> 8;
  bytes[offset + stored + 1] = value;
  return true;
}
