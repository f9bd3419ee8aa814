import { type Endpoint, formatEndpoint, IpAddress } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import { type IpPacket, type IpSendOptions, protocolUdp } from "@tesserae/device/ip";
import { checksumVerified, headroom, needsChecksum } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { type Datagram, mostAtOnce, type Udp, type UdpBindOptions, type UdpSocket } from "@tesserae/device/udp";
import { checksum, fold, sum } from "@tesserae/wire/checksum";
import { copySummed } from "@tesserae/wire/copy-summed";
import { mostDatagrams } from "@tesserae/wire/segmented-packet";
import type { HostIp } from "../ip/host-ip.ts";
import { pseudoHeaderSum } from "../ip/pseudo-header.ts";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { ephemeralPort, everyPort, type PortShare } from "../ports/ephemeral.ts";
import { udp } from "./wire.ts";

export interface UdpOptions {
  readonly ip: HostIp;
  readonly random: Random;
  /** The ports of sockets that do not ask for one. Default: all of the ephemeral ones. */
  readonly ports?: PortShare;
  /** Sockets at once. Default 4096. */
  readonly capacity?: number;
  /** Gets what a handler threw. Default: thrown again from a microtask, so that the engine reports it. */
  readonly onError?: (error: unknown) => void;
}

export class UdpStatistics {
  received = 0;
  delivered = 0;
  /** Header truncated, or a length that disagrees with the packet's. */
  malformed = 0;
  badChecksum = 0;
  /** For a port that nobody has bound. */
  noPort = 0;
  sent = 0;
  sendFailed = 0;
}

/** {@link Udp}, with its counters. */
/** A socket whose way of sending can be changed. */
export interface OwnUdpSocket extends UdpSocket {
  /** Time to live or hop limit of what is sent to one host, 1–255; 0: the usual one. */
  hopLimit: number;
  /** The same of what is sent to groups. */
  groupHopLimit: number;
  /** Whether what is sent to a group is heard by our own sockets. */
  multicastLoopback: boolean;
}

export interface UdpService extends Udp {
  readonly statistics: UdpStatistics;
  /** As `bind`, at once. @throws FlowError */
  open(options: UdpBindOptions, handler: (datagram: Datagram) => void): OwnUdpSocket;
  /** Whether a socket has the port. */
  usesPort(port: number): boolean;
  /** Closes every socket. */
  close(): void;
}

/** The longest payload of an IPv4 datagram. */
const mostPayload = 65_507;

/** UDP (RFC 768, RFC 1122 §4.1) over IPv4 and IPv6. Takes over protocol 17. */
export function createUdp(options: UdpOptions): UdpService {
  return new HostUdp(options);
}

class ReceivedDatagram implements Datagram {
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  length = 0;
  source: IpAddress = IpAddress.any4;
  sourcePort = 0;
  destination: IpAddress = IpAddress.any4;
  interface = 0;
}

class HostUdp implements UdpService {
  readonly statistics = new UdpStatistics();
  readonly #ip: HostIp;
  readonly #random: Random;
  readonly #share: PortShare;
  readonly #capacity: number;
  readonly #onError: (error: unknown) => void;
  /** The sockets of each port; more than one only on different addresses. */
  readonly #ports = new Map<number, HostUdpSocket[]>();
  readonly #datagram = new ReceivedDatagram();
  #count = 0;
  /** Where datagrams longer than a page are put together. */
  #long: Uint8Array | undefined;

  constructor(options: UdpOptions) {
    this.#ip = options.ip;
    this.#random = options.random;
    this.#share = options.ports ?? everyPort;
    this.#capacity = options.capacity ?? 4096;
    this.#onError = options.onError ?? rethrow;
    options.ip.listen(protocolUdp, (packet) => this.#receive(packet));
  }

  async bind(options: UdpBindOptions, handler: (datagram: Datagram) => void): Promise<UdpSocket> {
    return Promise.resolve(this.open(options, handler));
  }

  open(options: UdpBindOptions, handler: (datagram: Datagram) => void): OwnUdpSocket {
    const address = options.address ?? IpAddress.any4;
    const wanted = options.port ?? 0;
    if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535) {
      throw new RangeError(`port ${wanted} is not an integer from 0 to 65535`);
    }
    if (!address.isUnspecified && !this.#ip.isLocal(address)) {
      throw new FlowError("address-not-available", `${address.toString()} is not an address of this host`);
    }
    if (this.#count >= this.#capacity) throw new FlowError("exhausted", `${this.#capacity} UDP sockets are open`);
    const port = wanted === 0 ? ephemeralPort(this.#random, (each) => this.#ports.has(each), this.#share) : wanted;
    if (port === 0) throw new FlowError("exhausted", "no free UDP port");
    const sockets = this.#ports.get(port) ?? [];
    const { share = false, hopLimit, interface: index = 0 } = options;
    if (hopLimit !== undefined && !(Number.isInteger(hopLimit) && hopLimit >= 1 && hopLimit <= 255)) {
      throw new RangeError(`hopLimit ${hopLimit} is not an integer from 1 to 255`);
    }
    const overlaps = sockets.some(
      (each) =>
        !(share && each.share) &&
        (each.interface === 0 || index === 0 || each.interface === index) &&
        (each.address.isUnspecified || address.isUnspecified || each.address.equals(address)),
    );
    if (overlaps) {
      throw new FlowError("address-in-use", `UDP port ${formatEndpoint({ address, port })} is taken`);
    }
    const socket = new HostUdpSocket(this, options, address, port, handler);
    this.#ports.set(port, [...sockets, socket]);
    this.#count++;
    return socket;
  }

  usesPort(port: number): boolean {
    return this.#ports.has(port);
  }

  close(): void {
    for (const sockets of [...this.#ports.values()]) for (const socket of sockets) this.remove(socket);
  }

  remove(socket: HostUdpSocket): void {
    if (socket.closed) return;
    for (const { group, index } of socket.groups.splice(0)) this.#ip.leave(group, index);
    socket.closed = true;
    this.#count--;
    const port = socket.local.port;
    const rest = (this.#ports.get(port) ?? []).filter((each) => each !== socket);
    if (rest.length === 0) this.#ports.delete(port);
    else this.#ports.set(port, rest);
  }

  send(
    socket: HostUdpSocket,
    bytes: Uint8Array,
    offset: number,
    length: number,
    address: IpAddress,
    port: number,
    index: number,
  ): boolean {
    // Written out, unlike below: functions of its own cost a twentieth of an echo.
    if (!(length >= 0 && length <= mostPayload)) throw new RangeError(`length ${length} is not from 0 to 65507`);
    if (!(offset >= 0 && offset + length <= bytes.length)) {
      throw new RangeError(`offset ${offset} and length ${length} are not inside the ${bytes.length} bytes given`);
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new RangeError(`port ${port} is not an integer from 1 to 65535`);
    }
    if (socket.closed) return false;
    const choices = socket.choices;
    choices.hopLimit = address.isMulticast ? socket.groupHopLimit || 1 : socket.hopLimit || 64;
    choices.interface = index === 0 ? socket.interface : index;
    const sent = this.#send(socket, bytes, offset, length, address, port);
    if (sent) this.statistics.sent++;
    else this.statistics.sendFailed++;
    return sent;
  }

  sendMany(
    socket: HostUdpSocket,
    bytes: Uint8Array,
    offset: number,
    length: number,
    size: number,
    address: IpAddress,
    port: number,
    index: number,
  ): number {
    checkRange(bytes, offset, length, port);
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`size ${size} is not an integer of at least 1`);
    if (length > size * mostAtOnce) {
      throw new RangeError(`length ${length} makes more than ${mostAtOnce} datagrams of ${size} bytes`);
    }
    if (socket.closed) return 0;
    socket.choose(address, index);
    const { statistics } = this;
    const ip = this.#ip;
    const fits = Math.min(size, length) + udp.size + (address.family === 4 ? 20 : 40) <= ip.mtu(address);
    // In whole datagrams.
    const atOnce = Math.floor(ip.datagramSegmentation(address, socket.choices) / size) * size;
    let sent = 0;
    let at = 0;
    while (fits && at < length) {
      const left = length - at;
      const long = Math.min(left, atOnce);
      // When long pages are out, they go in short ones.
      if (long > size && this.#sendLong(socket, bytes, offset + at, long, size, address, port)) at += long;
      else if (this.#send(socket, bytes, offset + at, Math.min(left, size), address, port)) at += Math.min(left, size);
      else break;
      sent = Math.ceil(at / size);
    }
    statistics.sent += sent;
    statistics.sendFailed += Math.ceil(length / size) - sent;
    return sent;
  }

  /** Sends several datagrams as one packet, which the device cuts. */
  #sendLong(
    socket: HostUdpSocket,
    bytes: Uint8Array,
    offset: number,
    length: number,
    size: number,
    address: IpAddress,
    port: number,
  ): boolean {
    const ip = this.#ip;
    // To one host, so that there is an address to send from.
    const source = socket.address.isUnspecified ? ip.source(address, socket.choices.interface) : socket.address;
    if (source?.family !== address.family) return false;
    const total = length + udp.size;
    const page = ip.allocate(total, address);
    if (page === undefined) return false;
    writeHeader(page.bytes, headroom, socket.local.port, port, total);
    copyBytes(bytes, offset, page.bytes, headroom + udp.size, length);
    udp.field.checksum.set(page.bytes, headroom, fold(pseudoHeaderSum(source, address, protocolUdp, total)));
    page.flags = needsChecksum;
    page.checksumOffset = udp.field.checksum.offset;
    page.segmentSize = size;
    page.headerLength = udp.size;
    return ip.send(address, protocolUdp, page, headroom, total, socket.choices);
  }

  #send(
    socket: HostUdpSocket,
    bytes: Uint8Array,
    offset: number,
    length: number,
    address: IpAddress,
    port: number,
  ): boolean {
    const ip = this.#ip;
    const bound = socket.address.isUnspecified ? undefined : socket.address;
    // DHCP sends to all before there is an address: the source is 0.0.0.0 then.
    const source =
      bound ??
      ip.source(address, socket.choices.interface) ??
      (address.equals(IpAddress.broadcast4) ? IpAddress.any4 : undefined);
    if (source?.family !== address.family) return false;
    const total = length + udp.size;
    if (total + (address.family === 4 ? 20 : 40) > ip.mtu(address)) {
      const long = (this.#long ??= new Uint8Array(65_535));
      long.set(bytes.subarray(offset, offset + length), udp.size);
      writeHeader(long, 0, socket.local.port, port, total);
      writeChecksum(long, 0, total, source, address);
      return ip.sendBytes(address, protocolUdp, long, 0, total, socket.choices);
    }
    const page = ip.allocate(undefined, address);
    if (page === undefined) return false;
    const start = headroom;
    const from = socket.local.port;
    const pseudo = pseudoHeaderSum(source, address, protocolUdp, total);
    writeHeader(page.bytes, start, from, port, total);
    if (ip.completesChecksum(address)) {
      copyBytes(bytes, offset, page.bytes, start + udp.size, length);
      // The device sums; the field holds the pseudo header's sum.
      udp.field.checksum.set(page.bytes, start, fold(pseudo));
      page.flags = needsChecksum;
      page.checksumOffset = udp.field.checksum.offset;
    } else {
      const payload = copySummed(bytes, offset, page.bytes, start + udp.size, length);
      putChecksum(page.bytes, start, ~fold(payload + from + port + total + pseudo) & 0xffff);
    }
    return ip.send(address, protocolUdp, page, start, total, socket.choices);
  }

  #receive(packet: IpPacket): void {
    const statistics = this.statistics;
    statistics.received++;
    const { page, offset, length } = packet;
    const bytes = page.bytes;
    const total = length < udp.size ? 0 : udp.field.length.get(bytes, offset);
    if (total < udp.size || total > length) {
      statistics.malformed++;
      return;
    }
    // Over IPv6 there is no leaving it out (RFC 8200 §8.1).
    const isSummed = packet.destination.family === 6 || udp.field.checksum.get(bytes, offset) !== 0;
    if (isSummed && (page.flags & (checksumVerified | needsChecksum)) === 0) {
      const pseudo = pseudoHeaderSum(packet.source, packet.destination, protocolUdp, total);
      if (fold(sum(bytes, offset, total, pseudo)) !== 0xffff) {
        statistics.badChecksum++;
        return;
      }
    }
    const sockets = this.#ports.get(udp.field.destinationPort.get(bytes, offset));
    const { destination } = packet;
    const toMany = sockets !== undefined && sockets.length > 0 && !this.#ip.isLocal(destination);
    const socket = sockets === undefined ? undefined : pick(sockets, destination, packet.interface);
    if (sockets === undefined || socket === undefined) {
      statistics.noPort++;
      // RFC 1122 §4.1.3.1; ICMP itself leaves out broadcasts.
      this.#ip.undeliverable(packet, "port");
      return;
    }
    const datagram = this.#datagram;
    datagram.bytes = bytes;
    datagram.offset = offset + udp.size;
    datagram.length = total - udp.size;
    datagram.source = packet.source;
    datagram.sourcePort = udp.field.sourcePort.get(bytes, offset);
    datagram.destination = destination;
    datagram.interface = packet.interface;
    const isToOne = !toMany || sockets.length === 1;
    if (page.segmentSize > 0 && datagram.length > page.segmentSize) {
      this.#handMany(packet, datagram, isToOne ? socket : undefined, sockets);
      return;
    }
    statistics.delivered++;
    if (isToOne) this.#hand(socket, datagram);
    else this.#handAll(sockets, datagram);
  }

  /** Hands on the datagrams that one long packet holds: what a device would have cut it into. */
  #handMany(
    { page, length }: IpPacket,
    datagram: ReceivedDatagram,
    only: HostUdpSocket | undefined,
    sockets: readonly HostUdpSocket[],
  ): void {
    const { statistics } = this;
    const size = page.segmentSize;
    const payload = datagram.length;
    const isOther = (page.flags & needsChecksum) !== 0 && page.checksumOffset !== udp.field.checksum.offset;
    if (isOther || payload + udp.size !== length || payload > size * mostDatagrams) {
      statistics.malformed++;
      return;
    }
    statistics.received += Math.ceil(payload / size) - 1;
    const end = datagram.offset + payload;
    for (let at = datagram.offset; at < end; at += size) {
      datagram.offset = at;
      datagram.length = Math.min(size, end - at);
      if (only === undefined) this.#handAll(sockets, datagram);
      else if (only.closed) return;
      else this.#hand(only, datagram);
      statistics.delivered++;
    }
  }

  #handAll(sockets: readonly HostUdpSocket[], datagram: ReceivedDatagram): void {
    // The list is replaced, never changed, when a handler binds or closes.
    for (const each of sockets) if (each.hears(datagram.destination, datagram.interface)) this.#hand(each, datagram);
  }

  #hand(socket: HostUdpSocket, datagram: Datagram): void {
    if (socket.closed) return;
    try {
      socket.handler(datagram);
    } catch (error) {
      this.#onError(error);
    }
  }

  join(socket: HostUdpSocket, group: IpAddress, index: number): void {
    if (!group.isMulticast) throw new RangeError(`group ${group.toString()} is not a multicast address`);
    if (socket.closed) throw new FlowError("closed", "the UDP socket is closed");
    if (socket.groups.some((each) => each.wanted === index && each.group.equals(group))) return;
    if (socket.groups.length >= mostGroups) throw new FlowError("exhausted", `the socket is in ${mostGroups} groups`);
    const joined = this.#ip.join(group, index);
    if (joined === 0) {
      throw new FlowError("address-not-available", `no interface has room for group ${group.toString()}`);
    }
    socket.groups.push({ group, wanted: index, index: joined });
  }

  leave(socket: HostUdpSocket, group: IpAddress, index: number): void {
    const place = socket.groups.findIndex((each) => each.wanted === index && each.group.equals(group));
    const [gone] = place < 0 ? [] : socket.groups.splice(place, 1);
    if (gone !== undefined) this.#ip.leave(group, gone.index);
  }
}

/** Groups that one socket can be in. */
const mostGroups = 64;

interface Membership {
  readonly group: IpAddress;
  /** The interface asked for, 0 for any, and the one that it is. */
  readonly wanted: number;
  readonly index: number;
}

/** `IpSendOptions`, the one object that all datagrams of a socket are sent with. */
class SendChoices implements IpSendOptions {
  readonly source: IpAddress | undefined;
  multicastLoopback: boolean;
  hopLimit = 64;
  interface = 0;

  constructor(source: IpAddress | undefined, multicastLoopback: boolean) {
    this.source = source;
    this.multicastLoopback = multicastLoopback;
  }
}

class HostUdpSocket implements OwnUdpSocket {
  readonly local: Endpoint;
  /** The address bound, or `0.0.0.0`. */
  readonly address: IpAddress;
  readonly handler: (datagram: Datagram) => void;
  readonly share: boolean;
  /** 0: all of them. */
  readonly interface: number;
  hopLimit: number;
  groupHopLimit: number;
  readonly choices: SendChoices;
  readonly groups: Membership[] = [];
  closed = false;
  readonly #udp: HostUdp;

  constructor(
    owner: HostUdp,
    options: UdpBindOptions,
    address: IpAddress,
    port: number,
    handler: (datagram: Datagram) => void,
  ) {
    this.#udp = owner;
    this.address = address;
    this.local = { address, port };
    this.handler = handler;
    this.share = options.share ?? false;
    this.interface = options.interface ?? 0;
    this.hopLimit = options.hopLimit ?? 0;
    this.groupHopLimit = this.hopLimit;
    this.choices = new SendChoices(address.isUnspecified ? undefined : address, options.multicastLoopback ?? true);
  }

  get multicastLoopback(): boolean {
    return this.choices.multicastLoopback;
  }

  set multicastLoopback(on: boolean) {
    this.choices.multicastLoopback = on;
  }

  send(bytes: Uint8Array, offset: number, length: number, address: IpAddress, port: number, index = 0): boolean {
    return this.#udp.send(this, bytes, offset, length, address, port, index);
  }

  sendMany(
    bytes: Uint8Array,
    offset: number,
    length: number,
    size: number,
    address: IpAddress,
    port: number,
    index = 0,
  ): number {
    return this.#udp.sendMany(this, bytes, offset, length, size, address, port, index);
  }

  /** Sets the choices for what is to be sent next. */
  choose(address: IpAddress, index: number): void {
    const { choices } = this;
    choices.hopLimit = address.isMulticast ? this.groupHopLimit || 1 : this.hopLimit || 64;
    choices.interface = index === 0 ? this.interface : index;
  }

  join(group: IpAddress, index = 0): void {
    this.#udp.join(this, group, index === 0 ? this.interface : index);
  }

  leave(group: IpAddress, index = 0): void {
    this.#udp.leave(this, group, index === 0 ? this.interface : index);
  }

  /** Whether a datagram to `destination` that came by interface `index` is for this socket. */
  hears(destination: IpAddress, index: number): boolean {
    if (this.interface !== 0 && this.interface !== index) return false;
    if (destination.isMulticast) {
      for (const each of this.groups) if (each.index === index && each.group.equals(destination)) return true;
      return false;
    }
    // Broadcasts go to sockets on all addresses.
    return this.address.isUnspecified || this.address.equals(destination);
  }

  close(): Promise<void> {
    this.#udp.remove(this);
    return Promise.resolve();
  }
}

/** The first socket that a datagram is for. */
function pick(sockets: readonly HostUdpSocket[], destination: IpAddress, index: number): HostUdpSocket | undefined {
  for (let place = 0; place < sockets.length; place++) {
    const socket = sockets[place];
    if (socket?.hears(destination, index) === true) return socket;
  }
  return undefined;
}

/** @throws RangeError */
function checkRange(bytes: Uint8Array, offset: number, length: number, port: number): void {
  if (!(length >= 0 && length <= mostPayload)) throw new RangeError(`length ${length} is not from 0 to 65507`);
  if (!(offset >= 0 && offset + length <= bytes.length)) {
    throw new RangeError(`offset ${offset} and length ${length} are not inside the ${bytes.length} bytes given`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`port ${port} is not an integer from 1 to 65535`);
  }
}

function writeHeader(bytes: Uint8Array, at: number, sourcePort: number, port: number, total: number): void {
  udp.field.sourcePort.set(bytes, at, sourcePort);
  udp.field.destinationPort.set(bytes, at, port);
  udp.field.length.set(bytes, at, total);
}

function writeChecksum(bytes: Uint8Array, at: number, total: number, source: IpAddress, target: IpAddress): void {
  udp.field.checksum.set(bytes, at, 0);
  putChecksum(bytes, at, checksum(bytes, at, total, pseudoHeaderSum(source, target, protocolUdp, total)));
}

/** A checksum of 0 is sent as all ones: 0 says that there is none. */
function putChecksum(bytes: Uint8Array, at: number, value: number): void {
  udp.field.checksum.set(bytes, at, value === 0 ? 0xffff : value);
}

function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
