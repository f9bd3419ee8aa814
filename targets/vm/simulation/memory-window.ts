/**
 * A machine in memory: what drivers, and devices in memory (`simulated-device.ts`), need of one. For tests.
 */
import { WindowError } from "../window/window-error.ts";
import type {
  DmaMemory,
  Interrupt,
  InterruptLine,
  MemoryAccess,
  PowerWrite,
  Registers,
  Width,
  Window,
  WindowInformation,
} from "../window/window.ts";

/** Something that answers at physical addresses, or at ports. `offset` counts from its start. */
export interface Bank {
  read(offset: number, width: Width): number;
  write(offset: number, width: Width, value: number): void;
}

/** A bank that is plain memory: tables of firmware. */
export function memoryBank(bytes: Uint8Array): Bank {
  return {
    read: (offset, width) => {
      let value = 0;
      for (let index = width - 1; index >= 0; index--) value = value * 256 + (bytes[offset + index] ?? 0xff);
      return value;
    },
    write: (offset, width, value) => {
      for (let index = 0; index < width; index++) bytes[offset + index] = value / 2 ** (8 * index);
    },
  };
}

interface Range {
  readonly start: number;
  readonly length: number;
  readonly bank: Bank;
}

/** Where messages of MSI go, as on real machines. */
const messageAddress = 0xfee0_0000;
const firstDma = 0x1_0000_0000;
const pageSize = 4096;

export interface MemoryWindowOptions {
  readonly commandLine?: string;
  readonly rsdp?: number;
  /** DMA memory in bytes; default 64 MiB. */
  readonly dma?: number;
}

export class MemoryWindow implements Window {
  readonly information: WindowInformation;
  readonly commandLine: string;
  readonly memory: MemoryAccess;
  readonly ports: MemoryAccess;
  /** What was told by {@link Window.setPower}. */
  readonly power = new Map<"off" | "reset", PowerWrite>();
  /** What was stirred in, in order. */
  readonly entropy: Uint8Array[] = [];
  readonly #memoryRanges: Range[] = [];
  readonly #portRanges: Range[] = [];
  readonly #dma: { readonly physical: number; readonly bytes: Uint8Array }[] = [];
  readonly #lines = new Map<number, Set<() => void>>();
  readonly #messages = new Map<number, () => void>();
  #nextDma = firstDma;
  #nextVector = 48;
  #dmaLeft: number;

  constructor(options: MemoryWindowOptions = {}) {
    this.commandLine = options.commandLine ?? "";
    this.#dmaLeft = options.dma ?? 64 * 1024 * 1024;
    this.memory = new RangeAccess(this.#memoryRanges);
    this.ports = new RangeAccess(this.#portRanges);
    const rest = { memory: 2 ** 28, free: 2 ** 27, clock: "pit", hypervisor: "", apic: 0, seed: "jitter", map: [] };
    this.information = { rsdp: options.rsdp ?? 0, ...rest };
  }

  /** Puts something at a physical address. */
  addMemory(start: number, length: number, bank: Bank): void {
    this.#memoryRanges.push({ start, length, bank });
  }

  addPorts(start: number, length: number, bank: Bank): void {
    this.#portRanges.push({ start, length, bank });
  }

  dma(length: number): DmaMemory {
    const whole = Math.ceil(length / pageSize) * pageSize;
    if (whole > this.#dmaLeft) throw new WindowError(`${String(whole)} bytes of memory for a device: there are none`);
    this.#dmaLeft -= whole;
    const memory = { physical: this.#nextDma, bytes: new Uint8Array(whole) };
    // A page between two is nobody's: what runs over it is found.
    this.#nextDma += whole + pageSize;
    this.#dma.push(memory);
    return { ...memory, release: () => undefined };
  }

  /** What a device sees at a physical address: `length` bytes of memory made with {@link Window.dma}. */
  reach(physical: number, length: number): Uint8Array {
    for (const { physical: start, bytes } of this.#dma) {
      const offset = physical - start;
      if (offset >= 0 && offset + length <= bytes.length) return bytes.subarray(offset, offset + length);
    }
    throw new WindowError(`a device was told to use ${String(length)} bytes at 0x${physical.toString(16)}`);
  }

  registers(physical: number, length: number): Registers {
    const range = this.#memoryRanges.find(({ start, length: all }) => physical >= start && physical < start + all);
    if (range === undefined) throw new WindowError(`there are no registers at 0x${physical.toString(16)}`);
    return new BankRegisters(range.bank, physical - range.start, physical, length);
  }

  shared(physical: number): Uint8Array {
    throw new WindowError(`no other domain shares memory at 0x${physical.toString(16)}`);
  }

  interrupt(source: InterruptLine | "message", callback: () => void): Interrupt {
    if (source === "message") {
      const data = this.#nextVector++;
      this.#messages.set(data, callback);
      const message = { address: messageAddress, data };
      return { message, unref: () => undefined, close: () => void this.#messages.delete(data) };
    }
    const own = (): void => callback();
    const callbacks = this.#lines.get(source.line) ?? new Set();
    this.#lines.set(source.line, callbacks.add(own));
    return { message: undefined, unref: () => undefined, close: () => void callbacks.delete(own) };
  }

  /** Raises a line: those who wait for it are called from the event loop. */
  raise(line: number): void {
    setImmediate(() => {
      for (const callback of this.#lines.get(line) ?? []) callback();
    });
  }

  /** A device writes a message. */
  signal(address: number, data: number): void {
    if (address === messageAddress) setImmediate(() => this.#messages.get(data)?.());
  }

  setPower(action: "off" | "reset", how: PowerWrite): void {
    this.power.set(action, how);
  }

  addEntropy(bytes: Uint8Array): void {
    this.entropy.push(bytes.slice());
  }
}

class RangeAccess implements MemoryAccess {
  readonly #ranges: readonly Range[];

  constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
  }

  read(address: number, width: Width): number {
    const range = this.#find(address);
    return range === undefined ? 2 ** (8 * width) - 1 : range.bank.read(address - range.start, width);
  }

  write(address: number, width: Width, value: number): void {
    const range = this.#find(address);
    range?.bank.write(address - range.start, width, value);
  }

  copy(address: number, length: number): Uint8Array {
    if (this.#find(address) === undefined) throw new WindowError(`nothing is at 0x${address.toString(16)}`);
    return Uint8Array.from({ length }, (_, index) => this.read(address + index, 1));
  }

  #find(address: number): Range | undefined {
    return this.#ranges.find(({ start, length }) => address >= start && address < start + length);
  }
}

class BankRegisters implements Registers {
  readonly physical: number;
  readonly length: number;
  readonly #bank: Bank;
  readonly #start: number;

  constructor(bank: Bank, start: number, physical: number, length: number) {
    this.#bank = bank;
    this.#start = start;
    this.physical = physical;
    this.length = length;
  }

  read8(offset: number): number {
    return this.#read(offset, 1);
  }

  read16(offset: number): number {
    return this.#read(offset, 2);
  }

  read32(offset: number): number {
    return this.#read(offset, 4);
  }

  write8(offset: number, value: number): void {
    this.#write(offset, 1, value & 0xff);
  }

  write16(offset: number, value: number): void {
    this.#write(offset, 2, value & 0xffff);
  }

  write32(offset: number, value: number): void {
    this.#write(offset, 4, value >>> 0);
  }

  #read(offset: number, width: Width): number {
    return offset + width <= this.length ? this.#bank.read(this.#start + offset, width) : 0;
  }

  #write(offset: number, width: Width, value: number): void {
    if (offset + width <= this.length) this.#bank.write(this.#start + offset, width, value);
  }
}
