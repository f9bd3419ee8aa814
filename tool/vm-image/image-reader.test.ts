import { expect, test } from "vitest";
import { bytesContent } from "./content.ts";
import { crc32 } from "@tesserae/wire/crc32";
import { layOut } from "./image-layout.ts";
import { readImage } from "./image-reader.ts";

/** An image with "/", "/a" (a directory), "/a/f" (sparse) and "/g", to be damaged. */
function image(): Buffer {
  const chunks: Uint8Array[] = [];
  const bytes = new Uint8Array(3 * 4096);
  bytes[4096] = 1;
  layOut([
    { kind: "file", path: "/a/f", content: bytesContent(bytes), sparse: true },
    { kind: "file", path: "/g", content: bytesContent(Buffer.from("text")) },
  ]).write((each) => chunks.push(each.slice()));
  return Buffer.concat(chunks);
}

/** With a checksum that is right again. */
function sealed(bytes: Buffer): Buffer {
  const end = 64 + bytes.readUInt32LE(12) * 48 + bytes.readUInt32LE(24);
  bytes.writeUInt32LE(crc32(bytes.subarray(64, end)), 28);
  return bytes;
}

const record = (index: number): number => 64 + index * 48;

test.each<[string, (bytes: Buffer) => Buffer, string]>([
  ["an empty file", () => Buffer.alloc(0), "shorter than an image's header"],
  ["another magic", (bytes) => ((bytes[0] = 0), bytes), "the magic is wrong"],
  ["another version", (bytes) => (bytes.writeUInt32LE(2, 8), bytes), "version 2"],
  ["a truncated image", (bytes) => bytes.subarray(0, 4096), "not 4096"],
  ["no entries", (bytes) => (bytes.writeUInt32LE(0, 12), bytes), "out of bounds"],
  ["a wild number of entries", (bytes) => (bytes.writeUInt32LE(0xffffffff, 12), bytes), "out of bounds"],
  ["a changed record", (bytes) => ((bytes[70] = 0xff), bytes), "the checksum of the records is wrong"],
  ["a path outside", (bytes) => (bytes.writeUInt32LE(9999, record(1)), sealed(bytes)), "outside the paths"],
  ["a device node", (bytes) => (bytes.writeUInt32LE(0o020644, record(3) + 4), sealed(bytes)), "is none of a file"],
  ["a wrong parent", (bytes) => (bytes.writeUInt32LE(1, record(3) + 8), sealed(bytes)), "its directory is not the one"],
  ["an unknown flag", (bytes) => (bytes.writeUInt32LE(2, record(3) + 12), sealed(bytes)), "unknown flags"],
  ["a crooked offset", (bytes) => (bytes.writeUInt32LE(4097, record(3) + 16), sealed(bytes)), "outside the image"],
  ["a wild offset", (bytes) => (bytes.fill(0xff, record(3) + 16, record(3) + 24), sealed(bytes)), "outside the image"],
  ["a wild size", (bytes) => (bytes.fill(0xff, record(3) + 24, record(3) + 32), sealed(bytes)), "are not what a file"],
])("refuses %s", (_, damage, why) => {
  expect(() => readImage(bytesContent(damage(image())))).toThrow(why);
});

test("refuses a page of a sparse file that is not its own", () => {
  const bytes = image();
  const entry = readImage(bytesContent(bytes)).find("/a/f")!;
  bytes.writeUInt32LE(0xffff, entry.offset + 4);
  const read = readImage(bytesContent(bytes));
  expect(() => read.bytes(entry)).toThrow("page 1 lies outside its data");
});
