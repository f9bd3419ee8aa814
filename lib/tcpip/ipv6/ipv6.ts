import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { Ip, IpError, IpHandler, IpPacket, IpSendOptions } from "@tesserae/device/ip";
import { FlowError } from "@tesserae/device/flow";
import { cuts } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { etherTypeIpv6 } from "../ethernet/wire.ts";
import { icmpUnreachable } from "../icmpv6/wire.ts";
import { Links } from "../ip/link.ts";
import type { Undeliverable } from "../ipv4/input.ts";
import { Loopback } from "../ipv4/loopback.ts";
import type { ReassemblyOptions } from "../ip/reassembly-slots.ts";
import { Destinations } from "./destinations.ts";
import { Ipv6Input, type RejectionHandler } from "./input.ts";
import { Ipv6Interface, type Ipv6InterfaceOptions } from "./interface.ts";
import { InternedAddresses6 } from "./interned-address.ts";
import { Ipv6Output, noOptions } from "./output.ts";
import { QuotedErrors6 } from "./quoted-error.ts";
import type { Reassembler6 } from "./reassembly.ts";
import { isLinkLocal } from "./scope.ts";
import { Ipv6Statistics } from "./statistics.ts";
import { ipv6 } from "./wire.ts";

/** {@link Ip} version 6, with what ICMPv6 and UDP need beside. */
export interface Ipv6 extends Ip {
  readonly statistics: Ipv6Statistics;
  readonly reassembly: Reassembler6;
  /** Whether the device that packets to `destination` leave by completes their transport checksums. */
  completesChecksum(destination: IpAddress): boolean;
  /** See `HostIp.datagramSegmentation`. */
  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number;
  /** In the order of their indices, the one with index 1 first. */
  readonly interfaces: readonly Ipv6Interface[];
  /** Name servers that routers told of, in the order of the interfaces. */
  readonly nameServers: readonly IpAddress[];

  /** The interface of that index. @throws RangeError when there is none. */
  interface(index: number): Ipv6Interface;
  /** As `send`, from bytes that stay the caller's. Cuts what is longer than the path MTU. */
  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean;
  /** Sets who is told of packets that go no further. */
  listenRejected(handler: RejectionHandler): void;
  /** Says that a transport does not take a packet it was given. */
  undeliverable(packet: IpPacket, reason: Undeliverable): void;
  /** Whether the packet being delivered carries a router alert. */
  readonly hasRouterAlert: boolean;
  /** Whether it came in fragments. */
  readonly wasFragmented: boolean;
  /**
   * Hands on an ICMPv6 error. `bytes[offset … offset + length)` is the packet quoted, as it came.
   *
   * @param mtu with `packet-too-big`: the MTU reported
   */
  reportError(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void;
  /** A transport has heard from `destination` about what we sent lately: the next hop is alive (RFC 4861 §7.3.1). */
  confirm(destination: IpAddress): void;
  /** Sets who is told that addresses or routes are others. */
  listenChanges(handler: () => void): void;
  /** Forgets addresses, drops what waits and stops its timers. */
  close(): void;
}

export interface Ipv6Options {
  /** In the order of their links' indices, from 1. */
  readonly interfaces: readonly Ipv6InterfaceOptions[];
  readonly timers: Timers;
  readonly random: Random;
  readonly reassembly?: ReassemblyOptions;
}

/** IPv6 (RFC 8200) for a host with any number of interfaces. Takes over the EtherType 0x86dd of each. */
export function createIpv6(options: Ipv6Options): Ipv6 {
  return new HostIpv6(options);
}

/** What `createIpv6` makes. `input` and `destinations` are for forwarding. */
export class HostIpv6 implements Ipv6 {
  readonly statistics = new Ipv6Statistics();
  readonly interfaces: readonly Ipv6Interface[];
  readonly #links: Links;
  readonly timers: Timers;
  readonly destinations: Destinations;
  readonly input: Ipv6Input;
  readonly #output: Ipv6Output;
  readonly #errors: QuotedErrors6;
  readonly #loopback: Loopback;
  #addresses: readonly IpAddress[] = [];
  #changes: () => void = () => undefined;

  constructor(options: Ipv6Options) {
    const { timers, random, reassembly } = options;
    this.timers = timers;
    const links = new Links(options.interfaces.map(({ link }) => link));
    this.#links = links;
    const interfaces: Ipv6Interface[] = [];
    this.interfaces = interfaces;
    const destinations = new Destinations(interfaces);
    this.destinations = destinations;
    const { statistics } = this;
    const interned = new InternedAddresses6();
    const loopback = new Loopback(
      timers,
      (page, offset, length, index) => this.input.receiveLocal(page, offset, length, index),
      (page) => links.release(page),
    );
    this.#loopback = loopback;
    this.#output = new Ipv6Output({ destinations, links, loopback, statistics, timers, random });
    this.input = new Ipv6Input({ interfaces, destinations, interned, statistics, timers, reassembly });
    this.#errors = new QuotedErrors6({ destinations, output: this.#output, interned, statistics, timers });
    for (const each of options.interfaces) {
      const made = new Ipv6Interface(each, timers, random, {
        changed: () => this.#changed(),
        unreachable: (page, offset, length) => this.#unreachable(page, offset, length, made),
      });
      interfaces.push(made);
      each.link.ethernet.listen(etherTypeIpv6, (page, offset, length, frame) =>
        this.input.receive(page, offset, length, frame, made),
      );
    }
  }

  get addresses(): readonly IpAddress[] {
    return this.#addresses;
  }

  get reassembly(): Reassembler6 {
    return this.input.reassembly;
  }

  get nameServers(): readonly IpAddress[] {
    return this.interfaces.flatMap(({ ndp }) => ndp.told.nameServers);
  }

  get hasRouterAlert(): boolean {
    return this.input.hasRouterAlert;
  }

  get wasFragmented(): boolean {
    return this.input.wasFragmented;
  }

  interface(index: number): Ipv6Interface {
    const found = this.interfaces[index - 1];
    if (found === undefined) throw new RangeError(`there is no interface ${index}`);
    return found;
  }

  isLocal(address: IpAddress): boolean {
    return address.family === 6 && (address.isLoopback || this.destinations.owner(address) !== undefined);
  }

  source(destination: IpAddress, index = 0): IpAddress | undefined {
    return this.destinations.find(destination, index, undefined)?.source;
  }

  mtu(destination: IpAddress): number {
    return this.#output.mtu(destination);
  }

  listen(protocol: number, handler: IpHandler): void {
    this.input.listen(checkProtocol(protocol), handler);
  }

  listenErrors(protocol: number, handler: (error: IpError) => void): void {
    this.#errors.listen(checkProtocol(protocol), handler);
  }

  listenRejected(handler: RejectionHandler): void {
    this.input.rejected = handler;
  }

  listenChanges(handler: () => void): void {
    this.#changes = handler;
  }

  undeliverable(packet: IpPacket, reason: Undeliverable): void {
    this.input.undeliverable(packet, reason);
  }

  segmentation(destination: IpAddress): number {
    const way = this.destinations.find(destination, 0, undefined);
    if (way === undefined || way.isLocal) return 0;
    const { features } = way.out.link.ethernet;
    return cuts(features, false, true) ? features.maxSegmentation : 0;
  }

  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number {
    const link = this.destinations.find(destination, 0, undefined)?.out;
    const way = this.destinations.find(destination, options.interface ?? 0, options.source);
    if (way === undefined || way.out !== link || way.isLocal || destination.isMulticast) return 0;
    const { features } = way.out.link.ethernet;
    return cuts(features, true, true) ? features.maxSegmentation : 0;
  }

  completesChecksum(destination: IpAddress): boolean {
    return this.destinations.find(destination, 0, undefined)?.out.link.ethernet.features.transmitChecksum ?? false;
  }

  allocate(length?: number, destination?: IpAddress): Page | undefined {
    let link = this.#links.all[0];
    if (destination !== undefined && this.interfaces.length > 1) {
      link = this.destinations.find(destination, 0, undefined)?.out.link ?? link;
    }
    return length === undefined ? link?.allocate() : link?.allocate(length + ipv6.size);
  }

  release(page: Page): void {
    this.#links.release(page);
  }

  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    return this.#output.send(destination, protocol, page, offset, length, options);
  }

  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    return this.#output.sendBytes(destination, protocol, bytes, offset, length, options);
  }

  join(group: IpAddress, index = 0): number {
    checkGroup(group);
    const on = index === 0 ? this.destinations.find(group, 0, undefined)?.out : this.interfaces[index - 1];
    if (on === undefined) return 0;
    try {
      on.groups.join(group);
    } catch (error) {
      if (error instanceof FlowError) return 0;
      throw error;
    }
    return on.index;
  }

  leave(group: IpAddress, index: number): void {
    checkGroup(group);
    this.interfaces[index - 1]?.groups.leave(group);
  }

  reportError(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.#errors.deliver(kind, mtu, reporter, bytes, offset, length);
  }

  confirm(destination: IpAddress): void {
    const way = this.destinations.find(destination, 0, undefined);
    if (way !== undefined && !way.isLocal) way.out.neighbours.confirm(way.nextHop);
  }

  close(): void {
    for (const each of this.interfaces) each.close();
    this.input.close();
    this.#loopback.close();
  }

  /** The next hop of a packet does not answer. The page is lent. */
  #unreachable(page: Page, offset: number, length: number, out: Ipv6Interface): void {
    const source = ipv6.field.source.get(page.bytes, offset);
    if (this.input.forwarder === undefined || this.isLocal(source)) {
      this.#errors.deliver("unreachable-host", 0, undefined, page.bytes, offset, length);
    } else this.input.reject(page, offset, length, out, icmpUnreachable, codeAddressUnreachable, 0);
  }

  #changed(): void {
    this.destinations.invalidate();
    const all = this.interfaces.flatMap((each) => each.addresses.map(({ address }) => address));
    this.#addresses = [...all.filter((each) => !isLinkLocal(each)), ...all.filter((each) => isLinkLocal(each))];
    this.#changes();
  }
}

/** Of "destination unreachable" (RFC 4443 §3.1). */
const codeAddressUnreachable = 3;

function checkProtocol(protocol: number): number {
  if (Number.isInteger(protocol) && protocol >= 0 && protocol <= 255) return protocol;
  throw new RangeError(`protocol ${protocol} is not an integer from 0 to 255`);
}

function checkGroup(group: IpAddress): void {
  if (group.family !== 6 || !group.isMulticast) {
    throw new RangeError(`group ${group.toString()} is not an IPv6 multicast address`);
  }
}
