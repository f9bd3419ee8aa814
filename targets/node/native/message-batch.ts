import type { IpAddress } from "@tesserae/device/address";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { longestSocketAddress, socketAddressLength, writeSocketAddress } from "./socket-address.ts";
import type { NativeMemory, SystemCalls } from "./system-calls.ts";

/** Datagrams in one call at most. */
export const mostMessages = 64;
/** Bytes of `struct mmsghdr` on 64-bit machines: a `struct msghdr` of 56, then how many bytes came. */
const headerSize = 64;
const lengthAt = 56;
const vectorSize = 16;
/** Where a `struct msghdr` has the address and the length of its control messages. */
const controlAt = 32;
const controlLengthAt = 40;
/** A `struct cmsghdr` of 16 bytes, 2 of contents, and the padding behind. */
const controlSize = 24;
const addressSize = 32;
// <linux/udp.h>
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const EIO = 5;
/** The longest datagram there can be, in bytes, rounded up. */
const longest = 65_536;
/**
 * From one datagram that is received to the next. Were it a power of two, all of them would have to share a few lines of
 * the processor's cache, and each would be gone from there before it is read.
 */
const receiveStride = longest + 192;

/** `struct mmsghdr`s, each with one `struct iovec`, an address and perhaps a control message, for `recvmmsg` and `sendmmsg`. */
class MessageHeaders {
  readonly memory: NativeMemory;
  readonly view: DataView;
  readonly #vectorsAt = mostMessages * headerSize;
  readonly #addressesAt = mostMessages * (headerSize + vectorSize);
  readonly #controlsAt = mostMessages * (headerSize + vectorSize + addressSize);

  constructor(calls: SystemCalls) {
    this.memory = calls.memory(mostMessages * (headerSize + vectorSize + addressSize + controlSize), 64);
    this.view = this.memory.view;
    const { address } = this.memory;
    for (let index = 0; index < mostMessages; index++) {
      const header = index * headerSize;
      this.#putAddress(header, address + this.addressAt(index));
      this.#putAddress(header + 16, address + this.#vectorsAt + index * vectorSize);
      this.view.setUint32(header + 24, 1, true);
      const control = this.#controlsAt + index * controlSize;
      this.#putAddress(header + controlAt, address + control);
      this.view.setUint32(control, 16 + 2, true);
      this.view.setUint32(control + 8, SOL_UDP, true);
      this.view.setUint32(control + 12, UDP_SEGMENT, true);
    }
  }

  /** Where the socket address of a message is in `view`. */
  addressAt(index: number): number {
    return this.#addressesAt + index * addressSize;
  }

  /** Says that the kernel is to send a message as datagrams of `size` bytes; 0: as one. */
  setSegment(index: number, size: number): void {
    this.view.setUint32(index * headerSize + controlLengthAt, size === 0 ? 0 : controlSize, true);
    this.view.setUint16(this.#controlsAt + index * controlSize + 16, size, true);
  }

  /** What {@link setSegment} said. */
  segment(index: number): number {
    return this.view.getUint16(this.#controlsAt + index * controlSize + 16, true);
  }

  setAddressLength(index: number, length: number): void {
    this.view.setUint32(index * headerSize + 8, length, true);
  }

  setBytes(index: number, address: number, length: number): void {
    const at = this.#vectorsAt + index * vectorSize;
    this.#putAddress(at, address);
    this.view.setUint32(at + 8, length, true);
  }

  /** How long a message is that came. */
  length(index: number): number {
    return this.view.getUint32(index * headerSize + lengthAt, true);
  }

  addressOf(index: number): number {
    return this.memory.address + index * headerSize;
  }

  #putAddress(at: number, address: number): void {
    this.view.setUint32(at, address >>> 0, true);
    this.view.setUint32(at + 4, Math.floor(address / 0x1_0000_0000), true);
  }
}

/** Where one batch of datagrams is received; used again for the next, of whatever socket. */
export class ReceivedMessages {
  readonly bytes: Uint8Array;
  readonly headers: MessageHeaders;
  readonly #calls: SystemCalls;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.headers = new MessageHeaders(calls);
    // What no datagram has reached takes no memory.
    const memory = calls.memory(mostMessages * receiveStride, 4096);
    this.bytes = memory.bytes;
    for (let index = 0; index < mostMessages; index++) {
      this.headers.setBytes(index, memory.address + this.offset(index), longest);
    }
  }

  /** Receives what is there. How many, or −errno. */
  receive(fd: number): number {
    for (let index = 0; index < mostMessages; index++) this.headers.setAddressLength(index, longestSocketAddress);
    return this.#calls.recvmmsg(fd, this.headers.addressOf(0), mostMessages);
  }

  /** Where a datagram begins in `bytes`. */
  offset(index: number): number {
    return index * receiveStride;
  }
}

/** Datagrams that wait to be sent in one call, all by one socket. */
export class QueuedMessages {
  /** Datagrams that the kernel refused. */
  refused = 0;
  readonly #calls: SystemCalls;
  readonly #headers: MessageHeaders;
  readonly #memory: NativeMemory;
  /** Where the bytes of each message begin, and how many they are. */
  readonly #starts = new Uint32Array(mostMessages);
  readonly #lengths = new Uint32Array(mostMessages);
  #fd = -1;
  #count = 0;
  #used = 0;

  constructor(calls: SystemCalls) {
    this.#calls = calls;
    this.#headers = new MessageHeaders(calls);
    this.#memory = calls.memory(4 * longest, 64);
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Copies a datagram of at most 65,535 bytes into the queue; what was in it is sent first when there is no room.
   *
   * @param size where it is several of so many bytes each; else 0
   */
  add(
    fd: number,
    family: 4 | 6,
    bytes: Uint8Array,
    offset: number,
    length: number,
    size: number,
    address: IpAddress,
    port: number,
  ): void {
    const full = this.#count === mostMessages || this.#used + length > this.#memory.bytes.length;
    if (full || (this.#count > 0 && this.#fd !== fd)) this.flush();
    this.#fd = fd;
    const index = this.#count++;
    const headers = this.#headers;
    const target = this.#memory.bytes;
    copyBytes(bytes, offset, target, this.#used, length);
    this.#starts[index] = this.#used;
    this.#lengths[index] = length;
    headers.setBytes(index, this.#memory.address + this.#used, length);
    headers.setSegment(index, length > size ? size : 0);
    headers.setAddressLength(index, socketAddressLength(family));
    writeSocketAddress(headers.view, headers.addressAt(index), family, address, port);
    this.#used = (this.#used + length + 15) & ~15;
  }

  /** Sends all. What the kernel refuses is dropped, as UDP may. */
  flush(): void {
    for (let from = 0; from < this.#count;) {
      const sent = this.#calls.sendmmsg(this.#fd, this.#headers.addressOf(from), this.#count - from);
      if (sent > 0) from += sent;
      else {
        // A device that does not sum is nothing that older kernels cut for.
        if (sent !== -EIO || this.#headers.segment(from) === 0 || !this.#sendApart(from)) this.refused++;
        from++;
      }
    }
    this.#count = 0;
    this.#used = 0;
  }

  /** Sends a message that is several datagrams one by one. False when one was refused. */
  #sendApart(index: number): boolean {
    const headers = this.#headers;
    const size = headers.segment(index);
    const length = this.#lengths[index] ?? 0;
    const start = this.#memory.address + (this.#starts[index] ?? 0);
    headers.setSegment(index, 0);
    for (let at = 0; at < length; at += size) {
      headers.setBytes(index, start + at, Math.min(size, length - at));
      if (this.#calls.sendmmsg(this.#fd, headers.addressOf(index), 1) <= 0) return false;
    }
    return true;
  }
}
