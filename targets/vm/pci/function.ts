import type { ConfigurationAccess, PciAddress } from "./configuration.ts";
import { formatAddress } from "./configuration.ts";

const register = { vendor: 0, device: 2, command: 4, status: 6, bar: 0x10, capabilities: 0x34, line: 0x3c, pin: 0x3d };
const statusCapabilities = 0x10;
const commandMemory = 2;
const commandMaster = 4;
const commandNoLine = 0x400;
/** More do not fit into the 192 bytes that capabilities have. */
const mostCapabilities = 48;

/** One entry of a function's list of capabilities. */
export interface Capability {
  readonly id: number;
  /** Its place in configuration space: 0x40 to 0xfc, a multiple of 4. */
  readonly offset: number;
}

/** One PCI function with a type 0 header. What it says of itself is not trusted. */
export class PciFunction {
  readonly address: PciAddress;
  readonly vendor: number;
  readonly device: number;
  readonly #access: ConfigurationAccess;

  constructor(access: ConfigurationAccess, address: PciAddress) {
    this.#access = access;
    this.address = address;
    this.vendor = this.read16(register.vendor);
    this.device = this.read16(register.device);
  }

  /** `00:03.0`. */
  get place(): string {
    return formatAddress(this.address);
  }

  read8(offset: number): number {
    return this.#access.read(this.address, offset, 1);
  }

  read16(offset: number): number {
    return this.#access.read(this.address, offset, 2);
  }

  read32(offset: number): number {
    return this.#access.read(this.address, offset, 4);
  }

  write16(offset: number, value: number): void {
    this.#access.write(this.address, offset, 2, value);
  }

  /** The capabilities, in order; of a list that loops or leaves its place what comes before. */
  capabilities(): readonly Capability[] {
    const found: Capability[] = [];
    if ((this.read16(register.status) & statusCapabilities) === 0) return found;
    const seen = new Set<number>();
    let offset = this.read8(register.capabilities) & 0xfc;
    while (offset >= 0x40 && !seen.has(offset) && found.length < mostCapabilities) {
      seen.add(offset);
      const header = this.read16(offset);
      found.push({ id: header & 0xff, offset });
      offset = (header >>> 8) & 0xfc;
    }
    return found;
  }

  /**
   * The physical address in base address register `index`, 0 to 5; undefined when it is for ports, unassigned, or not
   * one at all.
   */
  baseAddress(index: number): number | undefined {
    if (index < 0 || index > 5) return undefined;
    const low = this.read32(register.bar + index * 4);
    if ((low & 1) === 1) return undefined;
    const kind = (low >>> 1) & 3;
    if (kind !== 0 && (kind !== 2 || index === 5)) return undefined;
    const high = kind === 2 ? this.read32(register.bar + index * 4 + 4) : 0;
    const address = high * 0x1_0000_0000 + ((low & ~15) >>> 0);
    return address === 0 || !Number.isSafeInteger(address) ? undefined : address;
  }

  /** Lets the function answer memory accesses and make its own; with or without its interrupt line. */
  enable(line: boolean): void {
    const command = this.read16(register.command) | commandMemory | commandMaster;
    this.write16(register.command, line ? command & ~commandNoLine : command | commandNoLine);
  }

  /** Where firmware has routed the interrupt pin, or undefined: a line of the legacy controllers. */
  interruptLine(): number | undefined {
    const line = this.read8(register.line);
    return this.read8(register.pin) === 0 || line === 0xff ? undefined : line;
  }
}
