import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import {
  type Ip,
  type IpError,
  type IpHandler,
  type IpPacket,
  type IpSendOptions,
  protocolIcmp,
  protocolUdp,
} from "@tesserae/device/ip";
import { checksumVerified, headroom, needsChecksum, type Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { checksum } from "@tesserae/wire/checksum";
import type { CountedEthernet } from "../ethernet/ethernet.ts";
import { etherTypeIpv4 } from "../ethernet/wire.ts";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { copyBytes } from "./copy-bytes.ts";
import { fragmentSize } from "./fragmentation.ts";
import { InternedAddresses } from "./interned-address.ts";
import { Loopback } from "./loopback.ts";
import { PacketIds } from "./packet-id.ts";
import { PathMtu } from "./path-mtu.ts";
import { Reassembler, type ReassemblyOptions } from "./reassembly.ts";
import { type Route, RouteTable } from "./route.ts";
import { checkHeader, ipv4 } from "./wire.ts";

/** What IPv4 needs of the layer that finds MAC addresses. */
export interface NextHopSender {
  /**
   * Sends an IPv4 packet to a neighbour, or keeps it while the neighbour's address is asked for. Takes the page.
   *
   * @param nextHop a unicast address on the link, as `IpAddress.w3`
   * @returns false when it was dropped at once.
   */
  sendIpv4(nextHop: number, page: Page, offset: number, length: number): boolean;
  /** Says which addresses are on the link; neighbours elsewhere are not noted when they ask us. */
  configureLink(link: Prefix | undefined): void;
  /** Sets who is told of each packet that is dropped because the neighbour does not answer. The page is lent. */
  listenUnreachable(handler: (page: Page, offset: number, length: number) => void): void;
}

/** The interface's address and the ways out. */
export interface Ipv4Configuration {
  /** Our address with the length of the link's prefix. */
  readonly address: Prefix;
  /** The default router. */
  readonly gateway?: IpAddress | undefined;
  /** More routes, beside the link's own and the default one. */
  readonly routes?: readonly Route[] | undefined;
}

/** Why a packet for us was not taken: what ICMP says to its sender. */
export type Undeliverable = "protocol" | "port" | "reassembly-time";

/** What became of the packets. */
export class Ipv4Statistics {
  received = 0;
  delivered = 0;
  badHeader = 0;
  badChecksum = 0;
  badOptions = 0;
  sourceRoute = 0;
  /** To an address that is not ours: a host does not forward. */
  notForUs = 0;
  /** From an address that no packet on this link can have. */
  martian = 0;
  /** To us alone, in a frame for all (RFC 1122 §3.3.6). */
  linkBroadcast = 0;
  unknownProtocol = 0;
  sent = 0;
  sentFragments = 0;
  /** No address, or no route. */
  noRoute = 0;
  /** Longer than the path with fragmentation forbidden, or than any packet. */
  tooBig = 0;
  /** No page for a fragment. */
  noPage = 0;
  /** Packets between our own addresses. */
  loopback = 0;
  loopbackDropped = 0;
  /** ICMP "too big" messages that changed a path MTU. */
  pathMtuLowered = 0;
  /** ICMP messages about packets that we cannot have sent. */
  implausibleErrors = 0;
}

/** {@link Ip} version 4, with what ICMP, UDP and DHCP need beside. */
export interface Ipv4 extends Ip {
  readonly statistics: Ipv4Statistics;
  readonly reassembly: Reassembler;
  readonly linkMtu: number;
  /** The interface's address with its prefix, or `undefined` while there is none. */
  readonly prefix: Prefix | undefined;

  /** Sets or, with `undefined`, removes the interface's address and routes. */
  configure(configuration: Ipv4Configuration | undefined): void;
  /** Whether it is the limited or a directed broadcast address, or a multicast group. */
  isBroadcast(address: IpAddress): boolean;
  /** As `send`, from bytes that stay the caller's. Cuts what is longer than the path MTU. */
  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options?: IpSendOptions,
  ): boolean;
  /** Sets who is told of packets for us that nobody takes. */
  listenUndeliverable(handler: (packet: IpPacket, reason: Undeliverable) => void): void;
  /** Says that a transport does not take a packet it was given. */
  undeliverable(packet: IpPacket, reason: Undeliverable): void;
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
  /** The IpAddress of an address word, mostly without allocating. */
  intern(word: number): IpAddress;
  /** Drops what waits and stops its timers. */
  close(): void;
}

export interface Ipv4Options {
  readonly ethernet: CountedEthernet;
  readonly arp: NextHopSender;
  readonly timers: Timers;
  readonly random: Random;
  readonly reassembly?: ReassemblyOptions;
}

/** IPv4 (RFC 791, RFC 1122 §3.2.1) for a host with one interface. Takes over the EtherType 0x0800. */
export function createIpv4(options: Ipv4Options): Ipv4 {
  return new HostIpv4(options);
}

const defaultHopLimit = 64;
/** The longest packet that a total length can say. */
const mostBytes = 65_535;
const noOptions: IpSendOptions = {};
const everywhere = new Prefix(IpAddress.any4, 0);

class ReceivedPacket implements IpPacket {
  page: Page;
  offset = 0;
  length = 0;
  source: IpAddress = IpAddress.any4;
  destination: IpAddress = IpAddress.any4;
  protocol = 0;
  hopLimit = 0;
  ecn = 0;
  headerOffset = 0;

  constructor(page: Page) {
    this.page = page;
  }
}

class HostIpv4 implements Ipv4 {
  readonly statistics = new Ipv4Statistics();
  readonly reassembly: Reassembler;
  readonly linkMtu: number;
  addresses: readonly IpAddress[] = [];
  prefix: Prefix | undefined;
  readonly #ethernet: CountedEthernet;
  readonly #arp: NextHopSender;
  readonly #timers: Timers;
  readonly #routes = new RouteTable();
  readonly #pathMtu = new PathMtu();
  readonly #ids: PacketIds;
  readonly #loopback: Loopback;
  readonly #expiry: Timer;
  readonly #interned = new InternedAddresses();
  readonly #handlers: (IpHandler | undefined)[] = new Array<IpHandler | undefined>(256).fill(undefined);
  readonly #errorHandlers: (((error: IpError) => void) | undefined)[] = new Array<undefined>(256).fill(undefined);
  #undeliverable: ((packet: IpPacket, reason: Undeliverable) => void) | undefined;
  #packet: ReceivedPacket | undefined;
  /** Our address and the directed broadcast address; 0 while there is none. */
  #own = 0;
  #broadcast = 0;

  constructor(options: Ipv4Options) {
    const { ethernet, arp, timers, random } = options;
    this.#ethernet = ethernet;
    this.#arp = arp;
    this.#timers = timers;
    this.linkMtu = ethernet.mtu;
    this.reassembly = new Reassembler(options.reassembly);
    this.#ids = new PacketIds(random);
    this.#expiry = timers.timer(() => this.#expireFragments());
    this.#loopback = new Loopback(
      timers,
      (page, offset, length) => this.#receiveLocal(page, offset, length),
      (page) => ethernet.release(page),
    );
    ethernet.listen(etherTypeIpv4, (page, offset, length, frame) => this.#receive(page, offset, length, frame));
    arp.listenUnreachable((page, offset, length) => {
      this.#deliverError("unreachable-host", 0, this.#interned.get(this.#own), page.bytes, offset, length, false);
    });
  }

  configure(configuration: Ipv4Configuration | undefined): void {
    this.prefix = configuration?.address;
    this.#arp.configureLink(configuration?.address);
    this.addresses = configuration === undefined ? [] : [configuration.address.address];
    this.#own = configuration?.address.address.w3 ?? 0;
    this.#broadcast = configuration?.address.broadcast?.w3 ?? 0;
    if (configuration === undefined) {
      this.#routes.set([]);
      return;
    }
    const { address, gateway, routes = [] } = configuration;
    const fallback: Route[] = gateway === undefined ? [] : [{ prefix: everywhere, gateway }];
    this.#routes.set([{ prefix: address }, ...routes, ...fallback]);
  }

  isLocal(address: IpAddress): boolean {
    return address.family === 4 && this.#isLocal(address.w3);
  }

  isBroadcast(address: IpAddress): boolean {
    const word = address.w3;
    return address.family === 4 && (word === -1 || (word !== 0 && word === this.#broadcast) || word >>> 28 === 14);
  }

  source(destination: IpAddress): IpAddress | undefined {
    if (destination.family !== 4) return undefined;
    const word = destination.w3;
    if (word >>> 24 === 127) return IpAddress.loopback4;
    if (this.#own === 0 || word === 0) return undefined;
    if (word !== this.#own && !this.isBroadcast(destination) && this.#routes.nextHop(word) === 0) return undefined;
    return this.addresses[0];
  }

  mtu(destination: IpAddress): number {
    if (this.#pathMtu.size === 0) return this.linkMtu;
    return this.#pathMtu.get(destination.w3, this.linkMtu, this.#timers.now());
  }

  listen(protocol: number, handler: IpHandler): void {
    this.#handlers[checkProtocol(protocol)] = handler;
  }

  listenErrors(protocol: number, handler: (error: IpError) => void): void {
    this.#errorHandlers[checkProtocol(protocol)] = handler;
  }

  listenUndeliverable(handler: (packet: IpPacket, reason: Undeliverable) => void): void {
    this.#undeliverable = handler;
  }

  undeliverable(packet: IpPacket, reason: Undeliverable): void {
    this.#undeliverable?.(packet, reason);
  }

  intern(word: number): IpAddress {
    return this.#interned.get(word);
  }

  segmentation(destination: IpAddress): number {
    return this.#isLocal(destination.w3) ? 0 : this.#ethernet.features.maxSegmentation;
  }

  allocate(length?: number): Page | undefined {
    return length === undefined ? this.#ethernet.allocate() : this.#ethernet.allocate(length + ipv4.size);
  }

  release(page: Page): void {
    this.#ethernet.release(page);
  }

  close(): void {
    this.#expiry.cancel();
    this.#loopback.close();
  }

  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    const target = destination.w3;
    const source = this.#sourceWord(destination, options.source);
    if (source === undefined) {
      this.statistics.noRoute++;
      this.#ethernet.release(page);
      return false;
    }
    const local = this.#isLocal(target);
    const mtu = local ? this.linkMtu : this.mtu(destination);
    let forbid = options.dontFragment ?? false;
    if (forbid && this.#pathMtu.size > 0 && this.#pathMtu.mustFragment(target)) forbid = false;
    if (length + ipv4.size > mtu && !(page.segmentSize > 0 && this.#ethernet.features.maxSegmentation > 0)) {
      if (forbid || length + ipv4.size > mostBytes) {
        this.statistics.tooBig++;
        this.#ethernet.release(page);
        return false;
      }
      if ((page.flags & needsChecksum) !== 0) finishChecksum(page, offset, length);
      const sent = this.#sendFragments(source, target, protocol, page.bytes, offset, length, mtu, options);
      this.#ethernet.release(page);
      return sent;
    }
    const id = forbid ? this.#ids.atomic(target, protocol) : this.#ids.next(target, protocol);
    if (page.segmentSize > 0) page.headerLength += 14 + ipv4.size;
    if ((page.flags & needsChecksum) !== 0 && !local) {
      if (this.#ethernet.features.transmitChecksum) page.checksumStart = 14 + ipv4.size;
      else finishChecksum(page, offset, length);
    }
    return this.#output(source, target, protocol, page, offset, length, id, forbid ? 0x4000 : 0, options, local);
  }

  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    const target = destination.w3;
    const source = this.#sourceWord(destination, options.source);
    if (source === undefined) {
      this.statistics.noRoute++;
      return false;
    }
    const mtu = this.#isLocal(target) ? this.linkMtu : this.mtu(destination);
    const tooLong = length + ipv4.size > mtu && (options.dontFragment ?? false);
    if (length + ipv4.size > mostBytes || (tooLong && !this.#pathMtu.mustFragment(target))) {
      this.statistics.tooBig++;
      return false;
    }
    if (length + ipv4.size > mtu) {
      return this.#sendFragments(source, target, protocol, bytes, offset, length, mtu, options);
    }
    const page = this.#ethernet.allocate();
    if (page === undefined) {
      this.statistics.noPage++;
      return false;
    }
    copyBytes(bytes, offset, page.bytes, headroom, length);
    return this.send(destination, protocol, page, headroom, length, options);
  }

  reportError(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): void {
    this.#deliverError(kind, mtu, reporter, bytes, offset, length, true);
  }

  #isLocal(word: number): boolean {
    return (word === this.#own && word !== 0) || word >>> 24 === 127;
  }

  /** The source address of a packet, or `undefined` when it cannot be sent. */
  #sourceWord(destination: IpAddress, wanted: IpAddress | undefined): number | undefined {
    const target = destination.w3;
    if (destination.family !== 4 || target === 0) return undefined;
    // DHCP sends before there is an address (RFC 2131 §4.1).
    if (target === -1 && (this.#own === 0 || wanted?.w3 === 0)) return 0;
    if (wanted === undefined || wanted.w3 === 0) return this.source(destination)?.w3;
    if (wanted.family !== 4 || !this.#isLocal(wanted.w3)) return undefined;
    // RFC 1122 §3.2.1.3 (g): loopback addresses never leave the host.
    if (wanted.w3 >>> 24 === 127 && !this.#isLocal(target)) return undefined;
    return wanted.w3;
  }

  #sendFragments(
    source: number,
    target: number,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    mtu: number,
    options: IpSendOptions,
  ): boolean {
    const size = fragmentSize(mtu);
    const id = this.#ids.next(target, protocol);
    const local = this.#isLocal(target);
    for (let at = 0; at < length; at += size) {
      const part = Math.min(size, length - at);
      const page = this.#ethernet.allocate();
      if (page === undefined) {
        this.statistics.noPage++;
        return false;
      }
      copyBytes(bytes, offset + at, page.bytes, headroom, part);
      const flags = (at >>> 3) | (at + part < length ? 0x2000 : 0);
      this.statistics.sentFragments++;
      if (!this.#output(source, target, protocol, page, headroom, part, id, flags, options, local)) return false;
    }
    return true;
  }

  /** Writes the header and hands the packet on. */
  #output(
    source: number,
    target: number,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    id: number,
    fragment: number,
    options: IpSendOptions,
    local: boolean,
  ): boolean {
    const bytes = page.bytes;
    const start = offset - ipv4.size;
    const field = ipv4.field;
    // Version 4, five words of header; the type of service is the ECN bits alone.
    bytes[start] = 0x45;
    bytes[start + 1] = (options.ecn ?? 0) & 3;
    field.totalLength.set(bytes, start, length + ipv4.size);
    field.identification.set(bytes, start, id);
    bytes[start + 6] = fragment >>> 8;
    bytes[start + 7] = fragment;
    field.timeToLive.set(bytes, start, options.hopLimit ?? defaultHopLimit);
    field.protocol.set(bytes, start, protocol);
    field.checksum.set(bytes, start, 0);
    field.source.setWord(bytes, start, source);
    field.destination.setWord(bytes, start, target);
    field.checksum.set(bytes, start, checksum(bytes, start, ipv4.size));
    this.statistics.sent++;
    const total = length + ipv4.size;
    if (local) {
      this.statistics.loopback++;
      if (this.#loopback.push(page, start, total)) return true;
      this.statistics.loopbackDropped++;
      return false;
    }
    if (target === -1 || (target === this.#broadcast && target !== 0)) {
      return this.#ethernet.send(MacAddress.broadcast, etherTypeIpv4, page, start, total);
    }
    // RFC 1112 §6.4: the group's low 23 bits behind 01:00:5e.
    if (target >>> 28 === 14) {
      return this.#ethernet.send(
        new MacAddress(0x0100, 0x5e000000 | (target & 0x7fffff)),
        etherTypeIpv4,
        page,
        start,
        total,
      );
    }
    const nextHop = this.#routes.nextHop(target);
    if (nextHop === 0) {
      this.statistics.noRoute++;
      this.#ethernet.release(page);
      return false;
    }
    return this.#arp.sendIpv4(nextHop, page, start, total);
  }

  #receive(page: Page, offset: number, length: number, frame: number): void {
    const bytes = page.bytes;
    const statistics = this.statistics;
    statistics.received++;
    if (!this.#checkHeader(bytes, offset, length)) return;
    const source = ipv4.field.source.word(bytes, offset);
    const destination = ipv4.field.destination.word(bytes, offset);
    const toAll = destination === -1 || (destination === this.#broadcast && destination !== 0);
    if (this.#isMartian(source, destination)) {
      statistics.martian++;
      return;
    }
    if (destination !== this.#own && !toAll && !this.#isForNewcomer(bytes, offset)) {
      statistics.notForUs++;
      return;
    }
    if (!toAll && ((bytes[frame] ?? 0) & 1) !== 0) {
      statistics.linkBroadcast++;
      return;
    }
    this.#accept(page, offset, source, destination, toAll);
  }

  /** A packet between our own addresses. It has been through `#output`, so its header is good. */
  #receiveLocal(page: Page, offset: number, length: number): void {
    this.statistics.received++;
    if (!this.#checkHeader(page.bytes, offset, length)) return;
    const source = ipv4.field.source.word(page.bytes, offset);
    const destination = ipv4.field.destination.word(page.bytes, offset);
    // The address may have gone while the packet waited.
    if (!this.#isLocal(destination)) {
      this.statistics.notForUs++;
      return;
    }
    // It has not left this memory: its transport checksum, perhaps still to be completed, has nothing to say.
    if ((fragmentWord(page.bytes, offset) & 0x3fff) === 0) page.flags |= checksumVerified;
    this.#accept(page, offset, source, destination, false);
  }

  #checkHeader(bytes: Uint8Array, offset: number, length: number): boolean {
    const fault = checkHeader(bytes, offset, length);
    if (fault === "none") return true;
    const statistics = this.statistics;
    if (fault === "checksum") statistics.badChecksum++;
    else if (fault === "options") statistics.badOptions++;
    else if (fault === "source-route") statistics.sourceRoute++;
    else statistics.badHeader++;
    return false;
  }

  /** Addresses that cannot be on a packet from the link (RFC 1122 §3.2.1.3). */
  #isMartian(source: number, destination: number): boolean {
    // The unspecified source is for hosts that look for an address, and they broadcast.
    if (source === 0) return destination !== -1;
    return (
      source >>> 28 >= 14 ||
      source >>> 24 === 127 ||
      source >>> 24 === 0 ||
      destination >>> 24 === 127 ||
      source === this.#own ||
      source === this.#broadcast
    );
  }

  /** A DHCP server may send to the address it is about to give us (RFC 2131 §4.1), in a frame to us alone. */
  #isForNewcomer(bytes: Uint8Array, offset: number): boolean {
    if (this.#own !== 0 || ipv4.field.protocol.get(bytes, offset) !== protocolUdp) return false;
    const udp = offset + ipv4.field.headerLength.get(bytes, offset) * 4;
    return (fragmentWord(bytes, offset) & 0x3fff) === 0 && (bytes[udp + 2] ?? 0) === 0 && bytes[udp + 3] === 68;
  }

  #accept(page: Page, offset: number, source: number, destination: number, toAll: boolean): void {
    const bytes = page.bytes;
    if ((fragmentWord(bytes, offset) & 0x3fff) !== 0) {
      const whole = this.reassembly.add(bytes, offset, this.#timers.now());
      if (whole === undefined) {
        if (!this.#expiry.armed) this.#expiry.set(this.reassembly.nextDeadline());
        return;
      }
      this.#deliver(whole.page, whole.headerOffset, whole.offset, whole.length, source, destination, toAll);
      return;
    }
    const header = ipv4.field.headerLength.get(bytes, offset) * 4;
    const length = ipv4.field.totalLength.get(bytes, offset) - header;
    this.#deliver(page, offset, offset + header, length, source, destination, toAll);
  }

  #deliver(
    page: Page,
    header: number,
    offset: number,
    length: number,
    source: number,
    destination: number,
    toAll: boolean,
  ): void {
    const packet = this.#fill(page, header, offset, length, source, destination);
    const protocol = packet.protocol;
    const handler = this.#handlers[protocol];
    // RFC 1122 §4.2.3.10: connections are between two hosts.
    if (handler === undefined || (toAll && protocol !== protocolUdp && protocol !== protocolIcmp)) {
      this.statistics.unknownProtocol++;
      if (!toAll) this.undeliverable(packet, "protocol");
      return;
    }
    this.statistics.delivered++;
    handler(packet);
  }

  #fill(
    page: Page,
    header: number,
    offset: number,
    length: number,
    source: number,
    destination: number,
  ): ReceivedPacket {
    const bytes = page.bytes;
    const packet = (this.#packet ??= new ReceivedPacket(page));
    packet.page = page;
    packet.offset = offset;
    packet.length = length;
    packet.source = this.#interned.get(source);
    packet.destination = this.#interned.get(destination);
    packet.protocol = ipv4.field.protocol.get(bytes, header);
    packet.hopLimit = ipv4.field.timeToLive.get(bytes, header);
    packet.ecn = ipv4.field.ecn.get(bytes, header);
    packet.headerOffset = header;
    return packet;
  }

  #expireFragments(): void {
    const now = this.#timers.now();
    for (let late = this.reassembly.expire(now); late !== undefined; late = this.reassembly.expire(now)) {
      // RFC 1122 §3.3.2: the sender is told, if the fragment that shows the transport header came.
      if (late.condemned || !late.hasFirst || !this.#isLocal(late.destination)) continue;
      const length = Math.max(0, late.ends[0] ?? 0);
      const { page, headerOffset, offset, source, destination } = late;
      this.undeliverable(this.#fill(page, headerOffset, offset, length, source, destination), "reassembly-time");
    }
    this.#expiry.set(this.reassembly.nextDeadline());
  }

  #deliverError(
    kind: IpError["kind"],
    mtu: number,
    reporter: IpAddress,
    bytes: Uint8Array,
    offset: number,
    length: number,
    remote: boolean,
  ): void {
    const header = length < ipv4.size ? 0 : ipv4.field.headerLength.get(bytes, offset) * 4;
    const field = ipv4.field;
    // Only the quote of a packet's beginning, with eight bytes of its transport header, says whose packet it was.
    if (
      length < ipv4.size ||
      field.version.get(bytes, offset) !== 4 ||
      header < ipv4.size ||
      length < header + 8 ||
      field.source.word(bytes, offset) !== this.#own ||
      this.#own === 0 ||
      field.fragmentOffset.get(bytes, offset) !== 0
    ) {
      this.statistics.implausibleErrors++;
      return;
    }
    const target = field.destination.word(bytes, offset);
    const protocol = field.protocol.get(bytes, offset);
    if (remote && kind === "packet-too-big") this.#lowerPathMtu(target, protocol, mtu, bytes, offset);
    this.#errorHandlers[protocol]?.({
      kind,
      mtu,
      reporter,
      source: this.#interned.get(this.#own),
      destination: this.#interned.get(target),
      bytes,
      offset: offset + header,
      length: length - header,
    });
  }

  #lowerPathMtu(target: number, protocol: number, mtu: number, bytes: Uint8Array, offset: number): void {
    const field = ipv4.field;
    // RFC 5927 §4.1: the quote must show what only somebody on the path can have seen. Packets that forbid
    // fragmentation carry an identification that follows from a secret.
    if (
      !field.dontFragment.get(bytes, offset) ||
      field.identification.get(bytes, offset) !== this.#ids.atomic(target, protocol) ||
      this.#isLocal(target)
    ) {
      this.statistics.implausibleErrors++;
      return;
    }
    const now = this.#timers.now();
    const current = this.#pathMtu.get(target, this.linkMtu, now);
    if (this.#pathMtu.lower(target, mtu, field.totalLength.get(bytes, offset), current, now)) {
      this.statistics.pathMtuLowered++;
    }
  }
}

function fragmentWord(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset + 6] ?? 0) << 8) | (bytes[offset + 7] ?? 0);
}

function checkProtocol(protocol: number): number {
  if (Number.isInteger(protocol) && protocol >= 0 && protocol <= 255) return protocol;
  throw new RangeError(`protocol ${protocol} is not an integer from 0 to 255`);
}

/** Does in software what a `needsChecksum` page asks of the device. */
function finishChecksum(page: Page, offset: number, length: number): void {
  completeChecksum(page.bytes, offset, length, 0, page.checksumOffset);
  page.flags &= ~needsChecksum;
}
