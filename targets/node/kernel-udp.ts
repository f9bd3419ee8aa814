import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { formatEndpoint, IpAddress, type Endpoint } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import type { Datagram, Udp, UdpBindOptions, UdpSocket } from "@tesserae/device/udp";
import { BatchedUdpSocket, batchedUdp } from "./batched-udp.ts";
import { codeOf, flowError, isWithoutIpv6 } from "./flow-fault.ts";
import { addressOf, checkDatagram, checkDatagrams, checkPort, endpointOf } from "./kernel-address.ts";
import { instance } from "./instance.ts";
import { reportOnStderr } from "./kernel-tcp.ts";
import { ReceivedDatagram } from "./received-datagram.ts";

/** Bytes that may wait in the process for the kernel; above it datagrams are dropped. */
const sendBound = 1024 * 1024;
/** Senders whose parsed address is kept. */
const knownSenders = 256;

export interface KernelUdpOptions {
  /** Gets what a handler threw. Default: one line and the stack on stderr. */
  readonly report?: (error: unknown) => void;
  /**
   * Whether many datagrams are received and sent in one call, by the native piece (`native/addon.ts`). Default: where it
   * can be had; elsewhere `node:dgram` takes one at a time.
   */
  readonly batched?: boolean;
  /**
   * Whether other processes and threads may bind the same ports, to share the load (SO_REUSEPORT). Default: where the image
   * runs as several instances.
   */
  readonly spread?: boolean;
}

/** UDP of the kernel. A datagram to an unbound address tells its destination as that unspecified address. */
export class KernelUdp implements Udp {
  readonly #report: (error: unknown) => void;
  readonly #batched: boolean;
  readonly #spread: boolean | undefined;
  readonly #sockets = new Set<UdpSocket>();
  #closed = false;

  constructor(options: KernelUdpOptions = {}) {
    this.#report = options.report ?? reportOnStderr;
    this.#batched = options.batched ?? true;
    this.#spread = options.spread;
  }

  async bind(options: UdpBindOptions, handler: (datagram: Datagram) => void): Promise<UdpSocket> {
    const { port = 0, address } = options;
    checkPort(port, 0);
    if (this.#closed) throw new FlowError("closed", "binding a UDP port: the stack is closed");
    if ((options.interface ?? 0) !== 0) {
      throw new FlowError("address-not-available", "binding a UDP port: the kernel's interfaces have no number here");
    }
    const onClose = (socket: UdpSocket): void => void this.#sockets.delete(socket);
    const batched = this.#batched && batchedUdp() === true;
    // Two that ask for a free port would be given the same one.
    const spread = this.#spread ?? (instance().count > 1 && port !== 0);
    if (spread && !batched) {
      throw new FlowError("address-not-available", "a UDP port for several processes needs the native piece");
    }
    const open = async (at: IpAddress): Promise<UdpSocket> => {
      if (batched) {
        const more = { spread, handler, report: this.#report, onClose };
        const made = new BatchedUdpSocket({ at, port, options, ...more });
        this.#sockets.add(made);
        return made;
      }
      const socket = await bound(at, port, options);
      const made = new KernelUdpSocket(socket, at, handler, this.#report, onClose);
      this.#sockets.add(made);
      return made;
    };
    if (address !== undefined) return await open(address);
    try {
      return await open(IpAddress.any6);
    } catch (error) {
      // Then all of our addresses are IPv4.
      if (isWithoutIpv6(error)) return await open(IpAddress.any4);
      throw error;
    }
  }

  /** Closes every socket. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#sockets].map((socket) => socket.close()));
  }
}

function bound(at: IpAddress, port: number, options: UdpBindOptions): Promise<Socket> {
  const socket = createSocket({
    type: at.family === 6 ? "udp6" : "udp4",
    reuseAddr: options.share ?? false,
    // Addresses are never names here, and a synchronous answer makes send synchronous too.
    lookup: (host, _options, callback) => callback(null, host, at.family),
  });
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close();
      reject(flowError(error, `binding UDP ${formatEndpoint({ address: at, port })}`));
    });
    socket.bind({ port, address: at.toString(), exclusive: true }, () => {
      socket.removeAllListeners("error");
      const { hopLimit, multicastLoopback = true } = options;
      socket.setBroadcast(true);
      socket.setMulticastLoopback(multicastLoopback);
      if (hopLimit !== undefined) {
        socket.setTTL(hopLimit);
        socket.setMulticastTTL(hopLimit);
      }
      resolve(socket);
    });
  });
}

class KernelUdpSocket implements UdpSocket {
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #mapped: boolean;
  readonly #handler: (datagram: Datagram) => void;
  readonly #report: (error: unknown) => void;
  readonly #onClose: (socket: UdpSocket) => void;
  readonly #datagram: ReceivedDatagram;
  readonly #senders = new Map<string, IpAddress>();
  #closed = false;

  constructor(
    socket: Socket,
    at: IpAddress,
    handler: (datagram: Datagram) => void,
    report: (error: unknown) => void,
    onClose: (socket: UdpSocket) => void,
  ) {
    const address = socket.address();
    this.local = endpointOf(address.address, address.port);
    this.#socket = socket;
    this.#mapped = at.family === 6;
    this.#handler = handler;
    this.#report = report;
    this.#onClose = onClose;
    this.#datagram = new ReceivedDatagram(this.local.address);
    socket.on("message", (bytes, from) => this.#receive(bytes, from));
    // An ICMP error about a datagram sent earlier. UDP promises nothing, and the signature has no place for it.
    socket.on("error", () => undefined);
  }

  send(bytes: Uint8Array, offset: number, length: number, address: IpAddress, port: number): boolean {
    checkDatagram(bytes, offset, length, port);
    if (this.#closed || this.#socket.getSendQueueSize() > sendBound) return false;
    if (address.family === 6 && !this.#mapped) return false;
    const host = address.family === 4 && this.#mapped ? `::ffff:${address.toString()}` : address.toString();
    // Copied: when the kernel's buffer is full, libuv keeps a reference until there is room.
    const copy = Buffer.allocUnsafe(length);
    copy.set(offset === 0 && length === bytes.length ? bytes : bytes.subarray(offset, offset + length));
    this.#socket.send(copy, 0, length, port, host);
    return true;
  }

  sendMany(bytes: Uint8Array, offset: number, length: number, size: number, address: IpAddress, port: number): number {
    checkDatagrams(bytes, offset, length, size, port);
    let sent = 0;
    for (let at = 0; at < length; at += size) {
      if (!this.send(bytes, offset + at, Math.min(size, length - at), address, port)) break;
      sent++;
    }
    return sent;
  }

  join(group: IpAddress, index = 0): void {
    this.#member(group, index, () => this.#socket.addMembership(group.toString()));
  }

  leave(group: IpAddress, index = 0): void {
    if (this.#closed) return;
    try {
      this.#member(group, index, () => this.#socket.dropMembership(group.toString()));
    } catch (error) {
      // Not joined.
      if (!(error instanceof FlowError)) throw error;
    }
  }

  #member(group: IpAddress, index: number, change: () => void): void {
    if (!group.isMulticast) throw new RangeError(`group ${group.toString()} is not a multicast address`);
    const what = `group ${group.toString()}`;
    if (this.#closed) throw new FlowError("closed", `${what}: the UDP socket is closed`);
    if (index !== 0)
      throw new FlowError("address-not-available", `${what}: the kernel's interfaces have no number here`);
    if (group.family === 4 && this.#mapped) {
      throw new FlowError("address-not-available", `${what}: the socket is IPv6's; bind it to 0.0.0.0`);
    }
    try {
      change();
    } catch (error) {
      // Twice is once.
      if (codeOf(error) === "EADDRINUSE") return;
      throw new FlowError("address-not-available", `${what}: ${String(error)}`, { cause: error });
    }
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#onClose(this);
    return new Promise((resolve) => void this.#socket.close(() => resolve()));
  }

  #receive(bytes: Buffer, from: RemoteInfo): void {
    if (this.#closed) return;
    const datagram = this.#datagram;
    datagram.bytes = bytes;
    datagram.length = bytes.length;
    datagram.source = this.#sender(from.address);
    datagram.sourcePort = from.port;
    try {
      this.#handler(datagram);
    } catch (error) {
      this.#report(error);
    }
  }

  #sender(text: string): IpAddress {
    const known = this.#senders.get(text);
    if (known !== undefined) return known;
    if (this.#senders.size >= knownSenders) this.#senders.clear();
    const address = addressOf(text);
    this.#senders.set(text, address);
    return address;
  }
}
