import { needsChecksum, type Page, type PagePool } from "@tesserae/device/page";
import { SegmentTrain, trainChecksumOffset, trainChecksumStart } from "@tesserae/netif/segment-train";
import { netHeaderSize, writeNetHeader } from "./net-header.ts";
import type { SplitQueue } from "./queue.ts";

/**
 * The sending half of a network device: frames go to the device in the pages that they were built in, which have the
 * descriptors of their own numbers. So there is nothing to allocate, and nothing to look up.
 *
 * Where the device cuts segments (HOST_TSO4) those of one burst of a TCP connection become one chain: the first page
 * with the headers, then the payloads of the others, in place.
 */
export class TransmitChains {
  /** Pages that are the device's, or wait to be. */
  pages = 0;
  readonly #queue: SplitQueue;
  readonly #pool: PagePool;
  readonly #physical: number;
  readonly #joins: boolean;
  readonly #train = new SegmentTrain();
  /** The train's pages, and where the payload of each begins and how long it is; the first has its whole frame. */
  readonly #trainPages: Page[] = [];
  readonly #trainOffsets: Int32Array;
  readonly #trainLengths: Int32Array;
  readonly #pageOf: (Page | undefined)[];
  /** The page behind each one in its chain, or −1. */
  readonly #next: Int32Array;

  /**
   * @param pool its pages lie in memory of the device's, from `physical` on; no more of them than descriptors
   * @param joins whether the device cuts segments
   */
  constructor(queue: SplitQueue, pool: PagePool, physical: number, joins: boolean) {
    this.#queue = queue;
    this.#pool = pool;
    this.#physical = physical;
    this.#joins = joins;
    this.#trainOffsets = new Int32Array(pool.capacity);
    this.#trainLengths = new Int32Array(pool.capacity);
    this.#pageOf = new Array<Page | undefined>(pool.capacity).fill(undefined);
    this.#next = new Int32Array(pool.capacity).fill(-1);
  }

  /** Takes a frame, which is offered to the device at the latest by {@link TransmitChains.flush}. */
  send(page: Page, offset: number, length: number): void {
    this.pages++;
    this.#pageOf[page.index] = page;
    if (!this.#joins) {
      this.#offerOne(page, offset, length);
      return;
    }
    const plain = page.flags === 0 && page.segmentSize === 0;
    const train = this.#train;
    const [first] = this.#trainPages;
    if (first !== undefined) {
      const firstOffset = this.#trainOffsets[0] ?? 0;
      const added = plain ? train.add(first.bytes, firstOffset, page.bytes, offset, length) : 0;
      if (added > 0) this.#keep(page, offset + train.headerLength, length - train.headerLength);
      if (added !== 1) this.flush();
      if (added > 0) return;
    }
    if (plain && offset >= netHeaderSize && SegmentTrain.begins(page.bytes, offset, length)) {
      train.begin(page.bytes, offset, length);
      this.#keep(page, offset, length);
    } else this.#offerOne(page, offset, length);
  }

  /** Offers what was kept for the rest of its burst. */
  flush(): void {
    const [first] = this.#trainPages;
    if (first === undefined) return;
    const train = this.#train;
    const start = this.#trainOffsets[0] ?? 0;
    const length = this.#trainLengths[0] ?? 0;
    if (train.count > 1) {
      train.finish(first.bytes, start);
      first.flags = needsChecksum;
      first.checksumStart = trainChecksumStart;
      first.checksumOffset = trainChecksumOffset;
      first.segmentSize = train.segmentSize;
      first.headerLength = train.headerLength;
      // From the last one on, so that each descriptor knows the next.
      for (let index = train.count - 1; index > 0; index--) {
        const page = this.#trainPages[index];
        if (page === undefined) continue;
        this.#describe(
          page,
          this.#trainOffsets[index] ?? 0,
          this.#trainLengths[index] ?? 0,
          this.#trainPages[index + 1],
        );
      }
    }
    writeNetHeader(first, first.bytes, start - netHeaderSize);
    this.#describe(first, start - netHeaderSize, length + netHeaderSize, this.#trainPages[1]);
    this.#queue.offer(first.index, 0);
    this.#trainPages.length = 0;
    train.clear();
  }

  /** Takes back the pages that the device has sent. Returns false when it broke the rules of the queue. */
  reap(): boolean {
    const queue = this.#queue;
    for (let head = queue.take(); head >= 0; head = queue.take()) {
      for (let index = head; index >= 0;) {
        const page = this.#pageOf[index];
        const next = this.#next[index] ?? -1;
        this.#pageOf[index] = undefined;
        this.#next[index] = -1;
        if (page !== undefined) {
          this.pages--;
          this.#pool.release(page);
        }
        index = next;
      }
    }
    return queue.violation === undefined;
  }

  #keep(page: Page, offset: number, length: number): void {
    this.#trainOffsets[this.#trainPages.length] = offset;
    this.#trainLengths[this.#trainPages.length] = length;
    this.#trainPages.push(page);
  }

  #offerOne(page: Page, offset: number, length: number): void {
    let start = offset - netHeaderSize;
    if (start < 0) {
      // No room for the device's header in front: the page has it behind.
      page.bytes.copyWithin(netHeaderSize, offset, offset + length);
      start = 0;
    }
    writeNetHeader(page, page.bytes, start);
    this.#describe(page, start, netHeaderSize + length, undefined);
    this.#queue.offer(page.index, 0);
  }

  #describe(page: Page, start: number, length: number, next: Page | undefined): void {
    const at = this.#physical + page.index * this.#pool.pageSize + start;
    this.#next[page.index] = next === undefined ? -1 : next.index;
    this.#queue.describe(page.index, at, length, false, next === undefined ? -1 : next.index);
  }
}
