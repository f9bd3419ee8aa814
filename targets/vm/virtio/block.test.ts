import { blockSuite, readOnlyBlockSuite } from "@tesserae/conformance/block";
import { BlockError } from "@tesserae/device/block";
import { describe, expect, test } from "vitest";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { SimulatedBlock, type SimulatedBlockOptions } from "../simulation/simulated-block.ts";
import { SimulatedMmio } from "../simulation/simulated-device.ts";
import { createVirtioBlock, type VirtioBlockOptions } from "./block.ts";
import { findMmioDevice } from "./transport-mmio.ts";
import type { VirtioError } from "./virtio-error.ts";

const address = 0xd000_0000;

async function setup(disk: Partial<SimulatedBlockOptions> = {}, options: Partial<VirtioBlockOptions> = {}) {
  const window = new MemoryWindow();
  const device = new SimulatedBlock({ window, contents: new Uint8Array(1024 * 512), ...disk });
  window.addMemory(address, 512, new SimulatedMmio(device, 5));
  const transport = findMmioDevice(window, { address, length: 512, interrupt: { line: 5 } })!;
  const errors: VirtioError[] = [];
  const open = () => createVirtioBlock({ device: transport, onDead: (error) => errors.push(error), ...options });
  return { window, device, block: await open(), reopen: open, errors };
}

describe.each([512, 4096])("conformance of virtio-block: sectors of %i", (sectorSize) => {
  for (const each of blockSuite) {
    test(each.name, async () => {
      const { block, reopen } = await setup({ sectorSize });
      await each.run({
        block,
        reopen: async () => {
          await block.close();
          return reopen();
        },
      });
    });
  }
});

describe("conformance of virtio-block, read-only", () => {
  for (const each of readOnlyBlockSuite) {
    test(each.name, async () => each.run(await setup({ readOnly: true })));
  }
});

describe("createVirtioBlock", () => {
  test("many operations at once wait for their turn, and long ones are cut", async () => {
    const { block, device } = await setup({}, { requests: 2, longestRequest: 4096 });
    const bytes = Uint8Array.from({ length: 20 * 512 }, (_, index) => index % 251);
    const writes = Array.from({ length: 20 }, (_, index) => block.write(index * 40, bytes));
    await Promise.all(writes);
    for (let index = 0; index < 20; index++) {
      expect(device.contents.slice(index * 40 * 512, (index * 40 + 20) * 512)).toEqual(bytes);
    }
    await block.close();
    expect(device.flushes).toBe(1);
  });

  test("discard is cut to what the device takes, and left out where it has none", async () => {
    const { block, device } = await setup({ discard: true });
    device.contents.fill(1);
    expect(block.canDiscard).toBe(true);
    await block.discard(10, 200);
    expect(device.contents.indexOf(0)).toBe(10 * 512);
    expect(device.contents.lastIndexOf(0)).toBe(210 * 512 - 1);
    await expect(block.discard(1000, 100)).rejects.toThrow(RangeError);
    await block.close();
    const plain = await setup();
    expect(plain.block.canDiscard).toBe(false);
    await plain.block.discard(0, 1);
  });

  test("a failed request rejects with io, and the next one works", async () => {
    const { block, device, errors } = await setup();
    for (const [status, message] of [
      [1, "virtio-block mmio@0xd0000000: read failed"],
      [2, "virtio-block mmio@0xd0000000: read is not supported"],
    ] as const) {
      device.forcedStatus = status;
      await expect(block.read(0, new Uint8Array(512))).rejects.toThrow(new BlockError("io", 0, message));
    }
    device.forcedStatus = undefined;
    await block.read(0, new Uint8Array(512));
    expect(errors).toEqual([]);
    await block.close();
  });

  test("a status that is none ends the device, and everything rejects from then on", async () => {
    const { block, device, errors } = await setup();
    device.forcedStatus = 77;
    const results = await Promise.allSettled([block.read(3, new Uint8Array(512)), block.flush()]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^virtio-block mmio@0xd0000000: the device broke the rules: status 77 of a (read|flush)$/),
    ]);
    await expect(block.read(3, new Uint8Array(512))).rejects.toThrow("broke the rules");
    await block.close();
  });

  test.each([
    ["used id 99 of a queue of 64", 99, 0],
    ["used id 1 is not in flight", 1, 0],
    ["used length 514 of a buffer of 513", 93, 514],
  ])("a device that breaks the rules: %s", async (message, head, length) => {
    const { block, device, errors } = await setup();
    device.notified = () => {
      const taken = device.queues[0]!.take()!;
      device.give(0, head === 93 ? taken.head : head === 1 ? taken.head + 1 : head, length);
    };
    await expect(block.read(0, new Uint8Array(512))).rejects.toThrow("the device broke the rules: used");
    expect(errors.length).toBe(1);
    expect(errors[0]!.message).toContain(head === 1 ? "is not in flight" : message);
    await block.close();
  });

  test("refuses options out of range", async () => {
    await expect(setup({}, { requests: 0 })).rejects.toThrow("requests");
    await expect(setup({}, { longestRequest: 1000 })).rejects.toThrow("longestRequest");
  });
});
