import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { type IpPacket, type IpSendOptions, protocolIcmp6 } from "@tesserae/device/ip";
import { headroom } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { checksum, pseudoHeaderSum6 } from "@tesserae/wire/checksum";
import { IcmpStatistics } from "../icmp/icmp.ts";
import { type PingOptions, Pings } from "../icmp/pings.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { TokenBucket } from "../ipv4/token-bucket.ts";
import type { Ipv6 } from "../ipv6/ipv6.ts";
import { isLinkLocal } from "../ipv6/scope.ts";
import { ipv6, leastMtu } from "../ipv6/wire.ts";
import {
  errorKind6,
  icmp6,
  icmp6Error,
  icmpEchoReply,
  icmpEchoRequest,
  isIcmp6Error,
  mldDone1,
  mldQuery,
  mldReport2,
  ndRedirect,
  ndRouterSolicitation,
} from "./wire.ts";

export interface Icmp6Options {
  readonly ip: Ipv6;
  readonly timers: Timers;
  readonly random: Random;
  /** Echo requests answered a second, on average; a quarter as many at once. Default 1000. */
  readonly echoRate?: number;
  /** Errors sent a second, on average (RFC 4443 §2.4 f). Default 100. */
  readonly errorRate?: number;
}

/** ICMPv6: answers echo requests, tells senders what cannot be delivered, hands on what others tell us. */
export interface Icmp6 {
  readonly statistics: IcmpStatistics;

  /**
   * Sends an echo request.
   *
   * @returns the milliseconds until the reply.
   * @throws FlowError (rejects) `timeout`, `unreachable`, `aborted`, or `exhausted` when too many wait.
   */
  ping(address: IpAddress, options?: PingOptions): Promise<number>;

  /** Fails the pings that wait. */
  close(): void;
}

/** ICMPv6 (RFC 4443). Takes over protocol 58 of `ip`, hands NDP and MLD to its interfaces, and answers for it. */
export function createIcmp6(options: Icmp6Options): Icmp6 {
  return new HostIcmp6(options);
}

/** RFC 4443 §2.4 c: as much of the packet as fits the smallest MTU. */
const mostQuoted = leastMtu - ipv6.size - icmp6.size;

class HostIcmp6 implements Icmp6 {
  readonly statistics = new IcmpStatistics();
  readonly #ip: Ipv6;
  readonly #echoes: TokenBucket;
  readonly #errors: TokenBucket;
  readonly #pings: Pings;
  /** Reused for each reply: it goes out from the address that was asked, by the interface that it was asked on. */
  readonly #from: { source: IpAddress | undefined; interface: number } = { source: undefined, interface: 0 };
  #message: Uint8Array | undefined;

  constructor(options: Icmp6Options) {
    const { ip, timers, random } = options;
    this.#ip = ip;
    this.#pings = new Pings(timers, random);
    const echoRate = options.echoRate ?? 1000;
    const errorRate = options.errorRate ?? 100;
    this.#echoes = new TokenBucket(timers, echoRate, Math.max(1, echoRate / 4));
    // A burst that nobody knows keeps the limit from telling strangers how many errors others have got (CVE-2020-25705).
    this.#errors = new TokenBucket(timers, errorRate, Math.max(1, errorRate / 4) + (random.uint32() % 16));
    ip.listen(protocolIcmp6, (packet) => this.#receive(packet));
    ip.listenErrors(protocolIcmp6, (error) => {
      if (error.bytes[error.offset] !== icmpEchoRequest) return;
      this.#pings.failed(icmpKey(error.bytes, error.offset), error);
    });
    ip.listenRejected((packet, type, code, parameter, evenToGroup) =>
      this.#reject(packet, type, code, parameter, evenToGroup),
    );
  }

  ping(address: IpAddress, options: PingOptions = {}): Promise<number> {
    return this.#pings.ping(address, options, (key, size) => {
      const bytes = this.#buffer();
      for (let index = 0; index < size; index++) bytes[icmp6.size + index] = index;
      icmp6.field.type.set(bytes, 0, icmpEchoRequest);
      icmp6.field.code.set(bytes, 0, 0);
      icmp6.field.identifier.set(bytes, 0, key >>> 16);
      icmp6.field.sequence.set(bytes, 0, key & 0xffff);
      const source = this.#ip.source(address);
      return source !== undefined && this.#finish(source, address, bytes, icmp6.size + size, { source });
    });
  }

  close(): void {
    this.#pings.close();
  }

  #buffer(): Uint8Array {
    return (this.#message ??= new Uint8Array(65_535));
  }

  /** Completes the checksum of a message at the start of `bytes` and sends it. */
  #finish(
    source: IpAddress,
    destination: IpAddress,
    bytes: Uint8Array,
    length: number,
    options: IpSendOptions,
  ): boolean {
    icmp6.field.checksum.set(bytes, 0, 0);
    const pseudo = pseudoHeaderSum6(source, destination, protocolIcmp6, length);
    icmp6.field.checksum.set(bytes, 0, checksum(bytes, 0, length, pseudo));
    return this.#ip.sendBytes(destination, protocolIcmp6, bytes, 0, length, options);
  }

  #receive(packet: IpPacket): void {
    const statistics = this.statistics;
    statistics.received++;
    const { offset, length, source, destination, hopLimit } = packet;
    const bytes = packet.page.bytes;
    if (length < icmp6.size) {
      statistics.malformed++;
      return;
    }
    if (checksum(bytes, offset, length, pseudoHeaderSum6(source, destination, protocolIcmp6, length)) !== 0) {
      statistics.badChecksum++;
      return;
    }
    const type = icmp6.field.type.get(bytes, offset);
    if (type === icmpEchoRequest) this.#echo(packet);
    else if (type === icmpEchoReply) this.#reply(packet);
    else if (type >= ndRouterSolicitation && type <= ndRedirect) {
      // RFC 6980 §5: none of these comes in fragments.
      if (this.#ip.wasFragmented) statistics.ignored++;
      else this.#ip.interface(packet.interface).ndp.receive(type, bytes, offset, length, source, destination, hopLimit);
    } else if ((type >= mldQuery && type <= mldDone1) || type === mldReport2) {
      const { groups } = this.#ip.interface(packet.interface);
      groups.receive(type, bytes, offset, length, source, hopLimit, this.#ip.hasRouterAlert);
    } else this.#error(packet, type);
  }

  #echo(packet: IpPacket): void {
    // RFC 4443 §4.2 lets a host ignore requests to groups, and amplifiers are why it should.
    if (packet.destination.isMulticast || packet.source.isUnspecified) {
      this.statistics.echoIgnored++;
      return;
    }
    if (!this.#echoes.take()) {
      this.statistics.echoSuppressed++;
      return;
    }
    const { offset, length } = packet;
    const bytes = packet.page.bytes;
    const from = this.#from;
    from.source = packet.destination;
    from.interface = packet.destination.isLoopback ? 0 : packet.interface;
    this.statistics.echoReplies++;
    if (length + ipv6.size > this.#ip.mtu(packet.source)) {
      const message = this.#buffer();
      message.set(bytes.subarray(offset, offset + length));
      icmp6.field.type.set(message, 0, icmpEchoReply);
      this.#finish(packet.destination, packet.source, message, length, from);
      return;
    }
    const page = this.#ip.allocate(undefined, packet.source);
    if (page === undefined) return;
    copyBytes(bytes, offset, page.bytes, headroom, length);
    icmp6.field.type.set(page.bytes, headroom, icmpEchoReply);
    icmp6.field.code.set(page.bytes, headroom, 0);
    icmp6.field.checksum.set(page.bytes, headroom, 0);
    const pseudo = pseudoHeaderSum6(packet.destination, packet.source, protocolIcmp6, length);
    icmp6.field.checksum.set(page.bytes, headroom, checksum(page.bytes, headroom, length, pseudo));
    this.#ip.send(packet.source, protocolIcmp6, page, headroom, length, from);
  }

  #reply(packet: IpPacket): void {
    const isAwaited = this.#pings.answered(icmpKey(packet.page.bytes, packet.offset), packet.source);
    if (isAwaited) this.#ip.confirm(packet.source);
    else this.statistics.ignored++;
  }

  #error(packet: IpPacket, type: number): void {
    const bytes = packet.page.bytes;
    const kind = errorKind6(type, icmp6.field.code.get(bytes, packet.offset));
    if (kind === undefined || packet.destination.isMulticast) {
      this.statistics.ignored++;
      return;
    }
    this.statistics.errorsReceived++;
    const mtu = kind === "packet-too-big" ? icmp6Error.field.parameter.get(bytes, packet.offset) : 0;
    const quoted = packet.offset + icmp6.size;
    this.#ip.reportError(kind, mtu, packet.source, bytes, quoted, packet.length - icmp6.size);
  }

  /** Tells the sender that its packet was not taken, where RFC 4443 §2.4 e allows. */
  #reject(packet: IpPacket, type: number, code: number, parameter: number, evenToGroup: boolean): void {
    const { source, destination } = packet;
    const bytes = packet.page.bytes;
    const header = packet.headerOffset;
    if (
      source.isUnspecified ||
      source.isMulticast ||
      (destination.isMulticast && !evenToGroup) ||
      (packet.protocol === protocolIcmp6 && packet.length > 0 && isNotAnswered(bytes[packet.offset] ?? 0))
    ) {
      return;
    }
    // About somebody else's packet we speak from the address that the way to its sender begins with.
    const isForwarded = !destination.isMulticast && !this.#ip.isLocal(destination);
    const from =
      destination.isMulticast || isForwarded
        ? this.#ip.source(source, isForwarded && !isLinkLocal(source) ? 0 : packet.interface)
        : destination;
    if (from === undefined) return;
    if (!this.#errors.take()) {
      this.statistics.errorsSuppressed++;
      return;
    }
    const length = Math.min(packet.offset + packet.length - header, mostQuoted);
    const message = this.#buffer();
    message.set(bytes.subarray(header, header + length), icmp6.size);
    icmp6Error.field.type.set(message, 0, type);
    icmp6Error.field.code.set(message, 0, code);
    icmp6Error.field.parameter.set(message, 0, parameter);
    this.#from.source = from;
    this.#from.interface = from.isLoopback || (isForwarded && !isLinkLocal(source)) ? 0 : packet.interface;
    this.statistics.errorsSent++;
    this.#finish(from, source, message, icmp6.size + length, this.#from);
  }
}

/** Errors, and redirects, are never answered by errors. */
function isNotAnswered(type: number): boolean {
  return isIcmp6Error(type) || type === ndRedirect;
}

/** Identifier and sequence number of an echo, as one number. */
function icmpKey(bytes: Uint8Array, offset: number): number {
  return icmp6.field.identifier.get(bytes, offset) * 0x10000 + icmp6.field.sequence.get(bytes, offset);
}
