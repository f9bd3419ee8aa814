import type { Timer, Timers } from "@tesserae/device/clock";

/** How a host's clocks differ from the world's. */
export interface ClockSkew {
  /** Milliseconds that the host's wall clock is ahead. Default 0. */
  readonly offset?: number;
  /** How many of the host's milliseconds pass in one of the world's: 1.0001 gains 8.6 s a day. Default 1. */
  readonly rate?: number;
}

/** One host's clock and timers, on the timers of its world. */
export class HostTimers implements Timers {
  readonly #world: Timers;
  readonly #offset: number;
  readonly #rate: number;
  readonly #report: (error: unknown) => void;

  /**
   * @param report gets what a timer's callback threw
   * @throws RangeError when `skew.rate` is not above 0.
   */
  constructor(world: Timers, skew: ClockSkew, report: (error: unknown) => void) {
    this.#world = world;
    this.#offset = skew.offset ?? 0;
    this.#rate = skew.rate ?? 1;
    this.#report = report;
    if (!(this.#rate > 0 && this.#rate < Infinity)) throw new RangeError(`rate ${String(this.#rate)} is not above 0`);
  }

  now(): number {
    return this.#world.now() * this.#rate;
  }

  wall(): number {
    const now = this.#world.now();
    return this.#world.wall() - now + now * this.#rate + this.#offset;
  }

  timer(callback: () => void): Timer {
    return new HostTimer(this.#world, this.#rate, () => {
      try {
        callback();
      } catch (error) {
        this.#report(error);
      }
    });
  }
}

class HostTimer implements Timer {
  readonly #timer: Timer;
  readonly #rate: number;
  #deadline = Infinity;

  constructor(world: Timers, rate: number, callback: () => void) {
    this.#timer = world.timer(callback);
    this.#rate = rate;
  }

  get armed(): boolean {
    return this.#timer.armed;
  }

  get deadline(): number {
    return this.#timer.armed ? this.#deadline : Infinity;
  }

  set(deadline: number): void {
    const rate = this.#rate;
    let instant = deadline;
    if (rate !== 1 && deadline !== Infinity && deadline !== -Infinity) {
      instant = deadline / rate;
      // Rounding must not make it fire early.
      while (instant * rate < deadline) instant += Math.max(Math.abs(instant), 1) * 2 ** -52;
    }
    this.#timer.set(instant);
    this.#deadline = deadline;
  }

  cancel(): void {
    this.#timer.cancel();
  }
}
