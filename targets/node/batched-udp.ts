import { closeSync } from "node:fs";
import { formatEndpoint, type Endpoint, type IpAddress } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import type { Datagram, UdpBindOptions, UdpSocket } from "@tesserae/device/udp";
import { checkDatagram, checkDatagrams } from "./kernel-address.ts";
import { loadAddon } from "./native/addon.ts";
import { boundSocket, checkSocketCall, datagramSocket, localEndpoint } from "./native/bound-socket.ts";
import { mostMessages, QueuedMessages, ReceivedMessages } from "./native/message-batch.ts";
import { portOf, SeenAddresses } from "./native/socket-address.ts";
import { describeErrno, SystemCalls } from "./native/system-calls.ts";
import { holdClock, releaseClock } from "./process-clock.ts";
import { ReceivedDatagram } from "./received-datagram.ts";

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BROADCAST = 6;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const IPPROTO_IP = 0;
const IP_TTL = 2;
const IP_MULTICAST_TTL = 33;
const IP_MULTICAST_LOOP = 34;
const IP_ADD_MEMBERSHIP = 35;
const IP_DROP_MEMBERSHIP = 36;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_ADD_MEMBERSHIP = 20;
const IPV6_DROP_MEMBERSHIP = 21;
const EADDRINUSE = 98;
/** What the kernel's buffers should have room for, in bytes; it may allow less (`net.core.rmem_max`). */
const bufferBytes = 4 * 1024 * 1024;

/** What the batched sockets of one thread have in common: they take turns. */
class Batches {
  readonly calls: SystemCalls;
  readonly received: ReceivedMessages;
  readonly queued: QueuedMessages;
  readonly addresses = new SeenAddresses();
  #inBatch = false;
  #scheduled = false;
  readonly #later: () => void;

  constructor(calls: SystemCalls) {
    this.calls = calls;
    this.received = new ReceivedMessages(calls);
    this.queued = new QueuedMessages(calls);
    this.#later = () => {
      this.#scheduled = false;
      this.queued.flush();
    };
  }

  begin(): void {
    // One batch is one moment: asking for the time costs as much as the rest.
    holdClock();
    this.#inBatch = true;
  }

  end(): void {
    this.#inBatch = false;
    releaseClock();
    this.queued.flush();
  }

  /** What was queued goes out at the end of the batch, else when whoever sends has returned to the event loop. */
  schedule(): void {
    if (this.#inBatch || this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#later);
  }
}

let batches: Batches | undefined;

/**
 * Whether sockets can be had that receive and send many datagrams in one call; else why not, in words. Asks for the
 * native piece, which is built then.
 */
export function batchedUdp(): true | string {
  const outcome = loadAddon();
  if (!outcome.ok) return outcome.why;
  batches ??= new Batches(new SystemCalls(outcome.addon));
  return true;
}

export interface BatchedUdpOptions {
  readonly at: IpAddress;
  readonly port: number;
  readonly options: UdpBindOptions;
  /** Lets other processes and threads have the port too; the kernel spreads senders over them (SO_REUSEPORT). */
  readonly spread: boolean;
  readonly handler: (datagram: Datagram) => void;
  readonly report: (error: unknown) => void;
  readonly onClose: (socket: UdpSocket) => void;
}

/**
 * A UDP port of the kernel's by `recvmmsg` and `sendmmsg`: up to 64 datagrams a call. To be asked for only where
 * {@link batchedUdp} says so.
 */
export class BatchedUdpSocket implements UdpSocket {
  readonly local: Endpoint;
  readonly #batches: Batches;
  readonly #fd: number;
  readonly #family: 4 | 6;
  readonly #handler: (datagram: Datagram) => void;
  readonly #report: (error: unknown) => void;
  readonly #onClose: (socket: UdpSocket) => void;
  readonly #datagram: ReceivedDatagram;
  readonly #watch: number;
  #closed = false;

  /** @throws FlowError `address-in-use`, `address-not-available`, `permission`, `unreachable` without the family */
  constructor({ at, port, options, spread, handler, report, onClose }: BatchedUdpOptions) {
    if (batches === undefined) throw new Error("ask batchedUdp() first");
    const { calls } = batches;
    this.#batches = batches;
    this.#family = at.family;
    this.#handler = handler;
    this.#report = report;
    this.#onClose = onClose;
    const doing = `binding UDP ${formatEndpoint({ address: at, port })}`;
    const configure = (fd: number): void => configureUdp(calls, fd, at.family, options);
    const fd = boundSocket(calls, { type: datagramSocket, at, port, spread, configure }, doing);
    this.#fd = fd;
    try {
      this.local = localEndpoint(calls, fd, batches.addresses);
      this.#datagram = new ReceivedDatagram(this.local.address);
      this.#watch = checkSocketCall(
        calls.native.watch(fd, () => this.#drain()),
        doing,
      );
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  send(bytes: Uint8Array, offset: number, length: number, address: IpAddress, port: number): boolean {
    checkDatagram(bytes, offset, length, port);
    if (this.#closed || (address.family === 6 && this.#family === 4)) return false;
    this.#batches.queued.add(this.#fd, this.#family, bytes, offset, length, 0, address, port);
    this.#batches.schedule();
    return true;
  }

  sendMany(bytes: Uint8Array, offset: number, length: number, size: number, address: IpAddress, port: number): number {
    checkDatagrams(bytes, offset, length, size, port);
    if (this.#closed || length === 0 || (address.family === 6 && this.#family === 4)) return 0;
    this.#batches.queued.add(this.#fd, this.#family, bytes, offset, length, size, address, port);
    this.#batches.schedule();
    return Math.ceil(length / size);
  }

  join(group: IpAddress, index = 0): void {
    if (this.#closed) throw new FlowError("closed", `group ${group.toString()}: the UDP socket is closed`);
    const said = this.#member(group, index, IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP);
    // Twice is once.
    if (said < 0 && said !== -EADDRINUSE) {
      throw new FlowError("address-not-available", `group ${group.toString()}: ${describeErrno(said)}`);
    }
  }

  leave(group: IpAddress, index = 0): void {
    if (this.#closed || (group.family === 4) !== (this.#family === 4)) return;
    this.#member(group, index, IP_DROP_MEMBERSHIP, IPV6_DROP_MEMBERSHIP);
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#batches.queued.flush();
    this.#closed = true;
    this.#batches.calls.native.unwatch(this.#watch);
    closeSync(this.#fd);
    this.#onClose(this);
    return Promise.resolve();
  }

  #member(group: IpAddress, index: number, option4: number, option6: number): number {
    if (!group.isMulticast) throw new RangeError(`group ${group.toString()} is not a multicast address`);
    const what = `group ${group.toString()}`;
    if (index !== 0) {
      throw new FlowError("address-not-available", `${what}: the kernel's interfaces have no number here`);
    }
    const { calls } = this.#batches;
    if (group.family === 4) {
      if (this.#family === 6) {
        throw new FlowError("address-not-available", `${what}: the socket is IPv6's; bind it to 0.0.0.0`);
      }
      // struct ip_mreqn: the group, our address on the interface, its number.
      const request = calls.memory(12);
      request.view.setInt32(0, group.w3);
      return calls.setsockopt(this.#fd, IPPROTO_IP, option4, request.bytes);
    }
    if (this.#family === 4) throw new FlowError("address-not-available", `${what}: the socket is IPv4's`);
    const request = calls.memory(20);
    [group.w0, group.w1, group.w2, group.w3].forEach((word, place) => request.view.setInt32(4 * place, word));
    return calls.setsockopt(this.#fd, IPPROTO_IPV6, option6, request.bytes);
  }

  #drain(): void {
    if (this.#closed) return;
    const { received, addresses } = this.#batches;
    const count = Math.min(received.receive(this.#fd), mostMessages);
    if (count <= 0) return;
    const datagram = this.#datagram;
    const { headers } = received;
    datagram.bytes = received.bytes;
    this.#batches.begin();
    try {
      for (let index = 0; index < count && !this.#isClosed(); index++) {
        const from = headers.addressAt(index);
        datagram.offset = received.offset(index);
        datagram.length = headers.length(index);
        datagram.source = addresses.read(headers.view, from);
        datagram.sourcePort = portOf(headers.view, from);
        try {
          this.#handler(datagram);
        } catch (error) {
          this.#report(error);
        }
      }
    } finally {
      this.#batches.end();
    }
  }

  /** A handler may close. */
  #isClosed(): boolean {
    return this.#closed;
  }
}

function configureUdp(calls: SystemCalls, fd: number, family: 4 | 6, options: UdpBindOptions): void {
  const { share = false, hopLimit, multicastLoopback = true } = options;
  const set = (level: number, option: number, value: number): number =>
    calls.setsockoptNumber(fd, level, option, value);
  if (share) set(SOL_SOCKET, SO_REUSEADDR, 1);
  set(SOL_SOCKET, SO_BROADCAST, 1);
  set(SOL_SOCKET, SO_RCVBUF, bufferBytes);
  set(SOL_SOCKET, SO_SNDBUF, bufferBytes);
  // A dual-stack socket has both families' settings.
  set(IPPROTO_IP, IP_MULTICAST_LOOP, multicastLoopback ? 1 : 0);
  if (hopLimit !== undefined) {
    set(IPPROTO_IP, IP_TTL, hopLimit);
    set(IPPROTO_IP, IP_MULTICAST_TTL, hopLimit);
  }
  if (family === 4) return;
  set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, multicastLoopback ? 1 : 0);
  if (hopLimit !== undefined) {
    set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, hopLimit);
    set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hopLimit);
  }
}
