import { readSync, writeSync } from "node:fs";
import type { Addon } from "@tesserae/node/native/addon";

const ENOSYS = 38;
const EFAULT = 14;
/** How long after a frame the next one is looked for in every turn of the event loop, in milliseconds. */
const eagerFor = 2;
/** For how long, and how often, it is looked for every millisecond; after that, every `idleInterval`. */
const alertFor = 1000;
const alertInterval = 1;
const idleInterval = 10;

/**
 * What Node alone can do of the native piece's functions: reading and writing descriptors that are open, one frame a
 * call. There are no other system calls, and nothing tells when a descriptor is readable: it is looked at time and again,
 * often while frames come and a hundred times a second else.
 *
 * Addresses are made up: they stand for places in the buffers that {@link NodeCalls.addressOf} has seen, which stay
 * alive.
 */
export class NodeCalls implements Addon {
  readonly #buffers: ArrayBuffer[] = [];
  readonly #starts = new Map<ArrayBuffer, number>();
  readonly #views = new Map<number, Uint8Array>();
  readonly #watches = new Map<number, Watch>();
  #nextAddress = 4096;
  #nextHandle = 1;

  call(): number {
    return -ENOSYS;
  }

  map(fd: number, length: number): ArrayBuffer | number {
    return fd < 0 ? new ArrayBuffer(length) : -ENOSYS;
  }

  addressOf(buffer: ArrayBuffer): number {
    const known = this.#starts.get(buffer);
    if (known !== undefined) return known;
    const start = this.#nextAddress;
    // Apart, so that the end of one is not the start of the next.
    this.#nextAddress = start + ((buffer.byteLength + 8191) & ~4095);
    this.#buffers.push(buffer);
    this.#starts.set(buffer, start);
    return start;
  }

  readMany(
    fd: number,
    memory: number,
    size: number,
    largest: number,
    most: number,
    lead: number,
    slots: number,
  ): number {
    const bytes = this.#at(memory);
    const pairs = this.#at(slots);
    if (bytes === undefined || pairs === undefined) return -EFAULT;
    let at = 0;
    let count = 0;
    for (; count < most && at + lead + largest <= size; count++) {
      const got = tryOn(readSync, fd, bytes, at + lead, largest);
      if (got < 0) {
        if (count === 0) return got;
        break;
      }
      putPair(pairs, count, at + lead, got);
      at = (at + lead + got + 63) & ~63;
    }
    for (const watch of this.#watches.values()) if (watch.fd === fd) watch.noteRead();
    return count;
  }

  writeMany(fd: number, memory: number, slots: number, count: number): number {
    const bytes = this.#at(memory);
    const pairs = this.#at(slots);
    if (bytes === undefined || pairs === undefined) return -EFAULT;
    let whole = 0;
    const words = new DataView(pairs.buffer, pairs.byteOffset);
    for (let index = 0; index < count; index++) {
      const length = words.getInt32(8 * index + 4, true);
      const put = tryOn(writeSync, fd, bytes, words.getInt32(8 * index, true), length);
      if (put === length) whole++;
      else words.setInt32(8 * index + 4, Math.min(put, 0), true);
    }
    return whole;
  }

  watch(fd: number, callback: () => void): number {
    const handle = this.#nextHandle++;
    this.#watches.set(handle, new Watch(fd, callback));
    return handle;
  }

  unwatch(handle: number): void {
    this.#watches.get(handle)?.stop();
    this.#watches.delete(handle);
  }

  hold(handle: number, whether: number): void {
    this.#watches.get(handle)?.hold(whether !== 0);
  }

  /** From an address to the end of its buffer. */
  #at(address: number): Uint8Array | undefined {
    const known = this.#views.get(address);
    if (known !== undefined) return known;
    for (const buffer of this.#buffers) {
      const start = this.#starts.get(buffer) ?? 0;
      if (address < start || address >= start + buffer.byteLength) continue;
      const view = new Uint8Array(buffer, address - start);
      this.#views.set(address, view);
      return view;
    }
    return undefined;
  }
}

/** The event loop's looking at one descriptor. */
class Watch {
  readonly fd: number;
  readonly #callback: () => void;
  #immediate: NodeJS.Immediate | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #holds = true;
  #readAt: number;
  #stopped = false;

  constructor(fd: number, callback: () => void) {
    this.fd = fd;
    this.#callback = callback;
    this.#readAt = performance.now();
    this.#arm(0);
  }

  /** Something was read. */
  noteRead(): void {
    this.#readAt = performance.now();
  }

  hold(whether: boolean): void {
    this.#holds = whether;
    if (whether) {
      this.#immediate?.ref();
      this.#timeout?.ref();
    } else {
      this.#immediate?.unref();
      this.#timeout?.unref();
    }
  }

  stop(): void {
    this.#stopped = true;
    clearImmediate(this.#immediate);
    clearTimeout(this.#timeout);
  }

  #look(): void {
    this.#immediate = undefined;
    this.#timeout = undefined;
    try {
      this.#callback();
    } finally {
      if (!this.#stopped) this.#arm(performance.now() - this.#readAt);
    }
  }

  /** @param idle how long nothing has come, in milliseconds */
  #arm(idle: number): void {
    const look = (): void => this.#look();
    if (idle < eagerFor) this.#immediate = setImmediate(look);
    else this.#timeout = setTimeout(look, idle < alertFor ? alertInterval : idleInterval);
    if (!this.#holds) this.hold(false);
  }
}

/** @returns how much was read or written, or −errno */
function tryOn(
  io: (fd: number, bytes: Uint8Array, offset: number, length: number, position: null) => number,
  fd: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  try {
    return io(fd, bytes, offset, length, null);
  } catch (error) {
    // Node's is negative already.
    return error instanceof Error && "errno" in error ? Number(error.errno) : -EFAULT;
  }
}

function putPair(pairs: Uint8Array, index: number, offset: number, length: number): void {
  const words = new DataView(pairs.buffer, pairs.byteOffset + 8 * index, 8);
  words.setInt32(0, offset, true);
  words.setInt32(4, length, true);
}
