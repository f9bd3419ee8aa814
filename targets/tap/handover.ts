import { closeSync } from "node:fs";
import { Page } from "@tesserae/device/page";
import type { FrameHandler } from "@tesserae/device/netif";
import { describeErrno, type NativeMemory, type SystemCalls } from "@tesserae/node/native/system-calls";
import { longestSegmented } from "./frame-ring.ts";
import { TapError } from "./tun.ts";

/** Bytes of the ring from one queue to another: some hundred frames, or three of 64 KiB. */
const ringBytes = 256 * 1024;
/** In front of a ring's bytes: where is read (word 0) and written (word 16, on another cache line). */
const ringHeader = 128;
const readWord = 0;
const writtenWord = 16;
/** In front of each frame: its length and the five fields of its page's metadata. */
const recordHeader = 24;
/** Instead of a length: the rest of the ring is empty. */
const skip = -1;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;

/** What the threads of several queues have in common: made once, given to all. */
export interface SharedHandover {
  /** A ring for each pair of queues, one behind the other. */
  readonly memory: SharedArrayBuffer;
  /** An event descriptor for each queue. */
  readonly events: readonly number[];
}

/** @throws TapError */
export function createHandover(calls: SystemCalls, count: number): SharedHandover {
  const events: number[] = [];
  for (let queue = 0; queue < count; queue++) {
    const fd = calls.eventfd(EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
      for (const each of events) closeSync(each);
      throw new TapError("", `making an event descriptor: ${describeErrno(fd)}`);
    }
    events.push(fd);
  }
  return { memory: new SharedArrayBuffer(count * count * (ringHeader + ringBytes)), events };
}

/** Frees the descriptors. @param shared nobody uses it any more */
export function closeHandover(shared: SharedHandover): void {
  for (const each of shared.events) closeSync(each);
}

/** One direction between two queues: one thread writes, one reads, and nobody waits for the other. */
class Ring {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;

  constructor(memory: SharedArrayBuffer, index: number) {
    const at = index * (ringHeader + ringBytes);
    this.words = new Int32Array(memory, at, (ringHeader + ringBytes) / 4);
    this.bytes = new Uint8Array(memory, at + ringHeader, ringBytes);
  }
}

/**
 * Frames that came by one queue and belong to another queue's stack: copied to its thread, which is woken up. What there
 * is no room for is dropped, as on a wire.
 */
export class Handover {
  /** Frames given to others, and those that there was no room for. */
  given = 0;
  dropped = 0;
  readonly #calls: SystemCalls;
  readonly #own: number;
  readonly #events: readonly number[];
  readonly #to: readonly Ring[];
  readonly #from: readonly Ring[];
  readonly #count: NativeMemory;
  readonly #one: NativeMemory;
  /** Frames are handled here: in shared memory not every part of the engine takes bytes. */
  readonly #page: Page;

  constructor(calls: SystemCalls, shared: SharedHandover, own: number) {
    const count = shared.events.length;
    this.#calls = calls;
    this.#own = own;
    this.#events = shared.events;
    this.#to = shared.events.map((_, queue) => new Ring(shared.memory, own * count + queue));
    this.#from = shared.events.map((_, queue) => new Ring(shared.memory, queue * count + own));
    this.#count = calls.memory(8);
    this.#one = calls.memory(8);
    this.#one.view.setBigUint64(0, 1n, true);
    this.#page = new Page(new Uint8Array(longestSegmented), 0);
  }

  /** Becomes readable when there is something to {@link Handover.receive}. */
  get fd(): number {
    return this.#events[this.#own] ?? -1;
  }

  /** Copies a frame to queue `to`. @param change is done to the copy before the other queue can see it */
  give(to: number, page: Page, offset: number, length: number, change?: FrameChange): void {
    const ring = this.#to[to];
    if (ring === undefined) return;
    const { words, bytes } = ring;
    const needed = (recordHeader + length + 7) & ~7;
    const written = Atomics.load(words, writtenWord);
    const free = ringBytes - ((written - Atomics.load(words, readWord)) | 0);
    let at = written & (ringBytes - 1);
    const rest = ringBytes - at;
    const skipped = needed > rest ? rest : 0;
    if (needed + skipped > free) {
      this.dropped++;
      return;
    }
    if (skipped > 0) {
      words[(ringHeader + at) >>> 2] = skip;
      at = 0;
    }
    const word = (ringHeader + at) >>> 2;
    words[word] = length;
    words[word + 1] = page.flags;
    words[word + 2] = page.checksumStart;
    words[word + 3] = page.checksumOffset;
    words[word + 4] = page.segmentSize;
    words[word + 5] = page.headerLength;
    bytes.set(page.bytes.subarray(offset, offset + length), at + recordHeader);
    change?.(bytes, at + recordHeader, length);
    Atomics.store(words, writtenWord, (written + skipped + needed) | 0);
    this.given++;
    // Had the reader come to the end, it may be asleep; had it not, it will find this one.
    if (Atomics.load(words, readWord) === written) this.#calls.write(this.#events[to] ?? -1, this.#one.address, 8);
  }

  /** Handles what the others have given, in the order in which each did. */
  receive(handler: FrameHandler): void {
    this.#calls.read(this.fd, this.#count.address, 8);
    const page = this.#page;
    for (const { words, bytes } of this.#from) {
      let at = Atomics.load(words, readWord);
      while (at !== Atomics.load(words, writtenWord)) {
        const place = at & (ringBytes - 1);
        const word = (ringHeader + place) >>> 2;
        const length = words[word] ?? 0;
        if (length === skip) at = (at + ringBytes - place) | 0;
        else {
          page.flags = words[word + 1] ?? 0;
          page.checksumStart = words[word + 2] ?? 0;
          page.checksumOffset = words[word + 3] ?? 0;
          page.segmentSize = words[word + 4] ?? 0;
          page.headerLength = words[word + 5] ?? 0;
          page.bytes.set(bytes.subarray(place + recordHeader, place + recordHeader + length));
          at = (at + ((recordHeader + length + 7) & ~7)) | 0;
          handler(page, 0, length);
        }
        Atomics.store(words, readWord, at);
      }
    }
  }
}

/** Changes a copy of a frame before anybody sees it. */
export type FrameChange = (bytes: Uint8Array, offset: number, length: number) => void;
