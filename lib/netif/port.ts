import type { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures } from "@tesserae/device/netif";
import { headroom, type Page, PagePool } from "@tesserae/device/page";
import { NetifCounters } from "./counters.ts";

/** No offloads: the stack does everything itself. */
export const noFeatures: NetifFeatures = { transmitChecksum: false, maxSegmentation: 0 };

/** Bytes of an Ethernet header. */
export const headerSize = 14;

/**
 * Queues a frame sent on a port. Returns false when there is no room. On true the page is the carrier's until it calls
 * {@link Port.release} on the port that the page came from.
 */
export type Carrier = (page: Page, offset: number, length: number) => boolean;

export interface PortOptions {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly pages: number;
}

/** One interface in memory, over whatever carries its frames. */
export class Port implements Netif {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures = noFeatures;
  readonly statistics: NetifCounters = new NetifCounters();
  readonly #carry: Carrier;
  readonly #pool: PagePool;
  #handler: FrameHandler | undefined;
  #closed = false;

  constructor({ name, mac, mtu, pages }: PortOptions, carry: Carrier) {
    if (!Number.isInteger(mtu) || mtu < 576 || mtu > 65_535) {
      throw new RangeError(`mtu ${String(mtu)} is not an integer from 576 to 65535`);
    }
    this.name = name;
    this.mac = mac;
    this.mtu = mtu;
    this.#carry = carry;
    this.#pool = new PagePool(pages, headroom + mtu + headerSize);
  }

  get closed(): boolean {
    return this.#closed;
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(): Page | undefined {
    return this.#pool.take();
  }

  transmit(page: Page, offset: number, length: number): boolean {
    if (this.#closed || length > this.mtu + headerSize || length < headerSize || !this.#carry(page, offset, length)) {
      this.statistics.droppedFrames++;
      this.#pool.release(page);
      return false;
    }
    this.statistics.sentFrames++;
    this.statistics.sentBytes += length;
    return true;
  }

  release(page: Page): void {
    this.#pool.release(page);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#handler = undefined;
    return Promise.resolve();
  }

  /** Hands a frame to whoever listens; the page is back when the call returns. */
  deliver(page: Page, offset: number, length: number): void {
    const handler = this.#handler;
    if (handler === undefined) {
      this.statistics.droppedFrames++;
      return;
    }
    this.statistics.receivedFrames++;
    this.statistics.receivedBytes += length;
    handler(page, offset, length);
  }
}
