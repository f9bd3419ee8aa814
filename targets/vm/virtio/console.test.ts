import { consoleSuite } from "@tesserae/conformance/console";
import { createTimers } from "@tesserae/node/timers";
import { describe, expect, test } from "vitest";
import { readChain, writeChain } from "../simulation/device-queue.ts";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { SimulatedDevice, SimulatedMmio } from "../simulation/simulated-device.ts";
import { createVirtioConsole } from "./console.ts";
import { findMmioDevice } from "./transport-mmio.ts";
import { deviceType } from "./transport.ts";
import type { VirtioError } from "./virtio-error.ts";

const address = 0xd000_0000;

/** A terminal: shows what comes, types what it is told to. */
class SimulatedTerminal extends SimulatedDevice {
  shown = "";
  #typed = new Uint8Array(0);
  readonly #decoder = new TextDecoder();

  enter(text: string): void {
    this.#typed = new Uint8Array([...this.#typed, ...new TextEncoder().encode(text)]);
    this.#fill();
  }

  override notified(queue: number): void {
    setImmediate(() => {
      if (queue === 0) this.#fill();
      else this.#show();
    });
  }

  #fill(): void {
    while (this.#typed.length > 0 && this.isRunning) {
      const chain = this.queues[0]!.take();
      if (chain === undefined) return;
      const written = writeChain(chain, this.#typed);
      this.#typed = this.#typed.slice(written);
      this.give(0, chain.head, written);
    }
  }

  #show(): void {
    for (let chain = this.queues[1]!.take(); chain !== undefined; chain = this.queues[1]!.take()) {
      this.shown += this.#decoder.decode(readChain(chain), { stream: true });
      this.give(1, chain.head, 0);
    }
  }
}

async function setup(errors: VirtioError[] = []) {
  const window = new MemoryWindow();
  const terminal = new SimulatedTerminal({ window, type: deviceType.console, queues: [64, 64] });
  window.addMemory(address, 512, new SimulatedMmio(terminal, 5));
  const device = findMmioDevice(window, { address, length: 512, interrupt: { line: 5 } })!;
  return { terminal, console: await createVirtioConsole({ device, onDead: (error) => errors.push(error) }) };
}

describe("conformance of virtio-console", () => {
  for (const each of consoleSuite) {
    test(each.name, async (context) => {
      const { terminal, console } = await setup();
      const timers = createTimers();
      try {
        await each.run({ console, timers, output: () => terminal.shown, type: (text) => terminal.enter(text) });
      } catch (error) {
        if (error instanceof Error && error.name === "Skipped") context.skip();
        throw error;
      } finally {
        await console.close();
        timers.close();
      }
    });
  }
});

describe("createVirtioConsole", () => {
  test("a line longer than all buffers goes both ways", async () => {
    const { terminal, console } = await setup();
    const long = "long ".repeat(8000);
    console.writeLine(long);
    terminal.enter(`${long}\n`);
    expect(await console.readLine()).toBe(long);
    while (terminal.shown.length <= long.length) await new Promise((resolve) => setImmediate(resolve));
    expect(terminal.shown).toBe(`${long}\n`);
    await console.close();
  });

  test("a device that breaks the rules ends the input", async () => {
    const errors: VirtioError[] = [];
    const { terminal, console } = await setup(errors);
    const line = console.readLine();
    terminal.give(0, 7, 2049);
    expect(await line).toBeUndefined();
    expect(errors[0]?.message).toBe(
      "virtio-console mmio@0xd0000000: the device broke the rules: used length 2049 of a buffer of 2048",
    );
    console.writeLine("dropped");
    await console.close();
    await console.close();
  });
});
