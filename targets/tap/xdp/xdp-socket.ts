import { closeSync } from "node:fs";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { xdpFailure } from "./xdp-failure.ts";

// <linux/if_xdp.h>
const AF_XDP = 44;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_XDP = 283;
const XDP_MMAP_OFFSETS = 1;
const XDP_RX_RING = 2;
const XDP_TX_RING = 3;
const XDP_UMEM_REG = 4;
const XDP_UMEM_FILL_RING = 5;
const XDP_UMEM_COMPLETION_RING = 6;
const XDP_STATISTICS = 7;
const XDP_OPTIONS = 8;
const XDP_MAX_TX_SKB_BUDGET = 9;
const XDP_USE_NEED_WAKEUP = 8;
const XDP_OPTIONS_ZEROCOPY = 1;
const fillPage = 0x1_0000_0000;
const completionPage = 0x1_8000_0000;
const transmitPage = 0x8000_0000;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_BUSY_POLL = 46;
const SO_PREFER_BUSY_POLL = 69;
const SO_BUSY_POLL_BUDGET = 70;
const EBUSY = 16;

/**
 * One of a socket's four rings, in memory shared with the kernel: entries of `width` 32-bit words, and where the two
 * ends are. Only one end is ours; the other is read with an acquiring load, ours published with a releasing store.
 */
export class XdpRing {
  readonly words: Int32Array;
  readonly mask: number;
  /** Where, in words, the entries begin. */
  readonly entries: number;
  readonly #producer: number;
  readonly #consumer: number;
  readonly #flags: number;

  constructor(words: Int32Array, size: number, producer: number, consumer: number, entries: number, flags: number) {
    this.words = words;
    this.mask = size - 1;
    this.entries = entries;
    this.#producer = producer;
    this.#consumer = consumer;
    this.#flags = flags;
  }

  /** Where the kernel is as producer, modulo 2³². */
  get produced(): number {
    return Atomics.load(this.words, this.#producer);
  }

  set produced(value: number) {
    Atomics.store(this.words, this.#producer, value);
  }

  /** Where the kernel is as consumer. */
  get consumed(): number {
    return Atomics.load(this.words, this.#consumer);
  }

  set consumed(value: number) {
    Atomics.store(this.words, this.#consumer, value);
  }

  /** Whether the kernel sleeps until it is told that there is something new. */
  get needsWakeup(): boolean {
    return (Atomics.load(this.words, this.#flags) & 1) !== 0;
  }
}

/** An AF_XDP socket with its memory and rings, not bound yet. */
export class XdpSocket {
  readonly fd: number;
  /** The memory of frames: chunks of equal size. */
  readonly umem: Uint8Array;
  readonly received: XdpRing;
  readonly transmitted: XdpRing;
  readonly fill: XdpRing;
  readonly completed: XdpRing;
  readonly #calls: SystemCalls;
  readonly #mapped: ArrayBuffer[] = [];

  /**
   * @param chunks how many, of `chunkSize` bytes (2048 or 4096) each
   * @param entries of each ring, a power of two
   * @throws TapError when the kernel refuses.
   */
  constructor(calls: SystemCalls, chunks: number, chunkSize: number, entries: number) {
    this.#calls = calls;
    this.fd = calls.socket(AF_XDP, SOCK_RAW_CLOEXEC, 0);
    if (this.fd < 0) throw xdpFailure(this.fd, "opening an AF_XDP socket");
    try {
      const memory = calls.native.map(-1, chunks * chunkSize, 0);
      if (typeof memory === "number") throw xdpFailure(memory, "memory for frames");
      this.umem = new Uint8Array(memory);
      const registration = calls.memory(32);
      registration.view.setBigUint64(0, BigInt(calls.addressOf(this.umem)), true);
      registration.view.setBigUint64(8, BigInt(this.umem.length), true);
      registration.view.setUint32(16, chunkSize, true);
      this.#set(XDP_UMEM_REG, registration.bytes, "registering memory for frames");
      for (const ring of [XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING]) {
        const size = calls.memory(4);
        size.view.setUint32(0, entries, true);
        this.#set(ring, size.bytes, "making a ring");
      }
      // How many frames one call sends. Kernels before 6.17 have it fixed at 32.
      calls.setsockoptNumber(this.fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, Math.min(entries, 1024));
      const offsets = calls.memory(128);
      const said = calls.getsockopt(this.fd, SOL_XDP, XDP_MMAP_OFFSETS, offsets.bytes);
      if (said < 0) throw xdpFailure(said, "reading the layout of the rings");
      const ring = (at: number, page: number, entryBytes: number): XdpRing => {
        const word = (index: number): number => Number(offsets.view.getBigUint64(at + 8 * index, true)) / 4;
        const entriesAt = word(2);
        const mapped = calls.native.map(this.fd, entriesAt * 4 + entries * entryBytes, page);
        if (typeof mapped === "number") throw xdpFailure(mapped, "mapping a ring");
        this.#mapped.push(mapped);
        const words = new Int32Array(mapped, 0, mapped.byteLength >>> 2);
        return new XdpRing(words, entries, word(0), word(1), entriesAt, word(3));
      };
      this.received = ring(0, 0, 16);
      this.transmitted = ring(32, transmitPage, 16);
      this.fill = ring(64, fillPage, 8);
      this.completed = ring(96, completionPage, 8);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Binds it to a queue of an interface, without copies where the driver can.
   *
   * @returns false when the queue is still another socket's: closing is asynchronous, so that the one before may be on
   * its way out
   * @throws TapError
   */
  bind(index: number, queue: number): boolean {
    const address = this.#calls.memory(16);
    address.view.setUint16(0, AF_XDP, true);
    address.view.setUint16(2, XDP_USE_NEED_WAKEUP, true);
    address.view.setUint32(4, index, true);
    address.view.setUint32(8, queue, true);
    const said = this.#calls.bind(this.fd, address.bytes);
    if (said === -EBUSY) return false;
    if (said < 0) throw xdpFailure(said, `binding to queue ${queue}`);
    return true;
  }

  /** Whether the driver reads and writes the memory of frames itself. To be asked after it is bound. */
  get isZeroCopy(): boolean {
    const options = this.#calls.memory(4);
    if (this.#calls.getsockopt(this.fd, SOL_XDP, XDP_OPTIONS, options.bytes) < 0) return false;
    return (options.view.getUint32(0, true) & XDP_OPTIONS_ZEROCOPY) !== 0;
  }

  /** Lets the driver work in our calls instead of in interrupts (Linux 5.11). Whether the kernel agreed. */
  preferBusyPolling(): boolean {
    const set = (option: number, value: number): boolean =>
      this.#calls.setsockoptNumber(this.fd, SOL_SOCKET, option, value) >= 0;
    return set(SO_PREFER_BUSY_POLL, 1) && set(SO_BUSY_POLL, 20) && set(SO_BUSY_POLL_BUDGET, 64);
  }

  /** 0, or −errno once the interface is down or gone. */
  fault(): number {
    const error = this.#calls.memory(4);
    const said = this.#calls.getsockopt(this.fd, SOL_SOCKET, SO_ERROR, error.bytes);
    return said < 0 ? said : -error.view.getInt32(0, true);
  }

  /** Frames that the kernel had no room for. */
  get dropped(): number {
    const statistics = this.#calls.memory(48);
    if (this.#calls.getsockopt(this.fd, SOL_XDP, XDP_STATISTICS, statistics.bytes) < 0) return 0;
    const value = (index: number): number => Number(statistics.view.getBigUint64(8 * index, true));
    return value(0) + value(3);
  }

  /** The rings are gone then: nobody may read them. */
  close(): void {
    for (const each of this.#mapped.splice(0)) this.#calls.forget(each);
    closeSync(this.fd);
  }

  #set(option: number, value: Uint8Array, doing: string): void {
    const said = this.#calls.setsockopt(this.fd, SOL_XDP, option, value);
    if (said < 0) throw xdpFailure(said, doing);
  }
}
