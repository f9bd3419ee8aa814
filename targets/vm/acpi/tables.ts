/**
 * ACPI's tables (ACPI 6.5 §5.2), as far as devices and power need them.
 *
 * Firmware is not trusted: a table with a wrong length or checksum is passed over with a note, and nothing here throws
 * or goes on for ever.
 */
import type { MemoryAccess } from "../window/window.ts";
import { latin1 } from "./aml.ts";

const rsdpSize = 20;
const rsdpExtendedSize = 36;
const headerSize = 36;
/** The longest table that is read, in bytes: QEMU's longest has some ten thousand. */
const longestTable = 0x10_0000;
const mostTables = 128;
const rootSignature = "RSD PTR ";
/** Where a BIOS leaves the root pointer (§5.2.5.1). */
const biosStart = 0xe0000;
const biosLength = 0x20000;

/** One table, checked: at least its header of 36 bytes. */
export interface Table {
  readonly signature: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/**
 * Reads all tables that the root pointer leads to, and the DSDT behind the FADT.
 *
 * @param rsdp its physical address, or 0 to look for it where a BIOS leaves it
 */
export function readTables(memory: MemoryAccess, rsdp: number, notes: string[]): readonly Table[] {
  const root = readRoot(memory, rsdp === 0 ? findRoot(memory) : rsdp, notes);
  if (root === undefined) return [];
  const tables: Table[] = [];
  for (const address of root) {
    const table = readTable(memory, address, notes);
    if (table === undefined) continue;
    tables.push(table);
    if (table.signature !== "FACP") continue;
    const dsdt = readTable(memory, dsdtAddress(table), notes);
    if (dsdt !== undefined) tables.push(dsdt);
  }
  return tables;
}

/** Reads a table at an address; undefined, and a note, when it is none. */
export function readTable(memory: MemoryAccess, address: number, notes: string[]): Table | undefined {
  const where = `ACPI table at 0x${address.toString(16)}`;
  const header = copy(memory, address, headerSize);
  if (header === undefined) {
    notes.push(`${where}: it cannot be read`);
    return undefined;
  }
  const length = new DataView(header.buffer).getUint32(4, true);
  const signature = text(header, 0, 4);
  if (length < headerSize || length > longestTable) {
    notes.push(`${where} ("${signature}"): length ${String(length)}`);
    return undefined;
  }
  const bytes = copy(memory, address, length);
  if (bytes === undefined || !hasChecksum(bytes)) {
    notes.push(`${where} ("${signature}"): ${bytes === undefined ? "it cannot be read" : "the checksum is wrong"}`);
    return undefined;
  }
  return { signature, bytes, view: new DataView(bytes.buffer) };
}

/** The addresses of the tables that the root pointer leads to. */
function readRoot(memory: MemoryAccess, rsdp: number, notes: string[]): readonly number[] | undefined {
  if (rsdp === 0) return undefined;
  const pointer = copy(memory, rsdp, rsdpSize);
  if (pointer === undefined || text(pointer, 0, 8) !== rootSignature || !hasChecksum(pointer)) {
    notes.push(`ACPI root pointer at 0x${rsdp.toString(16)}: it is none`);
    return undefined;
  }
  const extended = (pointer[15] ?? 0) >= 2 ? copy(memory, rsdp, rsdpExtendedSize) : undefined;
  if (extended !== undefined && hasChecksum(extended)) {
    const table = readTable(memory, address64(new DataView(extended.buffer), 24), notes);
    if (table?.signature === "XSDT") return entries(table, 8);
  }
  const table = readTable(memory, new DataView(pointer.buffer).getUint32(16, true), notes);
  return table?.signature === "RSDT" ? entries(table, 4) : undefined;
}

function entries(table: Table, width: 4 | 8): readonly number[] {
  const addresses: number[] = [];
  for (let at = headerSize; at + width <= table.bytes.length && addresses.length < mostTables; at += width) {
    addresses.push(width === 8 ? address64(table.view, at) : table.view.getUint32(at, true));
  }
  return addresses;
}

function dsdtAddress({ bytes, view }: Table): number {
  const wide = bytes.length >= 148 ? address64(view, 140) : 0;
  return wide !== 0 || bytes.length < 44 ? wide : view.getUint32(40, true);
}

function findRoot(memory: MemoryAccess): number {
  const bios = copy(memory, biosStart, biosLength);
  if (bios === undefined) return 0;
  const content = latin1(bios);
  for (let at = content.indexOf(rootSignature); at >= 0; at = content.indexOf(rootSignature, at + 1)) {
    if (at % 16 === 0 && at + rsdpSize <= bios.length && hasChecksum(bios.subarray(at, at + rsdpSize))) {
      return biosStart + at;
    }
  }
  return 0;
}

/** A 64-bit address; 0 when it is beyond what a number can say exactly. */
export function address64(view: DataView, at: number): number {
  const address = view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
  return Number.isSafeInteger(address) ? address : 0;
}

function copy(memory: MemoryAccess, address: number, length: number): Uint8Array | undefined {
  if (address <= 0) return undefined;
  try {
    return memory.copy(address, length);
  } catch {
    return undefined;
  }
}

/** Whether the bytes add up to 0. Word by word: this runs before the engine has compiled anything. */
function hasChecksum(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length & ~3;
  let sum = 0;
  for (let at = 0; at < whole; at += 4) {
    const word = view.getUint32(at);
    // Two sums side by side, each kept to its low byte.
    sum = (sum + (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff)) & 0x00ff00ff;
  }
  sum = (sum & 0xff) + (sum >>> 16);
  for (let at = whole; at < bytes.length; at++) sum += bytes[at] ?? 0;
  return (sum & 0xff) === 0;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length)).replace(/[^ -~]/g, "?");
}
