import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { MemoryWindow, memoryBank } from "../simulation/memory-window.ts";
import { findDevices, findSoftOff } from "./aml.ts";
import { findFirmware } from "./firmware.ts";
import { powerWrites } from "./power.ts";
import { buildFirmware, sealTable } from "../simulation/sample-tables.ts";

const base = 0x8000;

/**
 * The first byte chooses: AML of any bytes, or a machine's tables with any bytes in them, whose checksums are then made
 * right so that the parser gets to see them. Nothing throws, and what is found lies where it may.
 */
export const fuzz: FuzzTarget = {
  name: "acpi-tables",
  seeds: [
    new Uint8Array([0, ...buildFirmware(base).bytes]),
    new Uint8Array([1, ...buildFirmware(base).bytes]),
    new Uint8Array([0, 0x5b, 0x82, 0x08, 0x44, 0x45, 0x56, 0x30, 0x4c, 0x4e, 0x52, 0x4f]),
    new Uint8Array([0, 0x08, 0x5f, 0x53, 0x35, 0x5f, 0x12, 0x06, 0x04, 0x0a, 0x05]),
  ],
  run(input) {
    const content = input.slice(1);
    if ((input[0] ?? 0) % 2 === 0) {
      const type = findSoftOff(content);
      if (type !== undefined && (type < 0 || type > 7)) throw new Error(`sleep type ${type}`);
      for (const { memory, interrupts, regions } of findDevices(content, "LNRO")) {
        for (const { address, length } of [...memory, ...regions]) {
          if (!(address >= 0 && address < 2 ** 32 && length >= 0)) throw new Error("memory outside of 32 bits");
        }
        for (const { line } of interrupts) if (!(line >= 0 && line < 2 ** 32)) throw new Error(`line ${line}`);
      }
      return;
    }
    const { tables } = buildFirmware(base);
    for (const { start, length } of tables) if (start + length <= content.length) sealTable(content, start, length);
    const window = new MemoryWindow({ rsdp: base });
    window.addMemory(base, content.length + 1, memoryBank(content));
    const notes: string[] = [];
    const firmware = findFirmware(window, notes, "");
    powerWrites(window, firmware);
    for (let line = 0; line < 16; line++) firmware.routeLine(line);
    for (const note of notes) if (!/^[ -~]*$/.test(note)) throw new Error("a note that is no plain line");
  },
};
