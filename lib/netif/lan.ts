import type { MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Netif } from "@tesserae/device/netif";
import { headroom, Page } from "@tesserae/device/page";
import { addressKey } from "./address-table.ts";
import { FrameQueue } from "./frame-queue.ts";
import { Pace } from "./pace.ts";
import { headerSize, Port } from "./port.ts";

export interface LanOptions {
  readonly timers: Timers;
  /** Milliseconds from any interface to any other; default 0. */
  readonly delay?: number;
  /** Bits a second of each interface's line; default: no limit. */
  readonly bandwidth?: number;
  /** Frames that may be under way from each interface; more are dropped. Default 512. */
  readonly queue?: number;
  /** Default 1500. */
  readonly mtu?: number;
  /** Addresses that the switch remembers; the one learned longest ago is forgotten first. Default 1024. */
  readonly addresses?: number;
}

export interface AttachOptions {
  readonly name: string;
  readonly mac: MacAddress;
  /** Default: twice the queue. */
  readonly pages?: number;
}

/** A learning switch in memory, and its interfaces. */
export class Lan {
  readonly #timers: Timers;
  readonly #delay: number;
  readonly #bandwidth: number;
  readonly #queue: number;
  readonly #mtu: number;
  readonly #addresses: number;
  readonly #ports: Port[] = [];
  /** Address → port, the one learned longest ago first. */
  readonly #learned = new Map<number, number>();
  /** What is lent to each but the last receiver of a flooded frame, each of which may write into it. */
  readonly #copy: Page;

  /** @throws RangeError when an option is out of range. */
  constructor({ timers, delay = 0, bandwidth = Infinity, queue = 512, mtu = 1500, addresses = 1024 }: LanOptions) {
    this.#timers = timers;
    this.#delay = delay;
    this.#bandwidth = bandwidth;
    this.#queue = queue;
    this.#mtu = mtu;
    this.#addresses = addresses;
    this.#copy = new Page(new Uint8Array(headroom + mtu + headerSize), 0);
  }

  /** Plugs in one more interface. */
  attach({ name, mac, pages = this.#queue * 2 }: AttachOptions): Netif {
    const pace = new Pace(this.#timers, this.#delay, this.#bandwidth);
    const index = this.#ports.length;
    const queue = new FrameQueue(this.#timers, this.#queue, (page, offset, length) => {
      try {
        this.#forward(page, offset, length, index);
      } finally {
        port.release(page);
      }
    });
    const port: Port = new Port({ name, mac, mtu: this.#mtu, pages }, (page, offset, length) =>
      pace.push(queue, page, offset, length, index),
    );
    this.#ports.push(port);
    return port;
  }

  #forward(page: Page, offset: number, length: number, from: number): void {
    const { bytes } = page;
    this.#learn(addressKey(bytes, offset + 6), from);
    if (((bytes[offset] ?? 0) & 1) === 0) {
      const to = this.#learned.get(addressKey(bytes, offset));
      // To where it came from: the receiver is on the sender's side, and has it.
      if (to === from) return;
      const port = to === undefined ? undefined : this.#ports[to];
      if (port !== undefined && !port.closed) {
        port.deliver(page, offset, length);
        return;
      }
    }
    const copy = this.#copy;
    for (let index = 0; index < this.#ports.length; index++) {
      const port = this.#ports[index];
      if (port === undefined || index === from || port.closed) continue;
      copy.reset();
      copy.bytes.set(bytes.subarray(offset, offset + length), headroom - headerSize);
      port.deliver(copy, headroom - headerSize, length);
    }
  }

  #learn(address: number, from: number): void {
    if (this.#learned.get(address) === from) return;
    this.#learned.delete(address);
    if (this.#learned.size >= this.#addresses) {
      for (const oldest of this.#learned.keys()) {
        this.#learned.delete(oldest);
        break;
      }
    }
    this.#learned.set(address, from);
  }
}
