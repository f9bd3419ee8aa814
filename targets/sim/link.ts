import type { Timer, Timers } from "@tesserae/device/clock";
import { headroom, type Page } from "@tesserae/device/page";
import { draw } from "./distribution.ts";
import type { DropReason, Events } from "./event.ts";
import type { CorruptedFrames } from "./corrupted-frames.ts";
import type { FrameStore } from "./frame-store.ts";
import {
  completeLinkSettings,
  isPlain,
  ofDirection,
  type CompleteLinkSettings,
  type LinkSettings,
  type PathSettings,
} from "./link-settings.ts";
import { Loss } from "./loss-model.ts";
import { markCongestion } from "./packet.ts";
import { Parcel } from "./parcel.ts";
import { makeQueue, type Queue, type QueueOwner } from "./queue.ts";
import type { SeededRandom } from "./random.ts";

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
  readonly corrupted: CorruptedFrames;
}

const ethernetHeader = 14;
/** Frames on their way on one direction of a link, at most. */
const flightLimit = 1_048_576;

/**
 * One direction of a link: a queue, a line that sends at its bandwidth, and the way to the other end.
 *
 * Every frame taken is delivered, dropped or on its way: `sent + duplicated === delivered + dropped + inFlight`.
 */
export class Channel implements QueueOwner {
  /** As in `client>lan`. */
  readonly name: string;
  readonly #engine: LinkEngine;
  readonly #random: SeededRandom;
  #settings: CompleteLinkSettings;
  /** The settings change nothing about any frame. */
  #plain: boolean;
  #loss: Loss;
  #queue: Queue;
  /** Fires when the line is free, while something waits for it. Made when it is needed first. */
  #line: Timer | undefined = undefined;
  /** When the frame being sent will have left, and when the last one in order will arrive. */
  #busyUntil = 0;
  #lastArrival = 0;
  #up = true;
  #sink: FrameSink;
  /** Frames on their way, those in the queue included. */
  #underWay = 0;

  /** Frames taken, those that were dropped included. */
  sent = 0;
  /** Frames that did not arrive, for whatever reason. */
  dropped = 0;
  delivered = 0;
  /** Copies that were made on the way. */
  duplicated = 0;
  /** Packets that were marked with congestion experienced. */
  marked = 0;

  constructor(engine: LinkEngine, name: string, settings: CompleteLinkSettings, random: SeededRandom, sink: FrameSink) {
    this.#engine = engine;
    this.name = name;
    this.#settings = settings;
    this.#plain = isPlain(settings);
    this.#random = random;
    this.#loss = new Loss(settings.loss, random);
    this.#queue = makeQueue(settings.queue, this, random);
    this.#sink = sink;
  }

  get settings(): CompleteLinkSettings {
    return this.#settings;
  }

  /** Frames on their way, those in the queue included. */
  get inFlight(): number {
    return this.#underWay;
  }

  /** What waits for the line. */
  get queue(): { readonly packets: number; readonly bytes: number } {
    return this.#queue;
  }

  /** Has frames come out at another place, those on their way included. */
  plug(sink: FrameSink): void {
    this.#sink = sink;
  }

  /** Changes how frames are treated from now on. Those in the queue leave at the new rate, in the new queue's order. */
  configure(settings: LinkSettings): void {
    const before = this.#settings;
    const complete = completeLinkSettings({ ...before, ...settings });
    this.#settings = complete;
    this.#plain = isPlain(complete);
    if (complete.loss !== before.loss) this.#loss = new Loss(complete.loss, this.#random);
    if (complete.queue === before.queue) return;
    const queue = this.#queue;
    const now = this.#engine.timers.now();
    this.#queue = makeQueue(complete.queue, this, this.#random);
    for (let parcel = queue.take(); parcel !== undefined; parcel = queue.take()) this.#queue.enqueue(parcel, now);
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
    if (!this.#accepts(bytes, offset, length, frame)) return false;
    return this.#take(this.#engine.store.copy(bytes, offset, length), headroom, length, frame);
  }

  /** As {@link Channel.send}, with a page of the world's store, which it takes over whatever the outcome. */
  sendPage(page: Page, offset: number, length: number, frame: number): boolean {
    if (this.#accepts(page.bytes, offset, length, frame)) return this.#take(page, offset, length, frame);
    this.#engine.store.release(page);
    return false;
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
      this.#engine.events.carried(this.name, page.bytes, offset, length);
      this.#sink.deliver(page, offset, length, frame);
    } else this.send(page.bytes, offset, length, frame);
  }

  /** Whether {@link Channel.pass} would hand a frame straight on. */
  get direct(): boolean {
    return this.#plain && this.#underWay === 0 && this.#up;
  }

  /** A frame has arrived. Called by its flight. */
  land(page: Page, offset: number, length: number, frame: number): void {
    this.#underWay--;
    this.delivered++;
    this.#sink.deliver(page, offset, length, frame);
    this.#engine.store.release(page);
  }

  dropParcel(parcel: Parcel, reason: DropReason): void {
    const { page, offset, length, frame } = parcel;
    if (page === undefined) return;
    this.#underWay--;
    this.#drop(reason, frame, page.bytes, offset, length);
    this.#engine.store.release(page);
    this.#putBack(parcel);
  }

  markParcel({ page, offset, length, frame }: Parcel): boolean {
    if (page === undefined || !markCongestion(page.bytes, offset, length)) return false;
    this.marked++;
    this.#engine.events.frame("marked", this.name, -1, frame, undefined, page.bytes, offset, length);
    return true;
  }

  #accepts(bytes: Uint8Array, offset: number, length: number, frame: number): boolean {
    this.sent++;
    if (!this.#up) return this.#drop("down", frame, bytes, offset, length);
    if (length - ethernetHeader > this.#settings.mtu) return this.#drop("mtu", frame, bytes, offset, length);
    if (this.#underWay >= flightLimit) return this.#drop("queue", frame, bytes, offset, length);
    return true;
  }

  #take(page: Page, offset: number, length: number, frame: number): boolean {
    const now = this.#engine.timers.now();
    this.#underWay++;
    const flight = this.#engine.flights.pop() ?? new Flight(this.#engine);
    flight.page = page;
    flight.offset = offset;
    flight.length = length;
    flight.frame = frame;
    if (this.#settings.bandwidth === Infinity && this.#busyUntil <= now && this.#queue.packets === 0) {
      this.#depart(flight, now);
      return true;
    }
    const taken = this.#queue.enqueue(flight, now);
    this.#serve(now);
    return taken;
  }

  /** Sends what is next as soon as the line is free. */
  #serve(now: number): void {
    const line = (this.#line ??= this.#engine.timers.timer(() => this.#lineFree()));
    if (line.armed) return;
    if (this.#busyUntil <= now) this.#sendNext(now);
    if (this.#queue.packets > 0) line.set(this.#busyUntil);
  }

  #lineFree(): void {
    // Timers of a real clock are late: what the line would have sent meanwhile leaves as it would have.
    const now = this.#engine.timers.now();
    do this.#sendNext(this.#busyUntil);
    while (this.#queue.packets > 0 && this.#busyUntil <= now);
    if (this.#queue.packets > 0) this.#line?.set(this.#busyUntil);
  }

  #sendNext(now: number): void {
    const flight = this.#queue.dequeue(now);
    // Nothing else goes into the queue.
    if (!(flight instanceof Flight)) return;
    this.#busyUntil = now + (flight.length * 8000) / this.#settings.bandwidth;
    this.#depart(flight, this.#busyUntil);
  }

  /** On its way from the instant `leaves` on. */
  #depart(flight: Flight, leaves: number): void {
    const { page, offset, length, frame } = flight;
    if (page === undefined) return;
    const settings = this.#settings;
    const random = this.#random;
    const { store, events } = this.#engine;
    if (this.#loss.next(page.bytes, offset, length)) {
      this.dropParcel(flight, "loss");
      return;
    }
    let arrives = leaves + settings.delay;
    const { jitter } = settings;
    if (jitter !== 0) arrives += typeof jitter === "number" ? random.unit() * jitter : draw(jitter, random);
    if (random.chance(settings.reorder)) {
      arrives += settings.reorderDelay;
      events.frame("delayed", this.name, -1, frame, undefined, page.bytes, offset, length);
    } else if (!settings.overtake) {
      arrives = Math.max(arrives, this.#lastArrival);
      this.#lastArrival = arrives;
    }
    if (random.chance(settings.corrupt) && this.#engine.corrupted.add(frame)) {
      // Behind the Ethernet header, so that it still gets to somebody.
      const bit = random.below(Math.max(1, length - ethernetHeader) * 8);
      const at = offset + Math.min(ethernetHeader, length - 1) + (bit >> 3);
      page.bytes[at] = (page.bytes[at] ?? 0) ^ (1 << (bit & 7));
      events.frame("corrupted", this.name, -1, frame, undefined, page.bytes, offset, length);
    }
    events.carried(this.name, page.bytes, offset, length);
    flight.start(this, arrives);
    if (!random.chance(settings.duplicate)) return;
    const twin = this.#engine.flights.pop() ?? new Flight(this.#engine);
    twin.page = store.copy(page.bytes, offset, length);
    twin.offset = headroom;
    twin.length = length;
    twin.frame = frame;
    this.duplicated++;
    events.frame("duplicated", this.name, -1, frame, undefined, twin.page.bytes, headroom, length);
    this.#underWay++;
    twin.start(this, arrives);
  }

  #putBack(parcel: Parcel): void {
    parcel.page = undefined;
    if (parcel instanceof Flight) this.#engine.flights.push(parcel);
  }

  #drop(reason: DropReason, frame: number, bytes: Uint8Array, offset: number, length: number): false {
    this.dropped++;
    this.#engine.events.frame("dropped", this.name, -1, frame, reason, bytes, offset, length);
    return false;
  }
}

/** One frame on its way. Kept and used again. */
export class Flight extends Parcel {
  readonly #engine: LinkEngine;
  readonly #timer: Timer;
  #channel: Channel | undefined = undefined;

  constructor(engine: LinkEngine) {
    super();
    this.#engine = engine;
    this.#timer = engine.timers.timer(() => this.#land());
  }

  start(channel: Channel, arrives: number): void {
    this.#channel = channel;
    this.#timer.set(arrives);
  }

  #land(): void {
    const channel = this.#channel;
    const { page, offset, length, frame } = this;
    if (channel === undefined || page === undefined) return;
    this.#channel = undefined;
    this.page = undefined;
    // Free before the frame is handled: the answer to it can use this flight.
    this.#engine.flights.push(this);
    channel.land(page, offset, length, frame);
  }
}

/** A change of a link at an instant of the world, in milliseconds since its beginning. */
export interface LinkChange extends PathSettings {
  readonly at: number;
  /** Cuts the wire, or mends it. */
  readonly up?: boolean;
}

/** A wire that fails again and again. Milliseconds. */
export interface FlapOptions {
  /** How long it works, and how long it does not. */
  readonly up: number;
  readonly down: number;
  /** How often it fails. */
  readonly times: number;
  /** Each time is multiplied by a number drawn from 1 − spread to 1 + spread. Default 0. */
  readonly spread?: number;
}

/** Both directions of a link between two interfaces, or between a host and a switch. */
export class Link {
  readonly name: string;
  /** From the first end to the second. */
  readonly forward: Channel;
  /** From the second end to the first. */
  readonly backward: Channel;
  readonly #timers: Timers;
  readonly #events: Events;
  readonly #random: SeededRandom;
  /** What of settings for both directions holds on the way back. */
  readonly #back: (settings: LinkSettings) => LinkSettings;

  constructor(
    engine: LinkEngine,
    name: string,
    forward: Channel,
    backward: Channel,
    random: SeededRandom,
    back = (settings: LinkSettings): LinkSettings => settings,
  ) {
    this.name = name;
    this.forward = forward;
    this.backward = backward;
    this.#timers = engine.timers;
    this.#events = engine.events;
    this.#random = random;
    this.#back = back;
  }

  /** Cuts the wire both ways. */
  cut(): void {
    this.#set(false);
  }

  /** Undoes {@link Link.cut}. */
  mend(): void {
    this.#set(true);
  }

  /** Changes both directions from now on. */
  configure(settings: PathSettings): void {
    const { forward, backward, ...both } = settings;
    this.forward.configure({ ...both, ...forward });
    this.backward.configure({ ...this.#back(both), ...backward });
  }

  /**
   * Changes the link at instants to come.
   *
   * @throws RangeError when a setting is out of range, or an instant has passed.
   */
  schedule(changes: readonly LinkChange[]): void {
    for (const { at, up, ...settings } of changes) {
      if (!(at >= this.#timers.now())) throw new RangeError(`at ${String(at)} has passed, or is no instant`);
      for (const direction of ["forward", "backward"] as const) completeLinkSettings(ofDirection(settings, direction));
      const change = (): void => {
        this.configure(settings);
        if (up === true) this.mend();
        if (up === false) this.cut();
      };
      this.#timers.timer(change).set(at);
    }
  }

  /** Cuts and mends the wire again and again. @throws RangeError naming the option that is out of range. */
  flap({ up, down, times, spread = 0 }: FlapOptions): void {
    if (!(up > 0 && down > 0)) throw new RangeError(`up ${String(up)} or down ${String(down)} is not above 0`);
    if (!Number.isInteger(times) || times < 1) throw new RangeError(`times ${String(times)} is not 1 or more`);
    if (!(spread >= 0 && spread < 1)) throw new RangeError(`spread ${String(spread)} is not from 0 to below 1`);
    const random = this.#random.fork("flaps");
    const about = (time: number): number => time * (1 - spread + random.unit() * 2 * spread);
    let turns = 0;
    const timer = this.#timers.timer(() => {
      if (turns++ % 2 === 0) this.cut();
      else this.mend();
      if (turns < times * 2) timer.set(this.#timers.now() + about(turns % 2 === 0 ? up : down));
    });
    timer.set(this.#timers.now() + about(up));
  }

  #set(up: boolean): void {
    if (this.forward.up !== up || this.backward.up !== up) this.#events.condition(`${this.name} is cut`, !up);
    this.forward.up = up;
    this.backward.up = up;
  }
}
