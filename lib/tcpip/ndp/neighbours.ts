import type { IpAddress, MacAddress } from "@tesserae/device/address";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Page } from "@tesserae/device/page";
import type { Random } from "@tesserae/device/random";
import { type WaitingOptions, WaitingPackets } from "../ip/waiting-packets.ts";
import { type Neighbour6, NeighbourCache6 } from "./neighbour-cache.ts";

/** What address resolution does to the link and to the layer above. */
export interface NeighbourEvents {
  /** Asks who has `target`: the neighbour at `mac`, or all that may be it. False when we have no address to ask from. */
  solicit(target: IpAddress, mac: MacAddress | undefined): boolean;
  /** Sends an IPv6 packet in a frame. Takes the page. */
  transmit(mac: MacAddress, page: Page, offset: number, length: number): boolean;
  release(page: Page): void;
  /** A packet was dropped because the neighbour does not answer. The page is lent. Never from inside `send`. */
  unreachable(page: Page, offset: number, length: number): void;
  /** Whether a neighbour answers has changed: routes through it may have to be chosen anew. */
  changed(neighbour: IpAddress, isThere: boolean): void;
}

export interface NeighbourOptions extends WaitingOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly events: NeighbourEvents;
  /** Neighbours remembered, at least 8. Default 512. */
  readonly capacity?: number;
}

export class NeighbourStatistics {
  /** Neighbours that turned out not to be there. */
  failed = 0;
  /** Packets dropped while waiting: no room, or no answer. */
  waitingDropped = 0;
  /** Answers that nobody asked for, about neighbours that we do not know. */
  unsolicited = 0;
  /** Neighbours that said to be at another MAC address than before. */
  moved = 0;
}

/** RFC 4861 §10. Milliseconds and counts. */
const mostMulticast = 3;
const mostUnicast = 3;
const delayFirstProbe = 5000;
export const standardReachableTime = 30_000;
export const standardRetransmitTimer = 1000;
/** After nobody answered: how long packets are refused at once. */
const failedTime = 1000;
/** A stale neighbour that nobody uses is forgotten. */
const staleTime = 1_200_000;

/** Address resolution and neighbour unreachability detection on one link (RFC 4861 §7.2, §7.3). */
export class Neighbours {
  readonly statistics = new NeighbourStatistics();
  readonly cache: NeighbourCache6;
  /** Milliseconds for which an answer is believed, as routers tell; each time spread from half to one and a half. */
  reachableTime = standardReachableTime;
  /** Milliseconds between solicitations, as routers tell. */
  retransmitTimer = standardRetransmitTimer;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #events: NeighbourEvents;
  readonly #timer: Timer;
  readonly #waiting: WaitingPackets<IpAddress>;
  /** The neighbour sent to last: most packets go where the one before went. */
  #last: Neighbour6 | undefined;
  #uses = 0;
  #isClosed = false;

  constructor(options: NeighbourOptions) {
    this.#timers = options.timers;
    this.#random = options.random;
    this.#events = options.events;
    this.cache = new NeighbourCache6(options.capacity ?? 512, options.random);
    this.#timer = options.timers.timer(() => this.#run());
    this.#waiting = new WaitingPackets<IpAddress>(options, isSameAddress, this.statistics, {
      release: (page) => this.#events.release(page),
      gaveUp: () => this.#wake(this.#timers.now()),
    });
  }

  /** Sends a packet to a neighbour, or keeps it while the neighbour is asked for. Takes the page. */
  send(address: IpAddress, page: Page, offset: number, length: number): boolean {
    const last = this.#last;
    const neighbour = last !== undefined && last.address.equals(address) ? last : this.cache.get(address);
    const mac = neighbour?.mac;
    if (neighbour === undefined || mac === undefined) return this.#wait(address, page, offset, length);
    this.#last = neighbour;
    neighbour.used = ++this.#uses;
    if (neighbour.state === "stale") {
      neighbour.state = "delay";
      this.#until(neighbour, delayFirstProbe);
    }
    return this.#events.transmit(mac, page, offset, length);
  }

  /** A transport has heard from a host behind that neighbour about what we sent lately (RFC 4861 §7.3.1). */
  confirm(address: IpAddress): void {
    const last = this.#last;
    const neighbour = last !== undefined && last.address.equals(address) ? last : this.cache.get(address);
    if (neighbour?.mac === undefined) return;
    // A word on it once a second is enough, and costs nothing.
    if (neighbour.state === "reachable" && neighbour.deadline - this.#timers.now() > this.reachableTime / 2) return;
    this.#reached(neighbour);
  }

  /** The MAC address of a neighbour, if it is known now. */
  lookup(address: IpAddress): MacAddress | undefined {
    return this.cache.get(address)?.mac;
  }

  /** A neighbour told its MAC address in a message that is not an answer (RFC 4861 §7.2.3, §6.2.6, §6.3.4, §8.3). */
  learn(address: IpAddress, mac: MacAddress, isRouter?: boolean): void {
    if (this.#isClosed) return;
    const known =
      this.cache.get(address) ?? this.cache.create(address, true, ++this.#uses, (victim) => this.#forget(victim));
    if (known === undefined) return;
    if (isRouter !== undefined) known.isRouter = isRouter;
    if (known.mac?.equals(mac) === true) return;
    if (known.mac !== undefined) this.statistics.moved++;
    known.mac = mac;
    known.state = "stale";
    known.attempts = 0;
    this.#until(known, staleTime);
    this.#flush(known, mac);
  }

  /** A neighbour advertisement that has been checked (RFC 4861 §7.2.5). */
  advertised(
    address: IpAddress,
    mac: MacAddress | undefined,
    isRouter: boolean,
    isSolicited: boolean,
    overrides: boolean,
  ): void {
    const known = this.cache.get(address);
    if (known === undefined || known.state === "failed") {
      this.statistics.unsolicited++;
      return;
    }
    if (known.mac === undefined) {
      if (mac === undefined) return;
      known.mac = mac;
      known.isRouter = isRouter;
      if (isSolicited) this.#reached(known);
      else {
        known.state = "stale";
        this.#until(known, staleTime);
      }
      this.#flush(known, mac);
      return;
    }
    const moves = mac !== undefined && !mac.equals(known.mac);
    if (moves && !overrides) {
      if (known.state !== "reachable") return;
      known.state = "stale";
      this.#until(known, staleTime);
      return;
    }
    if (moves) {
      this.statistics.moved++;
      known.mac = mac;
    }
    if (isSolicited) this.#reached(known);
    else if (moves) {
      known.state = "stale";
      known.attempts = 0;
      this.#until(known, staleTime);
    }
    const wasRouter = known.isRouter;
    known.isRouter = isRouter;
    if (wasRouter && !isRouter) this.#events.changed(address, false);
  }

  /** Forgets all that is known of the link. */
  clear(): void {
    this.#waiting.clear();
    this.#last = undefined;
    this.cache.clear();
    this.#timer.cancel();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting.close();
    this.clear();
  }

  #until(neighbour: Neighbour6, time: number): void {
    neighbour.deadline = this.#timers.now() + time;
    this.#wake(neighbour.deadline);
  }

  #wake(deadline: number): void {
    if (deadline < this.#timer.deadline) this.#timer.set(deadline);
  }

  #reached(neighbour: Neighbour6): void {
    const wasGone = !neighbour.hasAnswered;
    neighbour.state = "reachable";
    neighbour.hasAnswered = true;
    neighbour.attempts = 0;
    // RFC 4861 §6.3.2: neighbours that were met together are not all asked again together.
    this.#until(neighbour, this.reachableTime * (0.5 + this.#random.uint32() / 0x1_0000_0000));
    if (wasGone) this.#events.changed(neighbour.address, true);
  }

  // Questions.

  #wait(address: IpAddress, page: Page, offset: number, length: number): boolean {
    if (this.#isClosed || !this.#ask(address)) {
      this.#waiting.giveUp(address, page, offset, length);
      return false;
    }
    this.#waiting.add(address, page, offset, length);
    return true;
  }

  /** Sees to it that a question for `address` is open. False when there is no room for it, or it has just failed. */
  #ask(address: IpAddress): boolean {
    const known = this.cache.get(address);
    if (known !== undefined) return known.state !== "failed";
    const made = this.cache.create(address, false, ++this.#uses, (victim) => this.#forget(victim));
    if (made === undefined) return false;
    if (this.#solicit(made)) return true;
    this.cache.remove(made);
    return false;
  }

  #solicit(neighbour: Neighbour6): boolean {
    neighbour.attempts++;
    this.#until(neighbour, this.retransmitTimer);
    return this.#events.solicit(neighbour.address, neighbour.mac);
  }

  /** Sends what waits for a neighbour. */
  #flush(neighbour: Neighbour6, mac: MacAddress): void {
    const packets = this.#waiting.take(neighbour.address);
    if (packets.length === 0) return;
    neighbour.used = ++this.#uses;
    if (neighbour.state === "stale") {
      neighbour.state = "delay";
      this.#until(neighbour, delayFirstProbe);
    }
    for (const { page, offset, length } of packets) this.#events.transmit(mac, page, offset, length);
  }

  // Time.

  #run(): void {
    const now = this.#timers.now();
    for (const neighbour of this.cache.entries()) if (neighbour.deadline <= now) this.#late(neighbour);
    this.#waiting.report((page, offset, length) => this.#events.unreachable(page, offset, length));
    // Who was told of it may have closed us, or have sent again in vain.
    if (this.#isClosed) return;
    let next = this.#waiting.hasGivenUp ? now : Infinity;
    for (const neighbour of this.cache.entries()) next = Math.min(next, neighbour.deadline);
    this.#timer.set(next);
  }

  #late(neighbour: Neighbour6): void {
    switch (neighbour.state) {
      case "incomplete":
        if (neighbour.attempts < mostMulticast) {
          this.#solicit(neighbour);
          return;
        }
        this.statistics.failed++;
        neighbour.state = "failed";
        this.#until(neighbour, failedTime);
        this.#waiting.drop(neighbour.address);
        this.#events.changed(neighbour.address, false);
        return;
      case "reachable":
        neighbour.state = "stale";
        this.#until(neighbour, staleTime);
        return;
      case "delay":
        neighbour.state = "probe";
        neighbour.attempts = 0;
        this.#solicit(neighbour);
        return;
      case "probe":
        if (neighbour.attempts < mostUnicast) {
          this.#solicit(neighbour);
          return;
        }
        // Gone, or moved: the next packet asks everybody, and the way is chosen anew.
        this.statistics.failed++;
        this.cache.remove(neighbour);
        this.#forget(neighbour);
        this.#events.changed(neighbour.address, false);
        return;
      case "stale":
      case "failed":
        this.cache.remove(neighbour);
        this.#forget(neighbour);
    }
  }

  /** An entry has left the table. */
  #forget(neighbour: Neighbour6): void {
    if (this.#last === neighbour) this.#last = undefined;
    this.#waiting.drop(neighbour.address);
  }
}

function isSameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.equals(b);
}
