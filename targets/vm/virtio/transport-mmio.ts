/**
 * Virtio over memory-mapped registers, version 2 (virtio 1.2 §4.2).
 */
import type { Interrupt, InterruptLine, Registers, Window } from "../window/window.ts";
import type { QueueAddresses, Transport } from "./transport.ts";
import { VirtioError } from "./virtio-error.ts";

const register = {
  magic: 0x000,
  version: 0x004,
  deviceType: 0x008,
  deviceFeatures: 0x010,
  deviceFeaturesSelect: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSelect: 0x024,
  queueSelect: 0x030,
  queueSizeMax: 0x034,
  queueSize: 0x038,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAcknowledge: 0x064,
  status: 0x070,
  queueDescriptors: 0x080,
  queueAvailable: 0x090,
  queueUsed: 0x0a0,
  generation: 0x0fc,
  configuration: 0x100,
} as const;

/** "virt", little-endian. */
const magic = 0x74726976;
const interruptQueue = 1;
const interruptConfiguration = 2;

/** Where a device is: from the command line, or from ACPI. */
export interface MmioPlace {
  readonly address: number;
  /** Bytes of registers, at least 0x100. */
  readonly length: number;
  readonly interrupt: InterruptLine;
}

/**
 * Looks for a device at a place.
 *
 * @returns undefined where there is no device: boards have empty slots
 * @throws VirtioError for a legacy device, and when there is something else; WindowError when the place is RAM.
 */
export function findMmioDevice(window: Window, place: MmioPlace): Transport | undefined {
  const name = `mmio@0x${place.address.toString(16)}`;
  if (place.length < register.configuration) {
    throw new VirtioError("absent", `${name}: ${String(place.length)} bytes are too few for virtio-mmio`);
  }
  const registers = window.registers(place.address, place.length);
  if (registers.read32(register.magic) !== magic) {
    throw new VirtioError("absent", `${name}: there is no virtio-mmio device`);
  }
  const type = registers.read32(register.deviceType);
  if (type === 0) return undefined;
  const version = registers.read32(register.version);
  if (version === 2) return new MmioTransport(window, registers, name, type, place.interrupt);
  const advice = version === 1 ? " (legacy; QEMU needs -global virtio-mmio.force-legacy=false)" : "";
  throw new VirtioError("absent", `${name}: virtio-mmio version ${String(version)} is not 2${advice}`);
}

class MmioTransport implements Transport {
  readonly window: Window;
  readonly type: number;
  readonly place: string;
  readonly #registers: Registers;
  readonly #line: InterruptLine;
  #interrupt: Interrupt | undefined;

  constructor(window: Window, registers: Registers, place: string, type: number, line: InterruptLine) {
    this.window = window;
    this.type = type;
    this.place = place;
    this.#registers = registers;
    this.#line = line;
  }

  getStatus(): number {
    return this.#registers.read32(register.status) & 0xff;
  }

  setStatus(value: number): void {
    this.#registers.write32(register.status, value);
  }

  deviceFeatures(word: 0 | 1): number {
    this.#registers.write32(register.deviceFeaturesSelect, word);
    return this.#registers.read32(register.deviceFeatures);
  }

  setDriverFeatures(word: 0 | 1, value: number): void {
    this.#registers.write32(register.driverFeaturesSelect, word);
    this.#registers.write32(register.driverFeatures, value);
  }

  queueSize(queue: number): number {
    this.#registers.write32(register.queueSelect, queue);
    return this.#registers.read32(register.queueSizeMax);
  }

  enableQueue(queue: number, size: number, addresses: QueueAddresses): boolean {
    const registers = this.#registers;
    registers.write32(register.queueSelect, queue);
    if (registers.read32(register.queueReady) !== 0) return false;
    registers.write32(register.queueSize, size);
    writeAddress(registers, register.queueDescriptors, addresses.descriptors);
    writeAddress(registers, register.queueAvailable, addresses.available);
    writeAddress(registers, register.queueUsed, addresses.used);
    registers.write32(register.queueReady, 1);
    return registers.read32(register.queueReady) === 1;
  }

  notify(queue: number): void {
    this.#registers.write32(register.queueNotify, queue);
  }

  generation(): number {
    return this.#registers.read32(register.generation);
  }

  configuration8(offset: number): number {
    return this.#registers.read8(register.configuration + offset);
  }

  configuration16(offset: number): number {
    return this.#registers.read16(register.configuration + offset);
  }

  configuration32(offset: number): number {
    return this.#registers.read32(register.configuration + offset);
  }

  connect(onQueue: () => void, onConfiguration: () => void): void {
    this.disconnect();
    this.#interrupt = this.window.interrupt(this.#line, () => {
      const cause = this.#registers.read32(register.interruptStatus);
      this.#registers.write32(register.interruptAcknowledge, cause & (interruptQueue | interruptConfiguration));
      if ((cause & interruptConfiguration) !== 0) onConfiguration();
      // A line can be shared, and an edge that was late finds its cause acknowledged: looking costs little.
      onQueue();
    });
  }

  disconnect(): void {
    this.#interrupt?.close();
    this.#interrupt = undefined;
  }
}

function writeAddress(registers: Registers, at: number, address: number): void {
  registers.write32(at, address);
  registers.write32(at + 4, Math.floor(address / 0x1_0000_0000));
}
