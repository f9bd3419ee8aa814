// The device's side of virtio devices, taken over from outside of a machine in QEMU: rings are read and written in the
// guest's memory, interrupts raised by hand. QEMU's own back end knows nothing of it.
import type { Machine } from "@tesserae/qemu/launch";
import type { GuestMemory } from "./guest-memory.ts";

/** Where QEMU puts what the driver finds through capabilities: MSI-X in one base address, virtio's registers in another. */
const messageBar = 1;
const registerBar = 4;
const statusRegister = 0x14;
const messageEntry = 16;

const descriptorSize = 16;
const usedEntrySize = 8;

/** Answers of QEMU's, as far as they are read here. */
interface VirtioStatus {
  readonly "num-vqs": number;
}
interface QueueStatus {
  readonly "vring-num": number;
  readonly "vring-desc": number;
  readonly "vring-avail": number;
  readonly "vring-used": number;
}
interface PciAnswer {
  readonly devices: readonly {
    readonly qdev_id: string;
    readonly regions: readonly { readonly bar: number; readonly address: number }[];
  }[];
}

/** A device of a machine. What it does is done while the machine stands still: `GuestMemory.whileStopped`. */
export class HostileDevice {
  readonly memory: GuestMemory;
  readonly #queues: readonly HostileQueue[];
  readonly #bars: ReadonlyMap<number, number>;

  constructor(memory: GuestMemory, queues: readonly HostileQueue[], bars: ReadonlyMap<number, number>) {
    this.memory = memory;
    this.#queues = queues;
    this.#bars = bars;
  }

  queue(index: number): HostileQueue {
    const queue = this.#queues[index];
    if (queue === undefined) throw new Error(`the device has no queue ${String(index)}`);
    return queue;
  }

  /** Sends the message that the driver wrote into an entry of the MSI-X table: 0 configuration, 1 queues. */
  async raise(entry: 0 | 1): Promise<void> {
    const at = this.#bar(messageBar) + entry * messageEntry;
    await this.memory.write32(await this.memory.read32(at), await this.memory.read32(at + 8));
  }

  /** Sets the status register behind the driver's back; 0 resets QEMU's device, which then leaves the rings alone. */
  async setStatus(value: number): Promise<void> {
    await this.memory.write(this.#bar(registerBar) + statusRegister, Uint8Array.of(value));
  }

  async status(): Promise<number> {
    return (await this.memory.read(this.#bar(registerBar) + statusRegister, 1)).readUInt8();
  }

  #bar(index: number): number {
    const address = this.#bars.get(index);
    if (address === undefined) throw new Error(`the device has no base address ${String(index)}`);
    return address;
  }
}

/** One queue as the device sees it. Addresses are the guest's. */
export class HostileQueue {
  readonly size: number;
  readonly used: number;
  readonly #memory: GuestMemory;
  readonly #descriptors: number;
  readonly #available: number;

  constructor(memory: GuestMemory, status: QueueStatus) {
    this.#memory = memory;
    this.size = status["vring-num"];
    this.#descriptors = status["vring-desc"];
    this.#available = status["vring-avail"];
    this.used = status["vring-used"];
  }

  /** Bytes of the used ring's entries. */
  get usedLength(): number {
    return this.size * usedEntrySize;
  }

  usedIndex(): Promise<number> {
    return this.#memory.read16(this.used + 2);
  }

  async setUsedIndex(index: number): Promise<void> {
    await this.#memory.write16(this.used + 2, index & 0xffff);
  }

  /** The head of the chain that the driver offered at this index. */
  head(index: number): Promise<number> {
    return this.#memory.read16(this.#available + 4 + (index % this.size) * 2);
  }

  /** How many chains the driver has offered so far. */
  offered(): Promise<number> {
    return this.#memory.read16(this.#available + 2);
  }

  async descriptor(
    index: number,
  ): Promise<{ readonly address: number; readonly length: number; readonly next: number }> {
    const bytes = await this.#memory.read(this.#descriptors + index * descriptorSize, descriptorSize);
    return {
      address: Number(bytes.readBigUInt64LE()),
      length: bytes.readUInt32LE(8),
      next: bytes.readUInt16LE(14),
    };
  }

  /** Writes entries behind those that are used by now, and moves the index past them. */
  async use(entries: readonly (readonly [id: number, length: number])[]): Promise<void> {
    const first = await this.usedIndex();
    for (const [index, [id, length]] of entries.entries()) {
      const at = this.used + 4 + ((first + index) % this.size) * usedEntrySize;
      await this.#memory.write32(at, id);
      await this.#memory.write32(at + 4, length);
    }
    await this.setUsedIndex(first + entries.length);
  }
}

/**
 * Finds a device that a driver has set up. What is found holds until it is set up anew, also when QEMU's own device is
 * reset meanwhile.
 *
 * @param id as in `-device virtio-net-pci,id=card0`
 */
export async function findDevice({ qmp }: Machine, memory: GuestMemory, id: string): Promise<HostileDevice> {
  const path = `/machine/peripheral/${id}/virtio-backend`;
  // as: what QEMU's schema says of the answer to each command.
  const status = (await qmp.execute("x-query-virtio-status", { path })) as VirtioStatus;
  const queues: HostileQueue[] = [];
  for (let queue = 0; queue < status["num-vqs"] && queue < 2; queue++) {
    // as: the same.
    const answer = (await qmp.execute("x-query-virtio-queue-status", { path, queue })) as QueueStatus;
    queues.push(new HostileQueue(memory, answer));
  }
  // as: the same.
  const buses = (await qmp.execute("query-pci")) as readonly PciAnswer[];
  const device = buses.flatMap((bus) => bus.devices).find((each) => each.qdev_id === id);
  if (device === undefined) throw new Error(`there is no ${id} on PCI`);
  return new HostileDevice(memory, queues, new Map(device.regions.map(({ bar, address }) => [bar, address])));
}
