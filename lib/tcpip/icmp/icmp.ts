import type { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { type IpPacket, type IpSendOptions, protocolIcmp } from "@tesserae/device/ip";
import { headroom } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { checksum } from "@tesserae/wire/checksum";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { readInt32, writeInt32 } from "@tesserae/wire/field";
import type { Undeliverable } from "../ipv4/input.ts";
import type { Ipv4 } from "../ipv4/ipv4.ts";
import { TokenBucket } from "../ipv4/token-bucket.ts";
import { ipv4 } from "../ipv4/wire.ts";
import { type PingOptions, Pings } from "./pings.ts";
import {
  errorKind,
  icmp,
  icmpEchoReply,
  icmpEchoRequest,
  icmpRedirect,
  icmpTimeExceeded,
  icmpUnreachable,
  isIcmpError,
} from "./wire.ts";

export interface IcmpOptions {
  readonly ip: Ipv4;
  readonly timers: Timers;
  readonly random: Random;
  /** Echo requests answered a second, on average; ten times as many at once at most. Default 1000. */
  readonly echoRate?: number;
  /** Errors sent a second, on average. Default 100. */
  readonly errorRate?: number;
}

export class IcmpStatistics {
  received = 0;
  malformed = 0;
  badChecksum = 0;
  echoReplies = 0;
  /** Echo requests not answered, as they came too fast. */
  echoSuppressed = 0;
  /** Echo requests to a broadcast address or a group. */
  echoIgnored = 0;
  errorsReceived = 0;
  errorsSent = 0;
  errorsSuppressed = 0;
  /** Types that mean nothing to a host. */
  ignored = 0;
}

/** ICMP: answers echo requests, tells senders what cannot be delivered, hands on what others tell us. */
export interface Icmp {
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

/** ICMP for IPv4 (RFC 792). Takes over protocol 1 of `ip`, and its undeliverable packets. */
export function createIcmp(options: IcmpOptions): Icmp {
  return new HostIcmp(options);
}

/** RFC 1812 §4.3.2.3: as much of the packet as fits a message of 576 bytes. */
const mostQuoted = 576 - 20 - 8;
/** Where the better first hop is in a redirect. */
const gatewayAt = 4;

class HostIcmp implements Icmp {
  readonly statistics = new IcmpStatistics();
  readonly #ip: Ipv4;
  readonly #echoes: TokenBucket;
  readonly #errors: TokenBucket;
  readonly #pings: Pings;
  /** Reused for each reply: it goes out from the address that was asked. */
  readonly #from: { source: IpAddress; hopLimit: number };
  #message: Uint8Array | undefined;

  constructor(options: IcmpOptions) {
    const { ip, timers, random } = options;
    this.#ip = ip;
    this.#pings = new Pings(timers, random);
    const echoRate = options.echoRate ?? 1000;
    const errorRate = options.errorRate ?? 100;
    this.#echoes = new TokenBucket(timers, echoRate, Math.max(1, echoRate / 4));
    // A burst that nobody knows keeps the limit from telling strangers how many errors others have got (CVE-2020-25705).
    this.#errors = new TokenBucket(timers, errorRate, Math.max(1, errorRate / 4) + (random.uint32() % 16));
    this.#from = { source: ip.intern(0), hopLimit: 64 };
    ip.listen(protocolIcmp, (packet) => this.#receive(packet));
    ip.listenErrors(protocolIcmp, (error) => {
      if (error.bytes[error.offset] !== icmpEchoRequest) return;
      this.#pings.failed(icmpKey(error.bytes, error.offset), error);
    });
    ip.listenUndeliverable((packet, reason, parameter) => this.#reject(packet, reason, parameter));
  }

  ping(address: IpAddress, options: PingOptions = {}): Promise<number> {
    return this.#pings.ping(address, options, (key, size) => {
      const bytes = this.#buffer();
      for (let index = 0; index < size; index++) bytes[icmp.size + index] = index;
      icmp.field.type.set(bytes, 0, icmpEchoRequest);
      icmp.field.code.set(bytes, 0, 0);
      icmp.field.identifier.set(bytes, 0, key >>> 16);
      icmp.field.sequence.set(bytes, 0, key & 0xffff);
      return this.#finish(address, bytes, icmp.size + size);
    });
  }

  close(): void {
    this.#pings.close();
  }

  #buffer(): Uint8Array {
    return (this.#message ??= new Uint8Array(65_535));
  }

  /** Completes the checksum of a message at the start of `bytes` and sends it. */
  #finish(address: IpAddress, bytes: Uint8Array, length: number, options?: IpSendOptions): boolean {
    icmp.field.checksum.set(bytes, 0, 0);
    icmp.field.checksum.set(bytes, 0, checksum(bytes, 0, length));
    return this.#ip.sendBytes(address, protocolIcmp, bytes, 0, length, options);
  }

  #receive(packet: IpPacket): void {
    const statistics = this.statistics;
    statistics.received++;
    const { offset, length } = packet;
    const bytes = packet.page.bytes;
    if (length < icmp.size) {
      statistics.malformed++;
      return;
    }
    if (checksum(bytes, offset, length) !== 0) {
      statistics.badChecksum++;
      return;
    }
    const type = icmp.field.type.get(bytes, offset);
    if (type === icmpEchoRequest) this.#echo(packet);
    else if (type === icmpEchoReply) this.#reply(packet);
    else this.#error(packet, type);
  }

  #echo(packet: IpPacket): void {
    // RFC 1122 §3.2.2.6 lets a host ignore these, and amplifiers are why it should.
    if (!this.#ip.isLocal(packet.destination) || packet.source.isUnspecified) {
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
    this.statistics.echoReplies++;
    if (length + ipv4.size > this.#ip.mtu(packet.source)) {
      const message = this.#buffer();
      message.set(bytes.subarray(offset, offset + length));
      icmp.field.type.set(message, 0, icmpEchoReply);
      this.#finish(packet.source, message, length, from);
      return;
    }
    const page = this.#ip.allocate(undefined, packet.source);
    if (page === undefined) return;
    copyBytes(bytes, offset, page.bytes, headroom, length);
    icmp.field.type.set(page.bytes, headroom, icmpEchoReply);
    icmp.field.code.set(page.bytes, headroom, 0);
    icmp.field.checksum.set(page.bytes, headroom, 0);
    icmp.field.checksum.set(page.bytes, headroom, checksum(page.bytes, headroom, length));
    this.#ip.send(packet.source, protocolIcmp, page, headroom, length, from);
  }

  #reply(packet: IpPacket): void {
    const isAwaited = this.#pings.answered(icmpKey(packet.page.bytes, packet.offset), packet.source);
    if (!isAwaited) this.statistics.ignored++;
  }

  #error(packet: IpPacket, type: number): void {
    const bytes = packet.page.bytes;
    const code = icmp.field.code.get(bytes, packet.offset);
    // RFC 1122 §3.2.2.2: those about networks are taken as about the host quoted.
    if (type === icmpRedirect && code <= 3 && this.#ip.isLocal(packet.destination)) {
      const { source, offset, length } = packet;
      const gateway = readInt32(bytes, offset + gatewayAt);
      this.#ip.reportRedirect(source, packet.interface, gateway, bytes, offset + icmp.size, length - icmp.size);
      return;
    }
    const kind = errorKind(type, code);
    // Source quench is void (RFC 6633).
    if (kind === undefined || !this.#ip.isLocal(packet.destination)) {
      this.statistics.ignored++;
      return;
    }
    this.statistics.errorsReceived++;
    const mtu = kind === "packet-too-big" ? icmp.field.sequence.get(bytes, packet.offset) : 0;
    const quoted = packet.offset + icmp.size;
    this.#ip.reportError(kind, mtu, packet.source, bytes, quoted, packet.length - icmp.size);
  }

  /** Tells the sender what became of its packet, where RFC 1122 §3.2.2 and RFC 1812 §4.3.2.7 allow. */
  #reject(packet: IpPacket, reason: Undeliverable, parameter: number): void {
    const bytes = packet.page.bytes;
    const header = packet.headerOffset;
    const ip = this.#ip;
    const isLocal = ip.isLocal(packet.destination);
    // RFC 1812 §4.3.2.4: about somebody else's packet we speak as the interface that the error leaves by.
    const from = isLocal ? packet.destination : ip.source(packet.source);
    if (
      from === undefined ||
      packet.source.isUnspecified ||
      ip.isBroadcast(packet.source) ||
      ip.isBroadcast(packet.destination) ||
      ipv4.field.fragmentOffset.get(bytes, header) !== 0 ||
      (packet.protocol === protocolIcmp && isIcmpError(bytes[packet.offset] ?? 255))
    ) {
      return;
    }
    if (!this.#errors.take()) {
      this.statistics.errorsSuppressed++;
      return;
    }
    const length = Math.min(packet.offset - header + packet.length, mostQuoted);
    const message = this.#buffer();
    message.set(bytes.subarray(header, header + length), icmp.size);
    const said = wording[reason];
    icmp.field.type.set(message, 0, said.type);
    icmp.field.code.set(message, 0, said.code);
    // An MTU is in the last two of these four bytes.
    writeInt32(message, gatewayAt, parameter);
    this.#from.source = from;
    this.statistics.errorsSent++;
    this.#finish(packet.source, message, icmp.size + length, this.#from);
  }
}

/** What a message says for each reason (RFC 792, RFC 1812 §5.2.7). */
const wording: Readonly<Record<Undeliverable, { readonly type: number; readonly code: number }>> = {
  network: { type: icmpUnreachable, code: 0 },
  host: { type: icmpUnreachable, code: 1 },
  protocol: { type: icmpUnreachable, code: 2 },
  port: { type: icmpUnreachable, code: 3 },
  "packet-too-big": { type: icmpUnreachable, code: 4 },
  prohibited: { type: icmpUnreachable, code: 13 },
  "hop-limit": { type: icmpTimeExceeded, code: 0 },
  "reassembly-time": { type: icmpTimeExceeded, code: 1 },
  // RFC 1812 §5.2.7.2: about the host, never about its network.
  redirect: { type: icmpRedirect, code: 1 },
};

/** Identifier and sequence number of an echo, as one number. */
function icmpKey(bytes: Uint8Array, offset: number): number {
  return icmp.field.identifier.get(bytes, offset) * 0x10000 + icmp.field.sequence.get(bytes, offset);
}
