import { Buffer } from "node:buffer";
import { crc32 } from "@tesserae/wire/crc32";
import { sectorSize } from "./fat32.ts";

/** Sectors of a disk, the last one included. */
export interface Partition {
  /** A GUID in text: `C12A7328-F81F-11D2-BA4B-00A0C93EC93B`. */
  readonly type: string;
  readonly id: string;
  readonly first: number;
  readonly last: number;
  /** At most 36 characters. */
  readonly name: string;
}

/** The type of a partition that UEFI boots from. */
export const efiSystem = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
/** The type of a partition with a loader that a BIOS's boot record loads. */
export const biosBoot = "21686148-6449-6E6F-744E-656564454649";

/** Sectors before the first partition, and behind the last one. */
export const sectorsBefore = 34;
export const sectorsBehind = 33;

const entryCount = 128;
const entrySize = 128;

/**
 * A GUID partition table (UEFI 2.10, 5.3) for a disk of so many sectors: the first 34 sectors with a protective boot
 * record that holds `record`'s first 440 bytes, and the last 33.
 */
export function partitionTable(
  sectors: number,
  diskId: string,
  partitions: readonly Partition[],
  record: Uint8Array,
): { readonly before: Uint8Array; readonly behind: Uint8Array } {
  const entries = Buffer.alloc(entryCount * entrySize);
  for (const [index, partition] of partitions.entries()) {
    const at = index * entrySize;
    entries.set(guidBytes(partition.type), at);
    entries.set(guidBytes(partition.id), at + 16);
    entries.writeBigUInt64LE(BigInt(partition.first), at + 32);
    entries.writeBigUInt64LE(BigInt(partition.last), at + 40);
    entries.write(partition.name, at + 56, 72, "utf16le");
  }
  const header = (own: number, other: number, table: number): Buffer => {
    const bytes = Buffer.alloc(sectorSize);
    bytes.write("EFI PART", 0);
    bytes.writeUInt32LE(0x10000, 8);
    bytes.writeUInt32LE(92, 12);
    bytes.writeBigUInt64LE(BigInt(own), 24);
    bytes.writeBigUInt64LE(BigInt(other), 32);
    bytes.writeBigUInt64LE(BigInt(sectorsBefore), 40);
    bytes.writeBigUInt64LE(BigInt(sectors - sectorsBehind - 1), 48);
    bytes.set(guidBytes(diskId), 56);
    bytes.writeBigUInt64LE(BigInt(table), 72);
    bytes.writeUInt32LE(entryCount, 80);
    bytes.writeUInt32LE(entrySize, 84);
    bytes.writeUInt32LE(crc32(entries), 88);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16);
    return bytes;
  };
  const boot = Buffer.alloc(sectorSize);
  boot.set(record.subarray(0, 440));
  // One partition of type "GPT protective", all of the disk.
  boot.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  boot.writeUInt32LE(1, 454);
  boot.writeUInt32LE(Math.min(sectors - 1, 0xffffffff), 458);
  boot.writeUInt16LE(0xaa55, 510);
  return {
    before: Buffer.concat([boot, header(1, sectors - 1, 2), entries]),
    behind: Buffer.concat([entries, header(sectors - 1, 1, sectors - sectorsBehind)]),
  };
}

/** 16 bytes: the first three parts are little-endian. */
function guidBytes(text: string): Buffer {
  const hex = Buffer.from(text.replaceAll("-", ""), "hex");
  return Buffer.concat([
    Buffer.from(hex.subarray(0, 4)).reverse(),
    Buffer.from(hex.subarray(4, 6)).reverse(),
    Buffer.from(hex.subarray(6, 8)).reverse(),
    hex.subarray(8),
  ]);
}
