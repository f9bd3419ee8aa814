import { createHash } from "node:crypto";
import { ftruncateSync, readFileSync } from "node:fs";
import path from "node:path";
import { bytesContent, eachChunk, fileContent } from "../content.ts";
import type { DiskLoaders } from "../disk-loader.ts";
import { layOutFat32, sectorSize } from "../fat32.ts";
import { ImageFailure } from "../image-failure.ts";
import { biosBoot, efiSystem, partitionTable, sectorsBefore, sectorsBehind } from "../partition-table.ts";
import { replaceFileBy } from "../replace-file.ts";
import type { FormatInput } from "./format.ts";

/** Where the file system begins; targets/vm/loader/bios.h has it too. */
const volumeSector = 2048;
/** Disks end at a multiple of this, in bytes. */
const diskUnit = 1024 * 1024;

const commandLineHelp = [
  "# The command line of this machine: the application's keys, key=value each, in one line or several.",
  "# What follows a # is a comment.",
];

/**
 * Writes `<name>.img`, a raw disk that boots on BIOS and UEFI machines: a GUID partition table, the BIOS's loader in
 * the boot record and a partition of its own, and a FAT32 partition with the UEFI loader, `kernel.elf`, `image.bin` and
 * `cmdline.txt`, which can be edited.
 *
 * @returns its path.
 */
export function writeDiskImage(input: FormatInput, loaders: DiskLoaders): string {
  const file = path.join(input.output, `${input.name}.img`);
  const commandLine = `${[...commandLineHelp, input.commandLine].join("\n")}\n`;
  const kernel = readFileSync(input.kernel);
  const image = fileContent(input.image);
  try {
    const hash = createHash("sha256").update(kernel).update(commandLine).update(loaders.bios).update(loaders.uefi);
    eachChunk(image, (bytes) => hash.update(bytes));
    // Identities that differ between disks with different contents, and only between them.
    const identity = hash.digest();
    const guid = (index: number): string =>
      guidOf(createHash("sha256").update(identity).update(String(index)).digest());
    const volume = layOutFat32({
      files: [
        { path: "EFI/BOOT/BOOTX64.EFI", content: bytesContent(loaders.uefi) },
        { path: "kernel.elf", content: bytesContent(kernel) },
        { path: "image.bin", content: image },
        { path: "cmdline.txt", content: bytesContent(Buffer.from(commandLine)) },
      ],
      volumeId: identity.readUInt32LE(0),
      label: "TESSERAE",
      hiddenSectors: volumeSector,
    });
    const rest = loaders.bios.subarray(sectorSize);
    if (rest.length > (volumeSector - sectorsBefore) * sectorSize)
      throw new ImageFailure("the BIOS loader is too long");
    const size = Math.ceil(((volumeSector + volume.sectors + sectorsBehind) * sectorSize) / diskUnit) * diskUnit;
    const sectors = size / sectorSize;
    const last = volumeSector + volume.sectors - 1;
    const table = partitionTable(
      sectors,
      guid(0),
      [
        { type: efiSystem, id: guid(1), first: volumeSector, last, name: "Tesserae" },
        { type: biosBoot, id: guid(2), first: sectorsBefore, last: volumeSector - 1, name: "BIOS loader" },
      ],
      loaders.bios,
    );
    replaceFileBy(file, (put, fd) => {
      ftruncateSync(fd, size);
      put(table.before, 0);
      put(rest, sectorsBefore * sectorSize);
      volume.write((bytes, at) => put(bytes, volumeSector * sectorSize + at));
      put(table.behind, (sectors - sectorsBehind) * sectorSize);
    });
  } finally {
    image.close();
  }
  return file;
}

/** A GUID made of the first 16 bytes, marked as one that was made of random bytes (RFC 9562, version 4). */
function guidOf(bytes: Buffer): string {
  const own = Buffer.from(bytes.subarray(0, 16));
  own.writeUInt8((own.readUInt8(6) & 0x0f) | 0x40, 6);
  own.writeUInt8((own.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = own.toString("hex").toUpperCase();
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
