/** A small machine's ACPI tables, for tests. */

/** Tables in memory from `base` on: the root pointer first. */
export interface SampleFirmware {
  readonly bytes: Uint8Array;
  /** Each table's place in `bytes`, the root pointer's two parts among them. */
  readonly tables: readonly { readonly start: number; readonly length: number }[];
}

export interface SampleOptions {
  /** Default 5. */
  readonly softOff?: number;
  readonly reducedHardware?: boolean;
  /** Default: two virtio-mmio devices and a generic event device. */
  readonly aml?: Uint8Array;
}

/** Makes the checksum of a table right: it is its tenth byte, the root pointer's the ninth and the last but three. */
export function sealTable(bytes: Uint8Array, start: number, length: number): void {
  const isRoot = bytes[start] === 0x52 && bytes[start + 3] === 0x20;
  const at = start + (isRoot ? (length === 20 ? 8 : 32) : 9);
  bytes[at] = 0;
  let sum = 0;
  for (let index = start; index < start + length; index++) sum += bytes[index] ?? 0;
  bytes[at] = -sum;
}

/** Lays out RSDP, XSDT, FADT, DSDT, MADT and MCFG. */
export function buildFirmware(base: number, options: SampleOptions = {}): SampleFirmware {
  const { softOff = 5, reducedHardware = false } = options;
  const aml = options.aml ?? sampleAml(softOff);
  const fadt = table("FACP", 268);
  const view = new DataView(fadt.buffer);
  view.setUint16(46, 9, true);
  view.setUint32(48, 0xb2, true);
  fadt[52] = 2;
  view.setUint32(56, 0x600, true);
  view.setUint32(64, 0x604, true);
  fadt[88] = 4;
  view.setUint32(112, (1 << 10) | (reducedHardware ? (1 << 20) | 0x10 : 0), true);
  generic(view, 116, 1, 0xcf9);
  fadt[128] = 0x0f;
  generic(view, 244, 0, 0xfea0_0200);
  const madt = table("APIC", 54);
  // Legacy line 9 is line 20, level-triggered, active low.
  madt.set([2, 10, 0, 9, 20, 0, 0, 0, 0x0f, 0], 44);
  const mcfg = table("MCFG", 60);
  new DataView(mcfg.buffer).setBigUint64(44, 0xb000_0000n, true);
  mcfg[55] = 255;
  const dsdt = table("DSDT", 36 + aml.length);
  dsdt.set(aml, 36);
  const xsdt = table("XSDT", 36 + 24);
  const parts = [new Uint8Array(40), xsdt, fadt, dsdt, madt, mcfg];
  const places: number[] = [];
  let end = 0;
  for (const part of parts) {
    places.push(end);
    end += part.length;
  }
  const address = (index: number): bigint => BigInt(base + (places[index] ?? 0));
  view.setBigUint64(140, address(3), true);
  for (const [index, which] of [2, 4, 5].entries()) {
    new DataView(xsdt.buffer).setBigUint64(36 + index * 8, address(which), true);
  }
  const bytes = new Uint8Array(end);
  for (const [index, part] of parts.entries()) bytes.set(part, places[index] ?? 0);
  bytes.set(new TextEncoder().encode("RSD PTR "), 0);
  bytes[15] = 2;
  const root = new DataView(bytes.buffer);
  root.setUint32(20, 36, true);
  root.setBigUint64(24, address(1), true);
  const tables = [
    { start: 0, length: 20 },
    { start: 0, length: 36 },
    ...parts.slice(1).map((part, index) => ({ start: places[index + 1] ?? 0, length: part.length })),
  ];
  for (const { start, length } of tables) sealTable(bytes, start, length);
  return { bytes, tables };
}

/** `_S5_`, two LNRO0005 at 0xfeb00000 and 0xfeb00200 with lines 16 and 17, an ACPI0013 at 0xfea00000 with line 9. */
export function sampleAml(softOff: number): Uint8Array {
  const soft = [0x08, ...text("_S5_"), 0x12, 0x06, 0x04, 0x0a, softOff, 0x00, 0x00, 0x00];
  const mmio = [0, 1].map((index) =>
    device(`VR0${String(index)}`, "LNRO0005", [
      ...resources([0x86, 9, 0, 1, ...word(0xfeb0_0000 + index * 512), ...word(512)], 16 + index),
    ]),
  );
  const events = device("GED_", "ACPI0013", [
    ...resources([], 9),
    ...[0x5b, 0x80, ...text("EREG"), 0, 0x0c, ...word(0xfea0_0000), 0x0a, 4],
  ]);
  const scope = [...text("_SB_"), ...mmio.flat(), ...events];
  return new Uint8Array([...soft, 0x10, ...packageLength(scope.length), ...scope]);
}

function device(name: string, identity: string, rest: readonly number[]): number[] {
  const body = [...text(name), 0x08, ...text("_HID"), 0x0d, ...text(identity), 0, ...rest];
  return [0x5b, 0x82, ...packageLength(body.length), ...body];
}

function resources(first: readonly number[], line: number): number[] {
  // An extended interrupt: edge-triggered, active high.
  const template = [...first, 0x89, 6, 0, 0x03, 1, ...word(line), 0x79, 0];
  const content = [0x0a, template.length, ...template];
  return [0x08, ...text("_CRS"), 0x11, ...packageLength(content.length), ...content];
}

/** Counts its own bytes. */
function packageLength(content: number): number[] {
  if (content + 1 < 64) return [content + 1];
  const whole = content + 2;
  return [0x40 | (whole & 15), whole >>> 4];
}

function table(signature: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(text(signature), 0);
  new DataView(bytes.buffer).setUint32(4, length, true);
  return bytes;
}

function generic(view: DataView, at: number, space: number, address: number): void {
  view.setUint8(at, space);
  view.setUint8(at + 1, 8);
  view.setBigUint64(at + 4, BigInt(address), true);
}

function text(value: string): number[] {
  return [...new TextEncoder().encode(value)];
}

function word(value: number): number[] {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
}
