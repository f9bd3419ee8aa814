import { WindowError } from "./window-error.ts";
import type { MemoryRange, WindowInformation } from "./window.ts";

/**
 * Reads the line of `/dev/window/info`.
 *
 * @throws WindowError when it is not what a kernel of this version writes.
 */
export function parseInformation(text: string): WindowInformation {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/\0+$/, ""));
  } catch (cause) {
    throw new WindowError("the kernel's information is not JSON", { cause });
  }
  if (typeof value !== "object" || value === null) throw new WindowError("the kernel's information is no object");
  const fields = new Map<string, unknown>(Object.entries(value));
  const version = fields.get("window");
  if (version !== 1) throw new WindowError(`version ${String(version)} of the device window is not 1`);
  return {
    rsdp: number(fields, "rsdp"),
    memory: number(fields, "memory"),
    free: number(fields, "free"),
    clock: string(fields, "clock"),
    hypervisor: string(fields, "hypervisor"),
    apic: number(fields, "apic"),
    seed: string(fields, "seed"),
    map: ranges(fields.get("map")),
  };
}

function number(fields: ReadonlyMap<string, unknown>, name: string): number {
  const value = fields.get(name);
  if (typeof value === "number" && value >= 0) return value;
  throw new WindowError(`the kernel's information has no "${name}"`);
}

function string(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name);
  if (typeof value === "string") return value;
  throw new WindowError(`the kernel's information has no "${name}"`);
}

function ranges(value: unknown): readonly MemoryRange[] {
  if (!Array.isArray(value)) throw new WindowError('the kernel\'s information has no "map"');
  return value.map((entry: unknown) => {
    if (!Array.isArray(entry)) throw new WindowError('an entry of "map" is no list');
    // as: its elements are checked below
    const [address, bytes, type] = entry as unknown[];
    if (typeof address !== "number" || typeof bytes !== "number" || typeof type !== "number") {
      throw new WindowError('an entry of "map" is not three numbers');
    }
    return { address, bytes, type };
  });
}
