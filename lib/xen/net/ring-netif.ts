import type { MacAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import type { FrameHandler, Netif, NetifFeatures, NetifStatistics } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { transmitSegments } from "@tesserae/netif/segmentation";
import type { FramePages } from "./frame-pages.ts";
import type { Reception } from "./front-receiver.ts";
import { isIpv6 } from "./offload.ts";
import { flowHash, type RingQueue } from "./ring-queue.ts";
import { longestFrame } from "./wire.ts";

const ethernetHeader = 14;
/** Frames received from one queue in one turn of the loop: then timers and everything else get theirs. */
const batch = 64;
/** Turns without a frame after which events are asked for, where turns are cheap. */
const idleTurns = 2;
/** Batches in one turn where the next turn may be a while away. */
const mostBatches = 8;

/** How a target's event loop is used. */
export interface LoopHooks {
  /**
   * Calls back in the next turn of the loop, as `setImmediate` does. Default: a timer that is due, which is later where
   * timers are coarse.
   */
  readonly soon?: (callback: () => void) => void;
  /** Called before and after a batch of frames, which is one moment for the stack: the clock may stand still. */
  readonly beginBatch?: () => void;
  readonly endBatch?: () => void;
}

/** What the other end does with frames at the moment. */
export interface Connection {
  readonly queues: readonly RingQueue[];
  /** Whether it takes frames to be cut, over IPv4 and IPv6. */
  readonly segmentation4: boolean;
  readonly segmentation6: boolean;
}

export interface RingNetifOptions {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;
  readonly pages: FramePages;
  readonly timers: Timers;
  readonly loop: LoopHooks;
  /** The other end broke the protocol. Called from the loop. */
  readonly onViolation: (message: string) => void;
  readonly onClose: () => Promise<void>;
}

/**
 * A network interface over queues of shared rings, at either end of them. While nothing is connected, what is to be sent
 * is dropped.
 */
export class RingNetif implements Netif, NetifStatistics, Reception {
  readonly name: string;
  readonly mac: MacAddress;
  readonly mtu: number;
  readonly features: NetifFeatures;

  receivedFrames = 0;
  receivedBytes = 0;
  sentFrames = 0;
  sentBytes = 0;
  droppedReceived = 0;
  handler: FrameHandler | undefined = undefined;

  readonly #longestFrame: number;
  readonly #pages: FramePages;
  readonly #loop: LoopHooks;
  readonly #soon: (callback: () => void) => void;
  readonly #idleTurns: number;
  readonly #mostBatches: number;
  readonly #onViolation: (message: string) => void;
  readonly #onClose: () => Promise<void>;
  readonly #flushLater: () => void;
  readonly #pollLater: () => void;
  #connection: Connection | undefined;
  #droppedToSend = 0;
  /** Frames that queues which are no more did not get rid of. */
  #refusedBefore = 0;
  #isPolling = false;
  #isInBatch = false;
  #isFlushQueued = false;
  #idle = 0;
  #closing: Promise<void> | undefined;

  constructor(options: RingNetifOptions) {
    this.name = options.name;
    this.mac = options.mac;
    this.mtu = options.mtu;
    this.features = options.features;
    this.#longestFrame = options.mtu + ethernetHeader;
    this.#pages = options.pages;
    this.#loop = options.loop;
    this.#onViolation = options.onViolation;
    this.#onClose = options.onClose;
    this.#flushLater = () => {
      this.#isFlushQueued = false;
      this.#flush();
    };
    this.#pollLater = () => this.#poll();
    this.#idleTurns = options.loop.soon === undefined ? 0 : idleTurns;
    this.#mostBatches = options.loop.soon === undefined ? mostBatches : 1;
    this.#soon = options.loop.soon ?? dueTimer(options.timers);
  }

  get statistics(): NetifStatistics {
    return this;
  }

  get droppedFrames(): number {
    let refused = this.#refusedBefore;
    for (const queue of this.#connection?.queues ?? []) refused += queue.refused;
    return this.#droppedToSend + this.droppedReceived + refused;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Frames go over these queues from now on. */
  connect(connection: Connection): void {
    this.disconnect();
    this.#connection = connection;
    this.wake();
  }

  /**
   * The queues are over: what is under way is dropped, and its pages are free again. Harmless when there are none.
   *
   * @param isVoid after a resume: channels and mappings are void
   */
  disconnect(isVoid = false): void {
    const connection = this.#connection;
    this.#connection = undefined;
    for (const queue of connection?.queues ?? []) {
      this.#refusedBefore += queue.refused;
      queue.close(isVoid);
    }
  }

  /** An event of a queue: from now on they are polled. */
  readonly wake = (): void => {
    if (this.#isPolling || this.#connection === undefined) return;
    this.#isPolling = true;
    this.#poll();
  };

  listen(handler: FrameHandler): void {
    if (this.#closing === undefined) this.handler = handler;
  }

  allocate(length: number = this.mtu): Page | undefined {
    if (this.#closing !== undefined) return undefined;
    const isLong = length > this.mtu;
    const page = this.#pages.take(isLong);
    const connection = this.#connection;
    if (page !== undefined || connection === undefined) return page;
    // What is sent but not published would never come back.
    this.#flush();
    for (const queue of connection.queues) queue.reap();
    return this.#pages.take(isLong);
  }

  transmit(page: Page, offset: number, length: number): boolean {
    const connection = this.#connection;
    const isCut = page.segmentSize > 0 && this.features.maxSegmentation > 0;
    const most = isCut ? longestFrame : this.#longestFrame;
    if (connection === undefined || length < 1 || length > most || this.#closing !== undefined) return this.#drop(page);
    if (isCut && !(isIpv6(page.bytes, offset) ? connection.segmentation6 : connection.segmentation4)) {
      // Whoever is at the other end since does not cut.
      const isSent = transmitSegments(this, page, offset, length);
      return isSent ? (this.#pages.release(page), true) : this.#drop(page);
    }
    const { queues } = connection;
    const index = queues.length === 1 ? 0 : flowHash(page.bytes, offset, length) % queues.length;
    if (queues[index]?.send(page, offset, length) !== true) return this.#drop(page);
    this.sentFrames++;
    this.sentBytes += length;
    // Inside a batch it is flushed at its end; else when whoever sends has returned to the loop.
    if (!this.#isInBatch && !this.#isFlushQueued) {
      this.#isFlushQueued = true;
      queueMicrotask(this.#flushLater);
    }
    return true;
  }

  release(page: Page): void {
    this.#pages.release(page);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #close(): Promise<void> {
    this.handler = undefined;
    this.#flush();
    return this.#onClose();
  }

  #drop(page: Page): false {
    this.#droppedToSend++;
    this.#pages.release(page);
    return false;
  }

  #poll(): void {
    for (let round = 1; !this.#pollOnce(); round++) {
      if (round < this.#mostBatches) continue;
      this.#soon(this.#pollLater);
      return;
    }
    this.#isPolling = false;
  }

  /** One batch. @returns whether an event will tell when there is more */
  #pollOnce(): boolean {
    const connection = this.#connection;
    if (connection === undefined) return true;
    const { queues } = connection;
    let count = 0;
    let isMore = false;
    this.#loop.beginBatch?.();
    this.#isInBatch = true;
    try {
      for (let index = 0; index < queues.length; index++) {
        const received = queues[index]?.receive(batch) ?? 0;
        count += received;
        isMore ||= received === batch;
      }
    } catch (error) {
      // A handler must not throw. Whatever it was, what comes later is received.
      this.#soon(this.#pollLater);
      throw error;
    } finally {
      this.#isInBatch = false;
      this.#loop.endBatch?.();
      this.#flush();
    }
    // The handler may have closed the interface, and the other end may have broken the rules.
    if (this.#connection !== connection) return this.#connection === undefined;
    this.#idle = count === 0 ? this.#idle + 1 : 0;
    if (isMore || this.#idle < this.#idleTurns) return false;
    for (let index = 0; index < queues.length; index++) if (queues[index]?.arm() !== true) return false;
    this.#idle = 0;
    return true;
  }

  /** Hands over what was sent and answered, with one signal for each channel at most. */
  #flush(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { queues } = connection;
    for (let index = 0; index < queues.length; index++) {
      const queue = queues[index];
      if (queue === undefined) continue;
      queue.flush();
      if (queue.violation !== undefined) {
        this.#onViolation(queues.length === 1 ? queue.violation : `queue ${String(index)}: ${queue.violation}`);
        return;
      }
    }
  }
}

function dueTimer(timers: Timers): (callback: () => void) => void {
  let pending: (() => void) | undefined;
  const timer = timers.timer(() => pending?.());
  return (callback) => {
    pending = callback;
    timer.set(timers.now());
  };
}
