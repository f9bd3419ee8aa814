import type { DmaMemory } from "../window/window.ts";
import type { VirtioDevice } from "./device.ts";

/** Of a request's header and status, side by side in one page. */
const controlSize = 32;
const statusOffset = 16;

/** One request under way: its header, its status, and room for its data. */
export class BlockSlot {
  readonly index: number;
  /** Physical address of the header; the status is 16 bytes behind. */
  readonly header: number;
  readonly #control: DataView;
  readonly #allocate: () => DmaMemory;
  #memory: DmaMemory | undefined;
  #resolve: (() => void) | undefined;

  constructor(index: number, control: DataView, header: number, allocate: () => DmaMemory) {
    this.index = index;
    this.header = header;
    this.#control = control;
    this.#allocate = allocate;
  }

  /** The first `length` bytes of its room. @throws WindowError when there is no memory for it. */
  data(length: number): Uint8Array {
    // Most slots are never needed: memory comes with the first use.
    this.#memory ??= this.#allocate();
    return this.#memory.bytes.subarray(0, length);
  }

  get dataPhysical(): number {
    return this.#memory?.physical ?? 0;
  }

  /** Writes the header (virtio 1.2 §5.2.6). */
  begin(type: number, start: number, status: number, resolve: () => void): void {
    this.#control.setUint32(0, type, true);
    this.#control.setUint32(4, 0, true);
    this.#control.setUint32(8, start, true);
    this.#control.setUint32(12, Math.floor(start / 0x1_0000_0000), true);
    this.#control.setUint8(statusOffset, status);
    this.#resolve = resolve;
  }

  get status(): number {
    return this.#control.getUint8(statusOffset);
  }

  finish(): void {
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.();
  }
}

/** The slots of a device, and who waits for one, in order. */
export class BlockSlots {
  readonly #slots: BlockSlot[] = [];
  readonly #free: BlockSlot[] = [];
  readonly #waiting: ((slot: BlockSlot) => void)[] = [];

  /** @param longest bytes of data that a slot has room for */
  constructor(device: VirtioDevice, count: number, longest: number) {
    const control = device.memory(count * controlSize);
    for (let index = 0; index < count; index++) {
      const offset = index * controlSize;
      const view = new DataView(control.bytes.buffer, control.bytes.byteOffset + offset, controlSize);
      const slot = new BlockSlot(index, view, control.physical + offset, () => device.memory(longest));
      this.#slots.push(slot);
      this.#free.push(slot);
    }
  }

  take(): BlockSlot | undefined {
    return this.#waiting.length > 0 ? undefined : this.#free.pop();
  }

  wait(): Promise<BlockSlot> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(slot: BlockSlot): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  /** The device has done a slot's request. */
  finish(index: number): void {
    this.#slots[index]?.finish();
  }

  /** The device does nothing any more. */
  failAll(): void {
    for (const slot of this.#slots) slot.finish();
  }
}
