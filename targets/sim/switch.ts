import type { Clock } from "@tesserae/device/clock";
import { headroom, type Page } from "@tesserae/device/page";
import { addressKey, AddressTable, LearningPort } from "@tesserae/netif/address-table";
import { ArpSnooping } from "./arp-snooping.ts";
import type { FrameStore } from "./frame-store.ts";
import type { Channel, FrameSink } from "./link.ts";
import { MldSnooping } from "./mld-snooping.ts";

/** Addresses remembered for one port: a host that makes them up evicts its own only. */
const addressesAPort = 64;
/** The same for a port behind which there is another switch. */
const addressesATrunk = 16_384;

/** A learning Ethernet switch: forwards a frame to the port its destination was last heard on, else to all others. */
export class Switch {
  readonly name: string;
  readonly #clock: Clock;
  readonly #store: FrameStore;
  readonly #ports: SwitchPort[] = [];
  readonly #places = new AddressTable<SwitchPort>();
  readonly #snooping: ArpSnooping | undefined;
  readonly #groups: MldSnooping | undefined;
  readonly #mostFlooded: number;

  /** Frames sent to one port, and to all but the one they came from, or to those whom it can concern. */
  forwarded = 0;
  flooded = 0;

  /**
   * @param store lends the pages for the copies of a flooded frame
   * @param mostFlooded with more ports or known addresses than that, ARP's broadcasts and what is sent to IPv6 groups
   * go to those only whom they can concern
   */
  constructor(name: string, clock: Clock, store: FrameStore, mostFlooded = Infinity) {
    this.name = name;
    this.#clock = clock;
    this.#store = store;
    this.#mostFlooded = mostFlooded;
    this.#snooping = mostFlooded === Infinity ? undefined : new ArpSnooping();
    this.#groups = mostFlooded === Infinity ? undefined : new MldSnooping();
  }

  /** How many addresses it knows. */
  get addresses(): number {
    return this.#places.size;
  }

  /**
   * A new port. Frames come out of `channel` once it is attached.
   *
   * @param only the bytes of the MAC address of the one interface behind it, which ignores frames for others;
   * undefined: it is to get them all
   * @param trunk whether there is another switch behind it
   */
  port(only?: Uint8Array, trunk = false): SwitchPort {
    const port = new SwitchPort(this, only === undefined ? -1 : addressKey(only, 0), trunk);
    this.#ports.push(port);
    return port;
  }

  /** A frame has come in on `from`. */
  forward(from: SwitchPort, page: Page, offset: number, length: number, frame: number): void {
    if (length < 14) return;
    const bytes = page.bytes;
    const now = this.#clock.now();
    this.#places.learn(from, addressKey(bytes, offset + 6), now);
    const destination = addressKey(bytes, offset);
    const isGroup = ((bytes[offset] ?? 0) & 1) === 1;
    if (!isGroup) {
      const port = this.#places.find(destination, now);
      if (port !== undefined) {
        this.forwarded++;
        if (port === from) return;
        this.#snooping?.forwarded(bytes, offset, length, from, port);
        port.channel?.pass(page, offset, length, frame);
        return;
      }
    }
    this.flooded++;
    const ports = this.#ports;
    const learned = isGroup ? this.#whom(bytes, offset, length, from) : undefined;
    // Hosts behind other switches count as well.
    const concerned = Math.max(ports.length, this.#places.size) > this.#mostFlooded ? learned : undefined;
    // One page for all receivers. One may write into what it is lent, and the others are to get what was sent.
    let copy: Page | undefined;
    for (let index = 0; index < ports.length; index++) {
      const port = ports[index];
      if (port === undefined || port === from || port.channel === undefined) continue;
      if (port.only >= 0) {
        if (!isGroup && port.only !== destination) continue;
        if (concerned?.has(port) === false) continue;
      }
      const { channel } = port;
      if (!channel.direct) {
        channel.send(bytes, offset, length, frame);
        continue;
      }
      if (copy === undefined) copy = this.#store.copy(bytes, offset, length);
      else this.#store.copyInto(copy, bytes, offset, length);
      channel.pass(copy, headroom, length, frame);
    }
    if (copy !== undefined) this.#store.release(copy);
  }

  /** Those whom a frame to a group concerns; undefined: all. */
  #whom(bytes: Uint8Array, offset: number, length: number, from: SwitchPort): ReadonlySet<SwitchPort> | undefined {
    return (
      this.#snooping?.recipients(bytes, offset, length, from) ?? this.#groups?.recipients(bytes, offset, length, from)
    );
  }
}

/** One port of a {@link Switch}. */
export class SwitchPort extends LearningPort implements FrameSink {
  /** Towards the host. */
  channel: Channel | undefined = undefined;
  /** The one address whose frames are wanted there, or −1: all. */
  readonly only: number;
  readonly #switch: Switch;

  constructor(owner: Switch, only: number, trunk: boolean) {
    super(trunk ? addressesATrunk : addressesAPort);
    this.#switch = owner;
    this.only = only;
  }

  deliver(page: Page, offset: number, length: number, frame: number): void {
    this.#switch.forward(this, page, offset, length, frame);
  }
}
