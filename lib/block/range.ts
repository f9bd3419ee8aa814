import type { Block } from "@tesserae/device/block";

/** @throws RangeError when `sectorSize` is not a power of two from 512 to 4096, or `sectors` not a positive integer. */
export function checkGeometry(sectors: number, sectorSize: number): void {
  if (![512, 1024, 2048, 4096].includes(sectorSize)) {
    throw new RangeError(`sectorSize ${String(sectorSize)} is not 512, 1024, 2048 or 4096`);
  }
  if (!Number.isSafeInteger(sectors * sectorSize) || !Number.isInteger(sectors) || sectors < 1) {
    throw new RangeError(`sectors ${String(sectors)} is not a number of sectors`);
  }
}

/**
 * How many sectors `bytes` covers.
 *
 * @throws RangeError when that is no whole number above 0, or they do not lie on the device from `sector` on.
 */
export function checkRange(block: Block, argument: string, sector: number, bytes: Uint8Array): number {
  const count = bytes.length / block.sectorSize;
  if (!Number.isInteger(count) || count === 0) {
    throw new RangeError(
      `${argument} has ${String(bytes.length)} bytes: no whole number of ${String(block.sectorSize)}-byte sectors`,
    );
  }
  if (!Number.isInteger(sector) || sector < 0 || sector + count > block.sectors) {
    throw new RangeError(
      `sector ${String(sector)}, ${String(count)} long, is not on a device of ${String(block.sectors)} sectors`,
    );
  }
  return count;
}
