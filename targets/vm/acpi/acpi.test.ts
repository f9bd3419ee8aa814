import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryWindow, memoryBank } from "../simulation/memory-window.ts";
import { buildFirmware, sampleAml, type SampleOptions } from "../simulation/sample-tables.ts";
import { findDevices, findSoftOff } from "./aml.ts";
import { findFirmware } from "./firmware.ts";
import { watchPowerButton } from "./power-button.ts";
import { powerWrites } from "./power.ts";

const base = 0x8000;

function machine(options: SampleOptions = {}, damage: (bytes: Uint8Array) => void = () => undefined) {
  const { bytes } = buildFirmware(base, options);
  damage(bytes);
  const window = new MemoryWindow({ rsdp: base });
  window.addMemory(base, bytes.length, memoryBank(bytes));
  const notes: string[] = [];
  return { window, notes, firmware: findFirmware(window, notes, "") };
}

describe("findFirmware", () => {
  test("reads devices, power and interrupts from the tables", () => {
    const { firmware, notes } = machine();
    expect(notes).toEqual([]);
    expect(firmware.softOff).toBe(5);
    expect(firmware.mmio).toEqual([
      { address: 0xfeb00000, length: 512, interrupt: { line: 16, level: false, activeLow: false } },
      { address: 0xfeb00200, length: 512, interrupt: { line: 17, level: false, activeLow: false } },
    ]);
    expect(firmware.configuration).toEqual({ address: 0xb0000000, firstBus: 0, lastBus: 255 });
    expect(firmware.routeLine(9)).toEqual({ line: 20, level: true, activeLow: true });
    expect(firmware.routeLine(10)).toEqual({ line: 10, level: true });
    expect(firmware.button).toEqual({ kind: "fixed" });
  });

  test("finds the root pointer where a BIOS leaves it, but not where the command line lists the devices", () => {
    const bios = new Uint8Array(0x20000);
    bios.set(buildFirmware(0xe0000 + 0x1230).bytes, 0x1230);
    const window = new MemoryWindow();
    window.addMemory(0xe0000, bios.length, memoryBank(bios));
    expect(findFirmware(window, [], "").softOff).toBe(5);
    expect(findFirmware(window, [], "virtio_mmio.device=512@0xfeb00000:5").softOff).toBeUndefined();
  });

  test("tables with wrong checksums or lengths are passed over with a note", () => {
    const { tables } = buildFirmware(base);
    const fadt = tables[3]!;
    const wrong = machine({}, (bytes) => (bytes[fadt.start + 60] = 1));
    expect([wrong.firmware.fixed, wrong.firmware.softOff]).toEqual([undefined, undefined]);
    expect(wrong.notes).toEqual([expect.stringMatching(/^ACPI table at 0x8064 \("FACP"\): the checksum is wrong$/)]);
    const long = machine({}, (bytes) => bytes.fill(0xff, fadt.start + 4, fadt.start + 8));
    expect(long.notes).toEqual([expect.stringMatching(/length 4294967295$/)]);
    const none = machine({}, (bytes) => (bytes[0] = 0));
    expect(none.notes).toEqual(["ACPI root pointer at 0x8000: it is none"]);
  });

  test("property: any damage is survived", () => {
    const { bytes } = buildFirmware(base);
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
        machine({}, (table) => {
          for (const [at, value] of changes) table[at] = value;
        });
      }),
    );
  });
});

describe("powerWrites", () => {
  test("soft-off by the PM1 control register, with ACPI left on, and the reset register", () => {
    const { window, firmware } = machine();
    window.addPorts(0x600, 16, memoryBank(new Uint8Array([0, 0, 0, 0, 1, 0])));
    expect(powerWrites(window, firmware)).toEqual([
      { action: "off", how: { space: "port", address: 0x604, width: 2, value: 0x3401 } },
      { action: "reset", how: { space: "port", address: 0xcf9, width: 1, value: 0x0f } },
    ]);
  });

  test("soft-off by the sleep control register of reduced hardware", () => {
    const { window, firmware } = machine({ reducedHardware: true });
    expect(powerWrites(window, firmware)[0]).toEqual({
      action: "off",
      how: { space: "memory", address: 0xfea00200, width: 1, value: 0x34 },
    });
  });
});

describe("watchPowerButton", () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("the fixed button: ACPI is switched on, the bit is enabled, and taken away at each press", async () => {
    const { window, firmware } = machine();
    const ports = new Uint8Array(16);
    const bank = memoryBank(ports);
    window.addPorts(0x600, 16, {
      read: (offset, width) => bank.read(offset, width),
      // Bits of the status are cleared by writing them.
      write: (offset, width, value) => bank.write(offset, width, offset === 0 ? bank.read(0, 2) & ~value : value),
    });
    window.addPorts(0xb2, 1, { read: () => 0, write: (_offset, _width, value) => (ports[4] = value === 2 ? 1 : 0) });
    let pressed = 0;
    const stop = watchPowerButton(window, firmware, () => pressed++);
    expect([...ports.subarray(0, 5)]).toEqual([0, 0, 0, 1, 1]);
    window.raise(20);
    await turn();
    expect(pressed).toBe(0);
    for (let round = 1; round <= 2; round++) {
      ports[1] = 1;
      window.raise(20);
      await turn();
      expect([pressed, ports[1]]).toEqual([round, 0]);
    }
    stop();
    ports[1] = 1;
    window.raise(20);
    await turn();
    expect([pressed, ports[3]]).toEqual([2, 0]);
  });

  test("the generic event device of a microvm", async () => {
    const { window, firmware } = machine({ reducedHardware: true });
    let events = 0;
    window.addMemory(0xfea00000, 4, { read: () => events, write: () => undefined });
    let pressed = 0;
    const stop = watchPowerButton(window, firmware, () => pressed++);
    for (events of [1, 2, 3]) {
      window.raise(9);
      await turn();
    }
    expect(pressed).toBe(2);
    stop();
  });
});

describe("AML by its shape", () => {
  test("finds only what it is asked for", () => {
    const aml = sampleAml(3);
    expect(findSoftOff(aml)).toBe(3);
    expect(findDevices(aml, "ACPI0013")).toEqual([
      {
        memory: [],
        interrupts: [{ line: 9, level: false, activeLow: false }],
        regions: [{ address: 0xfea00000, length: 4 }],
      },
    ]);
    expect(findDevices(aml, "LNRO0007")).toEqual([]);
  });

  test("a plain interrupt and a name with a backslash are understood", () => {
    const soft = [0x08, 0x5c, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x05, 0x02, 0x01, 0x01];
    expect(findSoftOff(new Uint8Array(soft))).toBe(1);
    expect(findSoftOff(new Uint8Array(soft.slice(1)))).toBeUndefined();
    const template = [0x23, 0x20, 0x00, 0x18, 0x79, 0x00];
    const crs = [0x08, 0x5f, 0x43, 0x52, 0x53, 0x11, 0x09, 0x0a, 0x06, ...template];
    const body = [0x44, 0x45, 0x56, 0x30, 0x41, 0x42, 0x43, 0x44, ...crs];
    const [device] = findDevices(new Uint8Array([0x5b, 0x82, body.length + 1, ...body]), "ABCD");
    expect(device?.interrupts).toEqual([{ line: 5, level: true, activeLow: true }]);
  });
});
