import { type Block, BlockError } from "@tesserae/device/block";
import { ensure, ensureEqual, ensureRejects } from "./assert.ts";
import { pattern } from "./pause.ts";
import { defineCase, Skipped, type Suite } from "./suite.ts";

/** A device of at least 64 sectors that may be overwritten. */
export interface BlockSubject {
  readonly block: Block;
  /** Closes the device and opens it again, where its contents outlive it. */
  readonly reopen?: () => Promise<Block>;
}

async function readSectors(block: Block, sector: number, count: number): Promise<Uint8Array> {
  const into = new Uint8Array(count * block.sectorSize).fill(0xee);
  await block.read(sector, into);
  return into;
}

/** The contract of `Block`, for a device that can be written to. */
export const blockSuite: Suite<BlockSubject> = [
  defineCase("the geometry is in range and the device can be written to", ({ block }) => {
    ensure([512, 1024, 2048, 4096].includes(block.sectorSize), `sectorSize ${String(block.sectorSize)}`);
    ensure(Number.isInteger(block.sectors) && block.sectors >= 64, `sectors ${String(block.sectors)}`);
    ensureEqual(block.readOnly, false, "readOnly");
  }),

  defineCase("what was written is read back, sector by sector and many at once", async ({ block }) => {
    const { sectorSize } = block;
    const written = pattern(16 * sectorSize, 1);
    await block.write(3, written);
    ensureEqual(await readSectors(block, 3, 16), written, "all at once");
    for (let index = 0; index < 16; index++) {
      const expected = written.slice(index * sectorSize, (index + 1) * sectorSize);
      ensureEqual(await readSectors(block, 3 + index, 1), expected, `sector ${String(3 + index)}`);
    }
  }),

  defineCase("a write changes its sectors and no others", async ({ block }) => {
    const { sectorSize } = block;
    const before = pattern(8 * sectorSize, 1);
    await block.write(0, before);
    const change = pattern(2 * sectorSize, 2);
    await block.write(3, change);
    const expected = before.slice();
    expected.set(change, 3 * sectorSize);
    ensureEqual(await readSectors(block, 0, 8), expected, "sectors 0 to 7");
  }),

  defineCase("the first and the last sector work", async ({ block }) => {
    const { sectorSize, sectors } = block;
    await block.write(0, pattern(sectorSize, 1));
    await block.write(sectors - 1, pattern(sectorSize, 2));
    ensureEqual(await readSectors(block, 0, 1), pattern(sectorSize, 1), "the first");
    ensureEqual(await readSectors(block, sectors - 1, 1), pattern(sectorSize, 2), "the last");
  }),

  defineCase("a read fills a view in the middle of a buffer and nothing beside it", async ({ block }) => {
    const { sectorSize } = block;
    await block.write(5, pattern(sectorSize, 1));
    const memory = new Uint8Array(sectorSize + 20).fill(0xee);
    await block.read(5, memory.subarray(10, 10 + sectorSize));
    ensureEqual(memory.slice(10, 10 + sectorSize), pattern(sectorSize, 1), "inside");
    ensureEqual(memory.slice(0, 10), new Uint8Array(10).fill(0xee), "before");
    ensureEqual(memory.slice(10 + sectorSize), new Uint8Array(10).fill(0xee), "behind");
  }),

  defineCase("the bytes are the caller's again once the write resolved", async ({ block }) => {
    const bytes = pattern(block.sectorSize, 1);
    await block.write(7, bytes);
    bytes.fill(0);
    ensureEqual(await readSectors(block, 7, 1), pattern(block.sectorSize, 1), "sector 7");
  }),

  defineCase("operations on different sectors may overlap in time", async ({ block }) => {
    const { sectorSize } = block;
    const writes = Array.from({ length: 32 }, (_, index) => block.write(index * 2, pattern(sectorSize, index)));
    await Promise.all(writes);
    const reads = await Promise.all(Array.from({ length: 32 }, (_, index) => readSectors(block, index * 2, 1)));
    for (const [index, bytes] of reads.entries())
      ensureEqual(bytes, pattern(sectorSize, index), `sector ${String(index * 2)}`);
  }),

  defineCase("bytes that are no whole number of sectors reject with RangeError", async ({ block }) => {
    for (const length of [1, block.sectorSize - 1, block.sectorSize + 1]) {
      await ensureRejects(block.read(0, new Uint8Array(length)), RangeError, `read of ${String(length)}`);
      await ensureRejects(block.write(0, new Uint8Array(length)), RangeError, `write of ${String(length)}`);
    }
  }),

  defineCase("what does not lie on the device rejects with RangeError, and writes nothing", async ({ block }) => {
    const { sectorSize, sectors } = block;
    await block.write(sectors - 1, pattern(sectorSize, 1));
    const two = new Uint8Array(2 * sectorSize);
    for (const sector of [-1, sectors - 1, sectors, 0.5, Number.NaN, 2 ** 53]) {
      await ensureRejects(block.read(sector, two), RangeError, `read at ${String(sector)}`);
      await ensureRejects(block.write(sector, two), RangeError, `write at ${String(sector)}`);
    }
    ensureEqual(await readSectors(block, sectors - 1, 1), pattern(sectorSize, 1), "the last sector");
  }),

  defineCase("flush resolves, with and without something to flush", async ({ block }) => {
    await block.flush();
    await block.write(1, pattern(block.sectorSize, 1));
    await Promise.all([block.flush(), block.flush()]);
    ensureEqual(await readSectors(block, 1, 1), pattern(block.sectorSize, 1), "after the flush");
  }),

  defineCase("after close every call rejects with closed, and closing again is harmless", async ({ block }) => {
    await block.write(1, pattern(block.sectorSize, 1));
    await Promise.all([block.close(), block.close()]);
    await block.close();
    const sector = new Uint8Array(block.sectorSize);
    for (const [what, call] of [
      ["read", () => block.read(0, sector)],
      ["write", () => block.write(0, sector)],
      ["flush", () => block.flush()],
    ] as const) {
      const error = await ensureRejects(call(), BlockError, what);
      ensureEqual(error.kind, "closed", `${what}: kind`);
    }
  }),

  defineCase("what was written outlives the device", async ({ block, reopen }) => {
    if (reopen === undefined) throw new Skipped("the contents are gone with the device");
    await block.write(9, pattern(block.sectorSize, 3));
    const again = await reopen();
    ensureEqual(await readSectors(again, 9, 1), pattern(block.sectorSize, 3), "sector 9");
    await again.close();
  }),
];

/** The contract of `Block`, for a device that can only be read. */
export const readOnlyBlockSuite: Suite<BlockSubject> = [
  defineCase("a write rejects with read-only and changes nothing", async ({ block }) => {
    ensureEqual(block.readOnly, true, "readOnly");
    const before = await readSectors(block, 0, 1);
    const error = await ensureRejects(block.write(0, pattern(block.sectorSize, 77)), BlockError, "write");
    ensureEqual(error.kind, "read-only", "kind");
    ensureEqual(await readSectors(block, 0, 1), before, "sector 0");
    await block.flush();
    await block.close();
  }),
];
