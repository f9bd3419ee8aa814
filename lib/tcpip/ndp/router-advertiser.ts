import type { Timer, Timers } from "@tesserae/device/clock";
import type { Random } from "@tesserae/device/random";

export interface AdvertiserTimes {
  /** Milliseconds between two advertisements that nobody asked for, 4,000–1,800,000. Default 600,000. */
  readonly mostInterval?: number;
  /** Milliseconds, from 3,000 to three quarters of the other. Default: a third of it. */
  readonly leastInterval?: number;
}

/** RFC 4861 §10. Milliseconds and counts. */
const mostInitialInterval = 16_000;
const initialAdvertisements = 3;
const mostAnswerDelay = 500;
const leastDelayBetween = 3000;
/** How soon it is tried again when there is no address yet to send from. */
const retryTime = 1000;

/** When a router advertises on one link (RFC 4861 §6.2.4, §6.2.6): at random times, and soon after it is asked. */
export class RouterAdvertiser {
  readonly #send: () => boolean;
  readonly #timers: Timers;
  readonly #random: Random;
  readonly #timer: Timer;
  readonly #least: number;
  readonly #most: number;
  #initialLeft = initialAdvertisements;
  #lastSent = -Infinity;

  /**
   * @param send advertises to all; false when there is no address to send from
   * @throws RangeError when an interval is out of range.
   */
  constructor(times: AdvertiserTimes, timers: Timers, random: Random, send: () => boolean) {
    const { mostInterval = 600_000 } = times;
    if (!(mostInterval >= 4000 && mostInterval <= 1_800_000)) {
      throw new RangeError(`advertise.mostInterval: ${mostInterval} is not from 4000 to 1800000`);
    }
    const { leastInterval = Math.max(3000, mostInterval / 3) } = times;
    if (!(leastInterval >= 3000 && leastInterval <= Math.max(3000, mostInterval * 0.75))) {
      throw new RangeError(`advertise.leastInterval: ${leastInterval} is not from 3000 to ${mostInterval * 0.75}`);
    }
    this.#least = leastInterval;
    this.#most = mostInterval;
    this.#send = send;
    this.#timers = timers;
    this.#random = random;
    this.#timer = timers.timer(() => this.#run());
  }

  start(): void {
    this.#timer.set(this.#timers.now());
  }

  /** A host has asked. It is answered within half a second; when it was answered a moment ago, a little later. */
  solicited(): void {
    const at = Math.max(this.#timers.now() + this.#draw(0, mostAnswerDelay), this.#lastSent + leastDelayBetween);
    if (at < this.#timer.deadline) this.#timer.set(at);
  }

  stop(): void {
    this.#timer.cancel();
  }

  #run(): void {
    const now = this.#timers.now();
    if (!this.#send()) {
      this.#timer.set(now + retryTime);
      return;
    }
    this.#lastSent = now;
    let interval = this.#draw(this.#least, this.#most);
    if (this.#initialLeft > 0 && --this.#initialLeft > 0) interval = Math.min(interval, mostInitialInterval);
    this.#timer.set(now + interval);
  }

  #draw(least: number, most: number): number {
    return least + ((most - least) * this.#random.uint32()) / 0x1_0000_0000;
  }
}
