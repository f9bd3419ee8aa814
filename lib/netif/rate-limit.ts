import type { Timers } from "@tesserae/device/clock";
import type { Netif, NetifStatistics } from "@tesserae/device/netif";
import type { Page } from "@tesserae/device/page";
import { FrameQueue } from "./frame-queue.ts";
import { NetifMiddleware } from "./middleware.ts";
import { headerSize } from "./port.ts";

export interface RateLimitOptions {
  readonly timers: Timers;
  /** Bits a second that may be sent, counted from the destination address to the end of the payload. */
  readonly bitsPerSecond: number;
  /** Bytes that may be sent at once after a pause. Default: 10 ms worth. */
  readonly burst?: number;
  /** Frames that wait for their turn; more are dropped. They keep their pages. Default 256. */
  readonly queue?: number;
}

/**
 * Limits what an interface sends, by a token bucket with a queue behind it.
 *
 * @throws RangeError when an option is out of range.
 */
export function rateLimit(inner: Netif, options: RateLimitOptions): Netif & { readonly queuedFrames: number } {
  return new RateLimitedNetif(inner, options);
}

class RateLimitedNetif extends NetifMiddleware {
  readonly #timers: Timers;
  readonly #queue: FrameQueue;
  readonly #millisecondsPerByte: number;
  readonly #burstTime: number;
  /** When a line of this rate would be done with everything accepted. */
  #free: number;
  #closed = false;
  #dropped = 0;

  constructor(inner: Netif, { timers, bitsPerSecond, burst, queue = 256 }: RateLimitOptions) {
    super(inner);
    if (!(bitsPerSecond > 0)) throw new RangeError(`bitsPerSecond ${String(bitsPerSecond)} is not above 0`);
    if (burst !== undefined && !(burst >= 0)) throw new RangeError(`burst ${String(burst)} is not 0 or more`);
    if (!Number.isInteger(queue) || queue < 1) throw new RangeError(`queue ${String(queue)} is not an integer above 0`);
    this.#timers = timers;
    this.#millisecondsPerByte = 8000 / bitsPerSecond;
    this.#burstTime = burst === undefined ? 10 : burst * this.#millisecondsPerByte;
    this.#free = timers.now();
    this.#queue = new FrameQueue(timers, queue, (page, offset, length) => {
      if (this.#closed) inner.release(page);
      else inner.transmit(page, offset, length);
    });
  }

  get queuedFrames(): number {
    return this.#queue.length;
  }

  override get statistics(): NetifStatistics {
    const inner = this.inner.statistics;
    return this.#dropped === 0 ? inner : { ...snapshot(inner), droppedFrames: inner.droppedFrames + this.#dropped };
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    const tooLong = page.segmentSize === 0 && length > this.inner.mtu + headerSize;
    if (this.#closed || tooLong || length < headerSize) return this.inner.transmit(page, offset, length);
    const now = this.#timers.now();
    // The instant at which a line of this rate would be done with the frame; a burst runs ahead of it.
    const done = Math.max(this.#free, now) + length * this.#millisecondsPerByte;
    const ready = Math.max(done - this.#burstTime, now);
    if (ready === now && this.#queue.length === 0) {
      this.#free = done;
      return this.inner.transmit(page, offset, length);
    }
    if (!this.#queue.push(page, offset, length, 0, ready)) {
      this.#dropped++;
      this.inner.release(page);
      return false;
    }
    this.#free = done;
    return true;
  }

  override close(): Promise<void> {
    this.#closed = true;
    return this.inner.close();
  }
}

function snapshot({
  receivedFrames,
  receivedBytes,
  sentFrames,
  sentBytes,
  droppedFrames,
}: NetifStatistics): NetifStatistics {
  return { receivedFrames, receivedBytes, sentFrames, sentBytes, droppedFrames };
}
