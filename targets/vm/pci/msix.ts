import type { InterruptMessage, Registers, Window } from "../window/window.ts";
import type { PciFunction } from "./function.ts";

export const capabilityMsix = 0x11;
const controlOffset = 2;
const tableOffset = 4;
const controlEnable = 0x8000;
const controlMaskAll = 0x4000;
const entrySize = 16;

/** The MSI-X table of a function (PCI 3.0 §6.8.2). */
export class MsixTable {
  /** 1 to 2,048. */
  readonly size: number;
  readonly #function: PciFunction;
  readonly #capability: number;
  readonly #entries: Registers;

  constructor(pci: PciFunction, capability: number, entries: Registers, size: number) {
    this.#function = pci;
    this.#capability = capability;
    this.#entries = entries;
    this.size = size;
  }

  /** Writes an entry and unmasks it. */
  set(index: number, message: InterruptMessage): void {
    const at = index * entrySize;
    this.#entries.write32(at, message.address);
    this.#entries.write32(at + 4, Math.floor(message.address / 0x1_0000_0000));
    this.#entries.write32(at + 8, message.data);
    this.#entries.write32(at + 12, 0);
  }

  /** Switches message-signalled interrupts on. */
  enable(): void {
    const control = this.#function.read16(this.#capability + controlOffset);
    this.#function.write16(this.#capability + controlOffset, (control | controlEnable) & ~controlMaskAll);
  }

  disable(): void {
    const control = this.#function.read16(this.#capability + controlOffset);
    this.#function.write16(this.#capability + controlOffset, control & ~controlEnable);
  }
}

/** The table of a function; undefined when it has none that can be used. */
export function findMsix(window: Window, pci: PciFunction): MsixTable | undefined {
  const capability = pci.capabilities().find(({ id, offset }) => id === capabilityMsix && offset <= 0xf4);
  if (capability === undefined) return undefined;
  const size = (pci.read16(capability.offset + controlOffset) & 0x7ff) + 1;
  const place = pci.read32(capability.offset + tableOffset);
  const base = pci.baseAddress(place & 7);
  if (base === undefined) return undefined;
  const entries = window.registers(base + (place & ~7), size * entrySize);
  return new MsixTable(pci, capability.offset, entries, size);
}
