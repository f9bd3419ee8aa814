import { createMemoryBlock } from "@tesserae/block/memory";
import { expect, test } from "vitest";
import { partOf } from "../../examples/disk-driver/part-of.ts";

test("a target names a part of the disk", () => {
  const disk = createMemoryBlock({ sectors: 100 });
  expect([partOf(disk, "10+20").sectors, partOf(disk, "all").sectors]).toEqual([20, 100]);
  expect(() => partOf(disk, "90+20")).toThrow("sector 90, 20 long, is not on a device of 100 sectors");
  expect(() => partOf(disk, "/dev/sda")).toThrow('the target "/dev/sda" is neither FIRST+SECTORS nor all');
});
