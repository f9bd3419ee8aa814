import { headroom, PagePool, type Page } from "@tesserae/device/page";
import type { DmaMemory } from "../window/window.ts";
import { WindowError } from "../window/window-error.ts";
import type { VirtioDevice } from "./device.ts";
import { netHeaderSize, writeNetHeader } from "./net-header.ts";
import type { SplitQueue } from "./queue.ts";

/** The longest frame for a device to cut, in bytes: Ethernet header and IP packet. */
export const longestSegmented = 14 + 65_535;
/** Pages for such frames. Where they do not suffice the stack sends what it cuts itself. */
const longPages = 16;
/** No multiple of 64, which the size of the other pages is: they are told from each other by it. */
const longPageSize = headroom + longestSegmented;

/**
 * The sending half of a network device: pages in memory that the device reaches, and each page's own descriptor. So
 * frames go out in the pages that they were built in, with nothing to allocate and nothing to look up.
 */
export class TransmitPages {
  readonly #device: VirtioDevice;
  readonly #queue: SplitQueue;
  readonly #short: PagePool;
  readonly #shortMemory: DmaMemory;
  readonly #long: PagePool | undefined;
  readonly #longMemory: DmaMemory | undefined;
  /** The page of each descriptor that is in flight. */
  readonly #sent: (Page | undefined)[];

  /**
   * @param most pages wanted; the queue may have room for fewer
   * @param mtu bytes that each has room for behind `headroom`
   * @param segmented whether there are to be long ones
   * @throws WindowError when memory is out; for long pages alone it is no error to have none.
   */
  constructor(device: VirtioDevice, queue: SplitQueue, most: number, mtu: number, segmented: boolean) {
    this.#device = device;
    this.#queue = queue;
    // A multiple of 64: no two pages share a cache line.
    const size = (headroom + mtu + 63) & ~63;
    const wantsLong = segmented && queue.size >= 4 * longPages;
    const capacity = Math.min(queue.size - (wantsLong ? longPages : 0), most);
    this.#shortMemory = device.memory(capacity * size);
    this.#short = new PagePool(capacity, size, this.#shortMemory.bytes);
    this.#longMemory = wantsLong ? tryMemory(device, longPages * longPageSize) : undefined;
    if (this.#longMemory !== undefined) this.#long = new PagePool(longPages, longPageSize, this.#longMemory.bytes);
    this.#sent = new Array<Page | undefined>(queue.size).fill(undefined);
  }

  get hasLong(): boolean {
    return this.#long !== undefined;
  }

  /** A page, unless all are out. */
  take(long: boolean): Page | undefined {
    return long ? this.#long?.take() : this.#short.take();
  }

  /** Takes a page back. */
  release(page: Page): void {
    (this.#poolOf(page) ?? this.#short).release(page);
  }

  /** Offers a frame to the device; the queue is not published yet. */
  send(page: Page, offset: number, length: number): void {
    let start = offset - netHeaderSize;
    if (start < 0) {
      // No room for the device's header in front: the page has it behind.
      page.bytes.copyWithin(netHeaderSize, offset, offset + length);
      start = 0;
    }
    writeNetHeader(page, page.bytes, start);
    const long = this.#poolOf(page);
    const isLong = long !== undefined && this.#longMemory !== undefined;
    const memory = isLong ? this.#longMemory.physical : this.#shortMemory.physical;
    const size = isLong ? longPageSize : this.#short.pageSize;
    const descriptor = isLong ? this.#short.capacity + page.index : page.index;
    this.#sent[descriptor] = page;
    this.#queue.describe(descriptor, memory + page.index * size + start, netHeaderSize + length, false, -1);
    this.#queue.offer(descriptor, 0);
  }

  /** Takes back the pages that the device has sent. */
  reap(): void {
    const queue = this.#queue;
    for (let head = queue.take(); head >= 0; head = queue.take()) {
      const page = this.#sent[head];
      this.#sent[head] = undefined;
      if (page !== undefined) this.release(page);
    }
    if (queue.violation !== undefined) this.#device.breaks(queue);
  }

  /**
   * Before the device is closed: memory with pages that the stack still has, and may write to, is given to nobody else.
   */
  abandon(): void {
    const inFlight = this.#sent.filter((page) => page !== undefined);
    const long = inFlight.filter((page) => this.#poolOf(page) !== undefined).length;
    if (this.#short.available + inFlight.length - long < this.#short.capacity) this.#device.keep(this.#shortMemory);
    if (this.#long !== undefined && this.#longMemory !== undefined && this.#long.available + long < longPages) {
      this.#device.keep(this.#longMemory);
    }
  }

  /** The pool of long pages when the page is one. */
  #poolOf(page: Page): PagePool | undefined {
    return page.bytes.length === longPageSize ? this.#long : undefined;
  }
}

function tryMemory(device: VirtioDevice, length: number): DmaMemory | undefined {
  try {
    return device.memory(length);
  } catch (error) {
    if (error instanceof WindowError) return undefined;
    throw error;
  }
}
