/**
 * PCI configuration space: 256 bytes of each function through I/O ports (PCI 3.0 §3.2.2.3.2), 4 KiB through memory
 * (PCI Express 3.0 §7.2.2) where ACPI's MCFG table says so.
 */
import type { Access, Width } from "../window/window.ts";

/** A function's address. */
export interface PciAddress {
  /** 0–255. */
  readonly bus: number;
  /** 0–31. */
  readonly device: number;
  /** 0–7. */
  readonly function: number;
}

/** `00:1f.2`. */
export function formatAddress({ bus, device, function: number }: PciAddress): string {
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return `${hex(bus)}:${hex(device)}.${String(number)}`;
}

/** Registers of all functions. `register` is a multiple of `width`; where there is no function all bits are 1. */
export interface ConfigurationAccess {
  read(address: PciAddress, register: number, width: Width): number;
  write(address: PciAddress, register: number, width: Width, value: number): void;
}

const addressPort = 0xcf8;
const dataPort = 0xcfc;
const enable = 0x8000_0000;

/** The way through I/O ports; undefined on a machine without it. */
export function portConfiguration(ports: Access): ConfigurationAccess | undefined {
  ports.write(addressPort, 4, enable);
  if (ports.read(addressPort, 4) !== enable) return undefined;
  const select = (address: PciAddress, register: number): number => {
    const place = (address.bus << 16) | (address.device << 11) | (address.function << 8) | (register & 0xfc);
    ports.write(addressPort, 4, (enable | place) >>> 0);
    return dataPort + (register & 3);
  };
  return {
    read: (address, register, width) => ports.read(select(address, register), width),
    write: (address, register, width, value) => ports.write(select(address, register), width, value),
  };
}

/** One entry of the MCFG table. */
export interface ConfigurationWindow {
  /** Physical address of bus 0. */
  readonly address: number;
  readonly firstBus: number;
  readonly lastBus: number;
}

/** The way through memory. */
export function memoryConfiguration(memory: Access, window: ConfigurationWindow): ConfigurationAccess {
  const place = ({ bus, device, function: number }: PciAddress, register: number): number | undefined => {
    if (bus < window.firstBus || bus > window.lastBus) return undefined;
    return window.address + bus * 0x10_0000 + device * 0x8000 + number * 0x1000 + register;
  };
  return {
    read: (address, register, width) => {
      const at = place(address, register);
      return at === undefined ? 2 ** (8 * width) - 1 : memory.read(at, width);
    },
    write: (address, register, width, value) => {
      const at = place(address, register);
      if (at !== undefined) memory.write(at, width, value);
    },
  };
}
