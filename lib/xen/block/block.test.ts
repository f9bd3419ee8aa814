import { createMemoryBlock } from "@tesserae/block/memory";
import { blockPart } from "@tesserae/block/part";
import { faults } from "@tesserae/block/faults";
import { blockSuite, readOnlyBlockSuite } from "@tesserae/conformance/block";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { type Block, BlockError } from "@tesserae/device/block";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pageSize } from "../grant.ts";
import { ringHeader } from "../ring.ts";
import type { SimulatedDomain } from "../simulation/domain.ts";
import type { Device } from "../simulation/toolstack.ts";
import { inWorld as inAnyWorld, type World } from "../simulation/world.ts";
import { type BlockBack, type BlockBackOptions, serveBlock } from "./back.ts";
import { type BlockFront, type BlockFrontOptions, connectBlock } from "./front.ts";
import {
  BlockRequest,
  operation,
  responseStatus,
  segmentSize,
  writeIndirectHead,
  writeIndirectPage,
  writeSegment,
} from "./wire.ts";

interface Disk {
  readonly world: World;
  readonly front: SimulatedDomain;
  readonly back: SimulatedDomain;
  readonly device: Device;
  readonly server: BlockBack;
  readonly block: BlockFront;
}

const number = 51712;
const turn = (): Promise<void> => new Promise(setImmediate);

function inWorld<T>(body: (world: World) => Promise<T>, seed = 1): Promise<T> {
  return inAnyWorld(new SeededRandom(seed), turn, body);
}

async function makeDisk(
  world: World,
  back: Partial<BlockBackOptions> = {},
  front: BlockFrontOptions = {},
): Promise<Disk> {
  const guest = await world.machine.createDomain();
  const driver = await world.machine.createDomain();
  const device = await world.tools.attach({ kind: "vbd", number, front: guest, back: driver });
  const server = serveBlock(driver, device.backPath, { block: createMemoryBlock({ sectors: 4096 }), ...back });
  const block = await connectBlock(guest, `device/vbd/${number}`, front);
  return { world, front: guest, back: driver, device, server, block };
}

function withDisk(
  back: Partial<BlockBackOptions>,
  front: BlockFrontOptions,
  body: (disk: Disk) => Promise<void>,
): Promise<void> {
  return inWorld(async (world) => body(await makeDisk(world, back, front)));
}

const kinds: Record<string, [Partial<BlockBackOptions>, BlockFrontOptions]> = {
  "as it comes": [{}, {}],
  "eleven segments, one request at a time": [{ segments: 11, concurrency: 1 }, {}],
  "copies instead of mappings, a ring of four pages": [{ persistent: 0 }, { ringOrder: 2 }],
  "few pages, kept mapped by turns": [{ persistent: 3 }, { pages: 5, segments: 5 }],
  "sectors of 4096 bytes": [{ block: createMemoryBlock({ sectors: 512, sectorSize: 4096 }) }, { segments: 64 }],
};

for (const [name, [back, front]] of Object.entries(kinds)) {
  describe(`conformance: ${name}`, () => {
    for (const each of blockSuite) {
      const reopens = each.name === "what was written outlives the device";
      test(each.name, () =>
        withDisk(back, front, async (disk) => {
          const reopen = async (): Promise<Block> => {
            await disk.block.close();
            await disk.world.wait();
            return connectBlock(disk.front, `device/vbd/${number}`, front);
          };
          await each.run({ block: disk.block, ...(reopens && { reopen }) });
        }),
      );
    }
  });
}

describe("conformance: read-only", () => {
  for (const each of readOnlyBlockSuite) {
    test(each.name, () =>
      withDisk({ block: createMemoryBlock({ sectors: 64, readOnly: true }) }, {}, ({ block }) => each.run({ block })),
    );
  }
});

const bytesOf = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length);
  new SeededRandom(seed).fill(bytes);
  return bytes;
};

/** One whose reads and writes take a while. */
function slow(world: World, inner: Block, ms: number): Block {
  return {
    sectorSize: inner.sectorSize,
    sectors: inner.sectors,
    readOnly: inner.readOnly,
    read: async (sector, into) => (await world.wait(ms), inner.read(sector, into)),
    write: async (sector, bytes) => (await world.wait(ms), inner.write(sector, bytes)),
    flush: () => inner.flush(),
    close: () => inner.close(),
  };
}

describe("a block device", () => {
  test("larger requests than the ring takes at once are split, and all come back", () =>
    withDisk({}, { segments: 16, pages: 40 }, async ({ block }) => {
      const bytes = bytesOf(4096 * 512, 1);
      await block.write(0, bytes);
      const into = new Uint8Array(bytes.length);
      await block.read(0, into);
      expect(Buffer.compare(into, bytes)).toBe(0);
      expect(block.inFlight).toBe(0);
    }));

  test("is served in parts by a domain whose own disk another domain serves, written, flushed and read", () =>
    withDisk({}, {}, async ({ world, front: driver, block: whole }) => {
      const guest = await world.machine.createDomain();
      const block = async (device: number, first: number) => {
        const { backPath } = await world.tools.attach({ kind: "vbd", number: device, front: guest, back: driver });
        serveBlock(driver, backPath, { block: blockPart(whole, { first, sectors: 2048 }) });
        return connectBlock(guest, `device/vbd/${device}`);
      };
      const [one, other] = [await block(1, 0), await block(2, 2048)];
      const bytes = bytesOf(512 * 600, 3);
      const into = new Uint8Array(bytes.length);
      for (const disk of [one, other]) {
        await disk.write(7, bytes);
        await disk.flush();
        await disk.read(7, into);
        expect(Buffer.compare(into, bytes)).toBe(0);
      }
      await whole.read(2048 + 7, into);
      expect(Buffer.compare(into, bytes)).toBe(0);
      await Promise.all([one.close(), other.close()]);
    }));

  test("is chosen by the toolstack's target, and only read where the toolstack says so", () =>
    inWorld(async (world) => {
      const front = await world.machine.createDomain();
      const back = await world.machine.createDomain();
      const whole = createMemoryBlock({ sectors: 64, contents: new Uint8Array(512 * 64).fill(7) });
      const choose = (target: string): Block => {
        if (!/^\d+$/.test(target)) throw new Error(`there is no disk "${target}"`);
        return blockPart(whole, { first: Number(target) });
      };
      const serve = async (device: number, params: string, mode: string) => {
        const backNodes = { params, mode };
        const { backPath } = await world.tools.attach({ kind: "vbd", number: device, front, back, backNodes });
        return serveBlock(back, backPath, { block: choose });
      };
      await serve(1, "60", "w");
      await serve(2, "62", "r");
      const written = await connectBlock(front, "device/vbd/1");
      expect([written.sectors, written.readOnly]).toEqual([4, false]);
      await written.write(3, new Uint8Array(512).fill(1));
      const read = await connectBlock(front, "device/vbd/2");
      expect([read.sectors, read.readOnly]).toEqual([2, true]);
      const into = new Uint8Array(1024);
      await read.read(0, into);
      expect([into[0], into[512]]).toEqual([7, 1]);
      const wrong = await serve(3, "elsewhere", "w");
      expect((await wrong.over).message).toContain('there is no disk "elsewhere"');
    }));

  test("keeps the back end's pages mapped, and gives all back at the end", () =>
    inWorld(async (world) => {
      const front = await world.machine.createDomain();
      const back = await world.machine.createDomain();
      const before = world.machine.audit;
      const device = await world.tools.attach({ kind: "vbd", number, front, back });
      const server = serveBlock(back, device.backPath, { block: createMemoryBlock({ sectors: 64 }) });
      const block = await connectBlock(front, `device/vbd/${number}`);
      await block.write(0, new Uint8Array(512));
      expect(back.holdings.mappings).toBe(1 + 1);
      await block.close();
      await world.wait(1000);
      await world.tools.detach(device);
      expect((await server.over).kind).toBe("gone");
      expect(world.machine.audit).toEqual(before);
    }));

  test("discards where the back end can, and nothing happens where it cannot", () =>
    inWorld(async (world) => {
      const discarded: [number, number][] = [];
      const discard = (sector: number, sectors: number): Promise<void> => {
        discarded.push([sector, sectors]);
        return Promise.resolve();
      };
      const { block } = await makeDisk(world, { discard });
      expect(block.canDiscard).toBe(true);
      await block.discard(8, 16);
      expect(discarded).toEqual([[8, 16]]);
      await expect(block.discard(4090, 16)).rejects.toThrow(RangeError);
      const other = await makeDisk(world);
      expect(other.block.canDiscard).toBe(false);
      await other.block.discard(8, 16);
    }));

  test("flushes the block that is served, by a barrier where there is no flush", () =>
    inWorld(async (world) => {
      const inner = faults(createMemoryBlock({ sectors: 64 }), { random: world.random });
      const { block } = await makeDisk(world, { block: inner });
      await block.write(3, bytesOf(512, 1));
      expect(inner.unflushedSectors).toBe(1);
      await block.flush();
      expect(inner.unflushedSectors).toBe(0);

      const guest = await world.machine.createDomain();
      const driver = await world.machine.createDomain();
      const device = await world.tools.attach({ kind: "vbd", number, front: guest, back: driver });
      serveBlock(driver, device.backPath, { block: inner });
      await world.wait(5);
      await driver.xenstore.write(`${device.backPath}/feature-flush-cache`, "0");
      const second = await connectBlock(guest, `device/vbd/${number}`);
      await Promise.all([second.write(3, bytesOf(512, 2)), second.write(4, bytesOf(512, 3))]);
      await Promise.all([second.flush(), second.write(5, bytesOf(512, 4)), second.flush()]);
      await second.flush();
      expect(inner.unflushedSectors).toBe(0);
    }));

  test("reports errors of the block that is served, with the sector", () =>
    inWorld(async (world) => {
      const inner = faults(createMemoryBlock({ sectors: 64 }), { random: world.random, readErrors: 1 });
      const { block } = await makeDisk(world, { block: inner });
      const error = await block.read(7, new Uint8Array(512)).catch((each: unknown) => each);
      expect(error).toBeInstanceOf(BlockError);
      expect((error as BlockError).sector).toBe(7);
      await block.write(7, new Uint8Array(512));
    }));

  test("asks another back end for what was under way when the domain of the first was destroyed", () =>
    inWorld(async (world) => {
      const inner = createMemoryBlock({ sectors: 4096 });
      const disk = await makeDisk(world, { block: slow(world, inner, 3), concurrency: 2 });
      const bytes = bytesOf(1024 * 512, 9);
      let isDone = false;
      const writing = disk.block.write(100, bytes).then(() => {
        isDone = true;
      });
      await world.wait(4);
      await world.tools.destroy(disk.back, []);
      const into = new Uint8Array(512);
      const reading = disk.block.read(100, into);
      await world.wait(5000);
      expect(isDone).toBe(false);
      const back = await world.machine.createDomain();
      const device = await world.tools.attach({ kind: "vbd", number, front: disk.front, back });
      serveBlock(back, device.backPath, { block: inner });
      await Promise.all([writing, reading]);
      const all = new Uint8Array(bytes.length);
      await inner.read(100, all);
      expect(Buffer.compare(all, bytes)).toBe(0);
    }));

  test("fails what waits for a back end that does not come back", () =>
    inWorld(async (world) => {
      const { block, back } = await makeDisk(world, {}, { patience: 2000 });
      await world.tools.destroy(back, []);
      const error: unknown = await block.read(0, new Uint8Array(512)).catch((each: unknown) => each);
      expect((error as BlockError).kind).toBe("io");
      expect((error as BlockError).message).toContain("no back end for 2000 ms");
    }));

  test("is over when it is detached, and says so", () =>
    inWorld(async (world) => {
      const { block, device } = await makeDisk(world);
      await world.tools.detach(device);
      expect((await block.over).kind).toBe("gone");
      await expect(block.read(0, new Uint8Array(512))).rejects.toThrow("the device was removed");
      await block.close();
    }));
});

test("property: what reads give is what writes left, whatever the sizes, with back ends that die in between", () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          kind: fc.constantFrom("write", "read", "flush", "die"),
          sector: fc.nat(200),
          count: fc.integer({ min: 1, max: 300 }),
        }),
        { maxLength: 25 },
      ),
      fc.nat(),
      fc.constantFrom(...Object.values(kinds).slice(0, 4)),
      (steps, seed, [backOptions, frontOptions]) =>
        inWorld(async (world) => {
          const inner = createMemoryBlock({ sectors: 512 });
          const block = slow(world, inner, seed % 3);
          const disk = await makeDisk(world, { ...backOptions, block }, frontOptions);
          let { back } = disk;
          const model = new Uint8Array(512 * 512);
          for (const [index, { kind, sector, count }] of steps.entries()) {
            const range = [sector * 512, (sector + count) * 512] as const;
            if (kind === "write") {
              const bytes = bytesOf(count * 512, seed + index);
              model.set(bytes, range[0]);
              await disk.block.write(sector, bytes);
            } else if (kind === "read") {
              const into = new Uint8Array(count * 512);
              await disk.block.read(sector, into);
              expect(Buffer.compare(into, model.subarray(...range))).toBe(0);
            } else if (kind === "flush") await disk.block.flush();
            else {
              const bytes = bytesOf(count * 512, seed + index);
              model.set(bytes, range[0]);
              const writing = disk.block.write(sector, bytes);
              await world.wait(seed % 3);
              await world.tools.destroy(back, []);
              back = await world.machine.createDomain();
              const device = await world.tools.attach({ kind: "vbd", number, front: disk.front, back });
              serveBlock(back, device.backPath, { ...backOptions, block });
              await writing;
            }
          }
          await disk.block.close();
          await world.wait(2000);
          expect(disk.front.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
          expect(back.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
          expect(world.machine.audit.mistakes).toBe(0);
        }, seed),
    ),
    { numRuns: 25 },
  ));

test("a domain that is saved and restored in the midst of writes and reads completes them, at its new back end", () =>
  inWorld(async (world) => {
    const inner = createMemoryBlock({ sectors: 4096 });
    const { front, back, device, block } = await makeDisk(world, { block: slow(world, inner, 2), concurrency: 2 });
    const bytes = bytesOf(1024 * 512, 3);
    const writing = block.write(7, bytes);
    await world.wait(5);
    expect(block.inFlight).toBeGreaterThan(0);
    const { id } = front;
    await world.tools.saveAndRestore(front, [device], 30_000, async () => {
      const next = await world.tools.attach({ kind: "vbd", number, front, back });
      serveBlock(back, next.backPath, { block: inner });
    });
    expect(front.id).not.toBe(id);
    await writing;
    const into = new Uint8Array(bytes.length);
    await block.read(7, into);
    expect(Buffer.compare(into, bytes)).toBe(0);
    await block.close();
    await world.wait(2000);
    expect(front.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
    expect(back.holdings).toEqual({ grants: 1, mappings: 0, channels: 1, pages: 1 });
    expect(world.machine.audit).toMatchObject({ zombies: 0, mistakes: 0 });
  }));

test.each(["read", "write"] as const)("an indirect %s is answered as what it is about, as Linux expects", (kind) =>
  inWorld(async (world) => {
    const front = await world.machine.createDomain();
    const back = await world.machine.createDomain();
    const device = await world.tools.attach({ kind: "vbd", number, front, back });
    serveBlock(back, device.backPath, { block: createMemoryBlock({ sectors: 64 }) });
    const memory = front.allocate(3);
    const [ring = 0, list = 0, data = 0] = [0, 1, 2].map((page) =>
      front.grants.grant(memory, page, back.id, "read-write"),
    );
    const channel = front.events.allocate(back.id, () => undefined);
    await front.xenstore.write(`${device.frontPath}/ring-ref`, String(ring));
    await front.xenstore.write(`${device.frontPath}/event-channel`, String(channel.port));
    await front.xenstore.write(`${device.frontPath}/state`, "3");
    await world.wait(20);
    const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset);
    const segments = 12;
    writeIndirectHead(view, ringHeader, operation[kind], segments, 77, 0);
    writeIndirectPage(view, ringHeader, 0, list);
    for (let index = 0; index < segments; index++) writeSegment(view, pageSize + index * segmentSize, data, 0, 0);
    view.setInt32(0, 1, true);
    channel.notify();
    await world.wait(20);
    expect([view.getInt32(8, true), view.getUint32(ringHeader, true)]).toEqual([1, 77]);
    expect([view.getUint8(ringHeader + 8), view.getInt16(ringHeader + 10, true)]).toEqual([
      operation[kind],
      responseStatus.okay,
    ]);
  }),
);

test("a page that lists segments may be mapped for writing, as Linux does where pages stay mapped", () =>
  inWorld(async (world) => {
    const front = await world.machine.createDomain();
    const back = await world.machine.createDomain();
    const { backPath, frontPath } = await world.tools.attach({ kind: "vbd", number, front, back });
    const say = (name: string, value: number): Promise<void> => back.xenstore.write(`${backPath}/${name}`, `${value}`);
    await say("feature-max-indirect-segments", 32);
    await say("sectors", 1024);
    await say("state", 2);
    const connecting = connectBlock(front, `device/vbd/${number}`);
    await world.wait(20);
    const [ring = 0, port = 0] = await Promise.all(
      ["ring-ref", "event-channel"].map(async (name) =>
        Number(await back.xenstore.readIfThere(`${frontPath}/${name}`)),
      ),
    );
    back.events.bind(front.id, port, () => undefined);
    await say("state", 4);
    const block = await connecting;
    block.read(0, new Uint8Array(16 * pageSize)).catch(() => undefined);
    const { bytes } = back.foreign.map(front.id, [ring], "read-write");
    const request = new BlockRequest(32);
    request.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), ringHeader);
    expect([request.kind, request.segments]).toEqual([operation.indirect, 16]);
    const list = back.foreign.map(front.id, [request.indirect[0] ?? 0], "read-write");
    expect(new DataView(list.bytes.buffer, list.bytes.byteOffset).getUint32(0, true)).toBeGreaterThan(0);
  }));
