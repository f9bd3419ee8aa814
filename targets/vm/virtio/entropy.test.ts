import { describe, expect, test } from "vitest";
import { writeChain, type Chain } from "../simulation/device-queue.ts";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { SimulatedDevice, SimulatedMmio } from "../simulation/simulated-device.ts";
import { createVirtioEntropy, stirEntropy } from "./entropy.ts";
import { findMmioDevice } from "./transport-mmio.ts";
import { deviceType } from "./transport.ts";

const address = 0xd000_0000;

class SimulatedEntropy extends SimulatedDevice {
  answer: (chain: Chain) => number = (chain) => writeChain(chain, new Uint8Array(100).fill(7));

  override notified(): void {
    const chain = this.queues[0]!.take();
    if (chain !== undefined) this.give(0, chain.head, this.answer(chain));
  }
}

function setup() {
  const window = new MemoryWindow();
  const device = new SimulatedEntropy({ window, type: deviceType.entropy, queues: [8] });
  window.addMemory(address, 512, new SimulatedMmio(device, 5));
  const transport = findMmioDevice(window, { address, length: 512, interrupt: { line: 5 } })!;
  return { window, device, transport };
}

describe("createVirtioEntropy", () => {
  test("gives what the device gives, again and again", async () => {
    const { transport } = setup();
    const entropy = await createVirtioEntropy({ device: transport });
    for (let round = 0; round < 20; round++) expect(await entropy.read()).toEqual(new Uint8Array(100).fill(7));
    await entropy.close();
    await expect(entropy.read()).rejects.toThrow("is closed");
  });

  test("a wait can be given up, and the late answer goes to the next reader", async () => {
    const { transport, device } = setup();
    const inner = device.notified.bind(device);
    device.notified = () => undefined;
    const entropy = await createVirtioEntropy({ device: transport });
    const controller = new AbortController();
    const given = entropy.read({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    const next = entropy.read();
    inner();
    expect((await next).length).toBe(100);
    await entropy.close();
  });

  test("a device that gives nothing, or too much, has broken the rules", async () => {
    for (const [written, message] of [
      [0, "no byte of entropy"],
      [257, "used length 257 of a buffer of 256"],
    ] as const) {
      const { transport, device } = setup();
      device.answer = () => written;
      const entropy = await createVirtioEntropy({ device: transport });
      await expect(entropy.read()).rejects.toThrow(message);
      await entropy.close();
    }
  });

  test("stirEntropy feeds the kernel's generator", async () => {
    const { transport, window } = setup();
    expect(await stirEntropy([transport])).toBe(100);
    expect(window.entropy).toEqual([new Uint8Array(100).fill(7)]);
  });
});
