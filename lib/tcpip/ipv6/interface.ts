import { IpAddress, type MacAddress, Prefix } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { protocolIcmp6 } from "@tesserae/device/ip";
import { headroom, type Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { checksum, pseudoHeaderSum6 } from "@tesserae/wire/checksum";
import { etherTypeIpv6 } from "../ethernet/wire.ts";
import type { Link } from "../ip/link.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { Mld, type MldLink } from "../mld/mld.ts";
import { AddressBook, type InterfaceAddress } from "../ndp/address-book.ts";
import {
  type InterfaceIdentifiers,
  linkLocalPrefix,
  modifiedEui64,
  stablePrivacy,
} from "../ndp/interface-identifier.ts";
import { Ndp, type NdpLink } from "../ndp/ndp.ts";
import { Neighbours } from "../ndp/neighbours.ts";
import { InterfaceRoutes } from "../ndp/routes.ts";
import { AddressConfiguration } from "../ndp/slaac.ts";
import { selectSource } from "./address-selection.ts";
import { isLinkLocal, multicastMac, solicitedNode } from "./scope.ts";
import { ipv6, nextHopByHop } from "./wire.ts";

export interface Ipv6InterfaceOptions {
  readonly link: Link;
  /**
   * What the low 64 bits of our own addresses follow from: a secret (RFC 7217, the default) or the MAC address
   * (RFC 2464).
   */
  readonly identifiers?: "stable" | "eui64";
  /** 16 bytes: addresses stay the same for as long as these do. Default: drawn at random. */
  readonly secret?: Uint8Array;
  /** Whether redirects that pass the checks of RFC 4861 §8.1 are followed. Default false. */
  readonly redirects?: boolean;
  /** Neighbours remembered, at least 8. Default 512. */
  readonly neighbours?: number;
  /** Told when another host uses an address of ours: it is not used here, or, once assigned, kept. */
  readonly onConflict?: (address: IpAddress) => void;
}

/** What the host is told by its interfaces. */
export interface Ipv6InterfaceEvents {
  /** Addresses, routes or neighbours are others now: choices made before may be wrong. */
  changed(): void;
  /** A packet of ours did not reach its next hop. The page is lent. */
  unreachable(page: Page, offset: number, length: number): void;
}

const standardHopLimit = 64;
/** A router alert for MLD (RFC 2711 §2.1), in a header of its own, padded. */
const alertHeader = [protocolIcmp6, 0, 5, 2, 0, 0, 1, 0] as const;

/** One interface of a host: its addresses, groups, neighbours, and ways out. */
export class Ipv6Interface implements NdpLink, MldLink {
  readonly link: Link;
  readonly book: AddressBook;
  readonly neighbours: Neighbours;
  readonly routes: InterfaceRoutes;
  readonly groups: Mld;
  readonly ndp: Ndp;
  /** Bytes; routers may tell less than the device takes. */
  linkMtu: number;
  /** Of packets that do not say. */
  hopLimit = standardHopLimit;
  readonly #identifiers: InterfaceIdentifiers;
  readonly #random: Random;
  readonly #events: Ipv6InterfaceEvents;
  readonly #onConflict: ((address: IpAddress) => void) | undefined;
  #configuration: AddressConfiguration | undefined;
  #linkLocal: Promise<boolean> | undefined;
  /** Counts what {@link clear} has ended: what was begun before is not gone on with. */
  #life = 0;

  constructor(options: Ipv6InterfaceOptions, timers: Timers, random: Random, events: Ipv6InterfaceEvents) {
    const { link } = options;
    const { index, ethernet } = link;
    this.link = link;
    this.linkMtu = link.mtu;
    this.#random = random;
    this.#events = events;
    this.#onConflict = options.onConflict;
    this.#identifiers =
      options.identifiers === "eui64"
        ? modifiedEui64(ethernet.mac)
        : stablePrivacy(options.secret ?? randomBytes(random), ethernet.mac);
    this.groups = new Mld(this, timers, random);
    this.routes = new InterfaceRoutes(() => events.changed());
    this.neighbours = new Neighbours({
      timers,
      random,
      ...(options.neighbours === undefined ? {} : { capacity: options.neighbours }),
      events: {
        solicit: (target, mac) => this.#solicit(target, mac),
        transmit: (mac, page, offset, length) => ethernet.send(mac, etherTypeIpv6, page, offset, length),
        release: (page) => ethernet.release(page),
        unreachable: (page, offset, length) => events.unreachable(page, offset, length),
        changed: (neighbour, isThere) => {
          this.routes.mark(neighbour, !isThere);
          events.changed();
        },
      },
    });
    this.book = new AddressBook(index, timers, random, {
      listen: (address) => this.groups.join(solicitedNode(address), true),
      forget: (address) => this.groups.leave(solicitedNode(address)),
      probe: (address, nonce) => this.ndp.probe(address, nonce),
      announce: (address) => {
        // Reports sent before there was an address may have been passed over (RFC 3590 §4).
        if (isLinkLocal(address)) this.groups.announce();
        this.ndp.announce(address);
      },
      changed: () => events.changed(),
      duplicate: (entry) => this.#duplicate(entry),
    });
    this.ndp = new Ndp({
      link: this,
      book: this.book,
      neighbours: this.neighbours,
      routes: this.routes,
      timers,
      random,
      redirects: options.redirects ?? false,
    });
  }

  /** From 1. */
  get index(): number {
    return this.link.index;
  }

  get name(): string {
    return this.link.name;
  }

  get mac(): MacAddress {
    return this.link.ethernet.mac;
  }

  get deviceMtu(): number {
    return this.link.mtu;
  }

  /** Our addresses that can be used, the preferred ones first, link-local ones last. */
  get addresses(): readonly InterfaceAddress[] {
    const rank = (each: InterfaceAddress): number => (isLinkLocal(each.address) ? 2 : 0) + (each.deprecated ? 1 : 0);
    return [...this.book.assigned].sort((a, b) => rank(a) - rank(b));
  }

  /**
   * Makes the link-local address, which everything on the link needs.
   *
   * @param probe whether to look for other users of it first (RFC 4862 §5.4), which takes up to two seconds
   * @returns whether there is one.
   */
  start(probe: boolean): Promise<boolean> {
    return (this.#linkLocal ??= this.#startLinkLocal(probe));
  }

  /**
   * Takes an address, and its prefix as on the link.
   *
   * @returns whether it is ours: false when another host has it, or there is no room.
   */
  async add(prefix: Prefix, options: { readonly probe?: boolean } = {}): Promise<boolean> {
    const probe = options.probe ?? false;
    const linkLocal = this.start(probe);
    const added = this.book.add({ prefix, origin: "static", probe });
    if (!isLinkLocal(prefix.address)) this.addRoute(prefix, undefined);
    const [isOurs] = await Promise.all([added, linkLocal]);
    return isOurs;
  }

  /** A way to `prefix`: through a router, or without one on the link. */
  addRoute(prefix: Prefix, gateway: IpAddress | undefined): void {
    this.routes.set("configured", prefix, gateway, Infinity, 0, 0);
  }

  /** Makes a link-local address, and then addresses and routes from what routers tell (RFC 4862). */
  autoconfigure(options: { readonly temporary?: boolean } = {}): void {
    void this.start(true);
    this.#configuration ??= new AddressConfiguration(
      this.book,
      this.#identifiers,
      this.#random,
      options.temporary ?? false,
    );
    this.ndp.discover(this.#configuration);
  }

  /** Forgets addresses, routes and neighbours. */
  clear(): void {
    this.#life++;
    this.ndp.close();
    this.book.clear();
    this.routes.clear();
    this.neighbours.clear();
    this.#linkLocal = undefined;
    this.#configuration = undefined;
  }

  close(): void {
    this.clear();
    this.neighbours.close();
    this.groups.close();
  }

  /** The source for a packet to an address on this link, or `undefined`. */
  source(destination: IpAddress): IpAddress | undefined {
    return selectSource(destination, this.book.assigned, this.index)?.address;
  }

  /** Sends a packet that is complete to a group. Takes the page. */
  sendToGroup(group: IpAddress, page: Page, offset: number, length: number): boolean {
    return this.link.ethernet.send(multicastMac(group), etherTypeIpv6, page, offset, length);
  }

  // For NDP and MLD.

  adjust(mtu: number, hopLimit: number): void {
    if (mtu !== 0 && mtu !== this.linkMtu) {
      this.linkMtu = mtu;
      this.#events.changed();
    }
    if (hopLimit !== 0) this.hopLimit = hopLimit;
  }

  send(
    source: IpAddress,
    destination: IpAddress,
    mac: MacAddress | undefined,
    message: Uint8Array,
    length: number,
  ): void {
    this.#emit(source, destination, mac, message, length, 255, false);
  }

  sendAlert(destination: IpAddress, message: Uint8Array, length: number): void {
    const own = this.book.assigned.find((each) => isLinkLocal(each.address));
    this.#emit(own?.address ?? IpAddress.any6, destination, undefined, message, length, 1, true);
  }

  #emit(
    source: IpAddress,
    destination: IpAddress,
    mac: MacAddress | undefined,
    message: Uint8Array,
    length: number,
    hopLimit: number,
    isAlert: boolean,
  ): void {
    const page = this.link.allocate();
    if (page === undefined) return;
    const { bytes } = page;
    copyBytes(message, 0, bytes, headroom, length);
    bytes[headroom + 2] = bytes[headroom + 3] = 0;
    const sum = checksum(bytes, headroom, length, pseudoHeaderSum6(source, destination, protocolIcmp6, length));
    bytes[headroom + 2] = sum >>> 8;
    bytes[headroom + 3] = sum;
    const payload = isAlert ? headroom - alertHeader.length : headroom;
    if (isAlert) for (const [index, value] of alertHeader.entries()) bytes[payload + index] = value;
    const start = payload - ipv6.size;
    bytes[start] = 0x60;
    bytes[start + 1] = bytes[start + 2] = bytes[start + 3] = 0;
    ipv6.field.payloadLength.set(bytes, start, headroom + length - payload);
    ipv6.field.nextHeader.set(bytes, start, isAlert ? nextHopByHop : protocolIcmp6);
    ipv6.field.hopLimit.set(bytes, start, hopLimit);
    ipv6.field.source.set(bytes, start, source);
    ipv6.field.destination.set(bytes, start, destination);
    const total = headroom + length - start;
    if (destination.isMulticast) this.sendToGroup(destination, page, start, total);
    else if (mac === undefined) this.neighbours.send(destination, page, start, total);
    else this.link.ethernet.send(mac, etherTypeIpv6, page, start, total);
  }

  #solicit(target: IpAddress, mac: MacAddress | undefined): boolean {
    const source = this.source(target);
    if (source === undefined) return false;
    this.ndp.solicit(source, target, mac);
    return true;
  }

  async #startLinkLocal(probe: boolean): Promise<boolean> {
    const life = this.#life;
    for (let collisions = 0; collisions < 3 && life === this.#life; collisions++) {
      const address = this.#identifiers.address(linkLocalPrefix, collisions);
      if (await this.book.add({ prefix: new Prefix(address, 64), origin: "link-local", probe })) return true;
      if (!this.#identifiers.canRetry) return false;
    }
    return false;
  }

  #duplicate(entry: InterfaceAddress): void {
    this.#onConflict?.(entry.address);
    this.#configuration?.taken(entry);
  }
}

function randomBytes(random: Random): Uint8Array {
  const bytes = new Uint8Array(16);
  random.fill(bytes);
  return bytes;
}
