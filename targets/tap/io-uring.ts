import { closeSync } from "node:fs";
import type { NativeMemory, SystemCalls } from "@tesserae/node/native/system-calls";

// <linux/io_uring.h>
const IORING_OFF_SQES = 0x1000_0000;
const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
const IORING_SETUP_NO_SQARRAY = 1 << 16;
const IORING_FEAT_SINGLE_MMAP = 1;
const IORING_ENTER_GETEVENTS = 1;
const IORING_REGISTER_BUFFERS = 0;
const IORING_REGISTER_PROBE = 8;
const IORING_REGISTER_PBUF_RING = 22;
const IORING_REGISTER_SYNC_CANCEL = 24;
const IORING_ASYNC_CANCEL_ALL = 1;
const IORING_ASYNC_CANCEL_ANY = 4;
const IORING_OP_WRITE_FIXED = 5;
const IORING_OP_READ_MULTISHOT = 49;
const IOSQE_BUFFER_SELECT = 1 << 5;
const IOSQE_CQE_SKIP_SUCCESS = 1 << 6;
const entryWords = 16;
const EOPNOTSUPP = 95;

/** What one completion says: which request, its result, and flags. */
export const completionMore = 2;

/**
 * A pair of rings shared with the kernel (io_uring), for one descriptor that is read by one request that goes on and on
 * into buffers that the kernel chooses from a ring of them, and written from memory that is registered once.
 *
 * Completions come while they are fetched and at no other time. Needs Linux 6.7.
 */
export class IoUring {
  readonly fd: number;
  /** Requests that are not submitted yet. */
  pending = 0;
  /** The result and the flags of the completion that {@link IoUring.next} found. */
  result = 0;
  flags = 0;
  readonly #calls: SystemCalls;
  readonly #ring: ArrayBuffer;
  readonly #entriesMemory: ArrayBuffer;
  readonly #words: Int32Array;
  readonly #entries: Int32Array;
  readonly #submitMask: number;
  readonly #submitTail: number;
  readonly #completeHead: number;
  readonly #completeTail: number;
  readonly #completeMask: number;
  readonly #completions: number;
  #tail = 0;
  #head = 0;

  /**
   * @param size how many requests one submission has room for, a power of two
   * @returns −errno, −EOPNOTSUPP for a kernel that is too old, when there can be none
   */
  static open(calls: SystemCalls, size: number): IoUring | number {
    const parameters = calls.memory(120);
    const flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY;
    parameters.view.setUint32(8, flags, true);
    const fd = calls.ioUringSetup(size, parameters.bytes);
    if (fd < 0) return fd;
    const probe = calls.memory(16 + 64 * 8);
    const probed = calls.ioUringRegister(fd, IORING_REGISTER_PROBE, probe.address, 64);
    const features = parameters.view.getUint32(20, true);
    if (probed < 0 || (probe.bytes[0] ?? 0) < IORING_OP_READ_MULTISHOT || (features & IORING_FEAT_SINGLE_MMAP) === 0) {
      closeSync(fd);
      return -EOPNOTSUPP;
    }
    const field = (at: number): number => parameters.view.getUint32(at, true);
    const completions = field(100);
    const ring = calls.native.map(fd, completions + field(4) * 16, 0);
    const entries = calls.native.map(fd, field(0) * 64, IORING_OFF_SQES);
    if (typeof ring === "number" || typeof entries === "number") {
      closeSync(fd);
      return typeof ring === "number" ? ring : -EOPNOTSUPP;
    }
    return new IoUring(calls, fd, ring, entries, field);
  }

  private constructor(
    calls: SystemCalls,
    fd: number,
    ring: ArrayBuffer,
    entries: ArrayBuffer,
    field: (at: number) => number,
  ) {
    this.#calls = calls;
    this.fd = fd;
    this.#ring = ring;
    this.#entriesMemory = entries;
    this.#words = new Int32Array(ring, 0, ring.byteLength >>> 2);
    this.#entries = new Int32Array(entries);
    this.#submitTail = field(44) / 4;
    this.#submitMask = (this.#words[field(48) / 4] ?? 0) | 0;
    this.#completeHead = field(80) / 4;
    this.#completeTail = field(84) / 4;
    this.#completeMask = (this.#words[field(88) / 4] ?? 0) | 0;
    this.#completions = field(100) / 4;
  }

  /** Registers the memory that is written from. 0 or −errno. */
  registerMemory(memory: NativeMemory): number {
    const vector = this.#calls.memory(16);
    vector.view.setBigUint64(0, BigInt(memory.address), true);
    vector.view.setBigUint64(8, BigInt(memory.bytes.length), true);
    return this.#calls.ioUringRegister(this.fd, IORING_REGISTER_BUFFERS, vector.address, 1);
  }

  /** Registers the ring of buffers to read into; see {@link BufferRing}. 0 or −errno. */
  registerBuffers(ring: NativeMemory, count: number): number {
    const registration = this.#calls.memory(40);
    registration.view.setBigUint64(0, BigInt(ring.address), true);
    registration.view.setUint32(8, count, true);
    return this.#calls.ioUringRegister(this.fd, IORING_REGISTER_PBUF_RING, registration.address, 1);
  }

  /** Queues the request that reads on and on. Its completions have the number `id`. */
  readOn(fd: number, id: number): void {
    const at = this.#entry(IORING_OP_READ_MULTISHOT, IOSQE_BUFFER_SELECT, fd, id);
    this.#entries.fill(0, at + 4, at + 7);
  }

  /** Queues a write of registered memory. It completes only when it fails. */
  write(fd: number, address: number, length: number, id: number): void {
    const at = this.#entry(IORING_OP_WRITE_FIXED, IOSQE_CQE_SKIP_SUCCESS, fd, id);
    this.#entries[at + 4] = address | 0;
    this.#entries[at + 5] = Math.floor(address / 0x1_0000_0000);
    this.#entries[at + 6] = length;
  }

  /**
   * Submits what is queued.
   *
   * @param fetch whether to complete what can be completed, too
   * @returns how many were submitted, or −errno
   */
  enter(fetch: boolean): number {
    Atomics.store(this.#words, this.#submitTail, this.#tail);
    const said = this.#calls.ioUringEnter(this.fd, this.pending, 0, fetch ? IORING_ENTER_GETEVENTS : 0);
    if (said > 0) this.pending -= said;
    return said;
  }

  /** The number of the next completion's request, or −1; {@link IoUring.seen} gives its place back. */
  next(): number {
    if (this.#head === Atomics.load(this.#words, this.#completeTail)) return -1;
    const at = this.#completions + (this.#head & this.#completeMask) * 4;
    this.#head = (this.#head + 1) | 0;
    this.result = this.#words[at + 2] ?? 0;
    this.flags = this.#words[at + 3] ?? 0;
    return this.#words[at] ?? 0;
  }

  /** The places of all completions found so far are the kernel's again. */
  seen(): void {
    Atomics.store(this.#words, this.#completeHead, this.#head);
  }

  /** Ends every request, so that nothing holds on to their descriptor, and frees the rings. */
  close(): void {
    // struct io_uring_sync_cancel_reg: whatever the request; no limit of time.
    const cancel = this.#calls.memory(64);
    cancel.view.setUint32(12, IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY, true);
    cancel.bytes.fill(0xff, 16, 32);
    this.#calls.ioUringRegister(this.fd, IORING_REGISTER_SYNC_CANCEL, cancel.address, 1);
    // A request that is over goes when its completion is fetched.
    this.enter(true);
    this.#calls.forget(this.#ring);
    this.#calls.forget(this.#entriesMemory);
    closeSync(this.fd);
  }

  /** Where, in words, the next entry lies; its first words are filled in. */
  #entry(operation: number, flags: number, fd: number, id: number): number {
    const at = (this.#tail & this.#submitMask) * entryWords;
    this.#tail = (this.#tail + 1) | 0;
    this.pending++;
    const entries = this.#entries;
    entries[at] = operation | (flags << 8);
    entries[at + 1] = fd;
    entries[at + 2] = 0;
    entries[at + 3] = 0;
    entries[at + 7] = 0;
    entries[at + 8] = id;
    for (let word = at + 9; word < at + entryWords; word++) entries[word] = 0;
    return at;
  }
}

/** The ring of buffers that the kernel picks from (`struct io_uring_buf_ring`): equal ones, side by side in memory. */
export class BufferRing {
  readonly ring: NativeMemory;
  readonly memory: NativeMemory;
  readonly #halves: Uint16Array;
  readonly #words: Uint32Array;
  readonly #size: number;
  readonly #mask: number;
  #tail = 0;

  /** @param count a power of two */
  constructor(calls: SystemCalls, count: number, size: number) {
    this.#size = size;
    this.#mask = count - 1;
    this.memory = calls.memory(count * size, 4096);
    this.ring = calls.memory(count * 16, 4096);
    const { buffer, byteOffset } = this.ring.bytes;
    this.#halves = new Uint16Array(buffer, byteOffset, count * 8);
    this.#words = new Uint32Array(buffer, byteOffset, count * 4);
    for (let index = 0; index < count; index++) this.give(index);
    this.publish();
  }

  /** Gives a buffer to the kernel again, from the next {@link BufferRing.publish} on. */
  give(index: number): void {
    const at = (this.#tail & this.#mask) * 4;
    this.#tail++;
    const address = this.memory.address + index * this.#size;
    this.#words[at] = address;
    this.#words[at + 1] = Math.floor(address / 0x1_0000_0000);
    this.#words[at + 2] = this.#size;
    this.#halves[2 * at + 6] = index;
  }

  publish(): void {
    // The tail lies where the first entry has nothing.
    Atomics.store(this.#halves, 7, this.#tail & 0xffff);
  }
}
