import { IpAddress, MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { IpSendOptions } from "@tesserae/device/ip";
import { cuts } from "@tesserae/device/netif";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { checksum, fold, pseudoHeaderSum4 } from "@tesserae/wire/checksum";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { etherTypeIpv4 } from "../ethernet/wire.ts";
import type { Links } from "../ip/link.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { fragmentSize } from "./fragmentation.ts";
import type { Ipv4Interface } from "./interface.ts";
import type { Interfaces } from "./interfaces.ts";
import type { Loopback } from "./loopback.ts";
import { PacketIds } from "./packet-id.ts";
import { PathMtu } from "./path-mtu.ts";
import type { Ipv4Statistics } from "./statistics.ts";
import { type Cast, Way } from "./way.ts";
import { ipv4 } from "./wire.ts";

const defaultHopLimit = 64;
/** The longest packet that a total length can say. */
const mostBytes = 65_535;
const dontFragment = 0x4000;
const moreFragments = 0x2000;
/** The option of RFC 2113. */
const routerAlert = 148;
export const noOptions: IpSendOptions = {};

export interface OutputOptions {
  readonly interfaces: Interfaces;
  readonly links: Links;
  readonly loopback: Loopback;
  readonly statistics: Ipv4Statistics;
  readonly timers: Timers;
  readonly random: Random;
}

/** Sends our own packets: chooses the way, writes the header, cuts what is too long. */
export class Ipv4Output {
  readonly pathMtu = new PathMtu();
  readonly ids: PacketIds;
  readonly #interfaces: Interfaces;
  readonly #links: Links;
  readonly #loopback: Loopback;
  readonly #statistics: Ipv4Statistics;
  readonly #timers: Timers;
  readonly #way = new Way();

  constructor(options: OutputOptions) {
    this.#interfaces = options.interfaces;
    this.#links = options.links;
    this.#loopback = options.loopback;
    this.#statistics = options.statistics;
    this.#timers = options.timers;
    this.ids = new PacketIds(options.random);
  }

  /** The source address towards `destination` as `IpAddress.w3`; 0 when there is no way. */
  source(destination: IpAddress, index: number): number {
    if (destination.w3 >>> 24 === 127 && destination.family === 4) return IpAddress.loopback4.w3;
    const way = this.#way;
    return way.choose(this.#interfaces, destination, undefined, index) ? way.source : 0;
  }

  /** The interface that packets to `destination` leave by. */
  interfaceTo(destination: IpAddress): Ipv4Interface | undefined {
    const way = this.#way;
    return way.choose(this.#interfaces, destination, undefined, 0) ? way.interface : undefined;
  }

  /** The path MTU towards `destination`. */
  mtu(destination: IpAddress): number {
    const link = (this.interfaceTo(destination) ?? this.#interfaces.preferred())?.linkMtu ?? 0;
    return this.#pathMtuOf(destination.w3, link);
  }

  /** See `HostIp.datagramSegmentation`. */
  datagramSegmentation(destination: IpAddress, options: IpSendOptions): number {
    const link = this.interfaceTo(destination);
    const way = this.#way;
    if (!way.choose(this.#interfaces, destination, options.source, options.interface ?? 0)) return 0;
    if (way.interface === undefined || way.interface !== link || way.cast !== "unicast") return 0;
    const { features } = link.link.ethernet;
    return cuts(features, true, false) ? features.maxSegmentation : 0;
  }

  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options: IpSendOptions,
  ): boolean {
    const way = this.#way;
    const target = destination.w3;
    if (!way.choose(this.#interfaces, destination, options.source, options.interface ?? 0)) {
      this.#statistics.noRoute++;
      this.#links.release(page);
      return false;
    }
    const out = way.interface;
    if (out === undefined) return false;
    const local = way.cast === "local";
    const features = out.link.ethernet.features;
    const mtu = local ? out.linkMtu : this.#pathMtuOf(target, out.linkMtu);
    let forbid = options.dontFragment ?? false;
    if (forbid && this.pathMtu.size > 0 && this.pathMtu.mustFragment(target)) forbid = false;
    if (length + ipv4.size > mtu && !(page.segmentSize > 0 && features.maxSegmentation > 0)) {
      if (forbid || length + ipv4.size > mostBytes) {
        this.#statistics.tooBig++;
        this.#links.release(page);
        return false;
      }
      if ((page.flags & needsChecksum) !== 0) finishChecksum(page, offset, length);
      const sent = this.#sendFragments(target, protocol, page.bytes, offset, length, mtu, options);
      this.#links.release(page);
      return sent;
    }
    const id = forbid ? this.ids.atomic(target, protocol) : this.ids.next(target, protocol);
    if (page.segmentSize > 0) {
      page.headerLength += 14 + ipv4.size;
      // The device counts on from this one's.
      if (!forbid) this.ids.skip(target, protocol, Math.floor(length / page.segmentSize));
    }
    if ((page.flags & needsChecksum) !== 0 && !local) {
      if (features.transmitChecksum) page.checksumStart = 14 + ipv4.size;
      else finishChecksum(page, offset, length);
    }
    if (local || page.link === out.index) {
      return this.#output(out, target, protocol, page, offset, length, id, forbid ? dontFragment : 0, options);
    }
    const moved = this.#links.adopt(page, offset, length, out.link);
    if (moved === undefined) {
      this.#statistics.noPage++;
      return false;
    }
    return this.#output(out, target, protocol, moved, headroom, length, id, forbid ? dontFragment : 0, options);
  }

  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options: IpSendOptions,
  ): boolean {
    const way = this.#way;
    const target = destination.w3;
    if (!way.choose(this.#interfaces, destination, options.source, options.interface ?? 0)) {
      this.#statistics.noRoute++;
      return false;
    }
    const out = way.interface;
    if (out === undefined) return false;
    const mtu = way.cast === "local" ? out.linkMtu : this.#pathMtuOf(target, out.linkMtu);
    const tooLong = length + ipv4.size > mtu && (options.dontFragment ?? false);
    if (length + ipv4.size > mostBytes || (tooLong && !this.pathMtu.mustFragment(target))) {
      this.#statistics.tooBig++;
      return false;
    }
    if (length + ipv4.size > mtu) {
      return this.#sendFragments(target, protocol, bytes, offset, length, mtu, options);
    }
    const page = out.link.allocate();
    if (page === undefined) {
      this.#statistics.noPage++;
      return false;
    }
    copyBytes(bytes, offset, page.bytes, headroom, length);
    return this.send(destination, protocol, page, headroom, length, options);
  }

  /** See `Ipv4.sendAlert`. */
  sendAlert(out: Ipv4Interface, group: number, protocol: number, bytes: Uint8Array, length: number): boolean {
    const page = out.link.allocate();
    if (page === undefined) {
      this.#statistics.noPage++;
      return false;
    }
    const header = ipv4.size + 4;
    const { field } = ipv4;
    const data = page.bytes;
    data.fill(0, headroom, headroom + header);
    data[headroom] = 0x40 | (header >>> 2);
    data[headroom + 1] = 0xc0;
    field.totalLength.set(data, headroom, header + length);
    field.identification.set(data, headroom, this.ids.next(group, protocol));
    field.timeToLive.set(data, headroom, 1);
    field.protocol.set(data, headroom, protocol);
    field.source.setWord(data, headroom, out.own);
    field.destination.setWord(data, headroom, group);
    data[headroom + ipv4.size] = routerAlert;
    data[headroom + ipv4.size + 1] = 4;
    field.checksum.set(data, headroom, checksum(data, headroom, header));
    copyBytes(bytes, 0, data, headroom + header, length);
    this.#statistics.sent++;
    return this.transmit(out, "multicast", group, 0, page, headroom, header + length);
  }

  /** Hands a whole packet with a good header to the link. Takes the page, which is of the interface's link. */
  transmit(
    out: Ipv4Interface,
    cast: Cast,
    target: number,
    nextHop: number,
    page: Page,
    start: number,
    total: number,
  ): boolean {
    switch (cast) {
      case "unicast":
        return out.arp.sendIpv4(nextHop, page, start, total);
      case "broadcast":
        return out.link.ethernet.send(MacAddress.broadcast, etherTypeIpv4, page, start, total);
      case "multicast":
        // RFC 1112 §6.4: the group's low 23 bits behind 01:00:5e.
        return out.link.ethernet.send(
          new MacAddress(0x0100, 0x5e000000 | (target & 0x7fffff)),
          etherTypeIpv4,
          page,
          start,
          total,
        );
      case "local":
        this.#statistics.loopback++;
        if (this.#loopback.push(page, start, total, out.index)) return true;
        this.#statistics.loopbackDropped++;
        return false;
    }
  }

  #pathMtuOf(target: number, link: number): number {
    return this.pathMtu.size === 0 ? link : this.pathMtu.get(target, link, this.#timers.now());
  }

  /** The way has been chosen. */
  #sendFragments(
    target: number,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    mtu: number,
    options: IpSendOptions,
  ): boolean {
    const out = this.#way.interface;
    if (out === undefined) return false;
    const size = fragmentSize(mtu);
    const id = this.ids.next(target, protocol);
    for (let at = 0; at < length; at += size) {
      const part = Math.min(size, length - at);
      const page = out.link.allocate();
      if (page === undefined) {
        this.#statistics.noPage++;
        return false;
      }
      copyBytes(bytes, offset + at, page.bytes, headroom, part);
      const flags = (at >>> 3) | (at + part < length ? moreFragments : 0);
      this.#statistics.sentFragments++;
      if (!this.#output(out, target, protocol, page, headroom, part, id, flags, options)) return false;
    }
    return true;
  }

  /** Writes the header and hands the packet on, by the way that has been chosen. */
  #output(
    out: Ipv4Interface,
    target: number,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    id: number,
    fragment: number,
    options: IpSendOptions,
  ): boolean {
    const way = this.#way;
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
    const hopLimit = options.hopLimit ?? defaultHopLimit;
    field.timeToLive.set(bytes, start, hopLimit);
    field.protocol.set(bytes, start, protocol);
    field.source.setWord(bytes, start, way.source);
    field.destination.setWord(bytes, start, target);
    // Summed from what was written, which need not be read again. The addresses count as in a pseudo header.
    const words = ((0x45 << 8) | ((options.ecn ?? 0) & 3)) + id + fragment + (hopLimit << 8);
    const sum = words + pseudoHeaderSum4(way.source, target, protocol, length + ipv4.size);
    field.checksum.set(bytes, start, ~fold(sum) & 0xffff);
    this.#statistics.sent++;
    const total = length + ipv4.size;
    if (way.cast === "multicast" && options.multicastLoopback !== false && out.groups.has(target)) {
      this.#loopBack(out, page, start, total);
    }
    return this.transmit(out, way.cast, target, way.nextHop, page, start, total);
  }

  /** RFC 1112 §6.1: what is sent to a group that we are in is for us too. */
  #loopBack(out: Ipv4Interface, page: Page, start: number, total: number): void {
    this.#statistics.loopback++;
    const copy = out.link.allocate();
    if (copy === undefined) {
      this.#statistics.loopbackDropped++;
      return;
    }
    copyBytes(page.bytes, start, copy.bytes, headroom, total);
    if (!this.#loopback.push(copy, headroom, total, out.index)) this.#statistics.loopbackDropped++;
  }
}

/** Does in software what a `needsChecksum` page asks of the device. */
function finishChecksum(page: Page, offset: number, length: number): void {
  completeChecksum(page.bytes, offset, length, 0, page.checksumOffset);
  page.flags &= ~needsChecksum;
}
