import { BlockError, type Block } from "@tesserae/device/block";
import { BlockSlots, type BlockSlot } from "./block-slots.ts";
import { VirtioDevice } from "./device.ts";
import { blockFeature } from "./features.ts";
import { Kick } from "./kick.ts";
import type { SplitQueue } from "./queue.ts";
import { deviceType, type Transport } from "./transport.ts";
import type { VirtioError } from "./virtio-error.ts";

const requestQueue = 0;
/** Sectors of the protocol, whatever the device's own size is. */
const protocolSector = 512;
/** Descriptors of a request: header, data, status. */
const descriptorsPerRequest = 3;
/** Bytes of one entry of a discard (virtio 1.2 §5.2.6). */
const discardEntry = 16;

const configuration = {
  capacity: 0,
  sizeMax: 8,
  blockSize: 20,
  maxDiscardSectors: 36,
} as const;
const request = { read: 0, write: 1, flush: 4, discard: 11 } as const;
const requestStatus = { ok: 0, failed: 1, unsupported: 2, untouched: 0xff } as const;
const wantedFeatures = [
  blockFeature.sizeMax,
  blockFeature.readOnly,
  blockFeature.blockSize,
  blockFeature.flush,
  blockFeature.discard,
];

export interface VirtioBlockOptions {
  readonly device: Transport;
  /** Requests under way at the device, 1 to 256; more wait for their turn. Default 32. */
  readonly requests?: number;
  /** The longest request in bytes, a multiple of 4096; longer operations are cut. Default 32 KiB. */
  readonly longestRequest?: number;
  /** Gets what ended the device; every operation rejects from then on. Default: nothing is done. */
  readonly onDead?: (error: VirtioError) => void;
}

/** A virtio block device. */
export interface VirtioBlock extends Block {
  readonly canDiscard: boolean;
  /**
   * Says that the sectors' contents are of no use any more; what is read there later is not defined.
   *
   * @throws RangeError (rejects) when they do not lie on the device; BlockError.
   */
  discard(sector: number, count: number): Promise<void>;
}

/**
 * Starts a virtio block device (virtio 1.2 §5.2). Data is copied once, through memory that the device can reach.
 *
 * @throws VirtioError (rejects) when the device cannot be driven; WindowError when memory or interrupts are out;
 * RangeError for an option out of range.
 */
export function createVirtioBlock(options: VirtioBlockOptions): Promise<VirtioBlock> {
  return new Promise((resolve) => resolve(new VirtioBlockDevice(options)));
}

class VirtioBlockDevice implements VirtioBlock {
  readonly sectorSize: number;
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly canDiscard: boolean;
  readonly #device: VirtioDevice;
  readonly #queue: SplitQueue;
  readonly #kick: Kick;
  readonly #slots: BlockSlots;
  readonly #longest: number;
  readonly #longestDiscard: number;
  #dead: VirtioError | undefined;
  #operations = 0;
  #onIdle: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: VirtioBlockOptions) {
    const { requests = 32, longestRequest = 32_768 } = options;
    checkRange("requests", requests, 256);
    checkRange("longestRequest", longestRequest / 4096, 1024);
    const device = new VirtioDevice({
      transport: options.device,
      type: deviceType.block,
      name: "virtio-block",
      wanted: wantedFeatures,
      onDead: (error) => {
        this.#dead = error;
        this.#slots.failAll();
        options.onDead?.(error);
      },
    });
    this.#device = device;
    try {
      const { transport } = device;
      const bytes = readCapacity(transport) * protocolSector;
      this.sectorSize = device.has(blockFeature.blockSize) ? sectorSize(transport) : protocolSector;
      this.sectors = Math.floor(bytes / this.sectorSize);
      this.readOnly = device.has(blockFeature.readOnly);
      this.#longest = Math.min(longestRequest, longestSegment(device));
      this.#longestDiscard = device.has(blockFeature.discard)
        ? transport.configuration32(configuration.maxDiscardSectors)
        : 0;
      this.canDiscard = this.#longestDiscard > 0 && !this.readOnly;
      device.connect(() => this.#reap());
      this.#queue = device.queue(requestQueue, 2 ** Math.ceil(Math.log2(requests * descriptorsPerRequest)));
      this.#kick = new Kick(device, this.#queue, requestQueue);
      const most = Math.floor(this.#queue.size / descriptorsPerRequest);
      this.#slots = new BlockSlots(device, Math.min(requests, most), this.#longest);
      device.start();
      this.#queue.arm();
    } catch (error) {
      device.close();
      throw error;
    }
  }

  read(sector: number, into: Uint8Array): Promise<void> {
    return this.#operate(sector, () => {
      this.#check("into", sector, into);
      return this.#transfer(request.read, sector, into);
    });
  }

  write(sector: number, bytes: Uint8Array): Promise<void> {
    return this.#operate(sector, () => {
      this.#check("bytes", sector, bytes);
      if (this.readOnly) throw new BlockError("read-only", sector, `${this.#device.name} can only be read`);
      return this.#transfer(request.write, sector, bytes);
    });
  }

  discard(sector: number, count: number): Promise<void> {
    return this.#operate(sector, async () => {
      this.#checkPlace(sector, count);
      if (this.readOnly) throw new BlockError("read-only", sector, `${this.#device.name} can only be read`);
      if (!this.canDiscard) return;
      const scale = this.sectorSize / protocolSector;
      const most = Math.max(1, Math.floor(this.#longestDiscard / scale));
      for (let done = 0; done < count; done += most) {
        await this.#discard((sector + done) * scale, Math.min(most, count - done) * scale);
      }
    });
  }

  flush(): Promise<void> {
    return this.#operate(-1, () => this.#flush());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      if (this.#operations > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
      if (this.#dead === undefined) await this.#flush();
    } finally {
      this.#device.close();
    }
  }

  /** Runs one operation of the interface, and knows when all are over. */
  async #operate(sector: number, operation: () => Promise<void>): Promise<void> {
    if (this.#closing !== undefined) throw new BlockError("closed", sector, `${this.#device.name} is closed`);
    this.#operations++;
    try {
      await operation();
    } finally {
      if (--this.#operations === 0) this.#onIdle?.();
    }
  }

  /** Cuts an operation into requests, which run side by side. */
  async #transfer(type: number, sector: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length <= this.#longest) return this.#request(type, sector, bytes);
    const parts: Promise<void>[] = [];
    for (let start = 0; start < bytes.length; start += this.#longest) {
      const part = bytes.subarray(start, Math.min(start + this.#longest, bytes.length));
      parts.push(this.#request(type, sector + start / this.sectorSize, part));
    }
    // Every part is over before the caller has its bytes back, also when one has failed.
    for (const result of await Promise.allSettled(parts)) if (result.status === "rejected") throw result.reason;
  }

  async #request(type: number, sector: number, bytes: Uint8Array): Promise<void> {
    const slot = this.#slots.take() ?? (await this.#slots.wait());
    try {
      const data = slot.data(bytes.length);
      if (type === request.write) data.set(bytes);
      await this.#submit(slot, type, sector * (this.sectorSize / protocolSector), bytes.length);
      this.#judge(slot, type, sector);
      if (type === request.read) bytes.set(data);
    } finally {
      this.#slots.give(slot);
    }
  }

  async #discard(start: number, count: number): Promise<void> {
    const slot = this.#slots.take() ?? (await this.#slots.wait());
    try {
      const view = new DataView(slot.data(discardEntry).buffer, slot.data(discardEntry).byteOffset, discardEntry);
      view.setBigUint64(0, BigInt(start), true);
      view.setUint32(8, count, true);
      view.setUint32(12, 0, true);
      await this.#submit(slot, request.discard, 0, discardEntry);
      this.#judge(slot, request.discard, -1);
    } finally {
      this.#slots.give(slot);
    }
  }

  async #flush(): Promise<void> {
    // Without the feature what was written is durable (§5.2.6.2).
    if (!this.#device.has(blockFeature.flush)) return;
    const slot = this.#slots.take() ?? (await this.#slots.wait());
    try {
      await this.#submit(slot, request.flush, 0, 0);
      this.#judge(slot, request.flush, -1);
    } finally {
      this.#slots.give(slot);
    }
  }

  /** Resolves when the device has done the request, or is over. */
  #submit(slot: BlockSlot, type: number, start: number, length: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#dead !== undefined) {
        resolve();
        return;
      }
      slot.begin(type, start, requestStatus.untouched, resolve);
      const queue = this.#queue;
      const head = slot.index * descriptorsPerRequest;
      const reads = type === request.read;
      if (length > 0) {
        queue.describe(head, slot.header, 16, false, head + 1);
        queue.describe(head + 1, slot.dataPhysical, length, reads, head + 2);
      } else queue.describe(head, slot.header, 16, false, head + 2);
      queue.describe(head + 2, slot.header + 16, 1, true, -1);
      queue.offer(head, reads ? length + 1 : 1);
      this.#kick.soon();
    });
  }

  #reap(): void {
    const queue = this.#queue;
    // Ends: each round takes what is in flight, and nothing is offered meanwhile.
    do {
      for (let head = queue.take(); head >= 0; head = queue.take()) this.#slots.finish(head / descriptorsPerRequest);
      if (queue.violation !== undefined) {
        this.#device.breaks(queue);
        return;
      }
    } while (!queue.arm());
  }

  /** What became of a request. */
  #judge(slot: BlockSlot, type: number, sector: number): void {
    if (this.#dead !== undefined) throw new BlockError("io", sector, this.#dead.message, { cause: this.#dead });
    const { status } = slot;
    if (status === requestStatus.ok) return;
    const name = Object.entries(request).find(([, value]) => value === type)?.[0] ?? "request";
    if (status === requestStatus.failed) throw new BlockError("io", sector, `${this.#device.name}: ${name} failed`);
    if (status === requestStatus.unsupported) {
      throw new BlockError("io", sector, `${this.#device.name}: ${name} is not supported`);
    }
    this.#device.brokeRules(`status ${String(status)} of a ${name}`);
    throw new BlockError("io", sector, `${this.#device.name}: the device broke the rules`);
  }

  #check(argument: string, sector: number, bytes: Uint8Array): void {
    if (bytes.length === 0 || bytes.length % this.sectorSize !== 0) {
      const size = String(this.sectorSize);
      throw new RangeError(`${argument} has ${String(bytes.length)} bytes: no whole number of ${size}-byte sectors`);
    }
    this.#checkPlace(sector, bytes.length / this.sectorSize);
  }

  #checkPlace(sector: number, count: number): void {
    const isInteger = Number.isInteger(sector) && Number.isInteger(count);
    if (!isInteger || sector < 0 || count < 1 || sector + count > this.sectors) {
      throw new RangeError(
        `sector ${String(sector)}, ${String(count)} long, is not on a device of ${String(this.sectors)} sectors`,
      );
    }
  }
}

function checkRange(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new RangeError(`${name} is out of range`);
}

function readCapacity(transport: Transport): number {
  for (let round = 0; ; round++) {
    const before = transport.generation();
    const low = transport.configuration32(configuration.capacity);
    const high = transport.configuration32(configuration.capacity + 4);
    // Beyond 2⁵³ bytes it is no device.
    if (transport.generation() === before || round === 4) return high >= 2 ** 12 ? 0 : high * 0x1_0000_0000 + low;
  }
}

function sectorSize(transport: Transport): number {
  const size = transport.configuration32(configuration.blockSize);
  return [512, 1024, 2048, 4096].includes(size) ? size : protocolSector;
}

/** The longest data segment that the device takes, in whole sectors of any size. */
function longestSegment(device: VirtioDevice): number {
  if (!device.has(blockFeature.sizeMax)) return Infinity;
  const most = device.transport.configuration32(configuration.sizeMax);
  return Math.max(4096, most - (most % 4096));
}
