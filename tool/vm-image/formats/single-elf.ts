import { readFileSync } from "node:fs";
import path from "node:path";
import { eachChunk, fileContent } from "../content.ts";
import { ElfFile, segmentFlag, segmentType } from "../elf-file.ts";
import { ImageFailure, ofFile } from "../image-failure.ts";
import { roundUp } from "../image-layout.ts";
import { replaceFileBy } from "../replace-file.ts";
import type { FormatInput } from "./format.ts";

/** What the kernel has at `embedded_image` until an image is put behind it. */
const magic = "TSEMBED\0";
const symbol = "embedded_image";
/** The kernel's addresses are physical ones and this. */
const kernelBase = 0xffff_ffff_8000_0000n;
const headerSize = 56;
/** The image begins at a multiple of this, in bytes, so that large pages can map it. */
const alignment = 2n * 1024n * 1024n;

/** Writes `<name>.elf`: the kernel with the image as one more segment, behind it in memory. @returns its path. */
export function writeSingleElf(input: FormatInput): string {
  const kernel = readFileSync(input.kernel);
  const image = fileContent(input.image);
  const file = path.join(input.output, `${input.name}.elf`);
  try {
    const head = ofFile(input.kernel, () => withSegment(kernel, image.size));
    replaceFileBy(file, (put) => {
      put(head);
      eachChunk(image, (bytes) => put(bytes));
    });
  } finally {
    image.close();
  }
  return file;
}

/**
 * The kernel's file up to where the image's bytes come, with a segment for them and their place in memory told to the
 * kernel.
 *
 * @throws FormatError, ImageFailure for a kernel without room or without the variable.
 */
export function withSegment(kernel: Uint8Array, imageSize: number): Uint8Array {
  const elf = new ElfFile(kernel);
  const loaded = elf.segments.filter(({ type }) => type === segmentType.load);
  const end = loaded.reduce((most, each) => max(most, each.physical + each.memorySize), 0n);
  const physical = ((end + alignment - 1n) / alignment) * alignment;
  const offset = roundUp(kernel.length);
  const head = Buffer.alloc(offset);
  head.set(kernel);
  const headers = Number(head.readBigUInt64LE(32));
  const at = headers + elf.segments.length * headerSize;
  const room = Math.min(...elf.segments.filter(({ fileSize }) => fileSize > 0).map((segment) => segment.offset));
  if (at + headerSize > room) throw new ImageFailure("the kernel's file has no room for another segment");
  head.writeUInt32LE(segmentType.load, at);
  head.writeUInt32LE(segmentFlag.read, at + 4);
  const size = BigInt(imageSize);
  const fields = [BigInt(offset), kernelBase + physical, physical, size, size, BigInt(4096)];
  for (const [index, field] of fields.entries()) head.writeBigUInt64LE(field, at + 8 + index * 8);
  head.writeUInt16LE(elf.segments.length + 1, 56);
  const variable = elf.symbols().find(({ name, defined }) => defined && name === symbol);
  const place = variable === undefined ? undefined : elf.fileOffset(variable.value, 24);
  if (place === undefined || head.toString("latin1", place, place + 8) !== magic) {
    throw new ImageFailure(`the kernel has no variable ${symbol} for an image behind it`);
  }
  head.writeBigUInt64LE(physical, place + 8);
  head.writeBigUInt64LE(size, place + 16);
  return head;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
