/**
 * Virtio over PCI, the modern layout (virtio 1.2 §4.1). Interrupts are message-signalled where the device can, else
 * its line is used.
 */
import type { PciFunction } from "../pci/function.ts";
import { findMsix, type MsixTable } from "../pci/msix.ts";
import type { Interrupt, InterruptLine, Registers, Window } from "../window/window.ts";
import type { QueueAddresses, Transport } from "./transport.ts";
import { VirtioError } from "./virtio-error.ts";

const vendorVirtio = 0x1af4;
const firstModern = 0x1040;
const lastModern = 0x107f;
const firstTransitional = 0x1000;
const lastTransitional = 0x103f;
const subsystemDevice = 0x2e;

const capabilityVendor = 0x09;
/** Places of `struct virtio_pci_cap`. */
const capability = { length: 2, type: 3, bar: 4, offset: 8, size: 12, multiplier: 16 } as const;
const structure = { common: 1, notify: 2, interruptStatus: 3, device: 4 } as const;
/** The longest structure that makes sense: a page for each of 65,536 queues is not ours. */
const longestStructure = 0x10_0000;

const common = {
  deviceFeaturesSelect: 0,
  deviceFeatures: 4,
  driverFeaturesSelect: 8,
  driverFeatures: 12,
  configurationVector: 16,
  status: 20,
  generation: 21,
  queueSelect: 22,
  queueSize: 24,
  queueVector: 26,
  queueEnable: 28,
  queueNotifyOffset: 30,
  queueDescriptors: 32,
  queueAvailable: 40,
  queueUsed: 48,
  length: 56,
} as const;
const noVector = 0xffff;
const interruptConfiguration = 2;

/** How a line that firmware has put into a function's header reaches the I/O APICs. */
export type LineRouting = (line: number) => InterruptLine;

interface Structures {
  readonly common: Registers;
  readonly notify: Registers;
  readonly notifyMultiplier: number;
  readonly interruptStatus: Registers | undefined;
  readonly device: Registers | undefined;
}

/** Whether the function is a virtio device of any age. */
export function isVirtio(pci: PciFunction): boolean {
  return pci.vendor === vendorVirtio && pci.device >= firstTransitional && pci.device <= lastModern;
}

/**
 * Makes a virtio function usable.
 *
 * @throws VirtioError when it has only the layout from before virtio 1.0, or its capabilities make no sense;
 * WindowError when they lead into RAM.
 */
export function openPciDevice(window: Window, pci: PciFunction, route: LineRouting): Transport {
  const structures = findStructures(window, pci);
  // A transitional device says what it is where subsystems do (§4.1.2.1).
  const type = pci.device >= firstModern ? pci.device - firstModern : pci.read16(subsystemDevice);
  return new PciTransport(window, pci, route, structures, type);
}

function findStructures(window: Window, pci: PciFunction): Structures {
  const found = new Map<number, { registers: Registers; offset: number }>();
  let problem = pci.device <= lastTransitional ? " (legacy; QEMU wants disable-modern=off)" : "";
  for (const { id, offset } of pci.capabilities()) {
    if (id !== capabilityVendor || offset + 16 > 0x100 || pci.read8(offset + capability.length) < 16) continue;
    const type = pci.read8(offset + capability.type);
    // The first of each type is the one that the device likes best (§4.1.4.1).
    if (type < structure.common || type > structure.device || found.has(type)) continue;
    const bar = pci.read8(offset + capability.bar);
    const base = pci.baseAddress(bar);
    const start = pci.read32(offset + capability.offset);
    const size = pci.read32(offset + capability.size);
    if (base === undefined) {
      problem = `: base address ${String(bar)} is not assigned`;
      continue;
    }
    if (size === 0 || size > longestStructure || start % 4 !== 0) continue;
    found.set(type, { registers: window.registers(base + start, size), offset });
  }
  const commonPart = found.get(structure.common);
  const notify = found.get(structure.notify);
  if (commonPart === undefined || notify === undefined || commonPart.registers.length < common.length) {
    throw new VirtioError("absent", `no virtio 1.0 registers${problem}`);
  }
  return {
    common: commonPart.registers,
    notify: notify.registers,
    notifyMultiplier: notify.offset + 20 > 0x100 ? 0 : pci.read32(notify.offset + capability.multiplier),
    interruptStatus: found.get(structure.interruptStatus)?.registers,
    device: found.get(structure.device)?.registers,
  };
}

class PciTransport implements Transport {
  readonly window: Window;
  readonly type: number;
  readonly place: string;
  readonly #pci: PciFunction;
  readonly #route: LineRouting;
  readonly #common: Registers;
  readonly #notify: Registers;
  readonly #notifyMultiplier: number;
  readonly #interruptStatus: Registers | undefined;
  readonly #device: Registers | undefined;
  /** Where each queue is notified: a place in `#notify`. */
  readonly #places: number[] = [];
  #interrupts: Interrupt[] = [];
  #msix: MsixTable | undefined;
  /** The MSI-X entry of all queues. */
  #queueVector: number = noVector;

  constructor(window: Window, pci: PciFunction, route: LineRouting, structures: Structures, type: number) {
    this.window = window;
    this.type = type;
    this.place = pci.place;
    this.#pci = pci;
    this.#route = route;
    this.#common = structures.common;
    this.#notify = structures.notify;
    this.#notifyMultiplier = structures.notifyMultiplier;
    this.#interruptStatus = structures.interruptStatus;
    this.#device = structures.device;
    pci.enable(true);
  }

  getStatus(): number {
    return this.#common.read8(common.status);
  }

  setStatus(value: number): void {
    this.#common.write8(common.status, value);
  }

  deviceFeatures(word: 0 | 1): number {
    this.#common.write32(common.deviceFeaturesSelect, word);
    return this.#common.read32(common.deviceFeatures);
  }

  setDriverFeatures(word: 0 | 1, value: number): void {
    this.#common.write32(common.driverFeaturesSelect, word);
    this.#common.write32(common.driverFeatures, value);
  }

  queueSize(queue: number): number {
    this.#common.write16(common.queueSelect, queue);
    return this.#common.read16(common.queueSize);
  }

  enableQueue(queue: number, size: number, addresses: QueueAddresses): boolean {
    const registers = this.#common;
    registers.write16(common.queueSelect, queue);
    if (registers.read16(common.queueEnable) !== 0) return false;
    registers.write16(common.queueSize, size);
    registers.write16(common.queueVector, this.#queueVector);
    if (registers.read16(common.queueVector) !== this.#queueVector) return false;
    writeAddress(registers, common.queueDescriptors, addresses.descriptors);
    writeAddress(registers, common.queueAvailable, addresses.available);
    writeAddress(registers, common.queueUsed, addresses.used);
    const place = registers.read16(common.queueNotifyOffset) * this.#notifyMultiplier;
    if (place % 2 !== 0 || place + 2 > this.#notify.length) return false;
    this.#places[queue] = place;
    registers.write16(common.queueEnable, 1);
    return registers.read16(common.queueEnable) === 1;
  }

  notify(queue: number): void {
    const place = this.#places[queue];
    if (place !== undefined) this.#notify.write16(place, queue);
  }

  generation(): number {
    return this.#common.read8(common.generation);
  }

  configuration8(offset: number): number {
    return this.#device?.read8(offset) ?? 0;
  }

  configuration16(offset: number): number {
    return this.#device?.read16(offset) ?? 0;
  }

  configuration32(offset: number): number {
    return this.#device?.read32(offset) ?? 0;
  }

  connect(onQueue: () => void, onConfiguration: () => void): void {
    this.disconnect();
    const msix = findMsix(this.window, this.#pci);
    if (msix === undefined) this.#connectLine(onQueue, onConfiguration);
    else this.#connectMessages(msix, onQueue, onConfiguration);
  }

  disconnect(): void {
    for (const interrupt of this.#interrupts) interrupt.close();
    this.#interrupts = [];
    this.#msix?.disable();
    this.#msix = undefined;
  }

  #connectMessages(msix: MsixTable, onQueue: () => void, onConfiguration: () => void): void {
    // One entry for the configuration and one for all queues; a device with one entry has it for both.
    const vectors = Math.min(msix.size, 2);
    const onAny = (): void => {
      onConfiguration();
      onQueue();
    };
    const callbacks = vectors === 2 ? [onConfiguration, onQueue] : [onAny];
    for (const [index, callback] of callbacks.entries()) {
      const interrupt = this.window.interrupt("message", callback);
      this.#interrupts.push(interrupt);
      if (interrupt.message !== undefined) msix.set(index, interrupt.message);
    }
    this.#pci.enable(false);
    msix.enable();
    this.#msix = msix;
    this.#queueVector = vectors - 1;
    this.#common.write16(common.configurationVector, 0);
    if (this.#common.read16(common.configurationVector) !== 0) {
      throw new VirtioError("absent", `${this.place}: the device has no room for an interrupt`);
    }
  }

  #connectLine(onQueue: () => void, onConfiguration: () => void): void {
    const line = this.#pci.interruptLine();
    const causes = this.#interruptStatus;
    if (line === undefined || causes === undefined) {
      throw new VirtioError("absent", `${this.place}: the device has no interrupt`);
    }
    this.#queueVector = noVector;
    this.#pci.enable(true);
    const interrupt = this.window.interrupt(this.#route(line), () => {
      // Reading takes the cause away.
      const cause = causes.read8(0);
      if ((cause & interruptConfiguration) !== 0) onConfiguration();
      // The line is shared: looking costs little.
      onQueue();
    });
    this.#interrupts.push(interrupt);
  }
}

function writeAddress(registers: Registers, at: number, address: number): void {
  registers.write32(at, address);
  registers.write32(at + 4, Math.floor(address / 0x1_0000_0000));
}
