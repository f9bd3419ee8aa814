import type { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import { headroom, type Page } from "@tesserae/device/page";
import type { DropReason, Events } from "./event.ts";
import type { FrameStore } from "./frame-store.ts";
import type { Channel, FrameSink } from "./link.ts";
import type { Partitions } from "./partition.ts";

const ethernetHeader = 14;
/** Pages to build frames in. A link takes over what is sent, so this bounds queues in the stack. */
const transmitPages = 128;
/** Frames that wait for a paused host. */
const heldFrames = 512;

export interface NicOptions {
  readonly name: string;
  /** As in `client.eth0`. */
  readonly place: string;
  /** The number of the interface in its world. */
  readonly id: number;
  readonly mac: MacAddress;
  readonly mtu: number;
  /** Whether it wants frames that are for others. */
  readonly promiscuous: boolean;
  readonly events: Events;
  readonly store: FrameStore;
  readonly partitions: Partitions;
  /** The index of its host. */
  readonly owner: number;
}

interface Held {
  readonly page: Page;
  readonly length: number;
  readonly frame: number;
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
  readonly #options: NicOptions;
  readonly #events: Events;
  readonly #partitions: Partitions;
  readonly #store: FrameStore;
  /** Bytes of a page, and how many of them the stack has. */
  readonly #pageSize: number;
  #out = 0;
  #channel: Channel | undefined = undefined;
  #incoming: Channel | undefined = undefined;
  #held: Held[] | undefined = undefined;
  #handler: FrameHandler | undefined = undefined;
  #closed = false;

  constructor(options: NicOptions) {
    this.name = options.name;
    this.place = options.place;
    this.id = options.id;
    this.mac = options.mac;
    this.mtu = options.mtu;
    this.#options = options;
    this.#events = options.events;
    this.#partitions = options.partitions;
    this.#store = options.store;
    this.#pageSize = headroom + ethernetHeader + options.mtu;
  }

  get statistics(): NetifStatistics {
    return this.#statistics;
  }

  get promiscuous(): boolean {
    return this.#options.promiscuous;
  }

  /** Pages that the host has not given back. */
  get pagesOut(): number {
    return this.#out;
  }

  /** Plugs the wire in, whose ends are `out` and `into`. Until then what is sent is dropped. */
  attach(out: Channel, into: Channel): void {
    this.#channel = out;
    this.#incoming = into;
    into.plug(this);
  }

  get attached(): boolean {
    return this.#channel !== undefined;
  }

  /**
   * The interface of the host's next life, on the same wire. What the host's former life does with this one comes to
   * nothing from now on.
   */
  successor(): Nic {
    this.#shut();
    const next = new Nic(this.#options);
    if (this.#channel !== undefined && this.#incoming !== undefined) next.attach(this.#channel, this.#incoming);
    this.#channel = undefined;
    return next;
  }

  /** Frames wait from now on, up to a bound. */
  pause(): void {
    this.#held ??= [];
  }

  /** Undoes {@link Nic.pause}: delivers what has waited. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { page, length, frame } of held) {
      this.deliver(page, headroom, length, frame);
      this.#store.release(page);
    }
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(): Page | undefined {
    if (this.#closed) return undefined;
    if (this.#out >= transmitPages) {
      this.#statistics.droppedFrames++;
      return undefined;
    }
    this.#out++;
    return this.#store.take(this.#pageSize, this.id + 1);
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const channel = this.#channel;
    if (this.#closed || channel === undefined || length > this.mtu + ethernetHeader || length < ethernetHeader) {
      this.#statistics.droppedFrames++;
      this.release(page);
      return false;
    }
    this.#store.send(page, this.id + 1);
    this.#out--;
    const frame = this.#events.nextFrame();
    this.#statistics.sentFrames++;
    this.#statistics.sentBytes += length;
    this.#events.frame("sent", this.place, this.id, frame, undefined, page.bytes, offset, length);
    const taken = channel.sendPage(page, offset, length, frame);
    if (!taken) this.#statistics.droppedFrames++;
    return taken;
  }

  release(page: Page): void {
    this.#store.release(page, this.id + 1);
    this.#out--;
  }

  deliver(page: Page, offset: number, length: number, frame: number): void {
    const partitions = this.#partitions;
    if (!partitions.none && partitions.cutsOff(page.bytes, offset, length, this.#options.owner)) {
      this.#drop(page, offset, length, frame, "partition");
      return;
    }
    if (this.#held !== undefined) {
      this.#hold(this.#held, page, offset, length, frame);
      return;
    }
    const handler = this.#handler;
    if (this.#closed || handler === undefined || length > this.mtu + ethernetHeader) {
      this.#drop(page, offset, length, frame, "deaf");
      return;
    }
    this.#statistics.receivedFrames++;
    this.#statistics.receivedBytes += length;
    this.#events.frame("received", this.place, this.id, frame, undefined, page.bytes, offset, length);
    handler(page, offset, length);
  }

  close(): Promise<void> {
    this.#shut();
    return Promise.resolve();
  }

  #shut(): void {
    this.#closed = true;
    this.#handler = undefined;
    for (const { page } of this.#held ?? []) this.#store.release(page);
    this.#held = undefined;
  }

  #hold(held: Held[], page: Page, offset: number, length: number, frame: number): void {
    if (held.length >= heldFrames) {
      this.#drop(page, offset, length, frame, "queue");
      return;
    }
    held.push({ page: this.#store.copy(page.bytes, offset, length), length, frame });
  }

  #drop(page: Page, offset: number, length: number, frame: number, reason: DropReason): void {
    this.#statistics.droppedFrames++;
    this.#events.frame("dropped", this.place, this.id, frame, reason, page.bytes, offset, length);
  }
}
