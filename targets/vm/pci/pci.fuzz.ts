import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { openPciDevice } from "../virtio/transport-pci.ts";
import { VirtioDevice } from "../virtio/device.ts";
import { VirtioError } from "../virtio/virtio-error.ts";
import { WindowError } from "../window/window-error.ts";
import type { ConfigurationAccess } from "./configuration.ts";
import { scanPci } from "./scan.ts";

/**
 * Configuration space and registers of any contents: every read answers with the next bytes of the input, over and
 * over. The scan ends, and a device is opened or refused in words.
 */
export const fuzz: FuzzTarget = {
  name: "pci-scan",
  seeds: [
    new Uint8Array([0xf4, 0x1a, 0x41, 0x10, 0x10, 0x40, 0x09, 0x40]),
    new Uint8Array([0xf4, 0x1a, 0x00, 0x01, 0x80, 0x01, 0x02, 0x03, 0xff, 0xff]),
    new Uint8Array(64).fill(1),
  ],
  run(input) {
    let at = 0;
    let reads = 0;
    const next = (width: number): number => {
      let value = 0;
      for (let index = 0; index < width; index++) value = value * 256 + (input[at++ % input.length] ?? 0);
      return value;
    };
    const access: ConfigurationAccess = {
      read: (_address, _register, width) => {
        if (++reads > 100_000) throw new Error("the scan does not end");
        return next(width);
      },
      write: () => undefined,
    };
    const window = new MemoryWindow();
    window.addMemory(0, 2 ** 52, { read: (_offset, width) => next(width), write: () => undefined });
    for (const pci of scanPci(access).slice(0, 20)) {
      reads = 0;
      if (pci.capabilities().length > 48) throw new Error("a list of capabilities without end");
      try {
        const transport = openPciDevice(window, pci, (line) => ({ line, level: true }));
        const options = { type: transport.type, name: "virtio", wanted: [1, 5], onDead: () => undefined };
        const device = new VirtioDevice({ transport, ...options });
        device.connect(() => undefined);
        device.queue(0, 16);
        device.start();
        device.close();
      } catch (error) {
        if (!(error instanceof VirtioError || error instanceof WindowError)) throw error;
      }
    }
  },
};
