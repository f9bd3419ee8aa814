/** Passing IPv6 packets on (RFC 8200, RFC 4443 §3), as far as a small router needs it. */

import type { IpAddress } from "@tesserae/device/address";
import { protocolUdp } from "@tesserae/device/ip";
import { cuts } from "@tesserae/device/netif";
import { headroom, needsChecksum, type Page } from "@tesserae/device/page";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { icmpPacketTooBig, icmpTimeExceeded, icmpUnreachable } from "../icmpv6/wire.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import type { Forwarder6 } from "../ipv6/input.ts";
import type { Ipv6Interface } from "../ipv6/interface.ts";
import { HostIpv6, type Ipv6 } from "../ipv6/ipv6.ts";
import { allRouters, isLinkLocal } from "../ipv6/scope.ts";
import { ipv6 } from "../ipv6/wire.ts";
import type { ForwardOptions, Forwarding } from "./forward.ts";
import { RedirectLimit } from "./redirect-limit.ts";
import { segmentLength } from "./segment-length.ts";
import { ForwardedSegments } from "./segments.ts";
import { ForwardStatistics } from "./statistics.ts";

export interface Forward6Options extends Pick<ForwardOptions, "reversePath" | "redirects"> {
  readonly ip: Ipv6;
  /** As that of IPv4; `bytes[header …)` is the IPv6 packet. */
  readonly filter?: ForwardOptions["filter"];
}

/** Codes of "destination unreachable" (RFC 4443 §3.1). */
const codeNoRoute = 0;
const codeProhibited = 1;
const codeBeyondScope = 2;
const ethernetHeader = 14;

/**
 * Makes a router of a host: what is for others is passed on, an address of ours is answered on every interface, and
 * neighbours are told that we are one. Packets are never cut, and hop-by-hop options are passed on unread (RFC 8200 §4.3).
 *
 * @throws TypeError when `ip` is not of `createIpv6`.
 */
export function createForwarding6(options: Forward6Options): Forwarding {
  return new Router6(options);
}

class Router6 implements Forwarding, Forwarder6 {
  readonly statistics = new ForwardStatistics();
  readonly #ip: HostIpv6;
  readonly #strict: boolean;
  readonly #filter: ForwardOptions["filter"];
  readonly #redirects: RedirectLimit | undefined;
  readonly #segments = new ForwardedSegments();

  constructor(options: Forward6Options) {
    const { ip, redirects = true } = options;
    if (!(ip instanceof HostIpv6)) throw new TypeError("ip is not of createIpv6");
    this.#redirects = redirects ? new RedirectLimit(ip.timers) : undefined;
    this.#ip = ip;
    this.#strict = (options.reversePath ?? "strict") === "strict";
    this.#filter = options.filter;
    ip.input.forwarder = this;
    for (const each of ip.interfaces) {
      each.ndp.isRouter = true;
      // Hosts look for routers there (RFC 4861 §6.2.2).
      each.groups.join(allRouters);
    }
  }

  close(): void {
    if (this.#ip.input.forwarder !== this) return;
    this.#ip.input.forwarder = undefined;
    for (const each of this.#ip.interfaces) {
      each.ndp.stopAdvertising();
      each.ndp.isRouter = false;
      each.groups.leave(allRouters);
    }
  }

  forward(
    page: Page,
    header: number,
    total: number,
    source: IpAddress,
    destination: IpAddress,
    from: Ipv6Interface,
  ): void {
    const statistics = this.statistics;
    const { destinations, input } = this.#ip;
    const bytes = page.bytes;
    if (isLinkLocal(destination) || source.isUnspecified) {
      statistics.refusedDestination++;
      return;
    }
    if (isLinkLocal(source)) {
      statistics.refusedSource++;
      input.reject(page, header, total, from, icmpUnreachable, codeBeyondScope, 0);
      return;
    }
    const back = this.#strict ? destinations.find(source, 0, undefined) : undefined;
    if (this.#strict ? back?.out !== from || back.isLocal : destinations.owner(source) !== undefined) {
      statistics.refusedSource++;
      return;
    }
    const hopLimit = bytes[header + 7] ?? 0;
    if (hopLimit <= 1) {
      statistics.hopLimit++;
      input.reject(page, header, total, from, icmpTimeExceeded, 0, 0);
      return;
    }
    const way = destinations.find(destination, 0, undefined);
    if (way === undefined || way.isLocal) {
      statistics.noRoute++;
      input.reject(page, header, total, from, icmpUnreachable, codeNoRoute, 0);
      return;
    }
    const to = way.out;
    if (this.#filter?.(bytes, header, total, from.index, to.index) === false) {
      statistics.prohibited++;
      input.reject(page, header, total, from, icmpUnreachable, codeProhibited, 0);
      return;
    }
    const { features } = to.link.ethernet;
    const isSegmented = page.segmentSize > 0;
    const protocol = bytes[header + 6] ?? 0;
    const isCutHere = isSegmented && !cuts(features, protocol === protocolUdp, true);
    if (isCutHere && !this.#segments.read(page, header, total)) {
      statistics.segmented++;
      return;
    }
    // What a segmented packet becomes is what the link has to take.
    const longest = isSegmented ? segmentLength(page, header, ipv6.size, protocol) : total;
    if (longest > to.linkMtu) {
      statistics.tooBig++;
      input.reject(page, header, total, from, icmpPacketTooBig, 0, to.linkMtu);
      return;
    }
    if (to === from) this.#redirect(bytes, header, total, source, destination, way.nextHop, from);
    if (isCutHere) {
      bytes[header + 7] = hopLimit - 1;
      this.#passSegments(page, to, way.nextHop);
      return;
    }
    const out = to.link.allocate(total > to.linkMtu ? total : undefined);
    if (out === undefined) {
      statistics.dropped++;
      return;
    }
    copyBytes(bytes, header, out.bytes, headroom, total);
    out.bytes[headroom + 7] = hopLimit - 1;
    out.segmentSize = page.segmentSize;
    out.headerLength = page.headerLength;
    if ((page.flags & needsChecksum) !== 0) leaveChecksum(page, out, total, features.transmitChecksum);
    if (to.neighbours.send(way.nextHop, out, headroom, total)) statistics.forwarded++;
    else statistics.dropped++;
  }

  /** Does what the next device does not: the packet has been read. */
  #passSegments(page: Page, to: Ipv6Interface, nextHop: IpAddress): void {
    const { statistics } = this;
    const segments = this.#segments;
    for (let index = 0; index < segments.count; index++) {
      const out = segments.build(page, index, to.link);
      if (out !== undefined && to.neighbours.send(nextHop, out, headroom, segments.lengthOf(page, index))) {
        statistics.forwarded++;
      } else statistics.dropped++;
    }
  }

  /** The packet leaves where it came from: a neighbour could have sent it to the next hop itself (RFC 4861 §8.2). */
  #redirect(
    bytes: Uint8Array,
    header: number,
    total: number,
    source: IpAddress,
    destination: IpAddress,
    nextHop: IpAddress,
    on: Ipv6Interface,
  ): void {
    // Hosts know routers by their link-local addresses only.
    if (!nextHop.equals(destination) && !isLinkLocal(nextHop)) return;
    if (this.#redirects === undefined || on.routes.find(source)?.gateway !== undefined) return;
    if (!this.#redirects.take(source.w2 ^ source.w3, destination.w0 ^ destination.w1 ^ destination.w2 ^ destination.w3))
      return;
    if (on.ndp.redirect(source, nextHop, destination, bytes, header, total)) this.statistics.redirects++;
  }
}

/** What the device that a packet came from has left undone is left to the next one, if that can. */
function leaveChecksum(page: Page, out: Page, total: number, isAble: boolean): void {
  if (!isAble) {
    completeChecksum(
      out.bytes,
      headroom - ethernetHeader,
      total + ethernetHeader,
      page.checksumStart,
      page.checksumOffset,
    );
    return;
  }
  out.flags = needsChecksum;
  out.checksumStart = page.checksumStart;
  out.checksumOffset = page.checksumOffset;
}
