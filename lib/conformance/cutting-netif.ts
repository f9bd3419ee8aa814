import { MacAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { FrameHandler, Netif, NetifFeatures } from "@tesserae/device/netif";
import { headroom, Page, PagePool } from "@tesserae/device/page";

const ethernetHeader = 14;
const longestFrame = ethernetHeader + 65_535;
const pages = 64;
const udpChecksumOffset = 6;

/** A copy of a frame, with its page's metadata. */
export class LongFrame {
  readonly bytes: Uint8Array;
  /** Of the metadata, only that is of use. */
  readonly page = new Page(new Uint8Array(0), 0);

  constructor(page: Page, offset: number, length: number) {
    this.bytes = page.bytes.slice(offset, offset + length);
    this.page.copyMetadata(page);
  }
}

/**
 * One end of a link in memory between two devices that leave checksums and segments to each other, as a tap device and
 * the kernel do: a frame arrives with its metadata, uncut. What an end says that it cannot do must not be asked of it.
 */
export class CuttingNetif implements Netif {
  readonly name = "long0";
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;
  readonly statistics = { receivedFrames: 0, receivedBytes: 0, sentFrames: 0, sentBytes: 0, droppedFrames: 0 };
  /** Copies of the frames sent. */
  readonly sent: LongFrame[] = [];
  /** Frames that its features do not allow; none was sent. */
  misfits = 0;
  peer: CuttingNetif | undefined;
  readonly #pool = new PagePool(pages, headroom + longestFrame);
  readonly #arrived: LongFrame[] = [];
  readonly #timers: Timers;
  readonly #arrival: Timer;
  #handler: FrameHandler | undefined;
  #isClosed = false;

  constructor(timers: Timers, mac: MacAddress, features: NetifFeatures, mtu = 1500) {
    this.mac = mac;
    this.mtu = mtu;
    this.features = features;
    this.#timers = timers;
    this.#arrival = timers.timer(() => {
      for (const frame of this.#arrived.splice(0)) this.deliver(frame);
    });
  }

  /** Pages that are out. */
  get pagesOut(): number {
    return this.#pool.capacity - this.#pool.available;
  }

  /** Hands a frame to whoever listens, at once. */
  deliver(frame: LongFrame): void {
    const page = new Page(new Uint8Array(headroom + frame.bytes.length), 0);
    page.bytes.set(frame.bytes, headroom);
    page.copyMetadata(frame.page);
    this.statistics.receivedFrames++;
    this.statistics.receivedBytes += frame.bytes.length;
    this.#handler?.(page, headroom, frame.bytes.length);
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(length: number = this.mtu): Page | undefined {
    // Long ones only where they can be sent.
    return length > this.mtu && this.features.maxSegmentation === 0 ? undefined : this.#pool.take();
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const frame = new LongFrame(page, offset, length);
    this.#pool.release(page);
    if (!this.#isAllowed(frame)) this.misfits++;
    if (this.#isClosed || !this.#isAllowed(frame)) {
      this.statistics.droppedFrames++;
      return false;
    }
    this.sent.push(frame);
    this.statistics.sentFrames++;
    this.statistics.sentBytes += length;
    const { peer } = this;
    if (peer !== undefined) {
      peer.#arrived.push(frame);
      peer.#arrival.set(this.#timers.now());
    }
    return true;
  }

  release(page: Page): void {
    this.#pool.release(page);
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#arrival.cancel();
    return Promise.resolve();
  }

  #isAllowed({ bytes, page }: LongFrame): boolean {
    const { features } = this;
    if (page.flags !== 0 && !features.transmitChecksum) return false;
    if (page.segmentSize === 0) return bytes.length <= this.mtu + ethernetHeader;
    const isIpv6 = bytes[12] === 0x86;
    const isUdp = bytes[isIpv6 ? 20 : 23] === 17;
    const transport = isUdp ? 8 : ((bytes[page.checksumStart + 12] ?? 0) >>> 4) * 4;
    return (
      features.maxSegmentation > 0 &&
      bytes.length <= longestFrame &&
      (!isIpv6 || features.segmentsIpv6 === true) &&
      (!isUdp || features.segmentsUdp === true) &&
      page.flags !== 0 &&
      isUdp === (page.checksumOffset === udpChecksumOffset) &&
      page.headerLength === page.checksumStart + transport &&
      page.headerLength + page.segmentSize <= this.mtu + ethernetHeader
    );
  }
}

/** What a tap device of a new kernel does. */
export const cutsAll: NetifFeatures = {
  transmitChecksum: true,
  maxSegmentation: 65_455,
  segmentsIpv6: true,
  segmentsUdp: true,
};

/** The two ends of a link. */
export function cuttingLink(
  timers: Timers,
  features: { readonly a?: NetifFeatures; readonly b?: NetifFeatures; readonly mtu?: number } = {},
): { readonly a: CuttingNetif; readonly b: CuttingNetif } {
  const a = new CuttingNetif(timers, new MacAddress(0x0200, 1), features.a ?? cutsAll, features.mtu);
  const b = new CuttingNetif(timers, new MacAddress(0x0200, 2), features.b ?? cutsAll, features.mtu);
  a.peer = b;
  b.peer = a;
  return { a, b };
}
