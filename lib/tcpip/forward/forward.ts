/** Passing packets on (RFC 1812 §5), as far as a small router needs it. */

import { protocolUdp } from "@tesserae/device/ip";
import { cuts } from "@tesserae/device/netif";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { checksum, updateChecksum } from "@tesserae/wire/checksum";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { fragmentSize } from "../ipv4/fragmentation.ts";
import type { Forwarder, Undeliverable } from "../ipv4/input.ts";
import type { Ipv4Interface } from "../ipv4/interface.ts";
import { HostIpv4, type Ipv4 } from "../ipv4/ipv4.ts";
import { ipv4 } from "../ipv4/wire.ts";
import { RedirectLimit } from "./redirect-limit.ts";
import { segmentLength } from "./segment-length.ts";
import { ForwardedSegments } from "./segments.ts";
import { ForwardStatistics } from "./statistics.ts";

/** Changes addresses and ports on the way: see `@tesserae/tcpip/nat/nat`. */
export interface Translator {
  /**
   * Looks at a whole packet to an address of ours that came in by `from`, without changing it.
   *
   * @returns where it is to go instead, as `IpAddress.w3`; 0: it is for us; −1 (`255.255.255.255`): it is to be dropped.
   */
  inbound(bytes: Uint8Array, header: number, total: number, from: Ipv4Interface): number;
  /**
   * Looks at a whole packet for others that is to leave by `to`, without changing it.
   *
   * @returns whether it may leave.
   */
  outbound(bytes: Uint8Array, header: number, total: number, from: Ipv4Interface, to: Ipv4Interface): boolean;
  /**
   * Changes the packet that the last of these calls was about.
   *
   * @param partial whether its transport checksum holds the pseudo header's sum and is to be completed
   */
  rewrite(bytes: Uint8Array, header: number, total: number, partial: boolean): void;
  /** Whether fragments between an interface and a destination have to be whole to be translated. */
  needsWhole(destination: number, from: Ipv4Interface): boolean;
}

export interface ForwardOptions {
  readonly ip: Ipv4;
  readonly translator?: Translator | undefined;
  /**
   * `strict`: a packet is believed only when the way back to its source leads where it came from (RFC 3704 §2.2).
   * Default. `off` is for networks where ways there and back differ.
   */
  readonly reversePath?: "strict" | "off";
  /**
   * Whether a neighbour is told, now and then, that the next hop of its packet is on its own link (RFC 1812 §5.2.7.2).
   * The packet goes on all the same. Default true.
   */
  readonly redirects?: boolean | undefined;
  /**
   * Asked for each packet before anything is translated; what it refuses is answered with "prohibited". The interfaces
   * are numbers from 1; `bytes[header …)` is the IPv4 packet.
   */
  readonly filter?:
    ((bytes: Uint8Array, header: number, total: number, from: number, to: number) => boolean) | undefined;
}

/** A router's part that is not a host's. */
export interface Forwarding {
  readonly statistics: ForwardStatistics;
  /** Stops passing packets on. */
  close(): void;
}

/**
 * Makes a router of a host: what is for others is passed on, and an address of ours is answered on every interface.
 *
 * @throws TypeError when `ip` is not of `createIpv4`.
 */
export function createForwarding(options: ForwardOptions): Forwarding {
  return new Router(options);
}

const moreFragments = 0x2000;

class Router implements Forwarding, Forwarder {
  readonly statistics = new ForwardStatistics();
  readonly #ip: HostIpv4;
  readonly #translator: Translator | undefined;
  readonly #strict: boolean;
  readonly #filter: ForwardOptions["filter"];
  readonly #redirects: RedirectLimit | undefined;
  readonly #segments = new ForwardedSegments();
  /** Where a segment is put together that is longer than its next link takes. */
  #long: Uint8Array | undefined;

  constructor(options: ForwardOptions) {
    const { ip, redirects = true } = options;
    if (!(ip instanceof HostIpv4)) throw new TypeError("ip is not of createIpv4");
    this.#redirects = redirects ? new RedirectLimit(ip.timers) : undefined;
    this.#ip = ip;
    this.#translator = options.translator;
    this.#strict = (options.reversePath ?? "strict") === "strict";
    this.#filter = options.filter;
    ip.input.forwarder = this;
    ip.table.forwarding = true;
    ip.table.changed();
  }

  close(): void {
    this.#ip.input.forwarder = undefined;
    this.#ip.table.forwarding = false;
    this.#ip.table.changed();
  }

  needsWhole(destination: number, from: Ipv4Interface): boolean {
    return this.#translator?.needsWhole(destination, from) ?? false;
  }

  forward(page: Page, header: number, total: number, from: Ipv4Interface, ours: boolean): boolean {
    const translator = this.#translator;
    const bytes = page.bytes;
    let destination = ipv4.field.destination.word(bytes, header);
    if (ours) {
      if (translator === undefined) return false;
      const inside = translator.inbound(bytes, header, total, from);
      if (inside === 0) return false;
      if (inside === -1) return true;
      destination = inside;
    }
    this.#route(page, header, total, from, destination, ours);
    return true;
  }

  #route(page: Page, header: number, total: number, from: Ipv4Interface, target: number, translated: boolean): void {
    const statistics = this.statistics;
    const { table } = this.#ip;
    const bytes = page.bytes;
    const source = ipv4.field.source.word(bytes, header);
    if (!isPassable(target) || !isPassable(source) || table.broadcastOf(target) !== undefined) {
      statistics.refusedDestination++;
      return;
    }
    if (this.#strict) {
      const back = table.routes.find(source);
      if (back < 0 || table.routes.interfaceAt(back) !== from.index) {
        statistics.refusedSource++;
        return;
      }
    }
    if (ipv4.field.timeToLive.get(bytes, header) <= 1) {
      statistics.hopLimit++;
      this.#refuse(page, header, total, from, "hop-limit", 0);
      return;
    }
    const place = table.routes.find(target);
    const to = place < 0 ? undefined : table.get(table.routes.interfaceAt(place));
    if (to === undefined) {
      statistics.noRoute++;
      this.#refuse(page, header, total, from, "network", 0);
      return;
    }
    if (this.#filter?.(bytes, header, total, from.index, to.index) === false) {
      statistics.prohibited++;
      this.#refuse(page, header, total, from, "prohibited", 0);
      return;
    }
    const { features } = to.link.ethernet;
    const segmented = page.segmentSize > 0;
    const protocol = ipv4.field.protocol.get(bytes, header);
    const isUdp = protocol === protocolUdp;
    // What a segmented packet becomes is what the link has to take.
    const headerSize = ipv4.field.headerLength.get(bytes, header) * 4;
    const isLong = (segmented ? segmentLength(page, header, headerSize, protocol) : total) > to.linkMtu;
    // In fragments TCP goes as it is; datagrams must not become one.
    const isCutHere = segmented && (!cuts(features, isUdp, false) || (isLong && isUdp));
    if (isCutHere && !this.#segments.read(page, header, total)) {
      statistics.segmented++;
      return;
    }
    if (isLong && ipv4.field.dontFragment.get(bytes, header)) {
      statistics.tooBig++;
      this.#refuse(page, header, total, from, "packet-too-big", to.linkMtu);
      return;
    }
    const nextHop = table.routes.nextHopAt(place, target);
    const translator = this.#translator;
    if (translator !== undefined && !translated && !translator.outbound(bytes, header, total, from, to)) {
      statistics.prohibited++;
      this.#refuse(page, header, total, from, "prohibited", 0);
      return;
    }
    if (to === from && !translated) this.#redirect(page, header, total, from, source, target, nextHop);
    translator?.rewrite(bytes, header, total, (page.flags & needsChecksum) !== 0);
    this.#age(bytes, header);
    if (isCutHere) {
      this.#passSegments(page, to, target, nextHop);
      return;
    }
    const partial = (page.flags & needsChecksum) !== 0;
    if (partial && (isLong || !features.transmitChecksum)) {
      const start = header + headerSize;
      completeChecksum(bytes, start, header + total - start, 0, page.checksumOffset);
      page.flags &= ~needsChecksum;
    }
    if (isLong) this.#cut(bytes, header, total, to, target, nextHop);
    else this.#pass(page, header, total, to, target, nextHop);
  }

  /** The packet leaves where it came from: a neighbour could have sent it to the next hop itself. */
  #redirect(
    page: Page,
    header: number,
    total: number,
    on: Ipv4Interface,
    source: number,
    target: number,
    nextHop: number,
  ): void {
    const { routes } = this.#ip.table;
    const back = routes.find(source, on.index);
    if (this.#redirects === undefined || back < 0 || routes.nextHopAt(back, source) !== source) return;
    if (!this.#redirects.take(source, target)) return;
    this.statistics.redirects++;
    this.#refuse(page, header, total, on, "redirect", nextHop);
  }

  #refuse(
    page: Page,
    header: number,
    total: number,
    from: Ipv4Interface,
    reason: Undeliverable,
    parameter: number,
  ): void {
    const length = ipv4.field.headerLength.get(page.bytes, header) * 4;
    this.#ip.input.reject(page, header, header + length, total - length, from, reason, parameter);
  }

  /** One hop less to live, and the header's checksum with it (RFC 1812 §5.3.1, RFC 1624). */
  #age(bytes: Uint8Array, header: number): void {
    const { timeToLive, checksum: sum } = ipv4.field;
    const before = ((bytes[header + 8] ?? 0) << 8) | (bytes[header + 9] ?? 0);
    timeToLive.set(bytes, header, (before >>> 8) - 1);
    sum.set(bytes, header, updateChecksum(sum.get(bytes, header), before, before - 0x100));
  }

  #pass(page: Page, header: number, total: number, to: Ipv4Interface, target: number, nextHop: number): void {
    const out = to.link.allocate(total > to.linkMtu ? total : undefined);
    if (out === undefined) {
      this.statistics.dropped++;
      return;
    }
    copyBytes(page.bytes, header, out.bytes, headroom, total);
    if ((page.flags & needsChecksum) !== 0) {
      out.flags = needsChecksum;
      out.checksumStart = 14 + ipv4.field.headerLength.get(page.bytes, header) * 4;
      out.checksumOffset = page.checksumOffset;
    }
    out.segmentSize = page.segmentSize;
    out.headerLength = page.headerLength;
    this.#transmit(out, total, to, target, nextHop);
  }

  /** Does what the next device does not: the packet has been read. */
  #passSegments(page: Page, to: Ipv4Interface, target: number, nextHop: number): void {
    const segments = this.#segments;
    for (let index = 0; index < segments.count; index++) {
      const length = segments.lengthOf(page, index);
      if (length > to.linkMtu) {
        const long = (this.#long ??= new Uint8Array(65_535));
        segments.write(page, index, long);
        this.#cut(long, 0, length, to, target, nextHop);
        continue;
      }
      const out = segments.build(page, index, to.link);
      if (out === undefined) this.statistics.dropped++;
      else this.#transmit(out, length, to, target, nextHop);
    }
  }

  #transmit(out: Page, total: number, to: Ipv4Interface, target: number, nextHop: number): void {
    if (this.#ip.output.transmit(to, "unicast", target, nextHop, out, headroom, total)) this.statistics.forwarded++;
    else this.statistics.dropped++;
  }

  /** Cuts a packet, or a fragment, that is too long for its next link (RFC 791 §3.2). */
  #cut(bytes: Uint8Array, header: number, total: number, to: Ipv4Interface, target: number, nextHop: number): void {
    const { field } = ipv4;
    const headerLength = field.headerLength.get(bytes, header) * 4;
    const length = total - headerLength;
    const first = field.fragmentOffset.get(bytes, header);
    const more = field.moreFragments.get(bytes, header);
    // Options are repeated on each piece: more than RFC 791 wants, which copies only those that say so, and no receiver
    // minds.
    const size = fragmentSize(to.linkMtu - (headerLength - ipv4.size));
    for (let at = 0; at < length; at += size) {
      const part = Math.min(size, length - at);
      const out = to.link.allocate();
      if (out === undefined) {
        this.statistics.dropped++;
        return;
      }
      copyBytes(bytes, header, out.bytes, headroom, headerLength);
      copyBytes(bytes, header + headerLength + at, out.bytes, headroom + headerLength, part);
      const word = (first + (at >>> 3)) | (more || at + part < length ? moreFragments : 0);
      out.bytes[headroom + 6] = word >>> 8;
      out.bytes[headroom + 7] = word;
      field.totalLength.set(out.bytes, headroom, headerLength + part);
      field.checksum.set(out.bytes, headroom, 0);
      field.checksum.set(out.bytes, headroom, checksum(out.bytes, headroom, headerLength));
      this.statistics.fragments++;
      this.#transmit(out, headerLength + part, to, target, nextHop);
    }
  }
}

/** Whether a packet from or to that address may pass a router (RFC 1812 §5.3.7, RFC 3927 §7, RFC 6890). */
function isPassable(word: number): boolean {
  const high = word >>> 24;
  return high !== 0 && high !== 127 && high < 224 && word >>> 16 !== 0xa9fe;
}
