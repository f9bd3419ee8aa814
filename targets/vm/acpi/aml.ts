/**
 * Reads a few things out of AML byte code (ACPI 6.5 §20) by their shape. This is no interpreter: it finds names and
 * resource descriptors that firmware writes as constants, which the hypervisors' firmware does, and nothing that a
 * method would compute. Any bytes may be given; nothing throws, and the work is bounded by their length.
 */
import type { InterruptLine } from "../window/window.ts";

const nameOp = 0x08;
const packageOp = 0x12;
const bufferOp = 0x11;
const zeroOp = 0x00;
const oneOp = 0x01;
const bytePrefix = 0x0a;
const wordPrefix = 0x0b;
const doubleWordPrefix = 0x0c;
const extendedPrefix = 0x5b;
const deviceOp = 0x82;
/** ExtOpPrefix and DeviceOp; ExtOpPrefix and OpRegionOp. */
const devicePrefix = "\x5b\x82";
const regionPrefix = "\x5b\x80";
const regionSystemMemory = 0;
/** Objects of one kind that are looked at, at most. */
const most = 256;

/** The sleep type of soft-off: the first number of the package `_S5_`. Undefined when there is none. */
export function findSoftOff(aml: Uint8Array): number | undefined {
  for (const at of occurrences(latin1(aml), "_S5_")) {
    // Name (\_S5_, Package) with or without the root's backslash.
    if (aml[at - 1] !== nameOp && !(aml[at - 1] === 0x5c && aml[at - 2] === nameOp)) continue;
    if (aml[at + 4] !== packageOp) continue;
    const { size } = packageLength(aml, at + 5);
    if (size === 0) continue;
    // Behind the length is the count of elements.
    const value = integerAt(aml, at + 5 + size + 1)?.value;
    if (value !== undefined && value <= 7) return value;
  }
  return undefined;
}

/** A device with the hardware identity asked for. */
export interface AmlDevice {
  /** Its Memory32Fixed resources. */
  readonly memory: readonly { readonly address: number; readonly length: number }[];
  /** Its extended interrupts, and its plain ones. */
  readonly interrupts: readonly InterruptLine[];
  /** Its operation regions in memory. */
  readonly regions: readonly { readonly address: number; readonly length: number }[];
}

/** The devices whose `_HID` is the text `identity`, `LNRO0005` say. */
export function findDevices(aml: Uint8Array, identity: string): readonly AmlDevice[] {
  const content = latin1(aml);
  const found: AmlDevice[] = [];
  let last = 0;
  for (const at of occurrences(content, identity)) {
    const device = deviceAround(aml, content, at, last);
    if (device === undefined) continue;
    const { start, end } = device;
    found.push(readDevice(aml.subarray(start, end)));
    last = end;
  }
  return found;
}

/** The innermost device that holds a place: the last one that begins before it, not before `least`, and ends behind. */
function deviceAround(
  aml: Uint8Array,
  content: string,
  at: number,
  least: number,
): { start: number; end: number } | undefined {
  let start = content.lastIndexOf(devicePrefix, at);
  for (let step = 0; step < most && start >= least; step++) {
    const end = deviceEnd(aml, start);
    if (end !== undefined && end > at) return { start, end };
    // From −1 the search would begin at 0 again.
    if (start === 0) break;
    start = content.lastIndexOf(devicePrefix, start - 1);
  }
  return undefined;
}

function readDevice(aml: Uint8Array): AmlDevice {
  const memory: { address: number; length: number }[] = [];
  const interrupts: InterruptLine[] = [];
  for (const at of occurrences(latin1(aml), "_CRS")) {
    if (aml[at + 4] !== bufferOp) continue;
    const { size, length } = packageLength(aml, at + 5);
    const content = integerAt(aml, at + 5 + size);
    if (size === 0 || content === undefined) continue;
    readResources(aml.subarray(content.next, Math.min(at + 5 + length, aml.length)), memory, interrupts);
  }
  return { memory, interrupts, regions: readRegions(aml) };
}

/** A resource template (§6.4). */
function readResources(
  bytes: Uint8Array,
  memory: { address: number; length: number }[],
  interrupts: InterruptLine[],
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at] ?? 0;
    const large = (tag & 0x80) !== 0;
    if (large && at + 3 > bytes.length) return;
    const start = at + (large ? 3 : 1);
    const length = large ? view.getUint16(at + 1, true) : tag & 7;
    if (start + length > bytes.length || (!large && tag >>> 3 === 0x0f)) return;
    if (tag === 0x86 && length >= 9 && memory.length < most) {
      memory.push({ address: view.getUint32(start + 1, true), length: view.getUint32(start + 5, true) });
    } else if (tag === 0x89 && length >= 6 && interrupts.length < most) {
      const flags = bytes[start] ?? 0;
      const line = view.getUint32(start + 2, true);
      interrupts.push({ line, level: (flags & 2) === 0, activeLow: (flags & 4) !== 0 });
    } else if (!large && tag >>> 3 === 4 && length >= 2 && interrupts.length < most) {
      const mask = view.getUint16(start, true);
      const flags = length >= 3 ? (bytes[start + 2] ?? 0) : 1;
      if (mask !== 0) {
        interrupts.push({ line: 31 - Math.clz32(mask), level: (flags & 1) === 0, activeLow: (flags & 8) !== 0 });
      }
    }
    at = start + length;
  }
}

/** OperationRegion (NAME, SystemMemory, address, length) with constants. */
function readRegions(aml: Uint8Array): { address: number; length: number }[] {
  const regions: { address: number; length: number }[] = [];
  for (const at of occurrences(latin1(aml), regionPrefix)) {
    if (aml[at + 6] !== regionSystemMemory) continue;
    const address = integerAt(aml, at + 7);
    const length = address === undefined ? undefined : integerAt(aml, address.next);
    if (address !== undefined && length !== undefined) regions.push({ address: address.value, length: length.value });
  }
  return regions;
}

function deviceEnd(aml: Uint8Array, at: number): number | undefined {
  if (aml[at] !== extendedPrefix || aml[at + 1] !== deviceOp) return undefined;
  const { size, length } = packageLength(aml, at + 2);
  const name = aml[at + 2 + size] ?? 0;
  // A name begins with a letter, or with `\`, `^` or `_`: else these bytes are something else.
  const isName = (name >= 0x41 && name <= 0x5a) || name === 0x5c || name === 0x5e || name === 0x5f || name === 0x2e;
  return size === 0 || !isName || at + 2 + length > aml.length ? undefined : at + 2 + length;
}

/** A PkgLength: `length` counts from its own first byte. `size` 0 when it is none. */
function packageLength(aml: Uint8Array, at: number): { size: number; length: number } {
  const first = aml[at];
  if (first === undefined) return { size: 0, length: 0 };
  const more = first >>> 6;
  if (more === 0) return { size: 1, length: first };
  let length = first & 15;
  for (let index = 1; index <= more; index++) length |= (aml[at + index] ?? 0) << (8 * index - 4);
  return { size: 1 + more, length };
}

/** An integer constant, and where it ends. */
function integerAt(aml: Uint8Array, at: number): { value: number; next: number } | undefined {
  const byte = (index: number): number => aml[at + index] ?? 0;
  switch (aml[at]) {
    case zeroOp:
    case oneOp:
      return { value: byte(0), next: at + 1 };
    case bytePrefix:
      return { value: byte(1), next: at + 2 };
    case wordPrefix:
      return { value: byte(1) | (byte(2) << 8), next: at + 3 };
    case doubleWordPrefix:
      return { value: (byte(1) | (byte(2) << 8) | (byte(3) << 16) | (byte(4) << 24)) >>> 0, next: at + 5 };
    default:
      return undefined;
  }
}

/**
 * Bytes as a text of as many characters. Searching in it is native code, which counts here: this runs before the engine
 * has compiled anything.
 */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Where a text is, at most 256 times. */
function occurrences(content: string, text: string): number[] {
  const found: number[] = [];
  for (let at = content.indexOf(text); at >= 0 && found.length < most; at = content.indexOf(text, at + 1)) {
    found.push(at);
  }
  return found;
}
