import { capabilityMsix } from "../pci/msix.ts";
import type { Width } from "../window/window.ts";
import { memoryBank, type Bank, type MemoryWindow } from "./memory-window.ts";
import { readBytes, withHigh, withLow, type SimulatedDevice } from "./simulated-device.ts";

/** Places of the structures in the one memory window that the device has. */
const place = { common: 0, interruptStatus: 0x1000, configuration: 0x2000, notify: 0x3000, table: 0x4000 } as const;
const barLength = 0x5000;
const notifyMultiplier = 4;

export interface SimulatedPciOptions {
  /** Where the device's registers are. */
  readonly base: number;
  /** Entries of its MSI-X table; 0 for none. Default 3. */
  readonly vectors?: number;
  /** The line of its pin, for a device without MSI-X. */
  readonly line?: number;
}

/** A virtio device on PCI, modern layout (virtio 1.2 §4.1). */
export class SimulatedPci implements Bank {
  /** Its configuration space, for a test to change. */
  readonly space = new Uint8Array(256);
  readonly #device: SimulatedDevice;
  readonly #table: Uint8Array;
  readonly #line: number | undefined;
  #featureWord = 0;
  #driverWord = 0;
  #queue = 0;
  #configurationVector = 0xffff;
  #causes = 0;

  /** Puts the registers into the window; the configuration space is the caller's to place. */
  constructor(device: SimulatedDevice, options: SimulatedPciOptions) {
    this.#device = device;
    this.#line = options.line;
    const { window } = device;
    const vectors = options.vectors ?? 3;
    this.#table = new Uint8Array(Math.max(vectors, 1) * 16);
    window.addMemory(options.base, barLength, this);
    device.onInterrupt = (cause, queue) => this.#interrupt(window, cause, queue);
    this.#fillSpace(options.base, vectors, options.line);
  }

  read(offset: number, width: Width): number {
    const device = this.#device;
    if (offset >= place.table) return readBytes(this.#table, offset - place.table, width);
    if (offset >= place.notify) return 0;
    if (offset >= place.configuration) return readBytes(device.configuration, offset - place.configuration, width);
    if (offset >= place.interruptStatus) {
      const causes = this.#causes;
      this.#causes = 0;
      return causes;
    }
    const queue = device.queues[this.#queue];
    switch (offset) {
      case 4:
        return this.#featureWord === 0 ? device.offered.low : device.offered.high;
      case 16:
        return this.#configurationVector;
      case 18:
        return device.queues.length;
      case 20:
        return device.deviceStatus;
      case 21:
        return device.generation;
      case 24:
        return queue?.size ?? 0;
      case 26:
        return queue?.vector ?? 0xffff;
      case 28:
        return queue?.isReady === true ? 1 : 0;
      case 30:
        return this.#queue;
      default:
        return 0;
    }
  }

  write(offset: number, width: Width, value: number): void {
    const device = this.#device;
    if (offset >= place.table) memoryBank(this.#table).write(offset - place.table, width, value);
    else if (offset >= place.notify) device.notified((offset - place.notify) / notifyMultiplier);
    else if (offset === 0) this.#featureWord = value;
    else if (offset === 8) this.#driverWord = value;
    else if (offset === 12) device.taken[this.#driverWord === 0 ? "low" : "high"] = value;
    else if (offset === 16) this.#configurationVector = this.#vector(value);
    else if (offset === 20) device.setStatus(value);
    else if (offset === 22) this.#queue = value;
    else this.#writeQueue(offset, value);
  }

  #writeQueue(offset: number, value: number): void {
    const queue = this.#device.queues[this.#queue];
    if (queue === undefined) return;
    if (offset === 24) queue.size = value;
    else if (offset === 26) queue.vector = this.#vector(value);
    else if (offset === 28) queue.isReady = value === 1;
    else if (offset === 32) queue.descriptors = withLow(queue.descriptors, value);
    else if (offset === 36) queue.descriptors = withHigh(queue.descriptors, value);
    else if (offset === 40) queue.available = withLow(queue.available, value);
    else if (offset === 44) queue.available = withHigh(queue.available, value);
    else if (offset === 48) queue.used = withLow(queue.used, value);
    else if (offset === 52) queue.used = withHigh(queue.used, value);
  }

  /** A vector that there is, or none. */
  #vector(value: number): number {
    return value * 16 < this.#table.length && this.#hasMessages ? value : 0xffff;
  }

  get #hasMessages(): boolean {
    return this.#line === undefined;
  }

  #interrupt(window: MemoryWindow, cause: "queue" | "configuration", queue: number): void {
    if (this.#line !== undefined) {
      this.#causes |= cause === "queue" ? 1 : 2;
      window.raise(this.#line);
      return;
    }
    const vector = cause === "queue" ? (this.#device.queues[queue]?.vector ?? 0xffff) : this.#configurationVector;
    const entry = vector * 16;
    if (entry >= this.#table.length || (this.space[0x43] ?? 0) < 0x80) return;
    window.signal(readBytes(this.#table, entry, 4), readBytes(this.#table, entry + 8, 4));
  }

  #fillSpace(base: number, vectors: number, line: number | undefined): void {
    const view = new DataView(this.space.buffer);
    view.setUint16(0, 0x1af4, true);
    view.setUint16(2, 0x1040 + this.#device.type, true);
    view.setUint16(6, 0x10, true);
    // Register 0 and 1: 64 bits wide.
    view.setUint32(0x10, (base % 2 ** 32) + 4, true);
    view.setUint32(0x14, Math.floor(base / 2 ** 32), true);
    this.space[0x3c] = line ?? 0xff;
    this.space[0x3d] = line === undefined ? 0 : 1;
    const structures: [number, number, number][] = [
      [1, place.common, 56],
      [2, place.notify, 64],
      [3, place.interruptStatus, 4],
      [4, place.configuration, 64],
    ];
    let at = 0x40;
    this.space[0x34] = at;
    if (vectors > 0 && line === undefined) {
      this.space.set([capabilityMsix, 0x50], at);
      view.setUint16(at + 2, vectors - 1, true);
      view.setUint32(at + 4, place.table, true);
    } else this.space.set([0x01, 0x50], at);
    at = 0x50;
    for (const [index, [type, offset, length]] of structures.entries()) {
      const next = index === structures.length - 1 ? 0 : at + 20;
      this.space.set([0x09, next, 20, type, 0], at);
      view.setUint32(at + 8, offset, true);
      view.setUint32(at + 12, length, true);
      view.setUint32(at + 16, notifyMultiplier, true);
      at += 20;
    }
  }
}
