import type { FrameHandler } from "@tesserae/device/netif";
import { checksumVerified, Page, PagePool } from "@tesserae/device/page";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { ethernetHeader, RingCounters, type FrameRing } from "../frame-ring.ts";
import type { XdpSocket } from "./xdp-socket.ts";

/** Calls in a row that may be needed before the kernel has taken all frames to send. */
const mostKicks = 64;
const EAGAIN = 11;
const EBUSY = 16;
const ENOBUFS = 105;

export interface XdpRingOptions {
  readonly socket: XdpSocket;
  /** Bytes of each chunk; the first `receiveChunks` of them are to receive in, the others to build frames in. */
  readonly chunkSize: number;
  readonly receiveChunks: number;
  readonly pages: number;
  readonly mtu: number;
  /** Every frame received has a good checksum, whatever is written there. */
  readonly trusted: boolean;
  /** Gives the driver time to receive whenever there is nothing. */
  readonly busyPoll: boolean;
  readonly how: string;
  /** Called once the ring is closed. */
  readonly onClose: () => void;
}

/** An AF_XDP socket as a ring of frames: they are handled where the kernel put them, and sent from where they are. */
export class XdpFrameRing implements FrameRing {
  readonly how: string;
  readonly fd: number;
  readonly transmitChecksum = false;
  readonly maxSegmentation = 0;
  readonly longestFrame: number;
  readonly counters = new RingCounters();
  readonly #calls: SystemCalls;
  readonly #socket: XdpSocket;
  readonly #chunkSize: number;
  readonly #trusted: number;
  readonly #busyPoll: boolean;
  readonly #onClose: () => void;
  /** All of the memory: the offset tells frames apart. */
  readonly #received: Page;
  readonly #pool: PagePool;
  /** Where the pages begin. */
  readonly #pagesAt: number;
  /** The page of each chunk that the kernel has to send. */
  readonly #sent: (Page | undefined)[];
  #receivedAt = 0;
  #fillAt = 0;
  #sendAt = 0;
  #publishedAt = 0;
  #completedAt = 0;
  #closed = false;

  constructor(calls: SystemCalls, options: XdpRingOptions) {
    const { socket, chunkSize, receiveChunks, pages, mtu } = options;
    this.#calls = calls;
    this.#socket = socket;
    this.#chunkSize = chunkSize;
    this.#trusted = options.trusted ? checksumVerified : 0;
    this.#busyPoll = options.busyPoll;
    this.#onClose = options.onClose;
    this.how = options.how;
    this.fd = socket.fd;
    this.longestFrame = mtu + ethernetHeader;
    this.#received = new Page(socket.umem, 0);
    this.#pagesAt = receiveChunks * chunkSize;
    this.#pool = new PagePool(pages, chunkSize, socket.umem.subarray(this.#pagesAt));
    this.#sent = new Array<Page | undefined>(pages).fill(undefined);
    for (let chunk = 0; chunk < receiveChunks; chunk++) this.#offer(chunk * chunkSize);
    socket.fill.produced = this.#fillAt;
  }

  receive(handler: FrameHandler | undefined, most: number): number {
    const { received, fill } = this.#socket;
    const { words, mask, entries } = received;
    let available = (received.produced - this.#receivedAt) | 0;
    if (available === 0 && this.#busyPoll) {
      this.#calls.receiveNothing(this.fd);
      available = (received.produced - this.#receivedAt) | 0;
    }
    const count = Math.min(available, most);
    if (count === 0) return 0;
    const page = this.#received;
    const { counters } = this;
    // A handler may close; the frames that are left are dropped then.
    for (let index = 0; index < count; index++) {
      const entry = entries + (this.#receivedAt & mask) * 4;
      this.#receivedAt = (this.#receivedAt + 1) | 0;
      // struct xdp_desc { u64 addr; u32 len; u32 options; }; the memory has less than 4 GiB.
      const at = words[entry] ?? 0;
      const length = words[entry + 2] ?? 0;
      if (handler === undefined || this.#closed || length < ethernetHeader) counters.droppedFrames++;
      else {
        counters.receivedFrames++;
        counters.receivedBytes += length;
        page.reset();
        page.flags = this.#trusted;
        handler(page, at, length);
      }
      this.#offer(at);
    }
    if (this.#closed) return count;
    received.consumed = this.#receivedAt;
    fill.produced = this.#fillAt;
    if (fill.needsWakeup) this.#calls.receiveNothing(this.fd);
    return count;
  }

  fault(): number {
    return this.#socket.fault();
  }

  take(long: boolean): Page | undefined {
    if (long) return undefined;
    const page = this.#pool.take();
    if (page !== undefined || this.#closed) return page;
    this.#reap();
    return this.#pool.take();
  }

  release(page: Page): void {
    this.#pool.release(page);
  }

  send(page: Page, offset: number, length: number): void {
    // As many entries as pages at least: there is room.
    const { words, mask, entries } = this.#socket.transmitted;
    const entry = entries + (this.#sendAt & mask) * 4;
    words[entry] = this.#pagesAt + page.index * this.#chunkSize + offset;
    words[entry + 1] = 0;
    words[entry + 2] = length;
    words[entry + 3] = 0;
    this.#sendAt = (this.#sendAt + 1) | 0;
    this.#sent[page.index] = page;
    this.counters.sentFrames++;
    this.counters.sentBytes += length;
  }

  flush(): void {
    if (this.#closed) return;
    const { transmitted } = this.#socket;
    if (this.#publishedAt !== this.#sendAt) {
      this.#publishedAt = this.#sendAt;
      transmitted.produced = this.#sendAt;
    } else if (transmitted.consumed === this.#sendAt) return;
    if (transmitted.needsWakeup) this.#kick();
    this.#reap();
  }

  close(): void {
    this.#closed = true;
    this.#socket.close();
    this.#onClose();
  }

  /** The kernel sends so many frames a call; the last calls find that there is no more, or no room. */
  #kick(): void {
    for (let round = 0; round < mostKicks; round++) {
      const said = this.#calls.sendNothing(this.fd);
      if (said !== -EAGAIN && said !== -EBUSY) {
        // What stays in the ring goes with the next call.
        if (said < 0 && said !== -ENOBUFS) this.counters.droppedFrames++;
        return;
      }
    }
  }

  /** Takes back the pages that are sent. */
  #reap(): void {
    const { completed } = this.#socket;
    const end = completed.produced;
    if (end === this.#completedAt) return;
    const { words, mask, entries } = completed;
    while (this.#completedAt !== end) {
      const at = words[entries + (this.#completedAt & mask) * 2] ?? 0;
      this.#completedAt = (this.#completedAt + 1) | 0;
      const index = Math.floor((at - this.#pagesAt) / this.#chunkSize);
      const page = this.#sent[index];
      if (page === undefined) continue;
      this.#sent[index] = undefined;
      this.#pool.release(page);
    }
    completed.consumed = this.#completedAt;
  }

  /** Gives a chunk to the kernel to receive in; it is published with the others. */
  #offer(at: number): void {
    const { words, mask, entries } = this.#socket.fill;
    const entry = entries + (this.#fillAt & mask) * 2;
    words[entry] = at - (at % this.#chunkSize);
    words[entry + 1] = 0;
    this.#fillAt = (this.#fillAt + 1) | 0;
  }
}
