import { describe, expect, test } from "vitest";
import { discover } from "../machine.ts";
import { MemoryWindow } from "../simulation/memory-window.ts";
import { readBytes, SimulatedDevice } from "../simulation/simulated-device.ts";
import { SimulatedPci, type SimulatedPciOptions } from "../simulation/simulated-pci.ts";
import { VirtioDevice } from "./device.ts";
import { deviceType } from "./transport.ts";

const base = 0x20_0000_0000;

/** A machine whose functions are found through the ports; each is at device `index + 1` of the bus. */
function machine(spaces: readonly { bus?: number; device: number; space: Uint8Array }[], window: MemoryWindow) {
  let selected = 0;
  window.addPorts(0xcf8, 8, {
    read: (offset, width) => {
      if (offset < 4) return selected;
      const bus = (selected >>> 16) & 255;
      const found = spaces.find((each) => (each.bus ?? 0) === bus && each.device === ((selected >>> 11) & 31));
      const number = (selected >>> 8) & 7;
      if (found === undefined || number > 0) return 2 ** (8 * width) - 1;
      return readBytes(found.space, (selected & 0xfc) + offset - 4, width);
    },
    write: (offset, width, value) => {
      if (offset < 4) selected = value;
      else {
        const found = spaces.find((each) => each.device === ((selected >>> 11) & 31));
        for (let index = 0; index < width; index++) {
          if (found !== undefined) found.space[(selected & 0xfc) + offset - 4 + index] = value >>> (8 * index);
        }
      }
    },
  });
  return discover(window);
}

function setup(options: Partial<SimulatedPciOptions> = {}, change: (space: Uint8Array) => void = () => undefined) {
  const window = new MemoryWindow();
  const device = new SimulatedDevice({ window, type: deviceType.entropy, queues: [8, 16] });
  const pci = new SimulatedPci(device, { base, ...options });
  change(pci.space);
  const { devices, notes } = machine([{ device: 3, space: pci.space }], window);
  return { window, device, pci, devices, notes };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function drive({ devices, device }: ReturnType<typeof setup>) {
  const events: string[] = [];
  const driver = new VirtioDevice({
    transport: devices[0]!,
    type: deviceType.entropy,
    name: "virtio-entropy",
    wanted: [],
    onDead: (error) => events.push(error.message),
  });
  driver.connect(
    () => events.push("queue"),
    () => events.push("configuration"),
  );
  const queues = [driver.queue(0, 8), driver.queue(1, 16)];
  driver.start();
  const notified: number[] = [];
  device.notified = (queue) => notified.push(queue);
  driver.transport.notify(0);
  driver.transport.notify(1);
  device.onInterrupt("queue", 1);
  await turn();
  device.onInterrupt("configuration", 0);
  await turn();
  return { driver, queues, notified, events };
}

describe("virtio over PCI (virtio 1.2 §4.1)", () => {
  test("with messages: one for the configuration, one for all queues", async () => {
    const found = setup();
    expect(found.devices.map(({ place, type }) => [place, type])).toEqual([["00:03.0", 4]]);
    const { driver, queues, notified, events } = await drive(found);
    expect(queues.map(({ size }) => size)).toEqual([8, 16]);
    expect(notified).toEqual([0, 1]);
    expect(events).toEqual(["queue", "configuration"]);
    expect(found.device.queues.map(({ vector }) => vector)).toEqual([1, 1]);
    // Memory and bus mastering are on, the line is off.
    expect(readBytes(found.pci.space, 4, 2)).toBe(0x406);
    driver.close();
    expect(found.pci.space[0x43]! & 0x80).toBe(0);
  });

  test("with a single message for everything", async () => {
    const found = setup({ vectors: 1 });
    const { driver, events } = await drive(found);
    expect(events).toEqual(["configuration", "queue", "configuration", "queue"]);
    driver.close();
  });

  test("with its line", async () => {
    const found = setup({ line: 11 });
    const { driver, events } = await drive(found);
    expect(events).toEqual(["queue", "configuration", "queue"]);
    expect(readBytes(found.pci.space, 4, 2)).toBe(6);
    driver.close();
    found.device.onInterrupt("queue", 0);
    await turn();
    expect(events.length).toBe(3);
  });

  test.each<[string, (space: Uint8Array) => void, string]>([
    ["a list of capabilities that loops", (space) => (space[0x51] = 0x40), "00:03.0: no virtio 1.0 registers"],
    ["a list that leaves its place", (space) => (space[0x34] = 0x10), "00:03.0: no virtio 1.0 registers"],
    [
      "no address",
      (space) => space.fill(0, 0x11, 0x18),
      "00:03.0: no virtio 1.0 registers: base address 0 is not assigned",
    ],
    [
      "an address for ports",
      (space) => (space[0x10] = 1),
      "00:03.0: no virtio 1.0 registers: base address 0 is not assigned",
    ],
    ["a structure without end", (space) => space.fill(0xff, 0x5c, 0x60), "00:03.0: no virtio 1.0 registers"],
    [
      "a legacy device",
      (space) => (space.set([0x00, 0x10], 2), (space[6] = 0)),
      "no virtio 1.0 registers (legacy; QEMU wants disable-modern=off)",
    ],
    ["registers where there are none", (space) => (space[0x13] = 1), "there are no registers at"],
  ])("%s is passed over with a note", (_, change, note) => {
    const { devices, notes } = setup({}, change);
    expect(devices).toEqual([]);
    expect(notes.length).toBe(1);
    expect(notes[0]).toContain(note);
  });

  test("a queue whose notification lies outside of the structure is not taken", () => {
    const found = setup({}, (space) => space.fill(0xff, 0x74, 0x78));
    const options = { type: deviceType.entropy, name: "virtio-entropy", wanted: [], onDead: () => undefined };
    const driver = new VirtioDevice({ transport: found.devices[0]!, ...options });
    driver.connect(() => undefined);
    expect(driver.queue(0, 8).size).toBe(8);
    expect(() => driver.queue(1, 8)).toThrow("the device does not take queue 1 of 8");
  });
});

describe("scanning", () => {
  test("goes through bridges, and each bus once", () => {
    const window = new MemoryWindow();
    const device = new SimulatedDevice({ window, type: deviceType.entropy, queues: [8] });
    const { space } = new SimulatedPci(device, { base });
    const bridge = (secondary: number) => {
      const bytes = new Uint8Array(256);
      bytes.set([0x36, 0x1b, 0x0c, 0x00]);
      bytes[0x0e] = 1;
      bytes[0x19] = secondary;
      return bytes;
    };
    const { devices } = machine(
      [
        { device: 1, space: bridge(1) },
        { device: 2, space: bridge(1) },
        { device: 4, space: bridge(0) },
        { bus: 1, device: 7, space },
      ],
      window,
    );
    expect(devices.map(({ place }) => place)).toEqual(["01:07.0"]);
  });

  test("a machine without PCI has no devices there", () => {
    expect(discover(new MemoryWindow())).toMatchObject({ devices: [], notes: [] });
  });
});
