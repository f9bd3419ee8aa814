import { needsChecksum, Page } from "@tesserae/device/page";
import { endianness } from "node:os";
import { describe, expect, test } from "vitest";
import { readHeader, virtioNetHeaderSize, writeHeader } from "./virtio-net-header.ts";

const little = endianness() === "LE";

/** The header of a frame, as its fields. */
function header(etherType: number, checksumOffset: number, segmentSize: number): number[] {
  const bytes = new Uint8Array(100);
  new DataView(bytes.buffer).setUint16(virtioNetHeaderSize + 12, etherType);
  const page = new Page(bytes, 0);
  if (checksumOffset > 0) {
    page.flags = needsChecksum;
    page.checksumStart = 34;
    page.checksumOffset = checksumOffset;
  }
  page.segmentSize = segmentSize;
  page.headerLength = segmentSize > 0 ? 42 : 0;
  writeHeader(page, bytes, 0);
  const back = new Page(bytes, 0);
  readHeader(back, bytes, 0);
  const { flags, checksumStart, segmentSize: size, headerLength } = back;
  expect([flags, checksumStart, back.checksumOffset, size, headerLength]).toEqual([
    page.flags,
    page.checksumStart,
    page.checksumOffset,
    page.segmentSize,
    page.headerLength,
  ]);
  const view = new DataView(bytes.buffer);
  return [bytes[0]!, bytes[1]!, ...[2, 4, 6, 8].map((at) => view.getUint16(at, little))];
}

describe("virtio 1.3 §5.1.6: struct virtio_net_hdr", () => {
  test("says what a frame is to be cut into", () => {
    expect(header(0x0800, 0, 0)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(header(0x0800, 16, 0)).toEqual([1, 0, 0, 0, 34, 16]);
    expect(header(0x0800, 16, 1460)).toEqual([1, 1, 42, 1460, 34, 16]);
    expect(header(0x86dd, 16, 1440)).toEqual([1, 4, 42, 1440, 34, 16]);
    expect(header(0x0800, 6, 1472)).toEqual([1, 5, 42, 1472, 34, 6]);
    expect(header(0x86dd, 6, 1452)).toEqual([1, 5, 42, 1452, 34, 6]);
  });
});
