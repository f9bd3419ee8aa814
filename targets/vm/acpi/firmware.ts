import type { ConfigurationWindow } from "../pci/configuration.ts";
import type { MmioPlace } from "../virtio/transport-mmio.ts";
import type { InterruptLine, Window } from "../window/window.ts";
import { findDevices, findSoftOff } from "./aml.ts";
import { parseFixed, type FixedDescription } from "./fixed-description.ts";
import { address64, readTables, type Table } from "./tables.ts";

/** What firmware says about the machine; much of it absent where there is no ACPI. */
export interface Firmware {
  /** FADT. */
  readonly fixed: FixedDescription | undefined;
  /** The sleep type of soft-off, from `_S5_`. */
  readonly softOff: number | undefined;
  /** MCFG's window for segment 0. */
  readonly configuration: ConfigurationWindow | undefined;
  /** Virtio-mmio devices of the DSDT and SSDTs. */
  readonly mmio: readonly MmioPlace[];
  /** How the power button announces itself. */
  readonly button: PowerButton | undefined;
  /** Where a line of the legacy interrupt controllers arrives, by MADT's overrides; PCI's lines. */
  routeLine(line: number): InterruptLine;
}

/**
 * `fixed`: a bit of the PM1 event registers. `event`: a generic event device (§5.6.9), as QEMU's microvm has: a
 * register that names the events, the button's being bit 1.
 */
export type PowerButton =
  { readonly kind: "fixed" } | { readonly kind: "event"; readonly interrupt: InterruptLine; readonly register: number };

/** The hardware identities of virtio-mmio and of the generic event device. */
const mmioIdentity = "LNRO0005";
const eventIdentity = "ACPI0013";
const fixedButtonFlag = 0x10;
const overrideType = 2;

/**
 * Reads the tables. Never throws: what is broken is noted.
 *
 * @param commandLine a machine whose devices are listed there is not searched for tables that the loader did not name
 */
export function findFirmware(window: Window, notes: string[], commandLine: string): Firmware {
  const { rsdp } = window.information;
  const isListed = rsdp === 0 && commandLine.includes("virtio_mmio.device=");
  const tables = isListed ? [] : readTables(window.memory, rsdp, notes);
  const named = (signature: string): Table | undefined => tables.find((table) => table.signature === signature);
  const codes = tables.filter(({ signature }) => signature === "DSDT" || signature === "SSDT");
  const aml = codes.map(({ bytes }) => bytes.subarray(36));
  const fadt = named("FACP");
  const fixed = fadt === undefined ? undefined : parseFixed(fadt);
  const overrides = parseOverrides(named("APIC"));
  return {
    fixed,
    softOff: aml.map(findSoftOff).find((value) => value !== undefined),
    configuration: parseConfigurationWindow(named("MCFG")),
    mmio: aml.flatMap(mmioDevices),
    button: findButton(fixed, aml),
    routeLine: (line) => overrides.get(line) ?? { line, level: true },
  };
}

function mmioDevices(aml: Uint8Array): readonly MmioPlace[] {
  return findDevices(aml, mmioIdentity).flatMap(({ memory: [memory], interrupts: [interrupt] }) =>
    memory === undefined || interrupt === undefined
      ? []
      : [{ address: memory.address, length: Math.min(memory.length, 4096), interrupt }],
  );
}

function findButton(fixed: FixedDescription | undefined, aml: readonly Uint8Array[]): PowerButton | undefined {
  if (fixed !== undefined && !fixed.reducedHardware && (fixed.flags & fixedButtonFlag) === 0) return { kind: "fixed" };
  for (const { interrupts, regions } of aml.flatMap((each) => findDevices(each, eventIdentity))) {
    const [interrupt] = interrupts;
    const region = regions.find(({ length }) => length === 4);
    if (interrupt !== undefined && region !== undefined) {
      return { kind: "event", interrupt, register: region.address };
    }
  }
  return undefined;
}

/** MADT's interrupt source overrides (§5.2.12.5): legacy line → line of the I/O APICs. */
function parseOverrides(madt: Table | undefined): ReadonlyMap<number, InterruptLine> {
  const overrides = new Map<number, InterruptLine>();
  if (madt === undefined) return overrides;
  const { bytes, view } = madt;
  for (let at = 44; at + 2 <= bytes.length;) {
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > bytes.length) break;
    if (bytes[at] === overrideType && length >= 10) {
      const flags = view.getUint16(at + 8, true);
      overrides.set(bytes[at + 3] ?? 0, {
        line: view.getUint32(at + 4, true),
        level: (flags & 0x0c) === 0x0c,
        activeLow: (flags & 3) === 3,
      });
    }
    at += length;
  }
  return overrides;
}

function parseConfigurationWindow(mcfg: Table | undefined): ConfigurationWindow | undefined {
  if (mcfg === undefined) return undefined;
  const { bytes, view } = mcfg;
  for (let at = 44; at + 16 <= bytes.length; at += 16) {
    const address = address64(view, at);
    if (view.getUint16(at + 8, true) !== 0 || address === 0) continue;
    return { address, firstBus: bytes[at + 10] ?? 0, lastBus: bytes[at + 11] ?? 0 };
  }
  return undefined;
}
