import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Ip, IpError, IpHandler, IpPacket, IpSendOptions } from "@tesserae/device/ip";
import type { Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { etherTypeIpv4 } from "../ethernet/wire.ts";
import { type Link, Links } from "../ip/link.ts";
import { Ipv4Input, type Undeliverable, type UndeliverableHandler } from "./input.ts";
import { Ipv4Interface, type NextHopSender } from "./interface.ts";
import { Interfaces } from "./interfaces.ts";
import { InternedAddresses } from "./interned-address.ts";
import { Loopback } from "./loopback.ts";
import { Ipv4Output, noOptions } from "./output.ts";
import { QuotedErrors } from "./quoted-error.ts";
import { Redirects } from "./redirects.ts";
import type { ReassemblyOptions } from "../ip/reassembly-slots.ts";
import type { Reassembler } from "./reassembly.ts";
import type { Route, RouteTable } from "./route.ts";
import { Ipv4Statistics } from "./statistics.ts";
import { ipv4 } from "./wire.ts";

/** {@link Ip} version 4, with what ICMP, UDP, DHCP and a forwarder need beside. */
export interface Ipv4 extends Ip {
  readonly statistics: Ipv4Statistics;
  readonly reassembly: Reassembler;
  /** In the order of their indices, the one with index 1 first. */
  readonly interfaces: readonly Ipv4Interface[];
  readonly routes: RouteTable;

  /** The interface of that index. @throws RangeError when there is none. */
  interface(index: number): Ipv4Interface;
  /** Whether it is the limited or a directed broadcast address, or a multicast group. */
  isBroadcast(address: IpAddress): boolean;
  /** Whether the device that packets to `destination` leave by completes their transport checksums. */
  completesChecksum(destination: IpAddress): boolean;
  /** See `HostIp.datagramSegmentation`. */
  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number;
  /** As `send`, from bytes that stay the caller's. Cuts what is longer than the path MTU. */
  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean;
  /**
   * Sends `bytes[0 … length)` to a group, as control messages of a link are sent: with a time to live of 1, the type of
   * service of internetwork control, and a router alert (RFC 2113); from `0.0.0.0` where there is no address yet.
   *
   * @param group as `IpAddress.w3`
   */
  sendAlert(on: Ipv4Interface, group: number, protocol: number, bytes: Uint8Array, length: number): boolean;
  /** Sets who is told of packets that go no further. */
  listenUndeliverable(handler: UndeliverableHandler): void;
  /** Says that a transport does not take a packet it was given. */
  undeliverable(packet: IpPacket, reason: Undeliverable): void;
  /** Sets who is told that a group was joined for the first time on an interface, or left for the last. */
  listenGroups(handler: GroupHandler): void;
  /**
   * Hands on an ICMP error. `bytes[offset … offset + length)` is the packet quoted, as it came.
   *
   * @param mtu with `packet-too-big`: the MTU reported, or 0
   */
  reportError(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void;
  /**
   * Hands on a redirect that came in by interface `index`; what it quotes is as with {@link reportError}.
   *
   * @param gateway the better first hop, as `IpAddress.w3`
   */
  reportRedirect(
    reporter: IpAddress,
    index: number,
    gateway: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void;
  /** The IpAddress of an address word, mostly without allocating. */
  intern(word: number): IpAddress;
  /** Drops what waits and stops its timers. */
  close(): void;
}

/** `group` as `IpAddress.w3`. */
export type GroupHandler = (on: Ipv4Interface, group: number, joined: boolean) => void;

export interface Ipv4Options {
  /** In the order of their links' indices, from 1. */
  readonly interfaces: readonly { readonly link: Link; readonly arp: NextHopSender }[];
  readonly timers: Timers;
  readonly random: Random;
  readonly reassembly?: ReassemblyOptions;
}

/** IPv4 (RFC 791, RFC 1122 §3.2.1) over any number of interfaces. Takes over the EtherType 0x0800 of each. */
export function createIpv4(options: Ipv4Options): Ipv4 {
  return new HostIpv4(options);
}

/** IPv4, with its parts in sight of the forwarder. */
export class HostIpv4 implements Ipv4 {
  readonly statistics = new Ipv4Statistics();
  readonly table = new Interfaces();
  readonly links: Links;
  readonly input: Ipv4Input;
  readonly output: Ipv4Output;
  readonly timers: Timers;
  readonly #errors: QuotedErrors;
  readonly #redirects: Redirects;
  readonly #loopback: Loopback;
  readonly #interned = new InternedAddresses();
  #groups: GroupHandler = () => undefined;

  constructor(options: Ipv4Options) {
    const { timers, random, reassembly } = options;
    this.timers = timers;
    this.links = new Links(options.interfaces.map(({ link }) => link));
    const { statistics, table: interfaces, links } = this;
    const interned = this.#interned;
    this.#loopback = new Loopback(
      timers,
      (page, offset, length, index) => this.input.receiveLocal(page, offset, length, index),
      (page) => links.release(page),
    );
    const loopback = this.#loopback;
    this.output = new Ipv4Output({ interfaces, links, loopback, statistics, timers, random });
    this.input = new Ipv4Input({ interfaces, interned, statistics, timers, reassembly });
    this.#errors = new QuotedErrors({ interfaces, output: this.output, interned, statistics, timers });
    this.#redirects = new Redirects({ interfaces, interned, statistics, timers });
    for (const { link, arp } of options.interfaces) {
      const each = new Ipv4Interface(link, arp, (changed, routes) => this.#configured(changed, routes));
      interfaces.all.push(each);
      interfaces.changed();
      link.ethernet.listen(etherTypeIpv4, (page, offset, length, frame) =>
        this.input.receive(page, offset, length, frame, each),
      );
      arp.listenUnreachable((page, offset, length) => this.#unreachable(page, offset, length, each));
    }
  }

  get addresses(): readonly IpAddress[] {
    return this.table.addresses;
  }

  get interfaces(): readonly Ipv4Interface[] {
    return this.table.all;
  }

  get routes(): RouteTable {
    return this.table.routes;
  }

  get reassembly(): Reassembler {
    return this.input.reassembly;
  }

  interface(index: number): Ipv4Interface {
    const found = this.table.get(index);
    if (found === undefined) throw new RangeError(`there is no interface ${index}`);
    return found;
  }

  isLocal(address: IpAddress): boolean {
    return address.family === 4 && this.table.isLocal(address.w3);
  }

  isBroadcast(address: IpAddress): boolean {
    const word = address.w3;
    return address.family === 4 && (word === -1 || word >>> 28 === 14 || this.table.broadcastOf(word) !== undefined);
  }

  source(destination: IpAddress, index = 0): IpAddress | undefined {
    const word = this.output.source(destination, index);
    return word === 0 ? undefined : this.#interned.get(word);
  }

  mtu(destination: IpAddress): number {
    return this.output.mtu(destination);
  }

  listen(protocol: number, handler: IpHandler): void {
    this.input.listen(checkProtocol(protocol), handler);
  }

  listenErrors(protocol: number, handler: (error: IpError) => void): void {
    this.#errors.listen(checkProtocol(protocol), handler);
  }

  listenUndeliverable(handler: UndeliverableHandler): void {
    this.input.undeliverable = handler;
  }

  undeliverable(packet: IpPacket, reason: Undeliverable): void {
    this.input.undeliverable?.(packet, reason, 0);
  }

  listenGroups(handler: GroupHandler): void {
    this.#groups = handler;
  }

  intern(word: number): IpAddress {
    return this.#interned.get(word);
  }

  segmentation(destination: IpAddress): number {
    if (this.table.isLocal(destination.w3)) return 0;
    return this.output.interfaceTo(destination)?.link.ethernet.features.maxSegmentation ?? 0;
  }

  completesChecksum(destination: IpAddress): boolean {
    return this.output.interfaceTo(destination)?.link.ethernet.features.transmitChecksum ?? false;
  }

  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number {
    return this.output.datagramSegmentation(destination, options);
  }

  allocate(length?: number, destination?: IpAddress): Page | undefined {
    let link = this.links.all[0];
    if (destination !== undefined && this.links.all.length > 1) {
      link = this.output.interfaceTo(destination)?.link ?? link;
    }
    return length === undefined ? link?.allocate() : link?.allocate(length + ipv4.size);
  }

  release(page: Page): void {
    this.links.release(page);
  }

  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    return this.output.send(destination, protocol, page, offset, length, options);
  }

  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    return this.output.sendBytes(destination, protocol, bytes, offset, length, options);
  }

  sendAlert(on: Ipv4Interface, group: number, protocol: number, bytes: Uint8Array, length: number): boolean {
    return this.output.sendAlert(on, group, protocol, bytes, length);
  }

  join(group: IpAddress, index = 0): number {
    checkGroup(group);
    const on = index === 0 ? (this.output.interfaceTo(group) ?? this.table.preferred()) : this.table.get(index);
    if (on === undefined) return 0;
    const users = on.groups.add(group.w3);
    if (users === 1) this.#groups(on, group.w3, true);
    return users === 0 ? 0 : on.index;
  }

  leave(group: IpAddress, index: number): void {
    checkGroup(group);
    const on = this.table.get(index);
    if (on !== undefined && on.groups.remove(group.w3) === 0) this.#groups(on, group.w3, false);
  }

  reportError(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.#errors.deliver(kind, mtu, reporter, bytes, offset, length, true);
  }

  reportRedirect(
    reporter: IpAddress,
    index: number,
    gateway: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.#redirects.told(reporter, index, gateway, bytes, offset, length);
  }

  close(): void {
    this.#redirects.close();
    this.input.close();
    this.#loopback.close();
  }

  #configured(changed: Ipv4Interface, routes: readonly Route[]): void {
    this.table.routes.set(changed.index, routes);
    this.table.changed();
    this.table.addresses = this.table.all.flatMap(({ prefix }) => (prefix === undefined ? [] : [prefix.address]));
  }

  /** A packet that a neighbour does not answer for. */
  #unreachable(page: Page, offset: number, length: number, out: Ipv4Interface): void {
    const source = ipv4.field.source.word(page.bytes, offset);
    if (this.table.owner(source) !== undefined) {
      this.#redirects.failed(ipv4.field.destination.word(page.bytes, offset));
      this.#errors.deliver("unreachable-host", 0, this.#interned.get(source), page.bytes, offset, length, false);
      return;
    }
    // Somebody else's, that we were to forward.
    const header = ipv4.field.headerLength.get(page.bytes, offset) * 4;
    this.input.reject(page, offset, offset + header, length - header, out, "host", 0);
  }
}

function checkProtocol(protocol: number): number {
  if (Number.isInteger(protocol) && protocol >= 0 && protocol <= 255) return protocol;
  throw new RangeError(`protocol ${protocol} is not an integer from 0 to 255`);
}

function checkGroup(group: IpAddress): void {
  if (group.family !== 4 || !group.isMulticast) {
    throw new RangeError(`group ${group.toString()} is not an IPv4 multicast address`);
  }
}
