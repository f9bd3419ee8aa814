import { mkdtemp, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFileBlock } from "./file-block.ts";

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tesserae-block-"));
  path = join(folder, "disk");
});
afterEach(() => rm(folder, { recursive: true }));

const sector = (size: number, value: number): Uint8Array => new Uint8Array(size).fill(value);

test("what was written is read, by this device and by the next", async () => {
  const block = await createFileBlock({ path, sectors: 64, sectorSize: 1024 });
  expect(block).toMatchObject({ sectors: 64, sectorSize: 1024, readOnly: false });
  const into = sector(2048, 0xff);
  await block.read(62, into);
  expect(into).toEqual(sector(2048, 0));
  await Promise.all([block.write(0, sector(1024, 1)), block.write(62, sector(2048, 2))]);
  await block.flush();
  await block.close();
  await block.close();
  const again = await createFileBlock({ path, sectorSize: 512, readOnly: true });
  expect(again.sectors).toBe(128);
  const one = sector(512, 0);
  await again.read(127, one);
  expect(one).toEqual(sector(512, 2));
  await expect(again.write(0, one)).rejects.toMatchObject({ name: "BlockError", kind: "read-only" });
  await again.close();
  expect((await readFile(path)).subarray(0, 1025)).toEqual(Buffer.concat([sector(1024, 1), sector(1, 0)]));
});

test("bounds and lengths are checked", async () => {
  const block = await createFileBlock({ path, sectors: 4 });
  for (const [at, length] of [
    [0, 511],
    [0, 0],
    [3, 1024],
    [4, 512],
    [-1, 512],
    [0.5, 512],
    [NaN, 512],
  ] as const) {
    await expect(block.read(at, sector(length, 0))).rejects.toBeInstanceOf(RangeError);
    await expect(block.write(at, sector(length, 0))).rejects.toBeInstanceOf(RangeError);
  }
  await block.close();
  await expect(block.read(0, sector(512, 0))).rejects.toMatchObject({ kind: "closed" });
  await expect(block.flush()).rejects.toMatchObject({ kind: "closed" });
});

test("files that are no device are refused, and left as they are", async () => {
  await expect(createFileBlock({ path })).rejects.toMatchObject({ kind: "io" });
  await writeFile(path, new Uint8Array(1000));
  await expect(createFileBlock({ path })).rejects.toThrow("1000 bytes");
  await truncate(path, 0);
  await expect(createFileBlock({ path })).rejects.toBeInstanceOf(RangeError);
  await truncate(path, 4096);
  await expect(createFileBlock({ path, sectorSize: 3000 })).rejects.toThrow("sectorSize 3000");
  await expect(createFileBlock({ path, sectors: 9 })).rejects.toThrow("has 8 sectors, not 9");
  expect((await stat(path)).size).toBe(4096);
});

test("a file that shrinks under the device gives an error, no short data", async () => {
  const block = await createFileBlock({ path, sectors: 8 });
  await truncate(path, 1024);
  await expect(block.read(1, sector(1024, 0))).rejects.toMatchObject({ kind: "io", sector: 1 });
  await block.close();
});
