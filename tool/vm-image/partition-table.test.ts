import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { crc32 } from "@tesserae/wire/crc32";
import { biosBoot, efiSystem, partitionTable } from "./partition-table.ts";
import { because, withoutPrograms } from "../../test/programs.ts";

const disk = "01234567-89AB-4DEF-8123-456789ABCDEF";
const partitions = [
  { type: efiSystem, id: "11111111-2222-4333-8444-555555555555", first: 2048, last: 8191, name: "Tesserae" },
  { type: biosBoot, id: "11111111-2222-4333-8444-666666666666", first: 34, last: 2047, name: "BIOS loader" },
];

test("both tables name each other and carry right checksums", () => {
  const { before, behind } = partitionTable(10_240, disk, partitions, Buffer.alloc(512, 7));
  for (const [header, own, other] of [
    [Buffer.from(before).subarray(512, 1024), 1n, 10_239n],
    [Buffer.from(behind).subarray(-512), 10_239n, 1n],
  ] as const) {
    expect(header.toString("latin1", 0, 8)).toBe("EFI PART");
    expect([header.readBigUInt64LE(24), header.readBigUInt64LE(32)]).toEqual([own, other]);
    const zeroed = Buffer.from(header.subarray(0, 92));
    zeroed.writeUInt32LE(0, 16);
    expect(header.readUInt32LE(16)).toBe(crc32(zeroed));
  }
});

test("the boot record keeps the loader's code and protects the disk", () => {
  const { before } = partitionTable(10_240, disk, partitions, Buffer.alloc(512, 7));
  expect(before.slice(0, 440).every((byte) => byte === 7)).toBe(true);
  expect(before[450]).toBe(0xee);
  expect([before[510], before[511]]).toEqual([0x55, 0xaa]);
});

const sfdisk = withoutPrograms("sfdisk");
test.skipIf(sfdisk !== undefined)(`sfdisk reads it${because(sfdisk)}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-gpt-"));
  const { before, behind } = partitionTable(10_240, disk, partitions, Buffer.alloc(512));
  const bytes = Buffer.alloc(10_240 * 512);
  bytes.set(before);
  bytes.set(behind, bytes.length - behind.length);
  writeFileSync(path.join(folder, "disk"), bytes);
  const dumped = spawnSync("sfdisk", ["--json", path.join(folder, "disk")], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  expect(dumped.stderr).toBe("");
  const { partitiontable: table } = JSON.parse(dumped.stdout) as {
    readonly partitiontable: { readonly id: string; readonly partitions: readonly Record<string, unknown>[] };
  };
  expect(table.id).toBe(disk);
  expect(table.partitions.map(({ start, size, type, uuid, name }) => [start, size, type, uuid, name])).toEqual(
    partitions.map(({ first, last, type, id, name }) => [first, last - first + 1, type, id, name]),
  );
});
