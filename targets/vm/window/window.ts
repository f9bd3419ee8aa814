/**
 * The device window as drivers see it: special files of the boot kernel (`kernel/window.h`), behind an interface
 * so that drivers run against devices in memory too (`../simulation/`).
 */
import { KernelWindow } from "./kernel-window.ts";

/** What the kernel found out about the machine. Addresses and sizes in bytes. */
export interface WindowInformation {
  /** Physical address of ACPI's root pointer, or 0 when the loader named none. */
  readonly rsdp: number;
  /** RAM of the machine. */
  readonly memory: number;
  /** RAM that was free when the program asked. */
  readonly free: number;
  /** `kvmclock`, `cpuid` or `pit`. */
  readonly clock: string;
  /** The hypervisor's signature from CPUID (`KVMKVMKVM`, `TCGTCGTCGTCG` …), or empty. */
  readonly hypervisor: string;
  /** Identity of the processor's local APIC. */
  readonly apic: number;
  /** Where the kernel's generator got its seed: `rdrand` or `jitter`. */
  readonly seed: string;
  /** The firmware's memory map, with types as in E820: 1 is RAM. */
  readonly map: readonly MemoryRange[];
}

export interface MemoryRange {
  readonly address: number;
  readonly bytes: number;
  readonly type: number;
}

/** Bytes of one access. */
export type Width = 1 | 2 | 4;

/**
 * Single loads and stores, little-endian, at physical addresses or at I/O ports. Slow, some tens of microseconds: for
 * finding devices and setting them up.
 */
export interface Access {
  /** @throws WindowError when the kernel refuses the address: it is usable RAM. */
  read(address: number, width: Width): number;
  /** @throws WindowError likewise. */
  write(address: number, width: Width, value: number): void;
}

export interface MemoryAccess extends Access {
  /** A copy of `length` bytes. @throws WindowError when the kernel refuses. */
  copy(address: number, length: number): Uint8Array;
}

/** RAM that devices can reach: zeroed, physically contiguous, page-aligned. It stays until the machine ends. */
export interface DmaMemory {
  readonly bytes: Uint8Array;
  /** The physical address of `bytes[0]`. */
  readonly physical: number;
  /**
   * Lets a later {@link Window.dma} of as many bytes have the memory. Only once the device that knew it was reset.
   * Idempotent.
   */
  release(): void;
}

/**
 * A range of device registers. Each call is one load or store of that width, little-endian; `offset` is a multiple of
 * the width. Outside of the range reads give 0 and writes are ignored.
 */
export interface Registers {
  readonly physical: number;
  readonly length: number;
  read8(offset: number): number;
  read16(offset: number): number;
  /** Unsigned. */
  read32(offset: number): number;
  write8(offset: number, value: number): void;
  write16(offset: number, value: number): void;
  write32(offset: number, value: number): void;
}

/** A line of the I/O APICs. */
export interface InterruptLine {
  /** ACPI's global system interrupt number. */
  readonly line: number;
  /** Level-triggered: it is masked at each delivery until the callbacks have returned. Default: edge-triggered. */
  readonly level?: boolean;
  /** Default: active high. */
  readonly activeLow?: boolean;
}

/** What a device writes where, to interrupt. */
export interface InterruptMessage {
  readonly address: number;
  readonly data: number;
}

/** One interrupt, delivered as a call from the event loop until it is closed. */
export interface Interrupt {
  /** For MSI and MSI-X tables; undefined for a line. */
  readonly message: InterruptMessage | undefined;
  /** From now on it does not keep the event loop alive by itself. */
  unref(): void;
  /** No call comes any more. Idempotent. */
  close(): void;
}

/** How the machine is turned off or reset: one write. */
export interface PowerWrite {
  readonly space: "port" | "memory";
  readonly address: number;
  readonly width: Width;
  readonly value: number;
}

export interface Window {
  readonly information: WindowInformation;
  /** The boot command line. */
  readonly commandLine: string;
  readonly memory: MemoryAccess;
  readonly ports: Access;

  /**
   * @param length at least 1; rounded up to whole pages
   * @throws WindowError when there is no such run of free pages.
   */
  dma(length: number): DmaMemory;

  /**
   * The registers at a physical address, any alignment. Mapped for ever; asked for again, the same pages come back.
   *
   * @throws WindowError when the address is usable RAM, or memory is out.
   */
  registers(physical: number, length: number): Registers;

  /**
   * Memory at a physical address that is not this machine's RAM: what another domain of Xen's shares. The same bytes for
   * ever.
   *
   * @param physical a multiple of 4096, as is the length
   * @throws WindowError when the address is usable RAM, or memory is out.
   */
  shared(physical: number, length: number): Uint8Array;

  /**
   * Claims an interrupt. A line may be claimed several times: all callbacks are called.
   *
   * @param source a line, or `"message"` for one that a device signals with a write
   * @param callback called from the event loop after one or several interrupts, to take their cause away; microtasks
   * run after it
   * @throws WindowError when there is no such line, or no vector is left.
   */
  interrupt(source: InterruptLine | "message", callback: () => void): Interrupt;

  /** Tells the kernel how to end the machine, in place of what it would try by itself. @throws WindowError */
  setPower(action: "off" | "reset", how: PowerWrite): void;

  /** Stirs bytes into the kernel's generator. */
  addEntropy(bytes: Uint8Array): void;
}

/**
 * Opens the device window of the boot kernel that this program runs on.
 *
 * @throws WindowError on any other system.
 */
export function openWindow(): Window {
  return new KernelWindow();
}
