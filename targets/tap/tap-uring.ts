import { closeSync } from "node:fs";
import type { FrameHandler } from "@tesserae/device/netif";
import { Page } from "@tesserae/device/page";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { ethernetHeader, longestPayload, longestSegmented, RingCounters, type FrameRing } from "./frame-ring.ts";
import { BufferRing, completionMore, IoUring } from "./io-uring.ts";
import { TapPages } from "./tap-pages.ts";
import { readHeader, virtioNetHeaderSize } from "./virtio-net-header.ts";

/** Buffers to receive in. */
const buffers = 64;
/** How many of them the kernel has while frames are long, and how long that is, in bytes: few stay in the cache. */
const buffersForLong = 4;
const long = 16_384;
const readId = 0;
const writeId = 1;
const ENOBUFS = 105;
const ECANCELED = 125;

/**
 * A tap device through io_uring: one request reads frame after frame into buffers of ours, and those to send go out of
 * registered memory with the same call of the kernel that fetches what has come.
 */
export class TapUring implements FrameRing {
  readonly how = "io_uring";
  readonly fd: number;
  readonly transmitChecksum: boolean;
  readonly maxSegmentation: number;
  readonly longestFrame: number;
  readonly counters = new RingCounters();
  readonly #uring: IoUring;
  readonly #header: number;
  readonly #size: number;
  readonly #ring: BufferRing;
  /** All of the memory received into: the offset tells frames apart. */
  readonly #received: Page;
  readonly #out: TapPages;
  /** Buffers that the kernel does not have: those used last are the first to be used again. */
  readonly #spare: Uint8Array = new Uint8Array(buffers);
  #spares = 0;
  #reading = false;
  #failed = 0;
  #closed = false;

  /**
   * @param fd a tap device, non-blocking; closed with the ring
   * @param offload whether the device was opened with a `virtio_net_hdr` before each frame
   * @returns −errno when this kernel has no io_uring that suits, or forbids it; `fd` is still the caller's then
   */
  static open(calls: SystemCalls, fd: number, mtu: number, offload: boolean, pages: number): TapUring | number {
    const out = new TapPages(calls, pages, mtu, offload);
    const uring = IoUring.open(calls, powerOfTwo(out.most + 2));
    if (typeof uring === "number") return uring;
    const header = offload ? virtioNetHeaderSize : 0;
    const size = (header + (offload ? longestSegmented : mtu + ethernetHeader) + 63) & ~63;
    const ring = new BufferRing(calls, buffers, size);
    let failed = uring.registerMemory(out.memory);
    if (failed >= 0) failed = uring.registerBuffers(ring.ring, buffers);
    if (failed < 0) {
      uring.close();
      return failed;
    }
    return new TapUring(fd, uring, ring, out, mtu, offload, size);
  }

  private constructor(
    tap: number,
    uring: IoUring,
    ring: BufferRing,
    out: TapPages,
    mtu: number,
    offload: boolean,
    size: number,
  ) {
    this.#uring = uring;
    this.#ring = ring;
    this.#out = out;
    this.#size = size;
    // The device, and not the ring: a ring whose completions wait to be fetched wakes nobody.
    this.fd = tap;
    this.transmitChecksum = offload;
    this.maxSegmentation = offload ? longestPayload : 0;
    this.longestFrame = mtu + ethernetHeader;
    this.#header = offload ? virtioNetHeaderSize : 0;
    this.#received = new Page(ring.memory.bytes, 0);
  }

  /** A few more than `most` when the kernel had them: what it read is no longer announced. */
  receive(handler: FrameHandler | undefined, most: number): number {
    const uring = this.#uring;
    if (!this.#reading && this.#failed === 0) {
      this.#reading = true;
      uring.readOn(this.fd, readId);
    }
    uring.enter(true);
    const before = this.counters.receivedBytes;
    let count = 0;
    for (let id = uring.next(); id >= 0 && most > 0; id = uring.next()) {
      if (id === readId) {
        if (this.#take(handler)) count++;
      } else if (uring.result < 0) {
        // The kernel had no room, or the interface is down.
        this.counters.sentFrames--;
        this.counters.droppedFrames++;
      }
    }
    if (this.#closed) return count;
    uring.seen();
    if (count > 0) this.#giveBuffers(this.counters.receivedBytes - before > count * long ? buffersForLong : buffers);
    return count;
  }

  /** Lets the kernel have so many buffers, all of them being ours or its own to fill. */
  #giveBuffers(wanted: number): void {
    while (this.#spares > 0 && buffers - this.#spares < wanted) this.#ring.give(this.#spare[--this.#spares] ?? 0);
    this.#ring.publish();
  }

  fault(): number {
    const failed = this.#failed;
    this.#failed = 0;
    return failed;
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
    const { count, slots } = out;
    const { address } = out.memory;
    for (let slot = 0; slot < count; slot++) {
      this.#uring.write(this.fd, address + (slots[2 * slot] ?? 0), slots[2 * slot + 1] ?? 0, writeId);
    }
    if (count === 0) return;
    // Without fetching completions: frames are to be read only when they are handled.
    this.#uring.enter(false);
    // The descriptor is non-blocking: each write is over, one way or the other.
    out.releaseQueued();
  }

  close(): void {
    this.#closed = true;
    this.#uring.close();
    closeSync(this.fd);
  }

  /** Handles a completion of the reading request. Whether it was a frame. */
  #take(handler: FrameHandler | undefined): boolean {
    const { result, flags } = this.#uring;
    if ((flags & completionMore) === 0) this.#reading = false;
    if (result <= 0) {
      // All buffers were full: they are free again when this batch is handled.
      if (result !== -ENOBUFS && result !== -ECANCELED) this.#failed = result;
      return false;
    }
    const index = flags >>> 16;
    const start = index * this.#size;
    const header = this.#header;
    const length = result - header;
    const page = this.#received;
    const { counters } = this;
    // A handler may close.
    if (handler === undefined || this.#closed || length < ethernetHeader) counters.droppedFrames++;
    else {
      counters.receivedFrames++;
      counters.receivedBytes += length;
      if (header > 0) readHeader(page, page.bytes, start);
      else page.reset();
      handler(page, start + header, length);
    }
    this.#spare[this.#spares++] = index;
    return true;
  }
}

/** The least power of two that is not less. */
function powerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}
