import type { MacAddress } from "@tesserae/device/address";
import type { Ethernet, EthernetHandler } from "@tesserae/device/ethernet";
import type { Netif, NetifFeatures } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { ethernet } from "./wire.ts";

/** What became of the frames. */
export class EthernetStatistics {
  received = 0;
  sent = 0;
  /** Shorter than a header. */
  tooShort = 0;
  /** Unicast to somebody else. */
  notForUs = 0;
  /** From a group address, which no host has. */
  badSource = 0;
  /** Of a type that nobody listens to. */
  unknownType = 0;
  /** Dropped by the device at once. */
  sendFailed = 0;
}

/** {@link Ethernet} with its counters. */
export interface CountedEthernet extends Ethernet {
  readonly features: NetifFeatures;
  readonly statistics: EthernetStatistics;
}

/** EtherTypes that can be listened to at once. */
const mostTypes = 16;

/** Ethernet II over `netif`. Takes over the interface's frame handler. */
export function createEthernet(options: { readonly netif: Netif }): CountedEthernet {
  return new NetifEthernet(options.netif);
}

class NetifEthernet implements CountedEthernet {
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;
  readonly statistics = new EthernetStatistics();
  readonly #netif: Netif;
  readonly #types = new Uint16Array(mostTypes);
  readonly #handlers: EthernetHandler[] = [];

  constructor(netif: Netif) {
    this.#netif = netif;
    this.mac = netif.mac;
    this.mtu = netif.mtu;
    this.features = netif.features;
    netif.listen((page, offset, length) => this.#receive(page, offset, length));
  }

  listen(etherType: number, handler: EthernetHandler): void {
    if (!Number.isInteger(etherType) || etherType < 0x0600 || etherType > 0xffff) {
      throw new RangeError(`etherType ${etherType} is not an integer from 0x0600 to 0xffff`);
    }
    const known = this.#types.subarray(0, this.#handlers.length).indexOf(etherType);
    if (known >= 0) {
      this.#handlers[known] = handler;
      return;
    }
    if (this.#handlers.length === mostTypes) throw new RangeError(`more than ${mostTypes} EtherTypes`);
    this.#types[this.#handlers.length] = etherType;
    this.#handlers.push(handler);
  }

  allocate(length?: number): Page | undefined {
    return this.#netif.allocate(length);
  }

  send(destination: MacAddress, etherType: number, page: Page, offset: number, length: number): boolean {
    const start = offset - ethernet.size;
    const bytes = page.bytes;
    ethernet.field.destination.set(bytes, start, destination);
    ethernet.field.source.set(bytes, start, this.mac);
    ethernet.field.etherType.set(bytes, start, etherType);
    this.statistics.sent++;
    if (this.#netif.transmit(page, start, length + ethernet.size)) return true;
    this.statistics.sendFailed++;
    return false;
  }

  release(page: Page): void {
    this.#netif.release(page);
  }

  #receive(page: Page, offset: number, length: number): void {
    const statistics = this.statistics;
    statistics.received++;
    if (length < ethernet.size) {
      statistics.tooShort++;
      return;
    }
    const bytes = page.bytes;
    if (((bytes[offset + 6] ?? 0) & 1) !== 0) {
      statistics.badSource++;
      return;
    }
    // A tap or a bridge floods: what is neither for us nor for a group is somebody else's.
    if (((bytes[offset] ?? 0) & 1) === 0 && !ethernet.field.destination.equals(bytes, offset, this.mac)) {
      statistics.notForUs++;
      return;
    }
    const etherType = ethernet.field.etherType.get(bytes, offset);
    const handlers = this.#handlers;
    for (let index = 0; index < handlers.length; index++) {
      if (this.#types[index] !== etherType) continue;
      handlers[index]?.(page, offset + ethernet.size, length - ethernet.size, offset);
      return;
    }
    statistics.unknownType++;
  }
}
