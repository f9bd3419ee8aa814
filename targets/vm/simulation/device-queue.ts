import type { MemoryWindow } from "./memory-window.ts";

/** One part of a buffer, as the device sees it. */
export interface Segment {
  readonly bytes: Uint8Array;
  /** The device writes, else it reads. */
  readonly writable: boolean;
}

/** A chain of descriptors that the driver has offered. */
export interface Chain {
  readonly head: number;
  readonly segments: readonly Segment[];
}

/** The device's side of a split virtqueue (virtio 1.2 §2.7), which keeps the rules. */
export class DeviceQueue {
  readonly largest: number;
  size: number;
  descriptors = 0;
  available = 0;
  used = 0;
  vector = 0xffff;
  isReady = false;
  eventIndex = false;
  #seen = 0;
  #signalled = 0;
  readonly #window: MemoryWindow;

  constructor(window: MemoryWindow, largest: number) {
    this.#window = window;
    this.largest = largest;
    this.size = largest;
  }

  reset(): void {
    this.size = this.largest;
    this.isReady = false;
    this.#seen = 0;
    this.#signalled = 0;
  }

  /** How many chains are offered and not taken. */
  get waiting(): number {
    return this.isReady ? (this.#view(this.available, 4).getUint16(2, true) - this.#seen) & 0xffff : 0;
  }

  /** The next chain that the driver has offered. */
  take(): Chain | undefined {
    if (this.waiting === 0) return undefined;
    const ring = this.#view(this.available, 4 + this.size * 2);
    const head = ring.getUint16(4 + (this.#seen % this.size) * 2, true);
    this.#seen = (this.#seen + 1) & 0xffff;
    // Wants to be told of the next one.
    if (this.eventIndex) this.#view(this.used + 4 + this.size * 8, 2).setUint16(0, this.#seen, true);
    return { head, segments: this.#segments(head) };
  }

  /** Gives a chain back with the number of bytes written. Returns whether the driver wants an interrupt. */
  give(head: number, written: number): boolean {
    this.stage(head, written, 0);
    return this.publish(1);
  }

  /** Writes the used entry that is `ahead` of the next one, without publishing it. */
  stage(head: number, written: number, ahead: number): void {
    const index = this.usedIndex + ahead;
    const entry = this.#view(this.used + 4 + (index % this.size) * 8, 8);
    entry.setUint32(0, head, true);
    entry.setUint32(4, written, true);
  }

  publish(count: number): boolean {
    const before = this.usedIndex;
    this.usedIndex = before + count;
    if (!this.eventIndex) return (this.#view(this.available, 2).getUint16(0, true) & 1) === 0;
    const event = this.#view(this.available + 4 + this.size * 2, 2).getUint16(0, true);
    const after = (before + count) & 0xffff;
    const wants = ((after - event - 1) & 0xffff) < ((after - this.#signalled) & 0xffff);
    this.#signalled = after;
    return wants;
  }

  get usedIndex(): number {
    return this.#view(this.used, 4).getUint16(2, true);
  }

  set usedIndex(value: number) {
    this.#view(this.used, 4).setUint16(2, value, true);
  }

  #segments(head: number): Segment[] {
    const table = this.#view(this.descriptors, this.size * 16);
    const segments: Segment[] = [];
    for (let index = head; segments.length <= this.size;) {
      const at = index * 16;
      const flags = table.getUint16(at + 12, true);
      const physical = Number(table.getBigUint64(at, true));
      const bytes = this.#window.reach(physical, table.getUint32(at + 8, true));
      segments.push({ bytes, writable: (flags & 2) !== 0 });
      if ((flags & 1) === 0) return segments;
      index = table.getUint16(at + 14, true);
      if (index >= this.size) break;
    }
    throw new RangeError(`the driver offered a chain that loops or leaves the table, from ${String(head)} on`);
  }

  #view(physical: number, length: number): DataView {
    const bytes = this.#window.reach(physical, length);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
}

/** All that the driver has written in a chain. */
export function readChain({ segments }: Chain): Uint8Array {
  const parts = segments.filter(({ writable }) => !writable).map(({ bytes }) => bytes);
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Fills the writable part of a chain from its start. Returns how many bytes had room. */
export function writeChain({ segments }: Chain, bytes: Uint8Array): number {
  let done = 0;
  for (const { bytes: into, writable } of segments) {
    if (!writable) continue;
    const part = bytes.subarray(done, done + into.length);
    into.set(part);
    done += part.length;
  }
  return done;
}
