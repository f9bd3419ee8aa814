import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { IpSendOptions } from "@tesserae/device/ip";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import type { Links } from "../ip/link.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import type { Loopback } from "../ipv4/loopback.ts";
import type { Destination, Destinations } from "./destinations.ts";
import { FlowLabels } from "./flow-label.ts";
import type { Ipv6Interface } from "./interface.ts";
import { PathMtu6 } from "./path-mtu.ts";
import type { Ipv6Statistics } from "./statistics.ts";
import { fragment, ipv6, nextFragment } from "./wire.ts";

/** The longest payload that a header can tell. */
const mostPayload = 65_535;
export const noOptions: IpSendOptions = {};

export interface Output6Options {
  readonly destinations: Destinations;
  readonly links: Links;
  readonly loopback: Loopback;
  readonly statistics: Ipv6Statistics;
  readonly timers: Timers;
  readonly random: Random;
}

/** Sends our own packets: chooses the way, writes the headers, cuts what is too long. */
export class Ipv6Output {
  readonly pathMtu: PathMtu6;
  readonly labels: FlowLabels;
  readonly #destinations: Destinations;
  readonly #links: Links;
  readonly #loopback: Loopback;
  readonly #statistics: Ipv6Statistics;
  readonly #timers: Timers;
  readonly #random: Random;

  constructor(options: Output6Options) {
    this.#destinations = options.destinations;
    this.#links = options.links;
    this.#loopback = options.loopback;
    this.#statistics = options.statistics;
    this.#timers = options.timers;
    this.#random = options.random;
    this.pathMtu = new PathMtu6(options.random);
    this.labels = new FlowLabels(options.random);
  }

  /** Bytes of the longest packet to `destination`. */
  mtu(destination: IpAddress): number {
    const way = this.#destinations.find(destination, 0, undefined);
    return way === undefined ? (this.#links.all[0]?.mtu ?? 0) : this.#mtuOf(way);
  }

  send(
    destination: IpAddress,
    protocol: number,
    page: Page,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    const way = this.#destinations.find(destination, options.interface ?? 0, options.source);
    const source = way === undefined ? undefined : this.#source(way, options.source);
    if (way === undefined || source === undefined) {
      this.#statistics.noRoute++;
      this.#links.release(page);
      return false;
    }
    const { out, isLocal } = way;
    const mtu = this.#mtuOf(way);
    const { features } = out.link.ethernet;
    if (length + ipv6.size > mtu && !(page.segmentSize > 0 && features.maxSegmentation > 0 && !isLocal)) {
      if (options.dontFragment === true || length > mostPayload) {
        this.#statistics.tooBig++;
        this.#links.release(page);
        return false;
      }
      if ((page.flags & needsChecksum) !== 0) finishChecksum(page, offset, length);
      const sent = this.#sendFragments(way, source, protocol, page.bytes, offset, length, mtu, options);
      this.#links.release(page);
      return sent;
    }
    const own = isLocal ? page : this.#links.adopt(page, offset, length, out.link);
    if (own === undefined) {
      this.#statistics.noPage++;
      return false;
    }
    const at = own === page ? offset : headroom;
    if (own.segmentSize > 0) own.headerLength += 14 + ipv6.size;
    if ((own.flags & needsChecksum) !== 0 && !isLocal) {
      if (features.transmitChecksum) own.checksumStart = 14 + ipv6.size;
      else finishChecksum(own, at, length);
    }
    const label = this.labels.get(source, destination, protocol, own.bytes, at, length);
    return this.#output(way, source, protocol, own, at, length, label, options);
  }

  /** As `send`, from bytes that stay the caller's. */
  sendBytes(
    destination: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    options: IpSendOptions = noOptions,
  ): boolean {
    const way = this.#destinations.find(destination, options.interface ?? 0, options.source);
    const source = way === undefined ? undefined : this.#source(way, options.source);
    if (way === undefined || source === undefined) {
      this.#statistics.noRoute++;
      return false;
    }
    const mtu = this.#mtuOf(way);
    const isLong = length + ipv6.size > mtu;
    if (length > mostPayload || (isLong && options.dontFragment === true)) {
      this.#statistics.tooBig++;
      return false;
    }
    if (isLong) return this.#sendFragments(way, source, protocol, bytes, offset, length, mtu, options);
    const page = way.out.link.allocate();
    if (page === undefined) {
      this.#statistics.noPage++;
      return false;
    }
    copyBytes(bytes, offset, page.bytes, headroom, length);
    return this.send(destination, protocol, page, headroom, length, options);
  }

  #mtuOf(way: Destination): number {
    const link = way.out.linkMtu;
    if (way.isLocal || this.pathMtu.size === 0) return link;
    return this.pathMtu.get(way.address, link, this.#timers.now());
  }

  /** The source address of a packet, or `undefined` when it cannot be sent. */
  #source(way: Destination, wanted: IpAddress | undefined): IpAddress | undefined {
    if (wanted === undefined || wanted.isUnspecified || wanted === way.source) return way.source;
    if (wanted.isLoopback) return way.isLocal ? wanted : undefined;
    return this.#destinations.owner(wanted) === undefined ? undefined : wanted;
  }

  /** RFC 8200 §4.5. Identifications are drawn at random (RFC 7739 §5.2). */
  #sendFragments(
    way: Destination,
    source: IpAddress,
    protocol: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    mtu: number,
    options: IpSendOptions,
  ): boolean {
    const size = (mtu - ipv6.size - fragment.size) & ~7;
    const label = this.labels.get(source, way.address, protocol, bytes, offset, length);
    const identification = this.#random.uint32();
    for (let at = 0; at < length; at += size) {
      const part = Math.min(size, length - at);
      const page = way.out.link.allocate();
      if (page === undefined) {
        this.#statistics.noPage++;
        return false;
      }
      const to = page.bytes;
      copyBytes(bytes, offset + at, to, headroom, part);
      const header = headroom - fragment.size;
      const field = fragment.field;
      field.nextHeader.set(to, header, protocol);
      to[header + 1] = 0;
      to[header + 2] = at >>> 8;
      to[header + 3] = (at & 0xf8) | (at + part < length ? 1 : 0);
      field.identification.set(to, header, identification);
      this.#statistics.sentFragments++;
      if (!this.#output(way, source, nextFragment, page, header, part + fragment.size, label, options)) return false;
    }
    return true;
  }

  /** Writes the header and hands the packet on. */
  #output(
    way: Destination,
    source: IpAddress,
    next: number,
    page: Page,
    offset: number,
    length: number,
    label: number,
    options: IpSendOptions,
  ): boolean {
    const { out, address } = way;
    const bytes = page.bytes;
    const start = offset - ipv6.size;
    const field = ipv6.field;
    // Version 6; the traffic class is the ECN bits alone.
    bytes[start] = 0x60;
    bytes[start + 1] = (((options.ecn ?? 0) & 3) << 4) | (label >>> 16);
    bytes[start + 2] = label >>> 8;
    bytes[start + 3] = label;
    field.payloadLength.set(bytes, start, page.segmentSize > 0 && length > mostPayload ? 0 : length);
    field.nextHeader.set(bytes, start, next);
    field.hopLimit.set(bytes, start, options.hopLimit ?? out.hopLimit);
    field.source.set(bytes, start, source);
    field.destination.set(bytes, start, address);
    this.#statistics.sent++;
    const total = length + ipv6.size;
    if (way.isLocal) {
      this.#statistics.loopback++;
      if (this.#loopback.push(page, start, total, out.index)) return true;
      this.#statistics.loopbackDropped++;
      return false;
    }
    if (!address.isMulticast) return out.neighbours.send(way.nextHop, page, start, total);
    if (options.multicastLoopback !== false && out.groups.has(address)) this.#loopBack(out, page, start, total);
    return out.sendToGroup(address, page, start, total);
  }

  /** What is sent to a group that we are in is for us too. */
  #loopBack(out: Ipv6Interface, page: Page, start: number, total: number): void {
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
