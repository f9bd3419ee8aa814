import type { Timer, Timers } from "@tesserae/device/clock";
import { headroom, type Page } from "@tesserae/device/page";
import type { DropReason, Events } from "./event.ts";
import type { FrameStore } from "./frame-store.ts";
import type { SeededRandom } from "./random.ts";

/** How a link treats frames. Probabilities are from 0 to 1 and are drawn for each frame from the link's own stream. */
export interface LinkSettings {
  /** Bits a second. Default: no limit. */
  readonly bandwidth?: number;
  /** One way, in milliseconds. Default 0.1. */
  readonly delay?: number;
  /** Each frame takes up to this many milliseconds more, uniformly distributed; order is kept. Default 0. */
  readonly jitter?: number;
  /** With a bandwidth: how many bytes may wait to be sent. What does not fit is dropped. Default 262,144. */
  readonly queue?: number;
  /** The probability that a frame is lost. Default 0. */
  readonly loss?: number;
  /** The probability that a frame is held back by `reorderDelay`, so that later ones overtake it. Default 0. */
  readonly reorder?: number;
  /** Milliseconds. Default: a tenth of the delay, and at least 1. */
  readonly reorderDelay?: number;
  /** The probability that a frame arrives twice. Default 0. */
  readonly duplicate?: number;
  /** The probability that one bit behind a frame's Ethernet header is flipped. Default 0. */
  readonly corrupt?: number;
}

/** {@link LinkSettings} with every default filled in. */
export type CompleteLinkSettings = Required<LinkSettings>;

/** @throws RangeError naming the setting that is out of range. */
export function completeLinkSettings(settings: LinkSettings): CompleteLinkSettings {
  const delay = settings.delay ?? 0.1;
  const complete: CompleteLinkSettings = {
    bandwidth: settings.bandwidth ?? Infinity,
    delay,
    jitter: settings.jitter ?? 0,
    queue: settings.queue ?? 262_144,
    loss: settings.loss ?? 0,
    reorder: settings.reorder ?? 0,
    reorderDelay: settings.reorderDelay ?? Math.max(1, delay / 10),
    duplicate: settings.duplicate ?? 0,
    corrupt: settings.corrupt ?? 0,
  };
  for (const name of ["loss", "reorder", "duplicate", "corrupt"] as const) {
    const value = complete[name];
    if (!(value >= 0 && value <= 1)) throw new RangeError(`${name} ${String(value)} is not a probability from 0 to 1`);
  }
  for (const name of ["delay", "jitter", "reorderDelay"] as const) {
    const value = complete[name];
    if (!(value >= 0 && value <= 86_400_000)) {
      throw new RangeError(`${name} ${String(value)} is not from 0 to 86400000 milliseconds`);
    }
  }
  if (!(complete.bandwidth >= 1)) throw new RangeError(`bandwidth ${String(complete.bandwidth)} is below 1 bit/s`);
  if (!(complete.queue >= 0)) throw new RangeError(`queue ${String(complete.queue)} is not a number of bytes`);
  return complete;
}

function isPlain({ bandwidth, delay, jitter, loss, reorder, duplicate, corrupt }: CompleteLinkSettings): boolean {
  return bandwidth === Infinity && delay + jitter + loss + reorder + duplicate + corrupt === 0;
}

/** Where frames come out of a link. */
export interface FrameSink {
  /** Takes the frame `page.bytes[offset … offset + length)`. The page is lent until the call returns. */
  deliver(page: Page, offset: number, length: number, frame: number): void;
}

/** What the links of one world share. */
export interface LinkEngine {
  readonly timers: Timers;
  readonly store: FrameStore;
  readonly events: Events;
  /** Flights that have landed, for the next frames. */
  readonly flights: Flight[];
}

const ethernetHeader = 14;
/** Frames on their way on one direction of a link, at most. */
const flightLimit = 65_536;

/** One direction of a link. */
export class Channel {
  /** As in `client>lan`. */
  readonly name: string;
  readonly sink: FrameSink;
  readonly #engine: LinkEngine;
  readonly #random: SeededRandom;
  #settings: CompleteLinkSettings;
  /** The settings change nothing about any frame. */
  #plain: boolean;
  /** When the last frame taken will have left, and when the last one in order will arrive. */
  #busyUntil = 0;
  #lastArrival = 0;
  #up = true;
  #flying = 0;

  /** Frames taken, those that were dropped included. */
  sent = 0;
  /** Frames that did not arrive, for whatever reason. */
  dropped = 0;
  delivered = 0;

  constructor(engine: LinkEngine, name: string, settings: CompleteLinkSettings, random: SeededRandom, sink: FrameSink) {
    this.#engine = engine;
    this.name = name;
    this.#settings = settings;
    this.#plain = isPlain(settings);
    this.#random = random;
    this.sink = sink;
  }

  get settings(): CompleteLinkSettings {
    return this.#settings;
  }

  /** Changes how frames are treated from now on. */
  configure(settings: LinkSettings): void {
    this.#settings = completeLinkSettings({ ...this.#settings, ...settings });
    this.#plain = isPlain(this.#settings);
  }

  /** Whether frames get through at all. */
  get up(): boolean {
    return this.#up;
  }

  /** Cuts or mends the wire. Frames already on their way still arrive. */
  set up(up: boolean) {
    this.#up = up;
  }

  /** Takes a copy of the frame. @returns false when it was dropped at once: no room, or the wire is cut. */
  send(bytes: Uint8Array, offset: number, length: number, frame: number): boolean {
    const { timers } = this.#engine;
    const settings = this.#settings;
    const random = this.#random;
    const now = timers.now();
    this.sent++;
    if (!this.#up) return this.#drop("down", frame, bytes, offset, length);
    let leaves = now;
    if (settings.bandwidth !== Infinity) {
      const start = Math.max(now, this.#busyUntil);
      const waiting = ((start - now) * settings.bandwidth) / 8000;
      if (waiting > settings.queue) return this.#drop("queue", frame, bytes, offset, length);
      leaves = start + (length * 8000) / settings.bandwidth;
    }
    if (this.#flying >= flightLimit) return this.#drop("queue", frame, bytes, offset, length);
    this.#busyUntil = leaves;
    if (random.chance(settings.loss)) {
      this.#drop("loss", frame, bytes, offset, length);
      return true;
    }
    let arrives = leaves + settings.delay;
    if (settings.jitter > 0) arrives += random.unit() * settings.jitter;
    if (random.chance(settings.reorder)) {
      arrives += settings.reorderDelay;
      this.#engine.events.frame("delayed", this.name, -1, frame, undefined, bytes, offset, length);
    } else {
      arrives = Math.max(arrives, this.#lastArrival);
      this.#lastArrival = arrives;
    }
    const page = this.#engine.store.copy(bytes, offset, length);
    if (random.chance(settings.corrupt)) {
      // Behind the Ethernet header, so that it still gets to somebody.
      const bit = random.below(Math.max(1, length - ethernetHeader) * 8);
      const at = headroom + Math.min(ethernetHeader, length - 1) + (bit >> 3);
      page.bytes[at] = (page.bytes[at] ?? 0) ^ (1 << (bit & 7));
      this.#engine.events.frame("corrupted", this.name, -1, frame, undefined, page.bytes, headroom, length);
    }
    this.#fly(page, length, frame, arrives);
    if (random.chance(settings.duplicate)) {
      const copy = this.#engine.store.copy(page.bytes, headroom, length);
      this.#engine.events.frame("duplicated", this.name, -1, frame, undefined, copy.bytes, headroom, length);
      this.#fly(copy, length, frame, arrives);
    }
    return true;
  }

  /**
   * Hands the frame straight on when nothing would happen to it on the way, else takes a copy, as {@link Channel.send}.
   *
   * For a switch, which has the frame from an event already: one event less a frame, and none at all a flooded port.
   * The receiver may write into the page.
   */
  pass(page: Page, offset: number, length: number, frame: number): void {
    if (this.direct) {
      this.sent++;
      this.delivered++;
      this.sink.deliver(page, offset, length, frame);
    } else this.send(page.bytes, offset, length, frame);
  }

  /** Whether {@link Channel.pass} would hand a frame straight on. */
  get direct(): boolean {
    return this.#plain && this.#flying === 0 && this.#up;
  }

  /** A frame has arrived. Called by its flight. */
  land(page: Page, length: number, frame: number): void {
    this.#flying--;
    this.delivered++;
    this.sink.deliver(page, headroom, length, frame);
    this.#engine.store.release(page);
  }

  #fly(page: Page, length: number, frame: number, arrives: number): void {
    this.#flying++;
    const flight = this.#engine.flights.pop() ?? new Flight(this.#engine);
    flight.start(this, page, length, frame, arrives);
  }

  #drop(reason: DropReason, frame: number, bytes: Uint8Array, offset: number, length: number): false {
    this.dropped++;
    this.#engine.events.frame("dropped", this.name, -1, frame, reason, bytes, offset, length);
    return false;
  }
}

/** One frame on its way. Kept and used again. */
export class Flight {
  readonly #engine: LinkEngine;
  readonly #timer: Timer;
  #channel: Channel | undefined = undefined;
  #page: Page | undefined = undefined;
  #length = 0;
  #frame = 0;

  constructor(engine: LinkEngine) {
    this.#engine = engine;
    this.#timer = engine.timers.timer(() => this.#land());
  }

  start(channel: Channel, page: Page, length: number, frame: number, arrives: number): void {
    this.#channel = channel;
    this.#page = page;
    this.#length = length;
    this.#frame = frame;
    this.#timer.set(arrives);
  }

  #land(): void {
    const channel = this.#channel;
    const page = this.#page;
    if (channel === undefined || page === undefined) return;
    this.#channel = undefined;
    this.#page = undefined;
    // Free before the frame is handled: the answer to it can use this flight.
    this.#engine.flights.push(this);
    channel.land(page, this.#length, this.#frame);
  }
}

/** Both directions of a link between two interfaces, or between a host and a switch. */
export class Link {
  readonly name: string;
  /** From the first end to the second. */
  readonly forward: Channel;
  /** From the second end to the first. */
  readonly backward: Channel;

  constructor(name: string, forward: Channel, backward: Channel) {
    this.name = name;
    this.forward = forward;
    this.backward = backward;
  }

  /** Cuts the wire both ways. */
  cut(): void {
    this.forward.up = false;
    this.backward.up = false;
  }

  /** Undoes {@link Link.cut}. */
  mend(): void {
    this.forward.up = true;
    this.backward.up = true;
  }

  /** Changes both directions from now on. */
  configure(settings: LinkSettings): void {
    this.forward.configure(settings);
    this.backward.configure(settings);
  }
}
