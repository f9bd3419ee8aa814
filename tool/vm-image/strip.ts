import { ElfFile } from "./elf-file.ts";

/**
 * The part of a program or library that is loaded: without symbols, debug information and section headers, which lie
 * behind it and which neither kernels nor dynamic loaders read. Changes the headers of `bytes` in place and returns its
 * beginning.
 *
 * @throws FormatError
 */
export function strip(bytes: Uint8Array): Uint8Array {
  const elf = new ElfFile(bytes);
  let end = 64 + elf.segments.length * 56;
  for (const { offset, fileSize } of elf.segments) end = Math.max(end, offset + fileSize);
  // The headers of segments may lie behind the segments.
  end = Math.max(end, Number(elf.bytes.readBigUInt64LE(32)) + elf.segments.length * 56);
  elf.bytes.writeBigUInt64LE(0n, 40);
  elf.bytes.writeUInt16LE(0, 60);
  elf.bytes.writeUInt16LE(0, 62);
  return bytes.subarray(0, end);
}
