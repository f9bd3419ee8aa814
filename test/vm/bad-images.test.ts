import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { crc32 } from "@tesserae/wire/crc32";
import { headerSize, recordSize } from "@tesserae/vm-image/image-layout";
import { afterAll, describe, expect, test } from "vitest";
import { buildProgram, type BuiltProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// An image comes from a disk or a network: whatever is wrong with it, the kernel says so in one line and ends.

const reason = vmUnavailable();
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-bad-images-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The kernel's status for an image that it refuses. */
const badImage = 103;

/** Fields of a record, by their offsets. */
const field = { path: 0, mode: 4, parent: 8, flags: 12, offset: 16, size: 24 } as const;
/** Fields of an ELF header, and of the first program header behind it. */
const elf = { machine: 18, entry: 24, programHeaders: 32, count: 56 } as const;
const segment = { flags: 64 + 4, offset: 64 + 8, address: 64 + 16, fileSize: 64 + 32, memorySize: 64 + 40 } as const;

/** An image's bytes, and where things are in it. */
class Damaged {
  bytes: Buffer;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Where a record of this path begins. */
  record(wanted: string): number {
    const entries = this.bytes.readUInt32LE(12);
    const strings = headerSize + entries * recordSize;
    for (let at = headerSize; at < strings; at += recordSize) {
      const start = strings + this.bytes.readUInt32LE(at + field.path);
      if (this.bytes.toString("utf8", start, this.bytes.indexOf(0, start)) === wanted) return at;
    }
    throw new Error(`there is no ${wanted} in the image`);
  }

  /** Where the program's contents begin. */
  get program(): number {
    return Number(this.bytes.readBigUInt64LE(this.record("/bin/end") + field.offset));
  }

  u32(at: number, value: number): void {
    this.bytes.writeUInt32LE(value, at);
  }

  u64(at: number, value: bigint): void {
    this.bytes.writeBigUInt64LE(value, at);
  }

  /** Makes the checksum right again, so that what lies behind it is what is refused. */
  seal(): void {
    const table = this.bytes.readUInt32LE(12) * recordSize + this.bytes.readUInt32LE(24);
    this.u32(28, crc32(this.bytes.subarray(headerSize, headerSize + table)));
  }
}

const app = "/bin/end";
const highest = 0xffff_ffff_ffff_ffffn;

const sealed: readonly (readonly [string, (image: Damaged) => void, RegExp])[] = [
  ["another format", (image) => image.u32(8, 2), /bad image: format 2, this kernel reads 1/],
  [
    "a path outside of the table",
    (image) => image.u32(image.record(app), 0x7fff_ffff),
    /a path is too long or outside/,
  ],
  ["a file as its own directory", (image) => image.u32(image.record(app) + field.parent, 4), /it is in no directory/],
  [
    "a directory far away",
    (image) => image.u32(image.record(app) + field.parent, 0x7fff_ffff),
    /it is in no directory/,
  ],
  ["an offset inside a page", (image) => image.u64(image.record(app) + field.offset, 4097n), /outside of the image/],
  [
    "an offset too far",
    (image) => image.u64(image.record(app) + field.offset, highest - 4095n),
    /outside of the image/,
  ],
  ["a size too large", (image) => image.u64(image.record(app) + field.size, highest), /outside of the image/],
  ["contents as a table of pages", (image) => image.u32(image.record(app) + field.flags, 1), /outside of the image/],
  ["a device", (image) => image.u32(image.record(app) + field.mode, 0o020777), /neither file nor directory nor link/],
  ["a file as a link", (image) => image.u32(image.record(app) + field.mode, 0o120777), /a link too long/],
  [
    "arguments in a directory",
    (image) => image.u32(image.record("/boot/argv") + field.mode, 0o040755),
    /names no program/,
  ],
  ["no arguments", (image) => image.u64(image.record("/boot/argv") + field.size, 0n), /names no program/],
  [
    "a program for another processor",
    (image) => image.bytes.writeUInt16LE(3, image.program + elf.machine),
    /no program/,
  ],
  [
    "a program that begins in the kernel",
    (image) => image.u64(image.program + elf.entry, 0xffffffff80100000n),
    /no program/,
  ],
  ["a program that begins nowhere", (image) => image.u64(image.program + elf.entry, 1n << 63n), /no program/],
  ["a program's headers far away", (image) => image.u64(image.program + elf.programHeaders, highest), /no program/],
  ["too many of them", (image) => image.bytes.writeUInt16LE(65_535, image.program + elf.count), /no program/],
  ["code that can be written", (image) => image.u32(image.program + segment.flags, 7), /no program/],
  ["a segment in the kernel", (image) => image.u64(image.program + segment.address, 0xffffffff80100000n), /no program/],
  ["a segment past the file", (image) => image.u64(image.program + segment.offset, highest - 4095n), /no program/],
  ["a segment too large", (image) => image.u64(image.program + segment.memorySize, highest), /no program/],
];

const raw: readonly (readonly [string, (image: Damaged) => void, RegExp])[] = [
  ["nothing of the kind", (image) => image.bytes.fill(0x55, 0, 8), /bad image: it does not begin with "TESSERAE"/],
  ["a few bytes", (image) => void (image.bytes = image.bytes.subarray(0, 10)), /bad image: it does not begin with/],
  ["a part", (image) => void (image.bytes = image.bytes.subarray(0, 65_536)), /image truncated: 65536 of \d+ bytes/],
  ["one wrong bit", (image) => image.u32(70, image.bytes.readUInt32LE(70) ^ 1), /wrong checksum/],
  ["billions of files", (image) => image.u32(12, 0xffff_ffff), /its sizes make no sense/],
  ["a size of nothing", (image) => image.u64(16, 0n), /its sizes make no sense/],
];

async function boot(built: BuiltProgram, damage: (image: Damaged) => void, sealing: boolean) {
  const image = new Damaged(readFileSync(built.files.image));
  damage(image);
  if (sealing) image.seal();
  const file = path.join(folder, "image.bin");
  writeFileSync(file, image.bytes);
  return TestMachine.run(built, { image: file, memory: 64, machine: "microvm", networks: [] });
}

describe.skipIf(reason !== undefined)(`an image with${reason === undefined ? "" : ` (${reason})`}`, () => {
  const built = buildProgram(path.join(import.meta.dirname, "end.c"));
  built.catch(() => undefined); // each test reports it

  test(
    "nothing wrong runs",
    async () => {
      const { status, output } = await boot(await built, () => undefined, true);
      expect(status, output).toBe(0);
    },
    patience,
  );

  test.each([...raw.map((each) => [...each, false] as const), ...sealed.map((each) => [...each, true] as const)])(
    "%s is refused in one line",
    async (_, damage, words, sealing) => {
      const { status, output } = await boot(await built, damage, sealing);
      expect(status, output).toBe(badImage);
      expect(output).toMatch(words);
      expect(output).not.toContain("panic");
      expect(
        output
          .trimEnd()
          .split("\n")
          .filter((line) => !/^\[kernel\] (\d+ MiB|exit)/.test(line)),
      ).toHaveLength(1);
    },
    patience,
  );
});
