import { closeSync } from "node:fs";
import { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import { headroom, Page, PagePool } from "@tesserae/device/page";
import { errnoName, loadLibc, type Libc } from "./libc.ts";
import { Readiness } from "./readiness.ts";
import { prepareInterface, setupAdvice, type TapSetup } from "./setup.ts";
import { openTap, TapError } from "./tun.ts";
import { readHeader, virtioNetHeaderSize, writeHeader } from "./virtio-net-header.ts";
import { holdClock, releaseClock } from "@tesserae/node/process-clock";

/** Bytes of an Ethernet header. */
const ethernetHeader = 14;
/** Frames received in one turn of the event loop: then timers and everything else get theirs. */
const batch = 64;
/** The longest frame with TCP segments that the kernel makes, in bytes: an IP packet cannot be longer. */
const longestSegmented = ethernetHeader + 65_535;
/** TCP payload in one frame for the kernel to cut: with the longest headers, still an IP packet. */
const longestPayload = 65_535 - 80;
/** Pages for such frames, told from the others by their length, which is no multiple of 64: the kernel copies within the call, so that few are out at a time. */
const longPages = 8;
/** Where a received frame starts in its page: its IP header is then on a multiple of 4. */
const receiveOffset = headroom - ethernetHeader;

export interface TapOptions extends TapSetup {
  /** Our address on the link; default: derived from the kernel's, so that it is the same for a device that stays. */
  readonly mac?: MacAddress;
  /**
   * Lets the kernel hand over TCP segments of up to 64 KiB in one frame, longer than the MTU, and leave out checksums
   * that nothing on the way can have damaged, and take such frames: `Page.segmentSize` and `needsChecksum` tell. Far faster for bulk; to be turned off where every frame must be as on a
   * wire, for a capture or with faults. Default true.
   */
  readonly offload?: boolean;
  /** Pages to build frames in, at least 1. Default 256. */
  readonly pages?: number;
  /** Gets a failure after which no frame comes any more: the device was deleted. Default: a line on stderr. */
  readonly onDead?: (error: TapError) => void;
}

/**
 * Opens a Linux tap device as a {@link Netif}, and sets its kernel side up as far as that is needed and allowed.
 *
 * @throws UnsupportedError (rejects) on another system, on a worker thread and without koffi; TapError with the
 * commands that would help when a privilege is missing; RangeError for a bad name or MTU.
 */
export async function createTap(options: TapOptions): Promise<Netif> {
  return openNetif(await loadLibc(), options);
}

/** {@link createTap} in the network namespace that the thread is in now: nothing is awaited. */
export function openNetif(libc: Libc, options: TapOptions): Netif {
  const fd = openOrAdvise(libc, options);
  try {
    const state = prepareInterface(libc, options);
    return new TapNetif(libc, fd, options, state.mtu, options.mac ?? peerOf(state.mac));
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openOrAdvise(libc: Libc, options: TapOptions): number {
  try {
    return openTap(libc, options.name, options.offload ?? true);
  } catch (error) {
    if (!(error instanceof TapError) || error.code !== "EPERM") throw error;
    throw new TapError(error.code, `${error.message}\n${setupAdvice(options)}`, { cause: error });
  }
}

/** An address that is not the kernel's own but follows from it: locally administered, for one host. */
function peerOf(mac: MacAddress): MacAddress {
  return new MacAddress((mac.high & 0xfcff) | 0x0200, mac.low ^ 0x0100_0001);
}

class TapNetif implements Netif, NetifStatistics {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;

  receivedFrames = 0;
  receivedBytes = 0;
  sentFrames = 0;
  sentBytes = 0;
  droppedFrames = 0;

  readonly #libc: Libc;
  readonly #fd: number;
  readonly #offload: boolean;
  readonly #longestFrame: number;
  /** What one read can give, the header of the driver's left out. */
  readonly #longestReceived: number;
  /** For frames that leave no room for the driver's header in front of them. */
  readonly #scratch: Uint8Array;
  readonly #scratchAddress: number;
  readonly #pool: PagePool;
  /** For frames that the kernel is to cut. */
  readonly #longPool: PagePool | undefined;
  /** One is enough: a frame is handled to completion before the next is read. */
  readonly #received: Page;
  readonly #receivedAddress: number;
  readonly #readiness: Readiness;
  readonly #onDead: (error: TapError) => void;
  readonly #poolAddress: number;
  readonly #longPoolAddress: number;
  #handler: FrameHandler | undefined;
  #closing: Promise<void> | undefined;

  constructor(libc: Libc, fd: number, options: TapOptions, mtu: number, mac: MacAddress) {
    this.name = options.name;
    this.mac = mac;
    this.mtu = mtu;
    this.#libc = libc;
    this.#fd = fd;
    this.#offload = options.offload ?? true;
    this.features = { transmitChecksum: this.#offload, maxSegmentation: this.#offload ? longestPayload : 0 };
    this.#longestFrame = mtu + ethernetHeader;
    this.#longestReceived = this.#offload ? longestSegmented : this.#longestFrame;
    this.#onDead = options.onDead ?? ((error) => void process.stderr.write(`${error.message}\n`));
    // A multiple of 64: no two pages share a cache line.
    const pageSize = (headroom + mtu + 63) & ~63;
    this.#pool = new PagePool(options.pages ?? 256, pageSize);
    this.#poolAddress = addressOfPool(libc, this.#pool);
    this.#longPool = this.#offload ? new PagePool(longPages, headroom + longestSegmented) : undefined;
    this.#longPoolAddress = this.#longPool === undefined ? 0 : addressOfPool(libc, this.#longPool);
    this.#received = new Page(new Uint8Array(headroom + this.#longestReceived), 0);
    this.#scratch = new Uint8Array(virtioNetHeaderSize + this.#longestFrame);
    this.#scratchAddress = libc.addressOf(this.#scratch);
    this.#receivedAddress = libc.addressOf(this.#received.bytes) + receiveOffset;
    this.#readiness = new Readiness(libc, fd, () => this.#drain());
  }

  get statistics(): NetifStatistics {
    return this;
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(length = this.mtu): Page | undefined {
    return length <= this.mtu ? this.#pool.take() : this.#longPool?.take();
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const longest = page.segmentSize > 0 && this.#offload ? longestSegmented : this.#longestFrame;
    let sent = false;
    if (length <= longest && this.#closing === undefined) {
      // The kernel copies: the page is free as soon as the call returns.
      sent = this.#offload
        ? this.#writeWithHeader(page, offset, length)
        : this.#libc.write(this.#fd, this.#addressOf(page) + offset, length) === length;
    }
    if (sent) {
      this.sentFrames++;
      this.sentBytes += length;
    } else {
      this.droppedFrames++;
    }
    this.release(page);
    return sent;
  }

  release(page: Page): void {
    if (this.#longPool !== undefined && page.bytes.length === this.#longPool.pageSize) this.#longPool.release(page);
    else this.#pool.release(page);
  }

  close(): Promise<void> {
    this.#closing ??= this.#readiness.close().then(() => closeSync(this.#fd));
    return this.#closing;
  }

  #writeWithHeader(page: Page, offset: number, length: number): boolean {
    const whole = length + virtioNetHeaderSize;
    if (offset >= virtioNetHeaderSize) {
      const start = offset - virtioNetHeaderSize;
      writeHeader(page, page.bytes, start);
      return this.#libc.write(this.#fd, this.#addressOf(page) + start, whole) === whole;
    }
    if (length > this.#longestFrame) return false;
    writeHeader(page, this.#scratch, 0);
    this.#scratch.set(page.bytes.subarray(offset, offset + length), virtioNetHeaderSize);
    return this.#libc.write(this.#fd, this.#scratchAddress, whole) === whole;
  }

  #addressOf(page: Page): number {
    const isLong = this.#longPool !== undefined && page.bytes.length === this.#longPool.pageSize;
    return (isLong ? this.#longPoolAddress : this.#poolAddress) + page.bytes.byteOffset;
  }

  #drain(): void {
    // One batch is one moment: the stack asks for the time several times a frame, which would cost as much as the rest.
    holdClock();
    try {
      this.#receiveBatch();
    } finally {
      releaseClock();
    }
  }

  #receiveBatch(): void {
    const libc = this.#libc;
    const page = this.#received;
    const header = this.#offload ? virtioNetHeaderSize : 0;
    const address = this.#receivedAddress - header;
    for (let count = 0; count < batch; count++) {
      if (this.#closing !== undefined) return;
      const got = libc.read(this.#fd, address, header + this.#longestReceived);
      if (got < 0) {
        // After a frame it is the end of the queue; asking why costs another call.
        if (count === 0) this.#checkAlive();
        return;
      }
      const length = got - header;
      const handler = this.#handler;
      if (handler === undefined || length < ethernetHeader) {
        this.droppedFrames++;
        continue;
      }
      this.receivedFrames++;
      this.receivedBytes += length;
      if (header > 0) readHeader(page, page.bytes, receiveOffset - header);
      else page.reset();
      handler(page, receiveOffset, length);
    }
  }

  /** Nothing could be read although there was something: the device may be gone. */
  #checkAlive(): void {
    const code = errnoName(this.#libc.errno());
    // EIO: the interface is down; it may come up again.
    if (code === "EAGAIN" || code === "EINTR" || code === "EIO") return;
    void this.close();
    this.#onDead(new TapError(code, `tap device "${this.name}" is gone: no frame comes any more`));
  }
}

/** Where the memory of a pool begins: all its pages lie in one allocation, in the order of their indices. */
function addressOfPool(libc: Libc, pool: PagePool): number {
  const first = pool.take();
  if (first === undefined) throw new RangeError("the pool has no page");
  const address = libc.addressOf(first.bytes) - first.bytes.byteOffset;
  pool.release(first);
  return address;
}
