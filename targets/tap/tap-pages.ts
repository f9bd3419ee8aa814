import { headroom, PagePool, type Page } from "@tesserae/device/page";
import type { NativeMemory, SystemCalls } from "@tesserae/node/native/system-calls";
import { longestSegmented } from "./frame-ring.ts";
import { virtioNetHeaderSize, writeHeader } from "./virtio-net-header.ts";

/** Pages for frames that the kernel cuts: it copies within the call, so that few are out at a time. */
const longPages = 16;
/** No multiple of 64, which the size of the other pages is: they are told from each other by it. */
const longPageSize = headroom + longestSegmented;

/**
 * The pages that frames to a tap device are built in, all in one stretch of memory, and the list of those that are to
 * go out with the next batch: pairs of offset and length, as the native piece takes them.
 */
export class TapPages {
  readonly memory: NativeMemory;
  /** The pairs (offset, length) of what is queued, and where they lie. */
  readonly slots: Int32Array;
  readonly slotsAddress: number;
  /** How many are queued. */
  count = 0;
  /** How many can be queued: every page there is. */
  readonly most: number;
  readonly #pages: (Page | undefined)[];
  readonly #short: PagePool;
  readonly #long: PagePool | undefined;
  readonly #header: boolean;
  readonly #base: number;

  /** @param offload whether each frame has a `virtio_net_hdr` in front, and there are long pages */
  constructor(calls: SystemCalls, pages: number, mtu: number, offload: boolean) {
    // A multiple of 64: no two pages share a cache line.
    const size = (headroom + mtu + 63) & ~63;
    const shortBytes = pages * size;
    this.memory = calls.memory(shortBytes + (offload ? longPages * longPageSize : 0), 4096);
    const { bytes } = this.memory;
    this.#base = bytes.byteOffset;
    this.#short = new PagePool(pages, size, bytes.subarray(0, shortBytes));
    this.#long = offload ? new PagePool(longPages, longPageSize, bytes.subarray(shortBytes)) : undefined;
    this.#header = offload;
    const most = pages + longPages;
    this.most = most;
    const slots = calls.memory(most * 8);
    this.slots = new Int32Array(slots.bytes.buffer, slots.bytes.byteOffset, most * 2);
    this.slotsAddress = slots.address;
    this.#pages = new Array<Page | undefined>(most).fill(undefined);
  }

  take(long: boolean): Page | undefined {
    return long ? this.#long?.take() : this.#short.take();
  }

  release(page: Page): void {
    (this.#long !== undefined && page.bytes.length === longPageSize ? this.#long : this.#short).release(page);
  }

  /** Queues a frame, with the driver's header in front where that is wanted. */
  queue(page: Page, offset: number, length: number): void {
    let start = offset;
    if (this.#header) {
      start -= virtioNetHeaderSize;
      if (start < 0) {
        // No room in front: the page has it behind.
        page.bytes.copyWithin(virtioNetHeaderSize, offset, offset + length);
        start = 0;
      }
      writeHeader(page, page.bytes, start);
    }
    const slot = this.count++;
    this.slots[2 * slot] = page.bytes.byteOffset - this.#base + start;
    this.slots[2 * slot + 1] = length + (this.#header ? virtioNetHeaderSize : 0);
    this.#pages[slot] = page;
  }

  /** Empties the list: the kernel has copied. */
  releaseQueued(): void {
    const pages = this.#pages;
    for (let slot = 0; slot < this.count; slot++) {
      const page = pages[slot];
      pages[slot] = undefined;
      if (page !== undefined) this.release(page);
    }
    this.count = 0;
  }
}
