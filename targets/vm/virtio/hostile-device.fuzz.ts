import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { headroom } from "@tesserae/device/page";
import { BlockError } from "@tesserae/device/block";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { SimulatedBlock } from "../simulation/simulated-block.ts";
import { SimulatedMmio } from "../simulation/simulated-device.ts";
import { SimulatedNet } from "../simulation/simulated-net.ts";
import { createVirtioBlock } from "./block.ts";
import { netFeature } from "./features.ts";
import { createVirtioNet } from "./net.ts";
import { findMmioDevice } from "./transport-mmio.ts";

const address = 0xd000_0000;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Back ends that do what they like. The input's first byte chooses network or disk and the features; then every four
 * bytes are one thing that the device does to the used ring, a register or an interrupt.
 *
 * The driver neither throws nor hangs, hands on nothing outside of its memory, and reports at most one end.
 */
export const fuzz: FuzzTarget = {
  name: "virtio-hostile-device",
  seeds: [
    new Uint8Array([0, 0, 3, 60, 0, 1, 1, 0, 0, 2, 0, 0, 0]),
    new Uint8Array([1, 0, 3, 60, 0, 0, 4, 72, 0, 1, 2, 0, 0]),
    new Uint8Array([2, 0, 0, 1, 2, 1, 1, 0, 0, 2, 0, 0, 0]),
    new Uint8Array([7, 3, 0, 9, 0, 0, 0, 100, 0, 1, 1, 0, 0, 2, 0, 0, 0, 1, 255, 255, 0]),
  ],
  async run(input) {
    const window = new MemoryWindow();
    const choice = input[0] ?? 0;
    let deaths = 0;
    const onDead = (): void => {
      if (++deaths > 1) throw new Error("the device ended twice");
    };
    const isDisk = (choice & 2) !== 0;
    const offloads = [netFeature.mergeableBuffers, netFeature.guestTso4, netFeature.hostTso4, netFeature.checksum];
    const features = (choice & 1) === 0 ? [] : offloads;
    const device = isDisk
      ? new SimulatedBlock({ window, contents: new Uint8Array(64 * 512) })
      : new SimulatedNet({ window, station: 1, features, queueSize: 16, noEventIndex: (choice & 4) !== 0 });
    window.addMemory(address, 512, new SimulatedMmio(device, 5));
    const transport = findMmioDevice(window, { address, length: 512, interrupt: { line: 5 } })!;
    if (isDisk) {
      device.notified = () => undefined;
      const block = await createVirtioBlock({ device: transport, onDead, requests: 4 });
      const reads = Promise.allSettled([0, 1, 2, 3, 4, 5].map((sector) => block.read(sector, new Uint8Array(512))));
      await turn();
      await misbehave(device, input);
      // What is still open ends with the device.
      if (deaths === 0) {
        device.queues[0]!.usedIndex += 1000;
        device.onInterrupt("queue", 0);
        await turn();
      }
      for (const result of await reads) {
        if (result.status === "rejected" && !(result.reason instanceof BlockError)) throw result.reason;
      }
      await block.close();
      return;
    }
    const netif = await createVirtioNet({ device: transport, onDead, pages: 16, receiveBuffers: 16 });
    netif.listen((page, offset, length) => {
      if (offset < 0 || length < 14 || offset + length > page.bytes.length) throw new Error("a frame outside its page");
      if (page.checksumStart + page.checksumOffset + 2 > length && page.flags === 1) throw new Error("a wild checksum");
      const reply = netif.allocate();
      if (reply !== undefined) netif.transmit(reply, headroom, 60);
    });
    await misbehave(device, input);
    const page = netif.allocate();
    if (page !== undefined) netif.transmit(page, headroom, 60);
    await netif.close();
  },
};

async function misbehave(device: SimulatedNet | SimulatedBlock, input: Uint8Array): Promise<void> {
  for (let at = 1; at + 3 < input.length && at < 400; at += 4) {
    const [what = 0, first = 0, second = 0, third = 0] = input.subarray(at, at + 4);
    const queue = device.queues[(first >>> 7) % device.queues.length]!;
    if (!queue.isReady) return;
    const value = second | (third << 8);
    switch (what % 8) {
      case 0:
        queue.give(first & 127, value);
        break;
      case 1:
        queue.stage(first & 127, value, 0);
        queue.publish((first & 3) + 1);
        break;
      case 2:
        device.onInterrupt((first & 1) === 0 ? "queue" : "configuration", 0);
        await turn();
        break;
      case 3: {
        // Any bytes where the driver will look for a header.
        const chain = queue.take();
        for (const { bytes, writable } of chain?.segments ?? []) {
          if (writable) bytes.set(input.subarray(at, at + Math.min(16, bytes.length)));
        }
        if (chain !== undefined) queue.give(chain.head, value % 2000);
        break;
      }
      case 4:
        queue.usedIndex = value;
        break;
      case 5:
        device.deviceStatus = first;
        break;
      case 6:
        device.configuration.fill(second);
        device.generation++;
        device.onInterrupt("configuration", 0);
        break;
      default: {
        const chain = queue.take();
        if (chain !== undefined) queue.give(chain.head, value % 100);
      }
    }
  }
  device.onInterrupt("queue", 0);
  for (let round = 0; round < 4; round++) await turn();
}
