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
/** The longest datagram there can be, in bytes, rounded up. */
const longest = 65_536;
/**
 * From one datagram that is received to the next. Were it a power of two, all of them would have to share a few lines of
 * the processor's cache, and each would be gone from there before it is read.
 */
const receiveStride = longest + 192;

/** `struct mmsghdr`s, each with one `struct iovec` and an address, for `recvmmsg` and `sendmmsg`. */
class MessageHeaders {
  readonly memory: NativeMemory;
  readonly view: DataView;
  readonly #vectorsAt = mostMessages * headerSize;
  readonly #addressesAt = mostMessages * (headerSize + vectorSize);

  constructor(calls: SystemCalls) {
    this.memory = calls.memory(mostMessages * (headerSize + vectorSize + 32), 64);
    this.view = this.memory.view;
    const { address } = this.memory;
    for (let index = 0; index < mostMessages; index++) {
      const header = index * headerSize;
      this.#putAddress(header, address + this.addressAt(index));
      this.#putAddress(header + 16, address + this.#vectorsAt + index * vectorSize);
      this.view.setUint32(header + 24, 1, true);
    }
  }

  /** Where the socket address of a message is in `view`. */
  addressAt(index: number): number {
    return this.#addressesAt + index * 32;
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

  /** Copies a datagram of at most 65,535 bytes into the queue; what was in it is sent first when there is no room. */
  add(
    fd: number,
    family: 4 | 6,
    bytes: Uint8Array,
    offset: number,
    length: number,
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
    headers.setBytes(index, this.#memory.address + this.#used, length);
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
        this.refused++;
        from++;
      }
    }
    this.#count = 0;
    this.#used = 0;
  }
}
