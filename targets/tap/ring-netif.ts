import type { MacAddress } from "@tesserae/device/address";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { holdClock, releaseClock } from "@tesserae/node/process-clock";
import { describeErrno, errnoName, type SystemCalls } from "@tesserae/node/native/system-calls";
import { longestSegmented, type FrameRing, type RingCounters } from "./frame-ring.ts";
import { UnsupportedError } from "./libc.ts";
import { TapError } from "./tun.ts";

/** What waits for it runs in a microtask. `queueMicrotask` does the same, but makes several objects in Node. */
const settled = Promise.resolve();
/** Frames received in one turn of the event loop: then timers and everything else get theirs. */
const batch = 64;
/**
 * Bytes after which a turn ends, too. Readers run between turns: what waits for one goes to it straight from the frame,
 * while that is in the processor's cache; what comes in the same turn behind it is copied twice.
 */
const batchBytes = 128 * 1024;

/** What a ring does not know of its interface. */
export interface RingNetifOptions {
  readonly name: string;
  readonly mac: MacAddress;
  /** In bytes. */
  readonly mtu: number;
  /** Whether a device that cuts TCP segments cuts UDP datagrams, too. Default false. */
  readonly segmentsUdp?: boolean;
  /** Gets a failure after which no frame comes any more: the device was deleted. Default: a line on stderr. */
  readonly onDead?: (error: TapError) => void;
}

/**
 * A network interface over a {@link FrameRing}. The event loop wakes it when there are frames; it handles up to 64 of
 * them, one after the other to completion, and then hands over what was sent meanwhile. What is sent outside of that is
 * handed over when whoever sends has returned to the event loop.
 */
export class RingNetif implements Netif {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;
  readonly #calls: SystemCalls;
  readonly #ring: FrameRing;
  readonly #counters: RingCounters;
  readonly #watch: number;
  readonly #onDead: (error: TapError) => void;
  readonly #flushLater: () => void;
  #handler: FrameHandler | undefined;
  #inBatch = false;
  #flushQueued = false;
  #closed = false;

  /**
   * Takes over the ring: it is closed when this cannot be made, too.
   *
   * @throws UnsupportedError when the event loop cannot watch the descriptor.
   */
  constructor(calls: SystemCalls, ring: FrameRing, options: RingNetifOptions) {
    this.name = options.name;
    this.mac = options.mac;
    this.mtu = options.mtu;
    const { transmitChecksum, maxSegmentation } = ring;
    const isCutting = maxSegmentation > 0;
    const segmentsUdp = isCutting && options.segmentsUdp === true;
    this.features = { transmitChecksum, maxSegmentation, segmentsIpv6: isCutting, segmentsUdp };
    this.#calls = calls;
    this.#ring = ring;
    this.#counters = ring.counters;
    this.#onDead = options.onDead ?? ((error) => void process.stderr.write(`${error.message}\n`));
    this.#flushLater = () => {
      this.#flushQueued = false;
      if (!this.#closed) this.#ring.flush();
    };
    this.#watch = calls.native.watch(ring.fd, () => this.#drain());
    if (this.#watch < 0) {
      ring.close();
      throw new UnsupportedError(`the event loop cannot watch "${this.name}": ${describeErrno(this.#watch)}`);
    }
  }

  /** How frames come and go, in a few words. */
  get how(): string {
    return this.#ring.how;
  }

  get statistics(): NetifStatistics {
    return this.#counters;
  }

  listen(handler: FrameHandler): void {
    this.#handler = handler;
  }

  allocate(length = this.mtu): Page | undefined {
    const ring = this.#ring;
    const long = length > this.mtu;
    const page = ring.take(long);
    if (page !== undefined || this.#closed) return page;
    // Those that wait to be handed over.
    ring.flush();
    return ring.take(long);
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const ring = this.#ring;
    const isCut = page.segmentSize > 0 && ring.maxSegmentation > 0;
    if (length > (isCut ? longestSegmented : ring.longestFrame) || this.#closed) {
      this.#counters.droppedFrames++;
      ring.release(page);
      return false;
    }
    ring.send(page, offset, length);
    // Inside a batch it is flushed at its end.
    if (!this.#inBatch && !this.#flushQueued) {
      this.#flushQueued = true;
      void settled.then(this.#flushLater);
    }
    return true;
  }

  release(page: Page): void {
    this.#ring.release(page);
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#ring.flush();
      this.#closed = true;
      this.#calls.native.unwatch(this.#watch);
      this.#ring.close();
    }
    return Promise.resolve();
  }

  #drain(): void {
    if (this.#closed) return;
    // One batch is one moment: the stack asks for the time several times a frame, which would cost as much as the rest.
    holdClock();
    this.#inBatch = true;
    try {
      const failed = this.#receive();
      if (failed !== 0) this.#checkAlive(failed);
    } finally {
      this.#inBatch = false;
      releaseClock();
    }
  }

  #receive(): number {
    const ring = this.#ring;
    const until = this.#counters.receivedBytes + batchBytes;
    for (let left = batch; left > 0 && this.#counters.receivedBytes < until && !this.#isClosed();) {
      const count = ring.receive(this.#handler, left);
      // What failed after a frame fails again at the next wake-up.
      if (count <= 0) return left < batch ? 0 : count === 0 ? ring.fault() : count;
      left -= count;
      if (!this.#isClosed()) ring.flush();
    }
    return 0;
  }

  /** A handler may close. */
  #isClosed(): boolean {
    return this.#closed;
  }

  /** Nothing could be read although there was something: the device may be gone. */
  #checkAlive(failed: number): void {
    const code = errnoName(failed);
    // EIO: the interface is down; it may come up again.
    if (code === "EAGAIN" || code === "EINTR" || code === "EIO") return;
    void this.close();
    this.#onDead(new TapError(code, `"${this.name}" is gone: no frame comes any more`));
  }
}
