import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { bytesContent } from "./content.ts";
import { crc32 } from "@tesserae/wire/crc32";
import { FormatError } from "./image-failure.ts";
import { layOut } from "./image-layout.ts";
import { readImage } from "./image-reader.ts";

function seed(): Uint8Array {
  const chunks: Uint8Array[] = [];
  const sparse = new Uint8Array(3 * 4096);
  sparse[4096] = 1;
  layOut([
    { kind: "file", path: "/a/f", content: bytesContent(sparse), sparse: true },
    { kind: "file", path: "/g", content: bytesContent(Buffer.from("text")) },
    { kind: "link", path: "/l", target: "g" },
  ]).write((each) => chunks.push(each.slice()));
  return Buffer.concat(chunks);
}

/** Whatever is read lies inside the image. */
export const fuzz: FuzzTarget = {
  name: "vm-image-reader",
  seeds: [seed()],
  run(input) {
    // Most changes would break the checksum and be seen nowhere else.
    const bytes = Buffer.from(input);
    if (bytes.length >= 64) {
      const end = 64 + bytes.readUInt32LE(12) * 48 + bytes.readUInt32LE(24);
      if (end <= bytes.length) bytes.writeUInt32LE(crc32(bytes.subarray(64, end)), 28);
      bytes.writeBigUInt64LE(BigInt(bytes.length), 16);
    }
    try {
      const image = readImage(bytesContent(bytes));
      for (const entry of image.entries) {
        if ((entry.mode & 0o170000) === 0o040000 || entry.size > 1024 * 1024) continue;
        if (image.bytes(entry).length !== entry.size) throw new Error(`${entry.path}: not all bytes came`);
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  },
};
