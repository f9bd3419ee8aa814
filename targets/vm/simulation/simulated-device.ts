import { featureEventIndex, featureVersion1, featureBits, hasFeature } from "../virtio/features.ts";
import { status } from "../virtio/transport.ts";
import type { Width } from "../window/window.ts";
import { DeviceQueue } from "./device-queue.ts";
import type { Bank, MemoryWindow } from "./memory-window.ts";

export interface SimulatedDeviceOptions {
  readonly window: MemoryWindow;
  readonly type: number;
  /** Features offered beside VERSION_1 and EVENT_IDX. */
  readonly features?: readonly number[];
  /** Without EVENT_IDX. */
  readonly noEventIndex?: boolean;
  readonly configuration?: Uint8Array;
  /** The largest size of each queue. */
  readonly queues: readonly number[];
}

/**
 * A virtio device in memory, without a bus: what all kinds have in common. A kind derives from it, and keeps to the
 * rules or not.
 */
export class SimulatedDevice {
  readonly window: MemoryWindow;
  readonly type: number;
  readonly queues: readonly DeviceQueue[];
  readonly configuration: Uint8Array;
  /** What the device offers. */
  offered: { low: number; high: number };
  /** What the driver took. */
  taken = { low: 0, high: 0 };
  deviceStatus = 0;
  generation = 0;
  /** Set by the bus: tells the driver. */
  onInterrupt: (cause: "queue" | "configuration", queue: number) => void = () => undefined;

  constructor(options: SimulatedDeviceOptions) {
    this.window = options.window;
    this.type = options.type;
    const common = options.noEventIndex === true ? [featureVersion1] : [featureVersion1, featureEventIndex];
    this.offered = featureBits([...common, ...(options.features ?? [])]);
    this.configuration = options.configuration ?? new Uint8Array(64);
    this.queues = options.queues.map((largest) => new DeviceQueue(options.window, largest));
  }

  /** Whether the driver took a feature. */
  has(feature: number): boolean {
    return hasFeature(this.taken, feature);
  }

  /** The driver has started the device. */
  started(): void {
    // Nothing to do for most.
  }

  /** The driver has offered something. */
  notified(_queue: number): void {
    // Nothing to do for most.
  }

  setStatus(value: number): void {
    if (value === 0) {
      this.deviceStatus = 0;
      this.taken = { low: 0, high: 0 };
      for (const queue of this.queues) queue.reset();
      return;
    }
    let next = value;
    if ((value & status.featuresOk) !== 0 && !this.acceptsFeatures()) next &= ~status.featuresOk;
    const isStart = (value & status.driverOk) !== 0 && (this.deviceStatus & status.driverOk) === 0;
    this.deviceStatus = next;
    if (!isStart) return;
    for (const queue of this.queues) queue.eventIndex = this.has(featureEventIndex);
    this.started();
  }

  /** Whether what the driver took is enough. */
  acceptsFeatures(): boolean {
    return (this.taken.low & ~this.offered.low) === 0 && (this.taken.high & ~this.offered.high) === 0;
  }

  get isRunning(): boolean {
    return (this.deviceStatus & (status.driverOk | status.failed)) === status.driverOk;
  }

  /** Gives a chain back, and interrupts when the driver wants it. */
  give(queue: number, head: number, written: number): void {
    if (this.queues[queue]?.give(head, written) === true) this.onInterrupt("queue", queue);
  }
}

/** A device at virtio-mmio registers (virtio 1.2 §4.2.2), on an edge-triggered line. */
export class SimulatedMmio implements Bank {
  readonly #device: SimulatedDevice;
  #featureWord = 0;
  #driverWord = 0;
  #queue = 0;
  #causes = 0;
  /** 2, unless a test says otherwise. */
  version = 2;

  constructor(device: SimulatedDevice, line: number) {
    this.#device = device;
    device.onInterrupt = (cause) => {
      this.#causes |= cause === "queue" ? 1 : 2;
      device.window.raise(line);
    };
  }

  read(offset: number, width: Width): number {
    const device = this.#device;
    if (offset >= 0x100) return readBytes(device.configuration, offset - 0x100, width);
    const queue = device.queues[this.#queue];
    switch (offset) {
      case 0x000:
        return 0x74726976;
      case 0x004:
        return this.version;
      case 0x008:
        return device.type;
      case 0x010:
        return this.#featureWord === 0 ? device.offered.low : device.offered.high;
      case 0x034:
        return queue?.largest ?? 0;
      case 0x044:
        return queue?.isReady === true ? 1 : 0;
      case 0x060:
        return this.#causes;
      case 0x070:
        return device.deviceStatus;
      case 0x0fc:
        return device.generation;
      default:
        return 0;
    }
  }

  write(offset: number, _width: Width, value: number): void {
    const device = this.#device;
    const queue = device.queues[this.#queue];
    if (offset === 0x014) this.#featureWord = value;
    else if (offset === 0x020) device.taken[this.#driverWord === 0 ? "low" : "high"] = value;
    else if (offset === 0x024) this.#driverWord = value;
    else if (offset === 0x030) this.#queue = value;
    else if (offset === 0x050) device.notified(value);
    else if (offset === 0x064) this.#causes &= ~value;
    else if (offset === 0x070) device.setStatus(value);
    else if (queue !== undefined) writeQueue(queue, offset, value);
  }
}

function writeQueue(queue: DeviceQueue, offset: number, value: number): void {
  if (offset === 0x038) queue.size = value;
  else if (offset === 0x044) queue.isReady = value === 1;
  else if (offset === 0x080) queue.descriptors = withLow(queue.descriptors, value);
  else if (offset === 0x084) queue.descriptors = withHigh(queue.descriptors, value);
  else if (offset === 0x090) queue.available = withLow(queue.available, value);
  else if (offset === 0x094) queue.available = withHigh(queue.available, value);
  else if (offset === 0x0a0) queue.used = withLow(queue.used, value);
  else if (offset === 0x0a4) queue.used = withHigh(queue.used, value);
}

export function withLow(address: number, low: number): number {
  return Math.floor(address / 2 ** 32) * 2 ** 32 + low;
}

export function withHigh(address: number, high: number): number {
  return high * 2 ** 32 + (address % 2 ** 32);
}

export function readBytes(bytes: Uint8Array, offset: number, width: Width): number {
  let value = 0;
  for (let index = width - 1; index >= 0; index--) value = value * 256 + (bytes[offset + index] ?? 0);
  return value;
}
