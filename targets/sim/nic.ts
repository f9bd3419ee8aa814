import type { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import { headroom, PagePool, type Page } from "@tesserae/device/page";
import type { Events } from "./event.ts";
import type { Channel, FrameSink } from "./link.ts";

const ethernetHeader = 14;
/** Pages to build frames in. A link copies what it takes, so they come back at once: this is for queues in the stack. */
const transmitPages = 128;

export interface NicOptions {
  readonly name: string;
  /** As in `client.eth0`. */
  readonly place: string;
  /** The number of the interface in its world. */
  readonly id: number;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly events: Events;
}

/** A host's network interface: a Netif on one side, one end of a link on the other. No offloads. */
export class Nic implements Netif, FrameSink {
  readonly name: string;
  readonly place: string;
  readonly id: number;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures = { transmitChecksum: false, maxSegmentation: 0 };
  readonly #statistics = { receivedFrames: 0, receivedBytes: 0, sentFrames: 0, sentBytes: 0, droppedFrames: 0 };
  readonly #events: Events;
  readonly #pool: PagePool;
  #channel: Channel | undefined = undefined;
  #handler: FrameHandler | undefined = undefined;
  #closed = false;

  constructor(options: NicOptions) {
    this.name = options.name;
    this.place = options.place;
    this.id = options.id;
    this.mac = options.mac;
    this.mtu = options.mtu;
    this.#events = options.events;
    this.#pool = new PagePool(transmitPages, headroom + ethernetHeader + options.mtu);
  }

  get statistics(): NetifStatistics {
    return this.#statistics;
  }

  /** Plugs the wire in. Until then what is sent is dropped. */
  attach(channel: Channel): void {
    this.#channel = channel;
  }

  get attached(): boolean {
    return this.#channel !== undefined;
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(): Page | undefined {
    if (this.#closed) return undefined;
    const page = this.#pool.take();
    if (page === undefined) this.#statistics.droppedFrames++;
    return page;
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const channel = this.#channel;
    if (this.#closed || channel === undefined || length > this.mtu + ethernetHeader || length < ethernetHeader) {
      this.#statistics.droppedFrames++;
      this.#pool.release(page);
      return false;
    }
    const frame = this.#events.nextFrame();
    this.#statistics.sentFrames++;
    this.#statistics.sentBytes += length;
    this.#events.frame("sent", this.place, this.id, frame, undefined, page.bytes, offset, length);
    const taken = channel.send(page.bytes, offset, length, frame);
    if (!taken) this.#statistics.droppedFrames++;
    this.#pool.release(page);
    return taken;
  }

  release(page: Page): void {
    this.#pool.release(page);
  }

  deliver(page: Page, offset: number, length: number, frame: number): void {
    const handler = this.#handler;
    if (this.#closed || handler === undefined || length > this.mtu + ethernetHeader) {
      this.#statistics.droppedFrames++;
      this.#events.frame("dropped", this.place, this.id, frame, "deaf", page.bytes, offset, length);
      return;
    }
    this.#statistics.receivedFrames++;
    this.#statistics.receivedBytes += length;
    this.#events.frame("received", this.place, this.id, frame, undefined, page.bytes, offset, length);
    handler(page, offset, length);
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#handler = undefined;
    return Promise.resolve();
  }
}
