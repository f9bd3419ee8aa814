import type { Timer, Timers } from "@tesserae/device/clock";
import { type IpHandler, type IpPacket, protocolIcmp, protocolIgmp, protocolUdp } from "@tesserae/device/ip";
import { checksumVerified, type Page } from "@tesserae/device/page";
import { ReceivedPacket } from "../ip/received-packet.ts";
import type { Ipv4Interface } from "./interface.ts";
import type { Interfaces } from "./interfaces.ts";
import type { InternedAddresses } from "./interned-address.ts";
import type { ReassemblyOptions } from "../ip/reassembly-slots.ts";
import { type ReassembledDatagram, Reassembler } from "./reassembly.ts";
import type { Ipv4Statistics } from "./statistics.ts";
import { checkHeader, ipv4 } from "./wire.ts";

/** Why a packet goes no further, or with `redirect` should have gone elsewhere: what ICMP says to its sender. */
export type Undeliverable =
  | "protocol"
  | "port"
  | "reassembly-time"
  | "network"
  | "host"
  | "prohibited"
  | "hop-limit"
  | "packet-too-big"
  | "redirect";

/**
 * Told of packets that go no further. `parameter` is the MTU with `packet-too-big`, the better first hop as `IpAddress.w3`
 * with `redirect`, else 0. The packet is lent.
 */
export type UndeliverableHandler = (packet: IpPacket, reason: Undeliverable, parameter: number) => void;

/** What passes packets on that are not for us: see `createForwarder`. */
export interface Forwarder {
  /**
   * Offers a whole packet, or a fragment, from `from`, in a frame to us alone. The page is lent; the packet's header has
   * been checked, its addresses are not martian.
   *
   * @param ours whether its destination is an address of ours: then it is offered first for translation
   * @returns whether it was taken, and be it to drop it. A packet for us that is not taken is delivered.
   */
  forward(page: Page, header: number, total: number, from: Ipv4Interface, ours: boolean): boolean;
  /** Whether a fragment for that destination has to be joined with the others first. */
  needsWhole(destination: number, from: Ipv4Interface): boolean;
}

export interface InputOptions {
  readonly interfaces: Interfaces;
  readonly interned: InternedAddresses;
  readonly statistics: Ipv4Statistics;
  readonly timers: Timers;
  readonly reassembly: ReassemblyOptions | undefined;
}

/** Takes packets from the links: checks them, joins fragments, delivers what is for us, offers the rest to be forwarded. */
export class Ipv4Input {
  readonly reassembly: Reassembler;
  forwarder: Forwarder | undefined = undefined;
  undeliverable: UndeliverableHandler | undefined = undefined;
  readonly #interfaces: Interfaces;
  readonly #interned: InternedAddresses;
  readonly #statistics: Ipv4Statistics;
  readonly #timers: Timers;
  readonly #expiry: Timer;
  readonly #handlers: (IpHandler | undefined)[] = new Array<IpHandler | undefined>(256).fill(undefined);
  #packet: ReceivedPacket | undefined;

  constructor(options: InputOptions) {
    this.#interfaces = options.interfaces;
    this.#interned = options.interned;
    this.#statistics = options.statistics;
    this.#timers = options.timers;
    this.reassembly = new Reassembler(options.reassembly);
    this.#expiry = options.timers.timer(() => this.#expireFragments());
  }

  listen(protocol: number, handler: IpHandler): void {
    this.#handlers[protocol] = handler;
  }

  close(): void {
    this.#expiry.cancel();
  }

  /** A packet from a link. `frame` is where its Ethernet header is. */
  receive(page: Page, offset: number, length: number, frame: number, from: Ipv4Interface): void {
    const bytes = page.bytes;
    const statistics = this.#statistics;
    statistics.received++;
    if (!this.#checkHeader(bytes, offset, length)) return;
    const source = ipv4.field.source.word(bytes, offset);
    const destination = ipv4.field.destination.word(bytes, offset);
    if (this.#isMartian(source, destination, from)) {
      statistics.martian++;
      return;
    }
    const toMany = ((bytes[frame] ?? 0) & 1) !== 0;
    const toAll =
      destination === -1 ||
      (destination === from.broadcast && destination !== 0) ||
      (destination >>> 28 === 14 && from.groups.has(destination));
    if (!toAll) {
      if (destination === from.own ? from.own === 0 : !this.#isOursElsewhere(destination)) {
        if (this.#isForNewcomer(bytes, offset, from)) {
          if (toMany) statistics.linkBroadcast++;
          else this.#accept(page, offset, source, destination, false, from);
          return;
        }
        this.#pass(page, offset, destination, toMany, from);
        return;
      }
      if (toMany) {
        statistics.linkBroadcast++;
        return;
      }
    }
    this.#accept(page, offset, source, destination, toAll, from);
  }

  /** A packet between our own addresses, or to a group. It was written by us, so its header is good. */
  receiveLocal(page: Page, offset: number, length: number, index: number): void {
    this.#statistics.received++;
    if (!this.#checkHeader(page.bytes, offset, length)) return;
    const source = ipv4.field.source.word(page.bytes, offset);
    const destination = ipv4.field.destination.word(page.bytes, offset);
    const from = this.#interfaces.get(index);
    const toAll = destination >>> 28 === 14;
    // The address may have gone while the packet waited.
    if (from === undefined || (!toAll && !this.#interfaces.isLocal(destination))) {
      this.#statistics.notForUs++;
      return;
    }
    // It has not left this memory: its transport checksum, perhaps still to be completed, has nothing to say.
    if ((fragmentWord(page.bytes, offset) & 0x3fff) === 0) page.flags |= checksumVerified;
    this.#accept(page, offset, source, destination, toAll, from);
  }

  /** Says what became of a packet: see {@link UndeliverableHandler}. Its IPv4 header is at `header`, its payload at `offset`. */
  reject(
    page: Page,
    header: number,
    offset: number,
    length: number,
    from: Ipv4Interface,
    reason: Undeliverable,
    parameter: number,
  ): void {
    const source = ipv4.field.source.word(page.bytes, header);
    const destination = ipv4.field.destination.word(page.bytes, header);
    this.undeliverable?.(this.#fill(page, header, offset, length, source, destination, from), reason, parameter);
  }

  #checkHeader(bytes: Uint8Array, offset: number, length: number): boolean {
    const fault = checkHeader(bytes, offset, length);
    if (fault === "none") return true;
    const statistics = this.#statistics;
    if (fault === "checksum") statistics.badChecksum++;
    else if (fault === "options") statistics.badOptions++;
    else if (fault === "source-route") statistics.sourceRoute++;
    else statistics.badHeader++;
    return false;
  }

  /** Addresses that cannot be on a packet from the link (RFC 1122 §3.2.1.3). */
  #isMartian(source: number, destination: number, from: Ipv4Interface): boolean {
    // The unspecified source is for hosts that look for an address, and they broadcast. IGMP comes from it as well.
    if (source === 0) return destination !== -1 && destination >>> 28 !== 14;
    return (
      source >>> 28 >= 14 ||
      source >>> 24 === 127 ||
      source >>> 24 === 0 ||
      destination >>> 24 === 127 ||
      source === from.broadcast ||
      this.#interfaces.owner(source) !== undefined
    );
  }

  /** Whether the address is ours by the model in force: see `Interfaces.forwarding`. */
  #isOursElsewhere(destination: number): boolean {
    return this.#interfaces.forwarding && this.#interfaces.owner(destination) !== undefined;
  }

  /** A DHCP server may send to the address it is about to give us (RFC 2131 §4.1), in a frame to us alone. */
  #isForNewcomer(bytes: Uint8Array, offset: number, from: Ipv4Interface): boolean {
    if (from.own !== 0 || ipv4.field.protocol.get(bytes, offset) !== protocolUdp) return false;
    const udp = offset + ipv4.field.headerLength.get(bytes, offset) * 4;
    return (fragmentWord(bytes, offset) & 0x3fff) === 0 && (bytes[udp + 2] ?? 0) === 0 && bytes[udp + 3] === 68;
  }

  /** A packet that is not for us. */
  #pass(page: Page, offset: number, destination: number, toMany: boolean, from: Ipv4Interface): void {
    const forwarder = this.forwarder;
    if (forwarder === undefined || toMany || destination >>> 28 >= 14) {
      this.#statistics.notForUs++;
      return;
    }
    const bytes = page.bytes;
    if ((fragmentWord(bytes, offset) & 0x3fff) !== 0 && forwarder.needsWhole(destination, from)) {
      const whole = this.#join(bytes, offset);
      if (whole !== undefined) this.#passWhole(whole, from);
      return;
    }
    forwarder.forward(page, offset, ipv4.field.totalLength.get(bytes, offset), from, false);
  }

  #passWhole(whole: ReassembledDatagram, from: Ipv4Interface): void {
    const total = whole.offset - whole.headerOffset + whole.length;
    this.forwarder?.forward(whole.page, whole.headerOffset, total, from, false);
  }

  #join(bytes: Uint8Array, offset: number): ReassembledDatagram | undefined {
    const whole = this.reassembly.add(bytes, offset, this.#timers.now());
    if (whole === undefined && !this.#expiry.armed) this.#expiry.set(this.reassembly.nextDeadline());
    return whole;
  }

  #accept(page: Page, offset: number, source: number, destination: number, toAll: boolean, from: Ipv4Interface): void {
    const bytes = page.bytes;
    if ((fragmentWord(bytes, offset) & 0x3fff) !== 0) {
      const whole = this.#join(bytes, offset);
      if (whole === undefined) return;
      this.#deliver(whole.page, whole.headerOffset, whole.offset, whole.length, source, destination, toAll, from);
      return;
    }
    const header = ipv4.field.headerLength.get(bytes, offset) * 4;
    const length = ipv4.field.totalLength.get(bytes, offset) - header;
    this.#deliver(page, offset, offset + header, length, source, destination, toAll, from);
  }

  #deliver(
    page: Page,
    header: number,
    offset: number,
    length: number,
    source: number,
    destination: number,
    toAll: boolean,
    from: Ipv4Interface,
  ): void {
    const forwarder = this.forwarder;
    if (forwarder !== undefined && !toAll && forwarder.forward(page, header, offset - header + length, from, true))
      return;
    const packet = this.#fill(page, header, offset, length, source, destination, from);
    const protocol = packet.protocol;
    const handler = this.#handlers[protocol];
    // RFC 1122 §4.2.3.10: connections are between two hosts.
    if (handler === undefined || (toAll && !isForMany(protocol))) {
      this.#statistics.unknownProtocol++;
      if (!toAll) this.undeliverable?.(packet, "protocol", 0);
      return;
    }
    this.#statistics.delivered++;
    handler(packet);
  }

  #fill(
    page: Page,
    header: number,
    offset: number,
    length: number,
    source: number,
    destination: number,
    from: Ipv4Interface,
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
    packet.interface = from.index;
    return packet;
  }

  #expireFragments(): void {
    const now = this.#timers.now();
    for (let late = this.reassembly.expire(now); late !== undefined; late = this.reassembly.expire(now)) {
      // RFC 1122 §3.3.2: the sender is told, if the fragment that shows the transport header came.
      const owner = this.#interfaces.owner(late.destination);
      if (late.condemned || !late.hasFirst || owner === undefined) continue;
      const length = late.ranges.firstEnd;
      this.reject(late.page, late.headerOffset, late.offset, length, owner, "reassembly-time", 0);
    }
    this.#expiry.set(this.reassembly.nextDeadline());
  }
}

/** Protocols that may come to many. */
function isForMany(protocol: number): boolean {
  return protocol === protocolUdp || protocol === protocolIcmp || protocol === protocolIgmp;
}

function fragmentWord(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset + 6] ?? 0) << 8) | (bytes[offset + 7] ?? 0);
}
