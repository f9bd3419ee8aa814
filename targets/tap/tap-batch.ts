import { closeSync } from "node:fs";
import type { FrameHandler } from "@tesserae/device/netif";
import { Page } from "@tesserae/device/page";
import type { NativeMemory, SystemCalls } from "@tesserae/node/native/system-calls";
import { ethernetHeader, longestPayload, longestSegmented, RingCounters, type FrameRing } from "./frame-ring.ts";
import { TapPages } from "./tap-pages.ts";
import { readHeader, virtioNetHeaderSize } from "./virtio-net-header.ts";

/** Frames in one batch at most. */
const most = 64;
/** Bytes of one batch at most, beside its last frame: long frames come a few at a time and stay in the cache. */
const batchBytes = 128 * 1024;

/** A tap device by batches of `read` and `write`: each batch is one call of the native piece. */
export class TapBatch implements FrameRing {
  readonly how: string = "batches of reads and writes";
  readonly fd: number;
  readonly transmitChecksum: boolean;
  readonly maxSegmentation: number;
  readonly longestFrame: number;
  readonly counters = new RingCounters();
  readonly #calls: SystemCalls;
  readonly #header: number;
  readonly #largest: number;
  /** Free bytes in front of each received frame: its IP header is then on a multiple of 4. */
  readonly #lead: number;
  readonly #memory: NativeMemory;
  /** All of the memory received into: the offset tells frames apart. */
  readonly #received: Page;
  readonly #slots: Int32Array;
  readonly #slotsAddress: number;
  readonly #out: TapPages;
  #closed = false;

  /**
   * @param fd a tap device, non-blocking; closed with the ring
   * @param offload whether the device was opened with a `virtio_net_hdr` before each frame
   */
  constructor(calls: SystemCalls, fd: number, mtu: number, offload: boolean, pages: number) {
    this.#calls = calls;
    this.fd = fd;
    this.transmitChecksum = offload;
    this.maxSegmentation = offload ? longestPayload : 0;
    this.longestFrame = mtu + ethernetHeader;
    this.#header = offload ? virtioNetHeaderSize : 0;
    this.#lead = offload ? 0 : 2;
    this.#largest = this.#header + (offload ? longestSegmented : this.longestFrame);
    this.#memory = calls.memory(this.#lead + this.#largest + batchBytes, 4096);
    this.#received = new Page(this.#memory.bytes, 0);
    const slots = calls.memory(most * 8);
    this.#slots = new Int32Array(slots.bytes.buffer, slots.bytes.byteOffset, most * 2);
    this.#slotsAddress = slots.address;
    this.#out = new TapPages(calls, pages, mtu, offload);
  }

  receive(handler: FrameHandler | undefined, wanted: number): number {
    const { address, bytes } = this.#memory;
    const header = this.#header;
    const lead = this.#lead;
    const slots = this.#slots;
    const size = bytes.length;
    const at = this.#slotsAddress;
    const count = this.#calls.native.readMany(this.fd, address, size, this.#largest, Math.min(wanted, most), lead, at);
    const page = this.#received;
    const counters = this.counters;
    // A handler may close.
    for (let index = 0; index < count && !this.#closed; index++) {
      const start = slots[2 * index] ?? 0;
      const length = (slots[2 * index + 1] ?? 0) - header;
      if (handler === undefined || length < ethernetHeader) {
        counters.droppedFrames++;
        continue;
      }
      counters.receivedFrames++;
      counters.receivedBytes += length;
      if (header > 0) readHeader(page, bytes, start);
      else page.reset();
      handler(page, start + header, length);
    }
    return count;
  }

  fault(): number {
    return 0;
  }

  take(long: boolean): Page | undefined {
    return this.#out.take(long);
  }

  release(page: Page): void {
    this.#out.release(page);
  }

  send(page: Page, offset: number, length: number): void {
    this.#out.queue(page, offset, length);
    this.counters.sentFrames++;
    this.counters.sentBytes += length;
  }

  flush(): void {
    const out = this.#out;
    const { count } = out;
    if (count === 0) return;
    const whole = this.#calls.native.writeMany(this.fd, out.memory.address, out.slotsAddress, count);
    if (whole < count) this.#countRefused(count);
    out.releaseQueued();
  }

  /** The kernel had no room, or the interface is down. */
  #countRefused(count: number): void {
    const { counters } = this;
    for (let slot = 0; slot < count; slot++) {
      if ((this.#out.slots[2 * slot + 1] ?? 0) > 0) continue;
      counters.sentFrames--;
      counters.droppedFrames++;
    }
  }

  close(): void {
    this.#closed = true;
    closeSync(this.fd);
  }
}
