import { findFirmware, type Firmware } from "./acpi/firmware.ts";
import { watchPowerButton } from "./acpi/power-button.ts";
import { powerWrites } from "./acpi/power.ts";
import { mmioPlaces } from "./mmio/command-line.ts";
import { memoryConfiguration, portConfiguration, type ConfigurationAccess } from "./pci/configuration.ts";
import { scanPci } from "./pci/scan.ts";
import { findMmioDevice, type MmioPlace } from "./virtio/transport-mmio.ts";
import { isVirtio, openPciDevice } from "./virtio/transport-pci.ts";
import type { Transport } from "./virtio/transport.ts";
import type { Window } from "./window/window.ts";

/** What there is on a machine, whichever it is. */
export interface Machine {
  /** Every virtio device, in the order of the buses; those on PCI first. */
  readonly devices: readonly Transport[];
  /** What was passed over and why, a line each: to be shown when something is missing. */
  readonly notes: readonly string[];
  /** How the machine can be ended, as far as ACPI says; the kernel was told, and knows some other ways. */
  readonly power: { readonly off: boolean; readonly reset: boolean; readonly button: boolean };
  /**
   * Calls back at each press of the power button (`system_powerdown` in QEMU's monitor). Harmless where there is none.
   *
   * @returns ends it
   */
  onPowerButton(callback: () => void): () => void;
}

/**
 * Finds the devices of the machine, and tells the kernel how it is turned off and reset. Nothing is started.
 *
 * Looks at PCI, through ports or else through memory where ACPI says so, and at virtio-mmio, from ACPI and from the
 * command line's `virtio_mmio.device=`. What is broken is passed over with a note.
 *
 * @param commandLine default: the window's
 */
export function discover(window: Window, commandLine: string = window.commandLine): Machine {
  const notes: string[] = [];
  const firmware = findFirmware(window, notes, commandLine);
  const devices = [
    ...attempt(notes, "PCI", () => pciDevices(window, firmware, notes)),
    ...mmioDevices(window, firmware, commandLine, notes),
  ];
  const writes = attempt(notes, "ACPI power", () => powerWrites(window, firmware));
  for (const { action, how } of writes) {
    attempt(notes, `ACPI power ${action}`, () => {
      window.setPower(action, how);
      return [];
    });
  }
  return {
    devices,
    notes,
    power: {
      off: writes.some(({ action }) => action === "off"),
      reset: writes.some(({ action }) => action === "reset"),
      button: firmware.button !== undefined,
    },
    onPowerButton: (callback) => {
      const [stop] = attempt(notes, "power button", () => [watchPowerButton(window, firmware, callback)]);
      return stop ?? (() => undefined);
    },
  };
}

function pciDevices(window: Window, firmware: Firmware, notes: string[]): readonly Transport[] {
  const { configuration } = firmware;
  // Through ports where there are some: they reach all that is needed here.
  const access: ConfigurationAccess | undefined =
    portConfiguration(window.ports) ??
    (configuration === undefined ? undefined : memoryConfiguration(window.memory, configuration));
  if (access === undefined) return [];
  return scanPci(access)
    .filter(isVirtio)
    .flatMap((pci) =>
      attempt(notes, `PCI ${pci.place}`, () => [openPciDevice(window, pci, (line) => firmware.routeLine(line))]),
    );
}

function mmioDevices(window: Window, firmware: Firmware, commandLine: string, notes: string[]): readonly Transport[] {
  const fromCommandLine = mmioPlaces(commandLine);
  notes.push(...fromCommandLine.refused.map((each) => `"${each}" names no virtio-mmio device`));
  const places = new Map<number, MmioPlace>();
  for (const place of [...fromCommandLine.places, ...firmware.mmio]) {
    if (!places.has(place.address)) places.set(place.address, place);
  }
  return [...places.values()].flatMap((place) =>
    attempt(notes, "virtio-mmio", () => {
      const device = findMmioDevice(window, place);
      return device === undefined ? [] : [device];
    }),
  );
}

/** What `action` gives, or nothing and a note. */
function attempt<T>(notes: string[], what: string, action: () => readonly T[]): readonly T[] {
  try {
    return action();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    notes.push(message.includes(what) ? message : `${what}: ${message}`);
    return [];
  }
}
