/**
 * Pages: the buffers that frames live in.
 *
 * A page belongs to exactly one party at a time. Receive: a device lends its page to the handler until the handler
 * returns. Transmit: the sender takes a page from the device it will send on, fills it from the back, and hands it
 * over with `transmit`; from then on it is the device's again.
 */

/** Bytes left free in front of a payload so that every lower layer can write its header in place. */
export const headroom = 128;

/** `Page.flags`: the transport checksum is absent or partial and the device (or peer) is to compute it. */
export const needsChecksum = 1;
/** `Page.flags`: the device has verified the transport checksum. */
export const checksumVerified = 2;

/**
 * One buffer and the offload metadata of the frame in it.
 *
 * The metadata fields mean what the fields of `virtio_net_hdr` mean (virtio 1.2 §5.1.6); all zero is a plain frame.
 */
export class Page {
  readonly bytes: Uint8Array;
  /** A number its pool uses to find the page; senders leave it alone. */
  readonly index: number;
  /** Which of a host's links the page belongs to, from 1. Kept by the network layer; 0 where there is none. */
  link = 0;
  /** A union of {@link needsChecksum} and {@link checksumVerified}. */
  flags = 0;
  /** With {@link needsChecksum}: where summing starts, in bytes from the start of the frame. */
  checksumStart = 0;
  /** With {@link needsChecksum}: where the sum is stored, in bytes from `checksumStart`. */
  checksumOffset = 0;
  /** Payload bytes of each TCP segment or UDP datagram the device is to cut the frame into; 0 is no segmentation. */
  segmentSize = 0;
  /** With `segmentSize`: bytes of headers to repeat on each segment. */
  headerLength = 0;

  constructor(bytes: Uint8Array, index: number) {
    this.bytes = bytes;
    this.index = index;
  }

  /** Takes over another page's offload metadata, for a copy of its frame. */
  copyMetadata(from: Page): void {
    this.flags = from.flags;
    this.checksumStart = from.checksumStart;
    this.checksumOffset = from.checksumOffset;
    this.segmentSize = from.segmentSize;
    this.headerLength = from.headerLength;
  }

  /** Clears the metadata, as on a page fresh from its pool. */
  reset(): void {
    this.flags = 0;
    this.checksumStart = 0;
    this.checksumOffset = 0;
    this.segmentSize = 0;
    this.headerLength = 0;
  }
}

/** A fixed set of equal pages in one stretch of memory. */
export class PagePool {
  readonly pageSize: number;
  readonly capacity: number;
  readonly #pages: Page[];
  readonly #free: Int32Array;
  readonly #out: Uint8Array;
  #available: number;

  /**
   * @param capacity how many pages, at least 1
   * @param pageSize bytes in each, at least {@link headroom} and one more
   * @param memory where the pages lie, one after the other in the order of their indices, for devices that reach only
   * some memory; default: an allocation of the pool's own
   * @throws RangeError when one of them is out of range.
   */
  constructor(capacity: number, pageSize: number, memory?: Uint8Array) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`capacity ${String(capacity)} is below 1`);
    if (!Number.isInteger(pageSize) || pageSize <= headroom) {
      throw new RangeError(`pageSize ${String(pageSize)} leaves no room beside the ${String(headroom)} of headroom`);
    }
    this.pageSize = pageSize;
    this.capacity = capacity;
    this.#available = capacity;
    this.#pages = [];
    this.#free = new Int32Array(capacity);
    this.#out = new Uint8Array(capacity);
    const bytes = memory ?? new Uint8Array(capacity * pageSize);
    if (bytes.length < capacity * pageSize) {
      throw new RangeError(`memory has ${String(bytes.length)} bytes, the pages need ${String(capacity * pageSize)}`);
    }
    for (let index = 0; index < capacity; index++) {
      this.#pages.push(new Page(new Uint8Array(bytes.buffer, bytes.byteOffset + index * pageSize, pageSize), index));
      this.#free[index] = capacity - 1 - index;
    }
  }

  /** How many pages can be taken now. */
  get available(): number {
    return this.#available;
  }

  /** A page with cleared metadata, or `undefined` when all are out. Its bytes are whatever the last user left. */
  take(): Page | undefined {
    if (this.#available === 0) return undefined;
    const index = this.#free[--this.#available] ?? 0;
    const page = this.#pages[index];
    if (page === undefined) return undefined;
    this.#out[index] = 1;
    page.reset();
    return page;
  }

  /** @throws RangeError when the page is not of this pool or is not out: a double release corrupts packets. */
  release(page: Page): void {
    if (this.#pages[page.index] !== page || this.#out[page.index] !== 1) {
      throw new RangeError(`page ${String(page.index)} is not out of this pool`);
    }
    this.#out[page.index] = 0;
    this.#free[this.#available++] = page.index;
  }
}
