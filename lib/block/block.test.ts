import { blockSuite, readOnlyBlockSuite } from "@tesserae/conformance/block";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import type { Block } from "@tesserae/device/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BlockFaultOptions, faults } from "./faults.ts";
import { createMemoryBlock } from "./memory.ts";
import { blockPart } from "./part.ts";

function faulty(options: Partial<BlockFaultOptions> = {}, sectors = 64) {
  const inner = createMemoryBlock({ sectors });
  return faults(inner, { random: new SeededRandom(1), ...options });
}

const subjects: Record<string, () => Block> = {
  memory: () => createMemoryBlock({ sectors: 2048 }),
  "memory with large sectors": () => createMemoryBlock({ sectors: 100, sectorSize: 4096 }),
  "faults, none": () => faulty(),
  "faults, a small cache": () => faulty({ cache: 3 }),
  "a part": () => blockPart(createMemoryBlock({ sectors: 3000 }), { first: 500, sectors: 2048 }),
};

for (const [name, make] of Object.entries(subjects)) {
  describe(`conformance of ${name}`, () => {
    for (const each of blockSuite) test(each.name, (context) => run(() => each.run({ block: make() }), context.skip));
  });
}
describe("conformance, read-only", () => {
  const memory = () => createMemoryBlock({ sectors: 64, readOnly: true, contents: new Uint8Array(1000).fill(7) });
  for (const each of readOnlyBlockSuite) {
    test(`memory: ${each.name}`, () => each.run({ block: memory() }));
    test(`faults: ${each.name}`, () => each.run({ block: faults(memory(), { random: new SeededRandom(1) }) }));
  }
});

async function run(body: () => Promise<void>, skip: (note: string) => never): Promise<void> {
  try {
    await body();
  } catch (error) {
    if (error instanceof Error && error.name === "Skipped") skip(error.message);
    throw error;
  }
}

function sectorOf(value: number): Uint8Array {
  return new Uint8Array(512).fill(value);
}

async function valueAt(block: Block, sector: number): Promise<number> {
  const into = new Uint8Array(512);
  await block.read(sector, into);
  expect(into.every((each) => each === into[0])).toBe(true);
  return into[0]!;
}

describe("blockPart", () => {
  test("is a range of the whole, which stays open", async () => {
    const whole = createMemoryBlock({ sectors: 100 });
    const part = blockPart(whole, { first: 90 });
    expect(part.sectors).toBe(10);
    await part.write(9, sectorOf(1));
    await expect(part.write(10, sectorOf(2))).rejects.toThrow("sector 10, 1 long, is not on a device of 10 sectors");
    await part.close();
    expect([await valueAt(whole, 89), await valueAt(whole, 99)]).toEqual([0, 1]);
  });

  test("may be read-only where the whole is not", async () => {
    const whole = createMemoryBlock({ sectors: 64, contents: new Uint8Array(512 * 64).fill(7) });
    const part = blockPart(whole, { readOnly: true });
    await expect(part.write(0, sectorOf(1))).rejects.toMatchObject({ kind: "read-only", sector: 0 });
    expect(await valueAt(part, 0)).toBe(7);
  });

  test("names its own sectors in errors", async () => {
    const part = blockPart(faulty({ readErrors: 1 }), { first: 10 });
    await expect(part.read(3, new Uint8Array(512))).rejects.toMatchObject({ kind: "io", sector: 3 });
  });

  test("does not lie outside of the whole", () => {
    const whole = createMemoryBlock({ sectors: 64 });
    for (const options of [{ first: 64 }, { first: -1 }, { first: 60, sectors: 5 }, { sectors: 0 }, { first: 0.5 }]) {
      expect(() => blockPart(whole, options)).toThrow("is not on a device of 64 sectors");
    }
  });
});

describe("createMemoryBlock", () => {
  test("starts with the contents given, then zeros", async () => {
    const block = createMemoryBlock({ sectors: 300, contents: new Uint8Array(512 * 200).fill(9) });
    expect([await valueAt(block, 0), await valueAt(block, 199), await valueAt(block, 200)]).toEqual([9, 9, 0]);
  });

  test("takes memory only for what is written", async () => {
    const block = createMemoryBlock({ sectors: 2 ** 40 });
    await block.write(2 ** 40 - 1, sectorOf(1));
    expect(await valueAt(block, 2 ** 40 - 1)).toBe(1);
    expect(await valueAt(block, 12345)).toBe(0);
  });

  test.each([
    [{ sectors: 0 }, "sectors 0"],
    [{ sectors: 1.5 }, "sectors 1.5"],
    [{ sectors: 2 ** 50 }, "sectors"],
    [{ sectors: 8, sectorSize: 500 }, "sectorSize 500"],
    [{ sectors: 1, contents: new Uint8Array(513) }, "contents has 513 bytes"],
  ])("refuses %j", (options, message) => {
    expect(() => createMemoryBlock(options)).toThrow(message);
  });
});

describe("faults", () => {
  test("a crash after a flush loses nothing", async () => {
    const block = faulty();
    for (let sector = 0; sector < 64; sector++) await block.write(sector, sectorOf(sector + 1));
    expect(block.unflushedSectors).toBe(64);
    await block.flush();
    expect(block.unflushedSectors).toBe(0);
    await block.crash();
    for (let sector = 0; sector < 64; sector++) expect(await valueAt(block, sector)).toBe(sector + 1);
  });

  test("a crash before the flush loses some sectors, keeps some, and in any order", async () => {
    const block = faulty();
    for (let sector = 0; sector < 64; sector++) await block.write(sector, sectorOf(1));
    await block.flush();
    for (let value = 2; value <= 3; value++) {
      for (let sector = 0; sector < 64; sector++) await block.write(sector, sectorOf(value));
    }
    expect(await valueAt(block, 5)).toBe(3);
    await block.crash();
    const counts = [0, 0, 0, 0];
    for (let sector = 0; sector < 64; sector++) counts[await valueAt(block, sector)]!++;
    expect(counts[0]).toBe(0);
    for (const value of [1, 2, 3]) expect(counts[value]).toBeGreaterThan(5);
  });

  test("sectors are torn only when asked for", async () => {
    const block = faulty({ tornSectors: true });
    for (let sector = 0; sector < 64; sector++) await block.write(sector, sectorOf(1));
    await block.crash();
    let torn = 0;
    for (let sector = 0; sector < 64; sector++) {
      const into = new Uint8Array(512);
      await block.read(sector, into);
      const boundary = into.indexOf(0);
      if (boundary > 0) torn++;
      expect(into.every((value, index) => value === (boundary < 0 || index < boundary ? 1 : 0))).toBe(true);
    }
    expect(torn).toBeGreaterThan(3);
  });

  test("what is under way at a crash rejects with io", async () => {
    const block = faulty();
    await block.write(1, sectorOf(1));
    const flushing = block.flush();
    const crashing = block.crash();
    await expect(flushing).rejects.toMatchObject({ kind: "io" });
    await crashing;
    await block.write(1, sectorOf(2));
    expect(await valueAt(block, 1)).toBe(2);
  });

  test("errors come at their rates, and leave the device usable", async () => {
    const block = faulty({ readErrors: 0.2, writeErrors: 0.2, flushErrors: 0.2 });
    const failed = { read: 0, write: 0, flush: 0 };
    for (let round = 0; round < 500; round++) {
      await block.write(round % 64, sectorOf(round)).catch(() => failed.write++);
      await block.read(round % 64, new Uint8Array(512)).catch(() => failed.read++);
      await block.flush().catch(() => failed.flush++);
    }
    for (const count of Object.values(failed)) {
      expect(count).toBeGreaterThan(60);
      expect(count).toBeLessThan(140);
    }
  });

  test("refuses options out of range", () => {
    expect(() => faulty({ readErrors: 2 })).toThrow("readErrors 2");
    expect(() => faulty({ cache: 0 })).toThrow("cache 0");
  });

  test("property: after a crash each sector holds the flushed contents or something written since", async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant("write" as const),
          sector: fc.nat(9),
          count: fc.integer({ min: 1, max: 3 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.nat(),
        fc.constantFrom(1, 4, 100),
        async (steps, seed, cache) => {
          const block = faulty({ random: new SeededRandom(seed), cache }, 12);
          const possible = Array.from({ length: 12 }, () => new Set([0]));
          const newest = new Array<number>(12).fill(0);
          let value = 0;
          for (const each of steps) {
            if (each.kind === "write") {
              value++;
              await block.write(each.sector, new Uint8Array(512 * each.count).fill(value));
              for (let index = 0; index < each.count; index++) {
                possible[each.sector + index]!.add(value & 255);
                newest[each.sector + index] = value & 255;
              }
            } else if (each.kind === "flush") {
              await block.flush();
              for (let sector = 0; sector < 12; sector++) possible[sector] = new Set([newest[sector]!]);
            } else {
              await block.crash();
              for (let sector = 0; sector < 12; sector++) {
                const found = await valueAt(block, sector);
                expect([...possible[sector]!]).toContain(found);
                newest[sector] = found;
                possible[sector] = new Set([found]);
              }
            }
            for (let sector = 0; sector < 12; sector++) expect(await valueAt(block, sector)).toBe(newest[sector]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
