/** The other end of a link, for tests: says ICMPv6 and raw packets to a host of ours, and writes down what it answers. */

import { IpAddress, MacAddress } from "@tesserae/device/address";
import { protocolIcmp6 } from "@tesserae/device/ip";
import type { FrameHandler, Netif } from "@tesserae/device/netif";
import { headroom, type Page, PagePool } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum, pseudoHeaderSum6 } from "@tesserae/wire/checksum";
import { createEthernet } from "../ethernet/ethernet.ts";
import { createIcmp6, type Icmp6 } from "../icmpv6/icmpv6.ts";
import { Link } from "../ip/link.ts";
import { mld2Record } from "../mld/wire.ts";
import { readOptions } from "../ndp/wire.ts";
import type { Ipv6Interface, Ipv6InterfaceOptions } from "./interface.ts";
import { createIpv6, type Ipv6 } from "./ipv6.ts";
import { ipv6 } from "./wire.ts";

/** What the peer says of a packet, beside its addresses. */
export interface SaidPacket {
  readonly hopLimit?: number;
  /** The first header behind IPv6's; default ICMPv6. */
  readonly next?: number;
  /** The Ethernet destination; default: what suits the destination address. */
  readonly mac?: MacAddress;
  readonly flowLabel?: number;
}

export const peerMac: MacAddress = MacAddress.parse("02:00:00:00:00:99");
/** A link-local address of the peer. */
export const peer = "fe80::99";

/** The host's device: what it sends is kept, what is said to it is handed up at once. */
class PeerNetif implements Netif {
  readonly name = "eth0";
  readonly mac: MacAddress = new MacAddress(0x0200, 1);
  readonly mtu: number;
  readonly features = { transmitChecksum: false, maxSegmentation: 0 };
  readonly statistics = { receivedFrames: 0, receivedBytes: 0, sentFrames: 0, sentBytes: 0, droppedFrames: 0 };
  readonly pool: PagePool;
  sent: Uint8Array[] = [];
  #handler: FrameHandler = () => undefined;

  constructor(mtu: number) {
    this.mtu = mtu;
    this.pool = new PagePool(128, headroom + mtu + 14);
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(): Page | undefined {
    return this.pool.take();
  }

  transmit(page: Page, offset: number, length: number): boolean {
    this.sent.push(page.bytes.slice(offset, offset + length));
    this.pool.release(page);
    return length <= this.mtu + 14;
  }

  release(page: Page): void {
    this.pool.release(page);
  }

  receive(frame: Uint8Array): void {
    const page = this.pool.take();
    if (page === undefined) throw new RangeError("no free page");
    page.bytes.set(frame, headroom);
    this.#handler(page, headroom, frame.length);
    this.pool.release(page);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Reproducible, and no more: a linear congruential generator. */
class PeerRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed + 1, 0x9e3779b1);
  }

  uint32(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) | 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 15), 0x85ebca6b);
    return (mixed ^ (mixed >>> 13)) >>> 0;
  }

  fill(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) bytes[index] = this.uint32();
  }
}

export class LinkPeer {
  readonly clock = new VirtualClock();
  readonly timers: Scheduler;
  readonly errors: unknown[] = [];
  readonly ip: Ipv6;
  readonly on: Ipv6Interface;
  readonly icmp: Icmp6;
  readonly mac: MacAddress;
  readonly #netif: PeerNetif;

  constructor(options: Omit<Ipv6InterfaceOptions, "link"> & { readonly mtu?: number; readonly seed?: number } = {}) {
    this.timers = new Scheduler(this.clock, { onError: (error) => this.errors.push(error) });
    const { mtu = 1500, seed = 1, ...more } = options;
    this.#netif = new PeerNetif(mtu);
    const random = new PeerRandom(seed);
    const own = new Link(1, "eth0", createEthernet({ netif: this.#netif }));
    this.mac = this.#netif.mac;
    this.ip = createIpv6({ interfaces: [{ link: own, ...more }], timers: this.timers, random });
    this.on = this.ip.interface(1);
    this.icmp = createIcmp6({ ip: this.ip, timers: this.timers, random });
  }

  /** Lets time pass, in milliseconds: 0 delivers what is on its way. */
  pass(ms: number): void {
    const end = this.clock.now() + ms;
    for (;;) {
      for (let turn = 0; turn < 4; turn++) this.timers.run();
      const next = Math.min(end, this.timers.nextDeadline());
      if (next >= end) break;
      this.clock.advanceTo(Math.max(next, this.clock.now()));
    }
    this.clock.advanceTo(end);
    for (let turn = 0; turn < 4; turn++) this.timers.run();
  }

  /** Sends a packet with this payload. */
  say(source: string, destination: string, payload: ArrayLike<number>, said: SaidPacket = {}): void {
    const packet = new Uint8Array(ipv6.size + payload.length);
    const header = {
      version: 6,
      dscp: 0,
      ecn: 0,
      flowLabel: said.flowLabel ?? 0,
      payloadLength: payload.length,
      nextHeader: said.next ?? protocolIcmp6,
      hopLimit: said.hopLimit ?? 255,
      source: IpAddress.parse(source),
      destination: IpAddress.parse(destination),
    };
    ipv6.emit(header, packet);
    packet.set(payload, ipv6.size);
    const to = IpAddress.parse(destination);
    const mac = said.mac ?? (to.isMulticast ? new MacAddress(0x3333, to.w3) : this.mac);
    const frame = new Uint8Array(14 + packet.length);
    mac.write(frame, 0);
    peerMac.write(frame, 6);
    frame.set([0x86, 0xdd], 12);
    frame.set(packet, 14);
    this.#netif.receive(frame);
    for (let turn = 0; turn < 4; turn++) this.timers.run();
  }

  /** Sends an ICMPv6 message with a good checksum: type, code, and what is behind the checksum. */
  icmp6(
    source: string,
    destination: string,
    type: number,
    code: number,
    rest: ArrayLike<number>,
    said: SaidPacket = {},
  ): void {
    this.say(source, destination, icmp6Message(source, destination, type, code, rest), said);
  }

  /** A neighbour solicitation for `target`, with the peer's MAC address unless it comes from `::`. */
  solicit(source: string, destination: string, target: string, options: ArrayLike<number> = sourceMac): void {
    const own = source === "::" && options === sourceMac ? [] : Array.from(options);
    this.icmp6(source, destination, 135, 0, [0, 0, 0, 0, ...bytesOf(target), ...own]);
  }

  /** A neighbour advertisement. @param flags some of R, S and O */
  advertise(
    source: string,
    destination: string,
    target: string,
    flags: string,
    mac: MacAddress | null = peerMac,
  ): void {
    const bits = (flags.includes("R") ? 128 : 0) | (flags.includes("S") ? 64 : 0) | (flags.includes("O") ? 32 : 0);
    const option = mac === null ? [] : [2, 1, ...macBytes(mac)];
    this.icmp6(source, destination, 136, 0, [bits, 0, 0, 0, ...bytesOf(target), ...option]);
  }

  /** Hands the host a whole frame. */
  frame(frame: Uint8Array): void {
    this.#netif.receive(frame);
    for (let turn = 0; turn < 4; turn++) this.timers.run();
  }

  /** Pages of the device that are out. */
  get pagesOut(): number {
    return this.#netif.pool.capacity - this.#netif.pool.available;
  }

  /** What the host has sent since the last call, in words. */
  heard(): string[] {
    return this.frames().map(describeFrame);
  }

  /** The frames that the host has sent since the last call. */
  frames(): Uint8Array[] {
    return this.#netif.sent.splice(0);
  }
}

export const sourceMac: readonly number[] = [1, 1, ...macBytes(peerMac)];

export function macBytes(mac: MacAddress): number[] {
  const bytes = new Uint8Array(6);
  mac.write(bytes, 0);
  return Array.from(bytes);
}

/** The sixteen bytes of an address. */
export function bytesOf(text: string): number[] {
  const { w0, w1, w2, w3 } = IpAddress.parse(text);
  return [w0, w1, w2, w3].flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255]);
}

export function word(value: number): number[] {
  return [(value >>> 24) & 255, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

export function icmp6Message(
  source: string,
  destination: string,
  type: number,
  code: number,
  rest: ArrayLike<number>,
): Uint8Array {
  const message = Uint8Array.from([type, code, 0, 0, ...Array.from(rest)]);
  const pseudo = pseudoHeaderSum6(IpAddress.parse(source), IpAddress.parse(destination), protocolIcmp6, message.length);
  const sum = checksum(message, 0, message.length, pseudo);
  message[2] = sum >>> 8;
  message[3] = sum;
  return message;
}

/** A prefix information option. Lifetimes in seconds. @param flags some of L and A */
export function prefixOption(prefix: string, flags: string, valid: number, preferred: number): number[] {
  const [address = "::", length = "64"] = prefix.split("/");
  const bits = (flags.includes("L") ? 128 : 0) | (flags.includes("A") ? 64 : 0);
  return [3, 4, Number(length), bits, ...word(valid), ...word(preferred), 0, 0, 0, 0, ...bytesOf(address)];
}

/** What is behind the checksum of a router advertisement. @param lifetime seconds */
export function advertisement(lifetime: number, options: readonly number[] = [], bits = 0, hopLimit = 64): number[] {
  return [hopLimit, bits, lifetime >>> 8, lifetime & 255, ...word(0), ...word(0), ...options];
}

/** `fe80::1 > ff02::2 router-solicitation mac`, and so on. Fails on a bad length or checksum. */
export function describeFrame(frame: Uint8Array): string {
  if (frame[12] !== 0x86 || frame[13] !== 0xdd) return "not IPv6";
  const record = ipv6.parse(frame, 14, frame.length - 14);
  if (!record.ok) return "a bad IPv6 header";
  const { source, destination, payloadLength, nextHeader, hopLimit } = record.value;
  if (payloadLength !== frame.length - 54) return "a bad length";
  const ends = `${source.toString()} > ${destination.toString()}`;
  const alert = nextHeader === 0 ? " alert" : "";
  const at = nextHeader === 0 ? 62 : 54;
  const upper = nextHeader === 0 ? (frame[54] ?? 0) : nextHeader;
  if (upper !== protocolIcmp6) return `${ends} protocol ${upper}, ${frame.length - at} bytes`;
  const length = frame.length - at;
  if (checksum(frame, at, length, pseudoHeaderSum6(source, destination, protocolIcmp6, length)) !== 0) {
    return "a bad checksum";
  }
  return `${ends} ${describeIcmp6(frame, at)}${alert}${hopLimit === 255 ? "" : ` hop-limit=${hopLimit}`}`;
}

function describeIcmp6(frame: Uint8Array, at: number): string {
  const address = (offset: number): string => {
    const words = [0, 4, 8, 12].map(
      (each) =>
        ((frame[offset + each] ?? 0) << 24) |
        ((frame[offset + each + 1] ?? 0) << 16) |
        ((frame[offset + each + 2] ?? 0) << 8) |
        (frame[offset + each + 3] ?? 0),
    );
    return new IpAddress(6, words[0] ?? 0, words[1] ?? 0, words[2] ?? 0, words[3] ?? 0).toString();
  };
  const parameter = (((frame[at + 6] ?? 0) << 8) | (frame[at + 7] ?? 0)) >>> 0;
  const code = String(frame[at + 1] ?? 0);
  const optionsFrom = (from: number): string => {
    const options = readOptions(frame, from, frame.length);
    if (options === undefined) return " bad options";
    const own = options.sourceMac !== undefined || options.targetMac !== undefined ? " mac" : "";
    return `${own}${options.nonce >= 0 ? " nonce" : ""}`;
  };
  switch (frame[at]) {
    case 1:
      return `unreachable ${code}`;
    case 2:
      return `too-big ${parameter}`;
    case 3:
      return `time-exceeded ${code}`;
    case 4:
      return `parameter-problem ${code} at ${parameter}`;
    case 128:
      return `echo-request ${frame.length - at - 8} bytes`;
    case 129:
      return `echo-reply ${frame.length - at - 8} bytes`;
    case 131:
      return `mldv1-report ${address(at + 8)}`;
    case 132:
      return `mldv1-done ${address(at + 8)}`;
    case 133:
      return `router-solicitation${optionsFrom(at + 8)}`;
    case 135:
      return `who-has ${address(at + 8)}${optionsFrom(at + 24)}`;
    case 136: {
      const bits = frame[at + 4] ?? 0;
      const flags = `${(bits & 64) !== 0 ? "S" : ""}${(bits & 32) !== 0 ? "O" : ""}`;
      return `is-at ${address(at + 8)}${flags === "" ? "" : ` ${flags}`}${optionsFrom(at + 24)}`;
    }
    case 143: {
      const records: string[] = [];
      for (let from = at + 8; from + mld2Record.size <= frame.length; from += mld2Record.size) {
        const kinds = ["", "is-in", "is-ex", "to-in", "to-ex"];
        records.push(`${kinds[frame[from] ?? 0] ?? "?"} ${address(from + 4)}`);
      }
      return `mldv2-report ${records.join(", ")}`;
    }
    default:
      return `icmpv6 ${String(frame[at])}`;
  }
}
