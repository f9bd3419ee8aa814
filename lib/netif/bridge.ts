import type { MacAddress } from "@tesserae/device/address";
import type { Clock } from "@tesserae/device/clock";
import type { Netif } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { addressKey, AddressTable, LearningPort } from "./address-table.ts";
import { headerSize } from "./port.ts";
import { relay } from "./relay.ts";

export interface BridgeOptions {
  readonly clock: Clock;
  /** Addresses remembered for one port; the one first heard is forgotten first. Default 256. */
  readonly addresses?: number;
}

export interface BridgePortOptions {
  /** The only address that frames from this port may come from; others are dropped. Default: all may. */
  readonly only?: MacAddress;
}

/** Counters of one port since it was attached. */
export interface BridgePortStatistics {
  /** Frames passed on to this port, and to it for want of knowing better. */
  readonly forwarded: number;
  readonly flooded: number;
  /** Frames for this port that its interface had no room for, or that are longer than its MTU. */
  readonly dropped: number;
  /** Frames from this port with an address that it may not use, or that no bridge passes on. */
  readonly refused: number;
}

/**
 * A learning Ethernet bridge between interfaces, which it owns from then on: it forwards a frame to the interface behind
 * which its destination was last heard, else to all others (IEEE 802.1D-2004 §7). There is no spanning tree: loops are
 * the caller's to avoid.
 *
 * Checksums and segmentation that a sender left to a device are left to the next one, or done on the way.
 */
export class Bridge {
  readonly #clock: Clock;
  readonly #mostAddresses: number;
  readonly #places = new AddressTable<BridgePort>();
  readonly #ports: BridgePort[] = [];

  constructor({ clock, addresses = 256 }: BridgeOptions) {
    if (!Number.isInteger(addresses) || addresses < 1) {
      throw new RangeError(`addresses ${String(addresses)} is not an integer above 0`);
    }
    this.#clock = clock;
    this.#mostAddresses = addresses;
  }

  /** How many addresses it knows. */
  get addresses(): number {
    return this.#places.size;
  }

  get ports(): readonly BridgePort[] {
    return this.#ports;
  }

  /** Joins an interface. It must take frames for any address. */
  attach(netif: Netif, { only }: BridgePortOptions = {}): BridgePort {
    const key = new Uint8Array(6);
    only?.write(key, 0);
    const port = new BridgePort(netif, this.#mostAddresses, only === undefined ? -1 : addressKey(key, 0));
    this.#ports.push(port);
    netif.listen((page, offset, length) => this.#forward(port, page, offset, length));
    return port;
  }

  /** Lets an interface go. It is still open, and what it receives is dropped. Harmless when it is not attached. */
  detach(port: BridgePort): void {
    const index = this.#ports.indexOf(port);
    if (index < 0) return;
    this.#ports.splice(index, 1);
    this.#places.forgetPort(port);
    port.netif.listen(() => undefined);
  }

  #forward(from: BridgePort, page: Page, offset: number, length: number): void {
    const { bytes } = page;
    if (length < headerSize) return;
    const source = addressKey(bytes, offset + 6);
    if ((from.only >= 0 && source !== from.only) || isReserved(bytes, offset)) {
      from.refused++;
      return;
    }
    const now = this.#clock.now();
    this.#places.learn(from, source, now);
    const isGroup = ((bytes[offset] ?? 0) & 1) === 1;
    const to = isGroup ? undefined : this.#places.find(addressKey(bytes, offset), now);
    if (to !== undefined) {
      if (to === from) return;
      if (relay(to.netif, page, offset, length)) to.forwarded++;
      else to.dropped++;
      return;
    }
    const ports = this.#ports;
    for (let index = 0; index < ports.length; index++) {
      const port = ports[index];
      if (port === undefined || port === from) continue;
      if (relay(port.netif, page, offset, length)) port.flooded++;
      else port.dropped++;
    }
  }
}

/** One interface of a {@link Bridge}, and its counters. */
export class BridgePort extends LearningPort implements BridgePortStatistics {
  readonly netif: Netif;
  /** The key of the one address that may send from here, or −1: any. */
  readonly only: number;
  forwarded = 0;
  flooded = 0;
  dropped = 0;
  refused = 0;

  constructor(netif: Netif, mostAddresses: number, only: number) {
    super(mostAddresses);
    this.netif = netif;
    this.only = only;
  }
}

/** 01:80:c2:00:00:00 to 0f: for the neighbour alone (IEEE 802.1D-2004 §7.12.6). */
function isReserved(bytes: Uint8Array, offset: number): boolean {
  return (
    bytes[offset] === 0x01 &&
    bytes[offset + 1] === 0x80 &&
    bytes[offset + 2] === 0xc2 &&
    bytes[offset + 3] === 0 &&
    bytes[offset + 4] === 0 &&
    (bytes[offset + 5] ?? 0) < 16
  );
}
