import type { Timers } from "@tesserae/device/clock";
import type { FrameHandler, Netif, NetifFeatures } from "@tesserae/device/netif";
import { checksumVerified, headroom, needsChecksum, Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { completeChecksum } from "@tesserae/wire/complete-checksum";
import { NetifMiddleware } from "./middleware.ts";
import { type HeldFrame, HoldingArea } from "./holding-area.ts";
import { headerSize, noFeatures } from "./port.ts";

/** What goes wrong. Each probability is from 0 to 1, of each frame by itself; all default to 0. */
export interface FaultRates {
  /** The frame vanishes. */
  readonly loss?: number;
  /** The frame comes twice. */
  readonly duplicate?: number;
  /** One bit of the frame, behind its Ethernet header, is flipped. */
  readonly corrupt?: number;
  /** The frame is held back by `reorderBy` milliseconds, so that later ones overtake it. */
  readonly reorder?: number;
  /** Milliseconds; default 5. */
  readonly reorderBy?: number;
  /** Milliseconds added to each frame. */
  readonly delay?: number;
  /** Up to so many more milliseconds, uniformly distributed; frames overtake each other, as under `tc netem`. */
  readonly jitter?: number;
}

export interface FaultOptions extends FaultRates {
  readonly timers: Timers;
  /** Decides. The same numbers and the same frames at the same times give the same faults. */
  readonly random: Random;
  /** Which way; default `both`. */
  readonly direction?: "both" | "transmit" | "receive";
  /** Frames that may be held in each direction; beyond, they are lost. Default 1024. */
  readonly limit?: number;
}

/** How often each fault happened. */
export interface FaultCounts {
  readonly lost: number;
  readonly duplicated: number;
  readonly corrupted: number;
  readonly reordered: number;
  /** Lost because `limit` frames were held. */
  readonly overflowed: number;
}

/**
 * Wraps an interface in a bad line.
 *
 * Offloads are hidden: a frame to be lost, or to have a bit flipped, is one frame, with its checksum.
 *
 * @throws RangeError naming the rate or time that is out of range.
 */
export function faults(inner: Netif, options: FaultOptions): Netif & { readonly counts: FaultCounts } {
  return new FaultyNetif(inner, options);
}

/** Throws a RangeError naming what is out of range. */
export function checkRates(rates: FaultRates): void {
  for (const name of ["loss", "duplicate", "corrupt", "reorder"] as const) {
    const value = rates[name] ?? 0;
    if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} ${String(value)} is not a probability from 0 to 1`);
  }
  for (const name of ["reorderBy", "delay", "jitter"] as const) {
    const value = rates[name] ?? 0;
    if (!(value >= 0) || value === Infinity)
      throw new RangeError(`${name} ${String(value)} is not 0 or more milliseconds`);
  }
}

class Counts implements FaultCounts {
  lost = 0;
  duplicated = 0;
  corrupted = 0;
  reordered = 0;
  overflowed = 0;
}

class FaultyNetif extends NetifMiddleware {
  readonly counts: Counts = new Counts();
  readonly #rates: Required<FaultRates>;
  readonly #random: Random;
  readonly #sends: boolean;
  readonly #receives: boolean;
  readonly #outgoing: HoldingArea;
  readonly #incoming: HoldingArea;
  /** Lent to the handler for the second copy of a received frame: the first may have been written to. */
  readonly #copy: Page;
  #handler: FrameHandler | undefined;
  #closed = false;

  constructor(inner: Netif, options: FaultOptions) {
    super(inner);
    checkRates(options);
    const { timers, random, direction = "both", limit = 1024 } = options;
    const { loss = 0, duplicate = 0, corrupt = 0, reorder = 0, reorderBy = 5, delay = 0, jitter = 0 } = options;
    this.#rates = { loss, duplicate, corrupt, reorder, reorderBy, delay, jitter };
    this.#random = random;
    this.#sends = direction !== "receive";
    this.#receives = direction !== "transmit";
    this.#outgoing = new HoldingArea(timers, limit, (frame) => this.#send(frame));
    this.#incoming = new HoldingArea(timers, limit, (frame) => this.#handler?.(frame.page, headroom, frame.length));
    this.#copy = new Page(new Uint8Array(headroom + inner.mtu + headerSize), 0);
  }

  override get features(): NetifFeatures {
    return noFeatures;
  }

  override listen(handler: FrameHandler): void {
    this.#handler = handler;
    this.inner.listen(this.#receives ? (page, offset, length) => this.#received(page, offset, length) : handler);
  }

  override transmit(page: Page, offset: number, length: number): boolean {
    const { inner, counts } = this;
    // What the device refuses, it refuses at once.
    if (!this.#sends || this.#closed || length > inner.mtu + headerSize || length < headerSize) {
      return inner.transmit(page, offset, length);
    }
    if (this.#happens(this.#rates.loss)) {
      counts.lost++;
      inner.release(page);
      return true;
    }
    this.#maybeCorrupt(page, offset, length);
    if (this.#happens(this.#rates.duplicate)) {
      counts.duplicated++;
      // The copy has a delay of its own, and none of the other faults.
      const later = this.#lateness();
      if (later > 0) this.#hold(this.#outgoing, page, offset, length, later);
      else this.#sendCopy(page.bytes, offset, length);
    }
    const lateness = this.#lateness();
    if (lateness === 0) return inner.transmit(page, offset, length);
    this.#hold(this.#outgoing, page, offset, length, lateness);
    inner.release(page);
    return true;
  }

  override close(): Promise<void> {
    this.#closed = true;
    this.#handler = undefined;
    this.#outgoing.clear();
    this.#incoming.clear();
    return this.inner.close();
  }

  #received(page: Page, offset: number, length: number): void {
    const { counts } = this;
    if (this.#happens(this.#rates.loss)) {
      counts.lost++;
      return;
    }
    this.#maybeCorrupt(page, offset, length);
    const twice = this.#happens(this.#rates.duplicate);
    let second: Page | undefined;
    if (twice) {
      counts.duplicated++;
      const later = this.#lateness();
      if (later > 0) this.#hold(this.#incoming, page, offset, length, later);
      else if (headroom + length <= this.#copy.bytes.length) {
        second = this.#copy;
        second.copyMetadata(page);
        second.bytes.set(page.bytes.subarray(offset, offset + length), headroom);
      }
    }
    const lateness = this.#lateness();
    if (lateness > 0) this.#hold(this.#incoming, page, offset, length, lateness);
    else this.#handler?.(page, offset, length);
    if (second !== undefined) this.#handler?.(second, headroom, length);
  }

  #hold(area: HoldingArea, page: Page, offset: number, length: number, lateness: number): void {
    if (!area.hold(page, offset, length, lateness)) this.counts.overflowed++;
  }

  #send(frame: HeldFrame): void {
    this.#sendCopy(frame.page.bytes, headroom, frame.length);
  }

  #sendCopy(bytes: Uint8Array, offset: number, length: number): void {
    const page = this.inner.allocate();
    if (page === undefined) {
      this.counts.overflowed++;
      return;
    }
    const at = headroom - headerSize;
    page.bytes.set(bytes.subarray(offset, offset + length), at);
    this.inner.transmit(page, at, length);
  }

  #maybeCorrupt(page: Page, offset: number, length: number): void {
    if (length <= headerSize || !this.#happens(this.#rates.corrupt)) return;
    this.counts.corrupted++;
    // What has not been on a wire yet has no checksum that could tell.
    if ((page.flags & needsChecksum) !== 0) {
      completeChecksum(page.bytes, offset, length, page.checksumStart, page.checksumOffset);
    }
    const bit = Math.floor((this.#random.uint32() / 4294967296) * (length - headerSize) * 8);
    const at = offset + headerSize + (bit >>> 3);
    page.bytes[at] = (page.bytes[at] ?? 0) ^ (1 << (bit & 7));
    // Nobody has verified this frame as it is now.
    page.flags &= ~(checksumVerified | needsChecksum);
  }

  /** Milliseconds that this frame is late. */
  #lateness(): number {
    const { delay, jitter, reorder, reorderBy } = this.#rates;
    let lateness = delay;
    if (jitter > 0) lateness += (this.#random.uint32() / 4294967296) * jitter;
    if (this.#happens(reorder)) {
      this.counts.reordered++;
      lateness += reorderBy;
    }
    return lateness;
  }

  #happens(probability: number): boolean {
    return probability > 0 && this.#random.uint32() < probability * 4294967296;
  }
}
