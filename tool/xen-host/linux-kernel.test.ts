import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { unpackKernel } from "./linux-kernel.ts";

/** A kernel of Linux's boot protocol 2.15 with this payload, which is followed by its size unpacked. */
function vmlinuz(payload: Buffer, size: number): Buffer {
  const setup = Buffer.alloc(2 * 512);
  setup[0x1f1] = 1;
  setup.write("HdrS", 0x202);
  setup.writeUInt16LE(0x20f, 0x206);
  setup.writeUInt32LE(16, 0x248);
  setup.writeUInt32LE(payload.length + 4, 0x24c);
  const last = Buffer.alloc(4);
  last.writeUInt32LE(size);
  return Buffer.concat([setup, Buffer.alloc(16), payload, last, Buffer.alloc(100, 0xee)]);
}

test("the ELF file inside is found and unpacked", () => {
  const kernel = Buffer.concat([Buffer.from("\x7fELF", "latin1"), Buffer.alloc(5000, 7)]);
  expect(unpackKernel(vmlinuz(gzipSync(kernel), kernel.length))?.equals(kernel)).toBe(true);
});

test.each([
  ["no kernel", Buffer.alloc(4096)],
  ["a short file", Buffer.alloc(10)],
  ["a compression that is not known", vmlinuz(Buffer.from("LZ??"), 4)],
  ["a stream that is damaged", vmlinuz(gzipSync(Buffer.alloc(5000)).fill(0, 20, 30), 5000)],
  ["something that is no ELF file", vmlinuz(gzipSync(Buffer.alloc(5000)), 5000)],
])("%s gives none", (_what, file) => {
  expect(unpackKernel(file)).toBeUndefined();
});
