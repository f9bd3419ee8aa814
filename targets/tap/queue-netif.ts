import type { FrameHandler, Netif, NetifQueue } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { NetifMiddleware } from "@tesserae/netif/middleware";
import type { SystemCalls } from "@tesserae/node/native/system-calls";
import { Handover, type SharedHandover } from "./handover.ts";
import { UnsupportedError } from "./libc.ts";
import { announce, forAll, forNone, steer } from "./steering.ts";

/**
 * One queue of an interface that has several, each with a thread and a stack of its own: frames that came by the wrong
 * one are handed to the right one ({@link steer}), and those of the others that are for this one arrive here.
 */
export class QueueNetif extends NetifMiddleware {
  /** Frames that no queue could have done anything right with. */
  misfits = 0;
  readonly #queue: NetifQueue;
  readonly #calls: SystemCalls;
  readonly #handover: Handover;
  readonly #watch: number;
  #handler: FrameHandler | undefined;
  #closed = false;

  /** @throws UnsupportedError when the event loop cannot watch for the others' frames. */
  constructor(inner: Netif, queue: NetifQueue, calls: SystemCalls, shared: SharedHandover) {
    super(inner);
    this.#queue = queue;
    this.#calls = calls;
    this.#handover = new Handover(calls, shared, queue.index);
    this.#watch = calls.native.watch(this.#handover.fd, () => this.#receiveOthers());
    if (this.#watch < 0) throw new UnsupportedError(`the event loop cannot watch for frames of other queues`);
  }

  override get queue(): NetifQueue {
    return this.#queue;
  }

  /** Frames handed to other queues. */
  get given(): number {
    return this.#handover.given;
  }

  /** Frames that there was no room for in another queue's ring. */
  get lost(): number {
    return this.#handover.dropped;
  }

  override listen(handler: FrameHandler): void {
    this.#handler = handler;
    const { index, count } = this.#queue;
    this.inner.listen((page, offset, length) => {
      const queue = steer(page.bytes, offset, length, index, count);
      if (queue === index) handler(page, offset, length);
      else this.#elsewhere(queue, handler, page, offset, length);
    });
  }

  override close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#calls.native.unwatch(this.#watch);
    }
    return this.inner.close();
  }

  #elsewhere(queue: number, handler: FrameHandler, page: Page, offset: number, length: number): void {
    if (queue === forNone) this.misfits++;
    else if (queue === forAll) {
      const { index, count } = this.#queue;
      for (let other = 0; other < count; other++) {
        if (other !== index) this.#handover.give(other, page, offset, length, announce);
      }
      handler(page, offset, length);
    } else this.#handover.give(queue, page, offset, length);
  }

  #receiveOthers(): void {
    this.#handover.receive((page, offset, length) => {
      if (!this.#closed) this.#handler?.(page, offset, length);
    });
  }
}
