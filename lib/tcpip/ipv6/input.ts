import type { IpAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import { type IpHandler, type IpPacket, protocolIcmp6, protocolTcp } from "@tesserae/device/ip";
import { checksumVerified, type Page } from "@tesserae/device/page";
import { icmpParameterProblem, icmpTimeExceeded, icmpUnreachable } from "../icmpv6/wire.ts";
import { ReceivedPacket } from "../ip/received-packet.ts";
import type { Undeliverable } from "../ipv4/input.ts";
import type { ReassemblyOptions } from "../ip/reassembly-slots.ts";
import type { Destinations } from "./destinations.ts";
import { ChainReader, codeFirstFragment, codeHeaderField, codeNextHeader } from "./extension-headers.ts";
import type { Ipv6Interface } from "./interface.ts";
import type { InternedAddresses6 } from "./interned-address.ts";
import { isLinkLocal } from "./scope.ts";
import { Reassembler6, type ReassembledPacket } from "./reassembly.ts";
import type { Ipv6Statistics } from "./statistics.ts";
import { checkHeader, fragment, ipv6, nextFragment } from "./wire.ts";

/**
 * Told of packets that go no further: what ICMPv6 says to their senders. The packet is lent.
 *
 * @param parameter the four bytes behind the checksum: a pointer, say
 * @param evenToGroup whether a packet that was sent to a group is answered, too
 */
export type RejectionHandler = (
  packet: IpPacket,
  type: number,
  code: number,
  parameter: number,
  evenToGroup: boolean,
) => void;

/** Takes packets that are for others: a router's part. */
export interface Forwarder6 {
  /**
   * `page.bytes[header … header + total)`, whose header has been checked, came in by `from` and is for no address of
   * ours. The page is lent.
   */
  forward(
    page: Page,
    header: number,
    total: number,
    source: IpAddress,
    destination: IpAddress,
    from: Ipv6Interface,
  ): void;
}

export interface Input6Options {
  readonly interfaces: readonly Ipv6Interface[];
  readonly destinations: Destinations;
  readonly interned: InternedAddresses6;
  readonly statistics: Ipv6Statistics;
  readonly timers: Timers;
  readonly reassembly: ReassemblyOptions | undefined;
}

/** Takes packets from the links: checks them, reads their chains, joins fragments, delivers what is for us. */
export class Ipv6Input {
  readonly reassembly: Reassembler6;
  rejected: RejectionHandler | undefined = undefined;
  /** Set on a router. */
  forwarder: Forwarder6 | undefined = undefined;
  /** Whether the packet being delivered carries a router alert (RFC 2711). */
  hasRouterAlert = false;
  /** Whether it came in fragments. */
  wasFragmented = false;
  readonly #interfaces: readonly Ipv6Interface[];
  readonly #destinations: Destinations;
  readonly #interned: InternedAddresses6;
  readonly #statistics: Ipv6Statistics;
  readonly #timers: Timers;
  readonly #expiry: Timer;
  readonly #chain = new ChainReader();
  readonly #handlers: (IpHandler | undefined)[] = new Array<IpHandler | undefined>(256).fill(undefined);
  #packet: ReceivedPacket | undefined;

  constructor(options: Input6Options) {
    this.#interfaces = options.interfaces;
    this.#destinations = options.destinations;
    this.#interned = options.interned;
    this.#statistics = options.statistics;
    this.#timers = options.timers;
    this.reassembly = new Reassembler6(options.reassembly);
    this.#expiry = options.timers.timer(() => this.#expireFragments());
  }

  listen(protocol: number, handler: IpHandler): void {
    this.#handlers[protocol] = handler;
  }

  close(): void {
    this.#expiry.cancel();
  }

  /** A packet from a link. `frame` is where its Ethernet header is. */
  receive(page: Page, offset: number, length: number, frame: number, from: Ipv6Interface): void {
    const bytes = page.bytes;
    const statistics = this.#statistics;
    statistics.received++;
    if (checkHeader(bytes, offset, length) !== "none") {
      statistics.badHeader++;
      return;
    }
    const source = this.#interned.read(bytes, offset + 8);
    const destination = this.#interned.read(bytes, offset + 24);
    if (this.#isMartian(source, destination, from)) {
      statistics.martian++;
      return;
    }
    if (destination.isMulticast) {
      if (!from.groups.has(destination)) {
        statistics.notForUs++;
        return;
      }
    } else if (!hasAddress(from, destination) && !this.#isOursElsewhere(destination)) {
      const forwarder = this.forwarder;
      if (forwarder === undefined || ((bytes[frame] ?? 0) & 1) !== 0) {
        statistics.notForUs++;
        return;
      }
      const total = ipv6.size + ipv6.field.payloadLength.get(bytes, offset);
      forwarder.forward(page, offset, total, source, destination, from);
      return;
    } else if (((bytes[frame] ?? 0) & 1) !== 0) {
      statistics.linkMulticast++;
      return;
    }
    this.#accept(page, offset, source, destination, from);
  }

  /** A packet between our own addresses, or to a group. It was written by us, so its header is good. */
  receiveLocal(page: Page, offset: number, length: number, index: number): void {
    this.#statistics.received++;
    if (checkHeader(page.bytes, offset, length) !== "none") {
      this.#statistics.badHeader++;
      return;
    }
    const source = this.#interned.read(page.bytes, offset + 8);
    const destination = this.#interned.read(page.bytes, offset + 24);
    const from = this.#interfaces[index - 1];
    // The address may have gone while the packet waited.
    const isOurs =
      destination.isMulticast || destination.isLoopback || this.#destinations.owner(destination) !== undefined;
    if (from === undefined || !isOurs) {
      this.#statistics.notForUs++;
      return;
    }
    // It has not left this memory: its transport checksum, perhaps still to be completed, has nothing to say.
    if (ipv6.field.nextHeader.get(page.bytes, offset) !== nextFragment) page.flags |= checksumVerified;
    this.#accept(page, offset, source, destination, from);
  }

  /** Says that a transport does not take a packet it was given. */
  undeliverable(packet: IpPacket, reason: Undeliverable): void {
    if (reason === "port") this.rejected?.(packet, icmpUnreachable, 4, 0, false);
    else if (reason === "protocol") {
      this.rejected?.(packet, icmpParameterProblem, codeNextHeader, this.#chain.namedAt - packet.headerOffset, false);
    }
  }

  /** Says that a packet that was for others goes no further. */
  reject(
    page: Page,
    header: number,
    total: number,
    from: Ipv6Interface,
    type: number,
    code: number,
    parameter: number,
  ): void {
    const source = this.#interned.read(page.bytes, header + 8);
    const destination = this.#interned.read(page.bytes, header + 24);
    const verdict = this.#chain.read(page.bytes, header, header + total, false);
    const packet = this.#fill(page, header, header + total, source, destination, from);
    if (verdict === "fragment") {
      // Only the first one shows what is behind the fragment header.
      if (fragment.field.fragmentOffset.get(page.bytes, packet.offset) !== 0) packet.protocol = nextFragment;
      else if (packet.length >= fragment.size) {
        packet.offset += fragment.size;
        packet.length -= fragment.size;
      }
    }
    this.rejected?.(packet, type, code, parameter, false);
  }

  /** A router answers to its addresses on every interface; a host is strong. */
  #isOursElsewhere(destination: IpAddress): boolean {
    return (
      this.forwarder !== undefined && !isLinkLocal(destination) && this.#destinations.owner(destination) !== undefined
    );
  }

  /** Addresses that cannot be on a packet from a link (RFC 4291 §2.5.2, §2.5.3, §2.5.5; RFC 7526). */
  #isMartian(source: IpAddress, destination: IpAddress, from: Ipv6Interface): boolean {
    if (isInternal(source) || isInternal(destination) || destination.isUnspecified) return true;
    // Nobody but us sends from our addresses: it is a loop, or a forgery.
    return hasAddress(from, source);
  }

  #accept(page: Page, offset: number, source: IpAddress, destination: IpAddress, from: Ipv6Interface): void {
    const bytes = page.bytes;
    const chain = this.#chain;
    const end = offset + ipv6.size + ipv6.field.payloadLength.get(bytes, offset);
    const verdict = chain.read(bytes, offset, end, destination.isMulticast);
    if (verdict === "upper") {
      this.#deliver(page, offset, end, source, destination, from, chain.fragmented);
      return;
    }
    if (verdict === "drop") {
      this.#statistics.badChain++;
      return;
    }
    if (verdict === "problem") {
      this.#statistics.badChain++;
      const packet = this.#fill(page, offset, end, source, destination, from);
      this.rejected?.(packet, icmpParameterProblem, chain.code, chain.pointer, chain.answerMulticast);
      return;
    }
    const now = this.#timers.now();
    const whole = this.reassembly.add(bytes, offset, chain.namedAt, chain.offset, end, from.index, now);
    if (whole === undefined) {
      if (this.reassembly.problem !== undefined) this.#refuse(page, offset, end, source, destination, from);
      if (!this.#expiry.armed) this.#expiry.set(this.reassembly.nextDeadline());
      return;
    }
    this.#acceptWhole(whole, source, destination, from);
  }

  /** What was put together: the chain goes on where the fragment header was. */
  #acceptWhole(whole: ReassembledPacket, source: IpAddress, destination: IpAddress, from: Ipv6Interface): void {
    const { page, headerOffset, end } = whole;
    const verdict = this.#chain.read(page.bytes, headerOffset, end, destination.isMulticast);
    // Fragments of fragments are an attack.
    if (verdict === "upper") this.#deliver(page, headerOffset, end, source, destination, from, true);
    else this.#statistics.badChain++;
  }

  #refuse(
    page: Page,
    offset: number,
    end: number,
    source: IpAddress,
    destination: IpAddress,
    from: Ipv6Interface,
  ): void {
    const at = this.#chain.offset - offset;
    const problem = this.reassembly.problem;
    const packet = this.#fill(page, offset, end, source, destination, from);
    if (problem === "length") this.rejected?.(packet, icmpParameterProblem, codeHeaderField, 4, false);
    else if (problem === "too-long") this.rejected?.(packet, icmpParameterProblem, codeHeaderField, at + 2, false);
    else this.rejected?.(packet, icmpParameterProblem, codeFirstFragment, 0, false);
  }

  #deliver(
    page: Page,
    header: number,
    end: number,
    source: IpAddress,
    destination: IpAddress,
    from: Ipv6Interface,
    fragmented: boolean,
  ): void {
    const packet = this.#fill(page, header, end, source, destination, from);
    const { protocol } = packet;
    // The unspecified source is for hosts that look for an address.
    if (source.isUnspecified && protocol !== protocolIcmp6) {
      this.#statistics.martian++;
      return;
    }
    const handler = this.#handlers[protocol];
    if (handler === undefined) {
      this.#statistics.unknownProtocol++;
      this.undeliverable(packet, "protocol");
      return;
    }
    // Connections are between two hosts.
    if (destination.isMulticast && protocol === protocolTcp) {
      this.#statistics.unknownProtocol++;
      return;
    }
    this.#statistics.delivered++;
    this.hasRouterAlert = this.#chain.routerAlert;
    this.wasFragmented = fragmented;
    handler(packet);
  }

  #fill(
    page: Page,
    header: number,
    end: number,
    source: IpAddress,
    destination: IpAddress,
    from: Ipv6Interface,
  ): ReceivedPacket {
    const bytes = page.bytes;
    const packet = (this.#packet ??= new ReceivedPacket(page));
    packet.page = page;
    packet.offset = this.#chain.offset;
    packet.length = end - this.#chain.offset;
    packet.source = source;
    packet.destination = destination;
    packet.protocol = this.#chain.protocol;
    packet.hopLimit = bytes[header + 7] ?? 0;
    packet.ecn = ((bytes[header + 1] ?? 0) >>> 4) & 3;
    packet.headerOffset = header;
    packet.interface = from.index;
    return packet;
  }

  #expireFragments(): void {
    const now = this.#timers.now();
    for (let late = this.reassembly.expire(now); late !== undefined; late = this.reassembly.expire(now)) {
      // RFC 8200 §4.5: the sender is told, if the first fragment came.
      const from = this.#interfaces[late.interface - 1];
      if (late.condemned || !late.hasFirst || from === undefined || late.destination.isMulticast) continue;
      const { page, headerOffset, end, source, destination } = late;
      this.#chain.read(page.bytes, headerOffset, end, false);
      this.rejected?.(this.#fill(page, headerOffset, end, source, destination, from), icmpTimeExceeded, 1, 0, false);
    }
    this.#expiry.set(this.reassembly.nextDeadline());
  }
}

/** Whether an address of that interface, and one that can be used. A host is strong (RFC 1122 §3.3.4.2), as with IPv4. */
function hasAddress(on: Ipv6Interface, address: IpAddress): boolean {
  const own = on.book.assigned;
  for (let place = 0; place < own.length; place++) if (own[place]?.address.equals(address) === true) return true;
  return false;
}

/** `::1`, and IPv4 addresses in the clothes of IPv6: they never are on a wire. */
function isInternal({ w0, w1, w2, w3 }: IpAddress): boolean {
  return w0 === 0 && w1 === 0 && (w2 === 0xffff || (w2 === 0 && w3 === 1));
}
