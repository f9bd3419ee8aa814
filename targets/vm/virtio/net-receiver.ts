import type { FrameHandler } from "@tesserae/device/netif";
import { Page } from "@tesserae/device/page";
import type { DmaMemory } from "../window/window.ts";
import type { VirtioDevice } from "./device.ts";
import { netFeature } from "./features.ts";
import { buffersOf, netHeaderSize, readNetHeader } from "./net-header.ts";
import type { SplitQueue } from "./queue.ts";

const ethernetHeader = 14;
/** The longest frame that a device can hand over, in bytes: an IP packet cannot be longer. */
const longestSegmented = ethernetHeader + 65_535;
/** Of each buffer where a long frame spans several of them. */
const mergeableSize = 2048;
/** Buffers where each one must hold the longest frame: 1 MiB in all. */
const longBuffers = 16;
/** Where the first buffer starts: with the two headers in front, IP headers are then on a multiple of 4. */
const firstBuffer = 2;

/**
 * The receiving half of a network device: a row of equal buffers, each with the descriptor of its own number.
 *
 * The buffers lie side by side and are offered in order. So a frame that spans several of them (mergeable buffers,
 * virtio 1.2 §5.1.6.4) is in one piece as long as the device takes them in order, and is handed on in place.
 */
export class NetReceiver {
  handler: FrameHandler | undefined;
  frames = 0;
  bytes = 0;
  dropped = 0;

  readonly #device: VirtioDevice;
  readonly #queue: SplitQueue;
  readonly #memory: DmaMemory;
  /** All buffers are one page: the offset tells them apart. */
  readonly #page: Page;
  readonly #mergeable: boolean;
  readonly #bufferSize: number;
  readonly #count: number;
  /** The buffers of the frame at hand. */
  readonly #heads: Int32Array;
  /** For frames whose buffers do not lie side by side. */
  #scratch: Page | undefined;

  /** @param longestFrame MTU and Ethernet header, in bytes */
  constructor(device: VirtioDevice, queue: SplitQueue, longestFrame: number) {
    this.#device = device;
    this.#queue = queue;
    this.#mergeable = device.has(netFeature.mergeableBuffers);
    const long = device.has(netFeature.guestTso4) && !this.#mergeable;
    const needed = netHeaderSize + (long ? longestSegmented : longestFrame);
    this.#bufferSize = this.#mergeable ? mergeableSize : (needed + 63) & ~63;
    this.#count = long ? Math.min(queue.size, longBuffers) : queue.size;
    this.#memory = device.memory(firstBuffer + this.#count * this.#bufferSize);
    this.#page = new Page(this.#memory.bytes, 0);
    this.#heads = new Int32Array(this.#count);
  }

  /** Offers every buffer. They are not published yet. */
  offerAll(): void {
    for (let head = 0; head < this.#count; head++) {
      const at = this.#memory.physical + firstBuffer + head * this.#bufferSize;
      this.#queue.describe(head, at, this.#bufferSize, true, -1);
      this.#queue.offer(head, this.#bufferSize);
    }
  }

  /** Hands on at most `most` frames. Returns how many the device had. */
  receive(most: number): number {
    const queue = this.#queue;
    let count = 0;
    while (count < most && this.#device.isRunning) {
      const head = queue.take();
      if (head < 0) {
        if (queue.violation !== undefined) this.#device.breaks(queue);
        break;
      }
      count++;
      const start = firstBuffer + head * this.#bufferSize;
      const length = queue.usedLength;
      const buffers = this.#mergeable && length >= netHeaderSize ? buffersOf(this.#page.bytes, start) : 1;
      if (buffers === 1) {
        try {
          this.#deliver(this.#page, start, length);
        } finally {
          queue.offer(head, this.#bufferSize);
        }
      } else this.#receiveMerged(head, start, length, buffers);
    }
    return count;
  }

  #deliver(page: Page, start: number, length: number): void {
    const frame = length - netHeaderSize;
    const { handler } = this;
    if (handler === undefined || frame < ethernetHeader || !readNetHeader(page, page.bytes, start, frame)) {
      this.dropped++;
      return;
    }
    this.frames++;
    this.bytes += frame;
    handler(page, start + netHeaderSize, frame);
  }

  #receiveMerged(first: number, start: number, firstLength: number, buffers: number): void {
    const queue = this.#queue;
    const heads = this.#heads;
    const size = this.#bufferSize;
    if (buffers === 0 || buffers - 1 > queue.inFlight) {
      this.#device.brokeRules(`a frame in ${String(buffers)} buffers`);
      return;
    }
    heads[0] = first;
    let total = firstLength;
    let last = first;
    let lastLength = firstLength;
    let page: Page | undefined = this.#page;
    for (let index = 1; index < buffers; index++) {
      const head = queue.take();
      if (head < 0) {
        this.#device.brokeRules(queue.violation ?? `a frame in ${String(buffers)} buffers, used ${String(index)}`);
        return;
      }
      heads[index] = head;
      const length = queue.usedLength;
      if (page === this.#page && (head !== last + 1 || lastLength !== size)) {
        page = this.#copyOut(start, total);
      }
      if (page === this.#scratch && page !== undefined) {
        page = this.#append(page, total, firstBuffer + head * size, length);
      }
      total += length;
      last = head;
      lastLength = length;
    }
    try {
      if (page === undefined || total > netHeaderSize + longestSegmented) this.dropped++;
      else this.#deliver(page, page === this.#page ? start : firstBuffer, total);
    } finally {
      for (let index = 0; index < buffers; index++) queue.offer(heads[index] ?? 0, size);
    }
  }

  /** Begins a frame in the page that is a copy. */
  #copyOut(start: number, length: number): Page | undefined {
    this.#scratch ??= new Page(new Uint8Array(firstBuffer + netHeaderSize + longestSegmented), 0);
    const { bytes } = this.#scratch;
    if (firstBuffer + length > bytes.length) return undefined;
    bytes.set(this.#page.bytes.subarray(start, start + length), firstBuffer);
    return this.#scratch;
  }

  /** Adds a buffer to the copy; undefined when the frame becomes too long. */
  #append(page: Page, total: number, from: number, length: number): Page | undefined {
    if (firstBuffer + total + length > page.bytes.length) return undefined;
    page.bytes.set(this.#page.bytes.subarray(from, from + length), firstBuffer + total);
    return page;
  }
}
