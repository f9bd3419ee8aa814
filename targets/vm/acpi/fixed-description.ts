import { address64, type Table } from "./tables.ts";

/** A register by its generic address (ACPI 6.5 §5.2.3.2). */
export interface GenericAddress {
  readonly space: "port" | "memory";
  readonly address: number;
}

/** FADT (§5.2.9), as far as power and its button need it. An absent register is undefined. */
export interface FixedDescription {
  readonly flags: number;
  /** There are no PM1 registers, and sleeping has registers of its own (§4.1). */
  readonly reducedHardware: boolean;
  /** The legacy line of the system control interrupt. */
  readonly interrupt: number;
  /** Port, and the value that switches ACPI on; 0 where it is on. */
  readonly commandPort: number;
  readonly enableValue: number;
  readonly eventBlock: GenericAddress | undefined;
  /** Bytes of the event block: status, then as many of enable bits. */
  readonly eventLength: number;
  readonly controlBlock: GenericAddress | undefined;
  readonly reset: { readonly register: GenericAddress; readonly value: number } | undefined;
  readonly sleepControl: GenericAddress | undefined;
}

const flagReset = 1 << 10;
const flagReducedHardware = 1 << 20;

/** Reads the table; undefined when it is too short to say anything. */
export function parseFixed({ bytes, view }: Table): FixedDescription | undefined {
  if (bytes.length < 116) return undefined;
  const generic = (at: number): GenericAddress | undefined => {
    if (bytes.length < at + 12) return undefined;
    const space = bytes[at];
    const address = address64(view, at + 4);
    if (address === 0 || (space !== 0 && space !== 1) || (space === 1 && address > 0xffff)) return undefined;
    return { space: space === 1 ? "port" : "memory", address };
  };
  const port = (at: number): GenericAddress | undefined => {
    const address = view.getUint32(at, true);
    return address === 0 || address > 0xffff ? undefined : { space: "port", address };
  };
  const flags = view.getUint32(112, true);
  const resetRegister = generic(116);
  return {
    flags,
    reducedHardware: (flags & flagReducedHardware) !== 0,
    interrupt: view.getUint16(46, true),
    commandPort: port(48)?.address ?? 0,
    enableValue: bytes[52] ?? 0,
    eventBlock: generic(148) ?? port(56),
    eventLength: bytes[88] ?? 0,
    controlBlock: generic(172) ?? port(64),
    reset:
      (flags & flagReset) !== 0 && resetRegister !== undefined && bytes.length > 128
        ? { register: resetRegister, value: bytes[128] ?? 0 }
        : undefined,
    sleepControl: generic(244),
  };
}
