import type { DmaMemory } from "../window/window.ts";
import type { QueueAddresses } from "./transport.ts";

const flagNext = 1;
const flagWrite = 2;
const availableNoInterrupt = 1;
const usedNoNotify = 1;

/** The largest queue of the split format (virtio 1.2 §2.7), in descriptors. */
export const largestQueue = 32_768;

/** Bytes for a queue of `size` descriptors, and where its parts lie. */
export function queueLayout(size: number): { available: number; used: number; total: number } {
  const available = size * 16;
  // Behind `available` is the used ring, on a page of its own: the driver writes to one, the device to the other.
  const used = Math.ceil((available + 6 + size * 2) / 4096) * 4096;
  return { available, used, total: used + 6 + size * 8 };
}

/**
 * A split virtqueue (virtio 1.2 §2.7), the driver's side, with event indices where negotiated.
 *
 * The device is not trusted: of what it can write only the used ring is ever read, and each entry is checked against
 * what was offered. When one breaks the rules {@link SplitQueue.take} gives −1, {@link SplitQueue.violation} says how,
 * and the queue is over. Nothing is allocated after the constructor.
 *
 * The caller chooses the descriptors of a chain by number, so that a driver whose buffers never change keeps one
 * descriptor for each.
 */
export class SplitQueue {
  readonly size: number;
  readonly addresses: QueueAddresses;
  /** What the device did wrong, once {@link SplitQueue.take} gave −1. */
  violation: string | undefined;
  /** Buffers that are offered and not used yet. */
  inFlight = 0;
  /** Bytes that the device says it wrote into the buffer that {@link SplitQueue.take} gave. */
  usedLength = 0;

  readonly #descriptors: Uint32Array;
  readonly #available: Uint16Array;
  readonly #used: Uint16Array;
  readonly #usedEntries: Uint32Array;
  readonly #eventIndex: boolean;
  readonly #mask: number;
  /** Of each head that is in flight: bytes that the device may write, plus 1. */
  readonly #offered: Float64Array;
  /** Index of the available ring, next to be written; not yet published. */
  #next = 0;
  #published = 0;
  #taken = 0;

  /**
   * @param memory zeroed, at least `queueLayout(size).total` bytes
   * @param size a power of two from 2 to {@link largestQueue}
   */
  constructor(memory: DmaMemory, size: number, eventIndex: boolean) {
    const layout = queueLayout(size);
    if (!Number.isInteger(Math.log2(size)) || size < 2 || size > largestQueue) {
      throw new RangeError(`size ${String(size)} is not a power of two from 2 to ${String(largestQueue)}`);
    }
    if (memory.bytes.length < layout.total) throw new RangeError(`memory is smaller than ${String(layout.total)}`);
    this.size = size;
    this.#mask = size - 1;
    this.#eventIndex = eventIndex;
    const { buffer, byteOffset } = memory.bytes;
    this.#descriptors = new Uint32Array(buffer, byteOffset, size * 4);
    this.#available = new Uint16Array(buffer, byteOffset + layout.available, size + 3);
    this.#used = new Uint16Array(buffer, byteOffset + layout.used, size * 4 + 3);
    this.#usedEntries = new Uint32Array(buffer, byteOffset + layout.used + 4, size * 2);
    this.#offered = new Float64Array(size);
    this.addresses = {
      descriptors: memory.physical,
      available: memory.physical + layout.available,
      used: memory.physical + layout.used,
    };
  }

  /**
   * Writes one descriptor of a chain that is not in flight.
   *
   * @param index 0 to size − 1
   * @param writable the device writes, else it reads
   * @param next the descriptor behind it in the chain, or −1
   */
  describe(index: number, physical: number, length: number, writable: boolean, next: number): void {
    const table = this.#descriptors;
    const at = (index & this.#mask) << 2;
    table[at] = physical;
    table[at + 1] = physical / 0x1_0000_0000;
    table[at + 2] = length;
    const flags = writable ? flagWrite : 0;
    table[at + 3] = next < 0 ? flags : flags | flagNext | (next << 16);
  }

  /**
   * Offers the chain that begins at `head` to the device, once {@link SplitQueue.publish} is called.
   *
   * @param writableBytes all that the device may write in the chain
   * @throws RangeError when it is in flight already.
   */
  offer(head: number, writableBytes: number): void {
    if (this.#offered[head] !== 0) throw new RangeError(`descriptor ${String(head)} cannot be offered`);
    this.#offered[head] = writableBytes + 1;
    this.#available[2 + (this.#next & this.#mask)] = head;
    this.#next = (this.#next + 1) & 0xffff;
    this.inFlight++;
  }

  /** Lets the device see what was offered. Returns whether it wants to be notified. */
  publish(): boolean {
    const before = this.#published;
    const now = this.#next;
    if (before === now) return false;
    // Atomic: everything written before is in memory first, and the event index is read afterwards (§2.7.13).
    Atomics.store(this.#available, 1, now);
    this.#published = now;
    if (!this.#eventIndex) return (Atomics.load(this.#used, 0) & usedNoNotify) === 0;
    const event = Atomics.load(this.#used, 2 + this.size * 4);
    return ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
  }

  /** Whether the device has used a buffer, or broken the rules: {@link SplitQueue.take} will tell. */
  get ready(): boolean {
    return Atomics.load(this.#used, 1) !== this.#taken;
  }

  /**
   * Takes the next buffer that the device has used.
   *
   * @returns the head of its chain; −1 when there is none, or the device broke the rules: `violation` says so
   */
  take(): number {
    const index = Atomics.load(this.#used, 1);
    if (index === this.#taken || this.violation !== undefined) return -1;
    const ahead = (index - this.#taken) & 0xffff;
    if (ahead > this.inFlight) {
      return this.#broke(
        `used index ${String(index)}, ${String(ahead)} ahead, with ${String(this.inFlight)} in flight`,
      );
    }
    const at = (this.#taken & this.#mask) << 1;
    const head = this.#usedEntries[at] ?? 0;
    const length = this.#usedEntries[at + 1] ?? 0;
    if (head >= this.size) return this.#broke(`used id ${String(head)} of a queue of ${String(this.size)}`);
    const offered = this.#offered[head] ?? 0;
    if (offered === 0) return this.#broke(`used id ${String(head)} is not in flight`);
    if (length >= offered) {
      return this.#broke(`used length ${String(length)} of a buffer of ${String(offered - 1)}`);
    }
    this.#offered[head] = 0;
    this.#taken = (this.#taken + 1) & 0xffff;
    this.inFlight--;
    this.usedLength = length;
    return head;
  }

  /**
   * Asks for an interrupt at the next used buffer. Returns false when there is one by now, for which none may come:
   * the caller goes on taking.
   */
  arm(): boolean {
    if (this.#eventIndex) Atomics.store(this.#available, 2 + this.size, this.#taken);
    else Atomics.store(this.#available, 0, 0);
    return !this.ready;
  }

  /** Wants no interrupts; some may still come. */
  disarm(): void {
    // With event indices the one that is behind `taken` stays: the next 65,535 buffers do not reach it.
    if (this.#eventIndex) Atomics.store(this.#available, 2 + this.size, (this.#taken - 1) & 0xffff);
    else Atomics.store(this.#available, 0, availableNoInterrupt);
  }

  #broke(how: string): -1 {
    this.violation = how;
    return -1;
  }
}
