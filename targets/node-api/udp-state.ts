import { AsyncLocalStorage } from "node:async_hooks";
import { IpAddress } from "@tesserae/device/address";
import { FlowError } from "@tesserae/device/flow";
import type { Datagram, UdpSocket } from "@tesserae/device/udp";
import type { AddressOut, UdpHandle } from "./bindings.ts";
import { type AsyncScope, type Host, reportUncaught } from "./host.ts";
import { interfaceIndex, isOwnUdpSocket } from "./prompt-stack.ts";
import { fillAddress, readAddress } from "./socket-address.ts";

/** The longest payload of an IPv4 datagram, bytes. */
const longestPayload = 65_507;
/** What a kernel says its buffers have; we have none, as each datagram is delivered at once. Bytes. */
const usualBuffer = 212_992;

/**
 * What is behind a UDP handle of Node's. Methods that answer a number give 0 or a negative errno, as the handle's own
 * do. Datagrams reach the user from inside the stack's call: nothing is queued.
 */
export class UdpState {
  readonly #host: Host;
  readonly #handle: UdpHandle;
  readonly #scope: AsyncScope = AsyncLocalStorage.snapshot();
  #socket: UdpSocket | undefined;
  #peer: { readonly address: IpAddress; readonly port: number } | undefined;
  #isReceiving = false;
  #isReferenced = true;
  #isHeld = false;
  #isClosed = false;
  #mayBroadcast = false;
  readonly #groups: { readonly group: IpAddress; readonly index: number }[] = [];
  /** By which datagrams to groups leave; 0: the route's. */
  #groupInterface = 0;
  readonly #bufferSizes = [usualBuffer, usualBuffer];
  /** The last sender and its text: most datagrams come from few. */
  #sender: IpAddress | undefined;
  #senderText = "";

  constructor(host: Host, handle: UdpHandle) {
    this.#host = host;
    this.#handle = handle;
  }

  bind(text: string, port: number, share = false): number {
    const { errno, stack } = this.#host;
    const address = readAddress(text);
    if (address === undefined || this.#socket !== undefined || this.#isClosed) return errno.number("EINVAL");
    if (address.family === 6 && !stack.addresses.some((each) => each.family === 6)) {
      return errno.number(address.isUnspecified ? "EAFNOSUPPORT" : "EADDRNOTAVAIL");
    }
    try {
      this.#socket = stack.udp.open({ address, port, share }, (datagram) => this.#receive(datagram));
    } catch (error) {
      return errno.of(error);
    }
    return 0;
  }

  /** Sends to one peer from now on, and hears nobody else. */
  connect(text: string, port: number): number {
    const address = readAddress(text);
    if (address === undefined) return this.#host.errno.number("EINVAL");
    if (this.#peer !== undefined) return this.#host.errno.number("EISCONN");
    if (!this.#hasRoute(address)) return this.#host.errno.number("ENETUNREACH");
    this.#peer = { address, port };
    return 0;
  }

  disconnect(): number {
    if (this.#peer === undefined) return this.#host.errno.number("ENOTCONN");
    this.#peer = undefined;
    return 0;
  }

  /** @returns the payload's length plus 1, or a negative errno. */
  send(list: readonly Uint8Array[], port: number | undefined, text: string | undefined): number {
    const { errno } = this.#host;
    if (this.#isClosed) return errno.number("EBADF");
    let to = this.#peer;
    if (text !== undefined && port !== undefined) {
      const address = readAddress(text);
      if (address === undefined) return errno.number("EINVAL");
      // As on Linux: to nowhere is to ourselves.
      const loopback = address.family === 4 ? IpAddress.loopback4 : IpAddress.loopback6;
      to = { address: address.isUnspecified ? loopback : address, port };
    }
    if (to === undefined) return errno.number("EDESTADDRREQ");
    if (to.port === 0) return errno.number("EINVAL");
    if (to.address.equals(IpAddress.broadcast4) && !this.#mayBroadcast) return errno.number("EACCES");
    if (this.#socket === undefined) {
      const status = this.#bindSomewhere(to.address);
      if (status < 0) return status;
    }
    const bytes = list.length === 1 && list[0] !== undefined ? list[0] : Buffer.concat(list);
    if (bytes.length > longestPayload) return errno.number("EMSGSIZE");
    if (!this.#hasRoute(to.address)) return errno.number("ENETUNREACH");
    // A datagram that found no room is lost, as any may be.
    this.#socket?.send(bytes, 0, bytes.length, to.address, to.port, to.address.isMulticast ? this.#groupInterface : 0);
    return bytes.length + 1;
  }

  receiveStart(): number {
    if (this.#isClosed) return this.#host.errno.number("EBADF");
    this.#isReceiving = true;
    this.#updateHold();
    return 0;
  }

  receiveStop(): number {
    this.#isReceiving = false;
    this.#updateHold();
    return 0;
  }

  localName(out: AddressOut): number {
    if (this.#socket === undefined) return this.#host.errno.number("EBADF");
    fillAddress(out, this.#socket.local);
    return 0;
  }

  peerName(out: AddressOut): number {
    if (this.#peer === undefined) return this.#host.errno.number("ENOTCONN");
    fillAddress(out, this.#peer);
    return 0;
  }

  setBroadcast(on: boolean): number {
    this.#mayBroadcast = on;
    return 0;
  }

  /** Takes part in a group. A socket that is not bound is bound to some port, as by libuv. */
  join(text: string, on: string | undefined): number {
    const { errno, stack } = this.#host;
    const group = readAddress(text);
    if (group?.isMulticast !== true) return errno.number("EINVAL");
    const index = interfaceIndex(stack, on);
    if (index === undefined) return errno.number("ENODEV");
    if (this.#socket === undefined) {
      const status = this.#bindSomewhere(group);
      if (status < 0) return status;
    }
    if (this.#groups.some((each) => each.index === index && each.group.equals(group)))
      return errno.number("EADDRINUSE");
    try {
      this.#socket?.join(group, index);
    } catch (error) {
      return error instanceof FlowError && error.kind === "exhausted"
        ? errno.number("ENOBUFS")
        : errno.number("ENODEV");
    }
    this.#groups.push({ group, index });
    return 0;
  }

  leave(text: string, on: string | undefined): number {
    const { errno, stack } = this.#host;
    const group = readAddress(text);
    if (group?.isMulticast !== true) return errno.number("EINVAL");
    const index = interfaceIndex(stack, on);
    if (index === undefined) return errno.number("ENODEV");
    const place = this.#groups.findIndex((each) => each.index === index && each.group.equals(group));
    if (place < 0) return errno.number("EADDRNOTAVAIL");
    this.#groups.splice(place, 1);
    this.#socket?.leave(group, index);
    return 0;
  }

  /** The interface by which datagrams to groups leave from now on. */
  setMulticastInterface(on: string): number {
    const index = interfaceIndex(this.#host.stack, on);
    if (index === undefined) return this.#host.errno.number(readAddress(on) === undefined ? "EINVAL" : "EADDRNOTAVAIL");
    if (this.#socket === undefined) return this.#host.errno.number("EBADF");
    this.#groupInterface = index;
    return 0;
  }

  setHopLimit(which: "hopLimit" | "groupHopLimit", hops: number): number {
    const { errno } = this.#host;
    const socket = this.#socket;
    const least = which === "hopLimit" ? 1 : 0;
    if (!(hops >= least && hops <= 255)) return errno.number("EINVAL");
    if (socket === undefined) return errno.number("EBADF");
    // One that may not leave this host: there is no such thing here.
    if (hops === 0 || !isOwnUdpSocket(socket)) return errno.number("ENOTSUP");
    socket[which] = hops;
    return 0;
  }

  setMulticastLoopback(on: boolean): number {
    const { errno } = this.#host;
    const socket = this.#socket;
    if (socket === undefined) return errno.number("EBADF");
    if (!isOwnUdpSocket(socket)) return errno.number("ENOTSUP");
    socket.multicastLoopback = on;
    return 0;
  }

  /** Linux counts its own overhead, too: what is set is doubled. @param size bytes; 0 only asks */
  bufferSize(size: number, which: 0 | 1): number {
    if (size > 0) this.#bufferSizes[which] = size * 2;
    return size > 0 ? size : (this.#bufferSizes[which] ?? usualBuffer);
  }

  setReferenced(isReferenced: boolean): number {
    this.#isReferenced = isReferenced;
    this.#updateHold();
    return 0;
  }

  close(): number {
    this.#isClosed = true;
    this.#isReceiving = false;
    // It is closed at once; the promise is for those who want to know.
    void this.#socket?.close();
    this.#updateHold();
    return 0;
  }

  /** To any port, of the family of `address`. */
  #bindSomewhere(address: IpAddress): number {
    return this.bind(address.family === 4 ? "0.0.0.0" : "::", 0);
  }

  #hasRoute(address: IpAddress): boolean {
    const { network } = this.#host.stack;
    return address.equals(IpAddress.broadcast4) || network === undefined || network.source(address) !== undefined;
  }

  #receive(datagram: Datagram): void {
    if (!this.#isReceiving) return;
    const { source, sourcePort, offset, length } = datagram;
    const peer = this.#peer;
    if (peer !== undefined && (peer.port !== sourcePort || !peer.address.equals(source))) return;
    if (this.#sender?.equals(source) !== true) {
      this.#sender = source;
      this.#senderText = source.toString();
    }
    // As from libuv, an ArrayBuffer of its own.
    const bytes = Buffer.allocUnsafeSlow(length);
    bytes.set(datagram.bytes.subarray(offset, offset + length));
    const family = source.family === 4 ? "IPv4" : "IPv6";
    const from = { address: this.#senderText, family, port: sourcePort, size: length };
    try {
      this.#scope(() => this.#handle.onmessage?.(length, this.#handle, bytes, from));
    } catch (error) {
      reportUncaught(error);
    }
  }

  #updateHold(): void {
    const isActive = this.#isReceiving && this.#isReferenced;
    if (isActive === this.#isHeld) return;
    this.#isHeld = isActive;
    if (isActive) this.#host.activity.hold();
    else this.#host.activity.release();
  }
}
