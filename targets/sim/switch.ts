import type { Clock } from "@tesserae/device/clock";
import { headroom, type Page } from "@tesserae/device/page";
import type { FrameStore } from "./frame-store.ts";
import type { Channel, FrameSink } from "./link.ts";

/** Addresses remembered for one port: a host that makes them up evicts its own only. */
const addressesAPort = 64;
/** Milliseconds until an address not heard of is forgotten (IEEE 802.1D-2004 §7.9.2). */
const aging = 300_000;

/** A learning Ethernet switch: forwards a frame to the port its destination was last heard on, else to all others. */
export class Switch {
  readonly name: string;
  readonly #clock: Clock;
  readonly #store: FrameStore;
  readonly #ports: SwitchPort[] = [];
  readonly #places = new Map<number, Place>();

  /** Frames sent to one port, and to all but the one they came from. */
  forwarded = 0;
  flooded = 0;

  /** @param store lends the pages for the copies of a flooded frame */
  constructor(name: string, clock: Clock, store: FrameStore) {
    this.name = name;
    this.#clock = clock;
    this.#store = store;
  }

  /** How many addresses it knows. */
  get addresses(): number {
    return this.#places.size;
  }

  /** A new port. Frames for the host come out of `channel` once it is attached. */
  port(): SwitchPort {
    const port = new SwitchPort(this);
    this.#ports.push(port);
    return port;
  }

  /** A frame has come in on `from`. */
  forward(from: SwitchPort, page: Page, offset: number, length: number, frame: number): void {
    if (length < 14) return;
    const bytes = page.bytes;
    const now = this.#clock.now();
    this.#learn(from, key(bytes, offset + 6), now);
    if (((bytes[offset] ?? 0) & 1) === 0) {
      const place = this.#places.get(key(bytes, offset));
      if (place !== undefined && place.heard + aging > now) {
        this.forwarded++;
        if (place.port !== from) place.port.channel?.pass(page, offset, length, frame);
        return;
      }
    }
    this.flooded++;
    const ports = this.#ports;
    for (let index = 0; index < ports.length; index++) {
      const port = ports[index];
      if (port === undefined || port === from || port.channel === undefined) continue;
      if (!port.channel.direct) {
        port.channel.send(bytes, offset, length, frame);
        continue;
      }
      // A receiver may write into what it is lent, and the others are to get what was sent.
      const copy = this.#store.copy(bytes, offset, length);
      port.channel.pass(copy, headroom, length, frame);
      this.#store.release(copy);
    }
  }

  #learn(port: SwitchPort, address: number, now: number): void {
    const known = this.#places.get(address);
    if (known !== undefined) {
      if (known.port === port) {
        known.heard = now;
        return;
      }
      known.port.forget(address);
      this.#places.delete(address);
    }
    // A group address is nobody's.
    if (((address / 2 ** 40) & 1) === 1) return;
    const evicted = port.remember(address, addressesAPort);
    if (evicted >= 0) this.#places.delete(evicted);
    this.#places.set(address, { port, heard: now });
  }
}

interface Place {
  readonly port: SwitchPort;
  heard: number;
}

/** One port of a {@link Switch}. */
export class SwitchPort implements FrameSink {
  /** Towards the host. */
  channel: Channel | undefined = undefined;
  readonly #switch: Switch;
  readonly #addresses: number[] = [];

  constructor(owner: Switch) {
    this.#switch = owner;
  }

  deliver(page: Page, offset: number, length: number, frame: number): void {
    this.#switch.forward(this, page, offset, length, frame);
  }

  /** Notes an address heard here. @returns the oldest one when there were `most` already, else −1. */
  remember(address: number, most: number): number {
    this.#addresses.push(address);
    return this.#addresses.length > most ? (this.#addresses.shift() ?? -1) : -1;
  }

  forget(address: number): void {
    const index = this.#addresses.indexOf(address);
    if (index >= 0) this.#addresses.splice(index, 1);
  }
}

/** A MAC address as one integer below 2⁴⁸. */
function key(bytes: Uint8Array, offset: number): number {
  const high = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
  const low =
    ((bytes[offset + 2] ?? 0) << 24) |
    ((bytes[offset + 3] ?? 0) << 16) |
    ((bytes[offset + 4] ?? 0) << 8) |
    (bytes[offset + 5] ?? 0);
  return high * 2 ** 32 + (low >>> 0);
}
