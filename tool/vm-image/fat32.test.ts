import { spawnSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytesContent } from "./content.ts";
import { layOutFat32, type FatFile } from "./fat32.ts";
import { because, withoutPrograms } from "../../test/programs.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-fat-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function files(contents: Readonly<Record<string, Buffer>>): readonly FatFile[] {
  return Object.entries(contents).map(([name, bytes]) => ({ path: name, content: bytesContent(bytes) }));
}

const request = { volumeId: 0x12345678, label: "TESSERAE", hiddenSectors: 2048 };

function written(contents: Readonly<Record<string, Buffer>>): string {
  const volume = layOutFat32({ files: files(contents), ...request });
  const file = path.join(folder, "volume");
  const fd = openSync(file, "w");
  ftruncateSync(fd, volume.sectors * 512);
  volume.write((bytes, at) => writeSync(fd, bytes, 0, bytes.length, at));
  closeSync(fd);
  return file;
}

/** A file's bytes, found as another implementation would: from the root directory along the chains. */
function readBack(volume: Buffer, name: string): Buffer | undefined {
  const cluster = volume.readUInt8(13) * 512;
  const table = volume.readUInt16LE(14) * 512;
  const data = table + volume.readUInt8(16) * volume.readUInt32LE(36) * 512;
  const chain = (first: number): Buffer => {
    const parts: Buffer[] = [];
    for (let at = first; at >= 2 && at < 0x0ffffff8; at = volume.readUInt32LE(table + at * 4)) {
      parts.push(volume.subarray(data + (at - 2) * cluster, data + (at - 1) * cluster));
    }
    return Buffer.concat(parts);
  };
  let content = chain(volume.readUInt32LE(44));
  for (const part of name.split("/")) {
    const [base = "", extension = ""] = part.toUpperCase().split(".");
    const short = base.padEnd(8) + extension.padEnd(3);
    let entry = 0;
    while (content[entry] !== 0 && content.toString("latin1", entry, entry + 11) !== short) entry += 32;
    if (content[entry] === 0) return undefined;
    const first = content.readUInt16LE(entry + 20) * 65536 + content.readUInt16LE(entry + 26);
    const isFolder = (content.readUInt8(entry + 11) & 16) !== 0;
    content = chain(first).subarray(0, isFolder ? undefined : content.readUInt32LE(entry + 28));
  }
  return content;
}

const contents = {
  "EFI/BOOT/BOOTX64.EFI": Buffer.alloc(100_000, 1),
  "kernel.elf": Buffer.alloc(3_000_000, 2),
  "empty.txt": Buffer.alloc(0),
  "cmdline.txt": Buffer.from("log=debug\n"),
};

describe("a FAT32 file system", () => {
  test("holds its files", () => {
    const volume = readFileSync(written(contents));
    for (const [name, bytes] of Object.entries(contents)) expect(readBack(volume, name)?.equals(bytes)).toBe(true);
    expect(readBack(volume, "none.txt")).toBeUndefined();
  });

  const fsck = withoutPrograms("fsck.fat");
  test.skipIf(fsck !== undefined)(`is whole to fsck.fat${because(fsck)}`, () => {
    const checked = spawnSync("fsck.fat", ["-n", "-V", written(contents)], { encoding: "utf8" });
    expect(checked.stdout).not.toMatch(/differ|wrong|bad|error|corrupt/i);
    expect(checked.status).toBe(0);
  });

  const mtools = withoutPrograms("mtype");
  test.skipIf(mtools !== undefined)(`is read and changed by mtools${because(mtools)}`, () => {
    const file = written(contents);
    writeFileSync(path.join(folder, "new"), "ipv4=10.0.0.2/24\n");
    spawnSync("mcopy", ["-o", "-i", file, path.join(folder, "new"), "::cmdline.txt"]);
    const typed = spawnSync("mtype", ["-i", file, "::cmdline.txt"], { encoding: "utf8" });
    expect(typed.stdout).toBe("ipv4=10.0.0.2/24\n");
    const listed = spawnSync("mdir", ["-b", "-/", "-i", file, "::"], { encoding: "utf8" });
    expect(listed.stdout.split("\n")).toContain("::/EFI/BOOT/BOOTX64.EFI");
  });

  test("is the same for the same files", () => {
    const one = readFileSync(written(contents));
    expect(readFileSync(written(contents)).equals(one)).toBe(true);
  });

  test("has enough clusters to be FAT32 even when it is nearly empty", () => {
    const volume = readFileSync(written({ "a.txt": Buffer.from("a") }));
    const data = volume.readUInt32LE(32) - volume.readUInt16LE(14) - 2 * volume.readUInt32LE(36);
    expect(data / volume.readUInt8(13)).toBeGreaterThanOrEqual(65_525);
  });

  test.each(["toolongname.txt", "a/b.text", "", "a//b", "ä.txt"])("refuses the name %j", (name) => {
    expect(() => layOutFat32({ files: files({ [name]: Buffer.alloc(1) }), ...request })).toThrow("no path on a FAT");
  });

  test("refuses two files of one name, in capitals or not", () => {
    const twice = files({ "A.TXT": Buffer.alloc(1), "a.txt": Buffer.alloc(1) });
    expect(() => layOutFat32({ files: twice, ...request })).toThrow("twice");
    const below = files({ a: Buffer.alloc(1), "A/B": Buffer.alloc(1) });
    expect(() => layOutFat32({ files: below, ...request })).toThrow("twice");
  });

  test("holds whatever sizes its files have", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(40_000), { maxLength: 20 }), (sizes) => {
        const many = Object.fromEntries(
          sizes.map((size, index) => [`F${String(index)}/X.BIN`, Buffer.alloc(size, index + 1)]),
        );
        const chunks: (readonly [Uint8Array, number])[] = [];
        const laid = layOutFat32({ files: files(many), ...request });
        laid.write((bytes, at) => chunks.push([bytes.slice(), at]));
        const volume = Buffer.alloc(Math.max(...chunks.map(([bytes, at]) => at + bytes.length)) + 65_536);
        for (const [bytes, at] of chunks) volume.set(bytes, at);
        for (const [name, bytes] of Object.entries(many)) expect(readBack(volume, name)?.equals(bytes)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});
