import type { Timer, Timers } from "@tesserae/device/clock";

/** How a host's clocks differ from the world's. */
export interface ClockSkew {
  /** Milliseconds that the host's wall clock is ahead. Default 0. */
  readonly offset?: number;
  /** How many of the host's milliseconds pass in one of the world's: 1.0001 gains 8.6 s a day. Default 1. */
  readonly rate?: number;
}

/**
 * One host's clock and timers, on the timers of its world, from one start of the host to its end.
 *
 * They can be paused, as by a collection of garbage: deadlines pass, and what was due fires when the pause ends. And
 * they can be stopped for good, as by a loss of power.
 */
export class HostTimers implements Timers {
  readonly #world: Timers;
  readonly #report: (error: unknown) => void;
  #rate: number;
  /** The world's and the host's instant at which the present rate began. */
  #base: number;
  #origin: number;
  /** Milliseconds that the wall clock is ahead of one that had the present rate since the beginning of the world. */
  #shift: number;
  #first: HostTimer | null = null;
  /** Due while the host is paused, in the order in which they would have fired. */
  #late: HostTimer[] = [];
  #paused = false;
  #stopped = false;

  /**
   * @param report gets what a timer's callback threw
   * @param restarted the clock starts from 0 now, and not with the world's
   * @throws RangeError when `skew.rate` is not above 0.
   */
  constructor(world: Timers, skew: ClockSkew, report: (error: unknown) => void, restarted = false) {
    const rate = skew.rate ?? 1;
    checkRate(rate);
    this.#world = world;
    this.#report = report;
    this.#rate = rate;
    this.#base = restarted ? world.now() : 0;
    this.#origin = 0;
    this.#shift = skew.offset ?? 0;
  }

  now(): number {
    return this.#origin + (this.#world.now() - this.#base) * this.#rate;
  }

  wall(): number {
    const now = this.#world.now();
    return this.#world.wall() - now + now * this.#rate + this.#shift;
  }

  timer(callback: () => void): Timer {
    return new HostTimer(this, this.#world, callback);
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Whether {@link HostTimers.stop} was called. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** How many timers are armed. */
  get pending(): number {
    let count = 0;
    for (let timer = this.#first; timer !== null; timer = timer.next) count++;
    return count;
  }

  /** Sets the wall clock forwards, or back when `milliseconds` is negative. `now()` and timers take no notice. */
  step(milliseconds: number): void {
    if (!Number.isFinite(milliseconds)) throw new RangeError(`milliseconds ${String(milliseconds)} is not finite`);
    this.#shift += milliseconds;
  }

  /**
   * Lets both clocks run at another rate from now on. Armed timers keep their deadlines.
   *
   * @throws RangeError when `rate` is not above 0.
   */
  setRate(rate: number): void {
    checkRate(rate);
    const now = this.#world.now();
    this.#origin = this.now();
    this.#base = now;
    this.#shift += now * (this.#rate - rate);
    this.#rate = rate;
    for (let timer = this.#first; timer !== null; timer = timer.next) if (!timer.late) timer.rearm();
  }

  /** How the clocks differ now, for those of a restarted host. */
  get skew(): Required<ClockSkew> {
    return { offset: this.#shift, rate: this.#rate };
  }

  /** From now on nothing fires. */
  pause(): void {
    this.#paused = true;
  }

  /** Undoes {@link HostTimers.pause}: what became due meanwhile fires now, in its order, each in an event of its own. */
  resume(): void {
    this.#paused = false;
    const late = this.#late;
    this.#late = [];
    for (const timer of late) timer.rearm();
  }

  /** Nothing fires any more, and nothing can be armed. Frees all timers. */
  stop(): void {
    this.#stopped = true;
    this.#late = [];
    for (let timer = this.#first; timer !== null;) {
      const next: HostTimer | null = timer.next;
      timer.cancel();
      timer = next;
    }
  }

  /** The first instant of the world at which the host's clock is not before `deadline`. For its timers. */
  instantOf(deadline: number): number {
    const rate = this.#rate;
    const base = this.#base;
    const origin = this.#origin;
    if ((rate === 1 && base === origin) || deadline === -Infinity) return deadline;
    let instant = base + (deadline - origin) / rate;
    // Rounding must not make it fire early.
    while (origin + (instant - base) * rate < deadline) instant += Math.max(Math.abs(instant), 1) * 2 ** -52;
    return instant;
  }

  /** Keeps an armed timer in the list. For its timers. */
  link(timer: HostTimer): void {
    const first = this.#first;
    timer.next = first;
    if (first !== null) first.previous = timer;
    this.#first = timer;
  }

  unlink(timer: HostTimer): void {
    const { previous, next } = timer;
    if (next !== null) next.previous = previous;
    if (previous !== null) previous.next = next;
    else this.#first = next;
    timer.previous = null;
    timer.next = null;
  }

  /** @returns whether the timer must wait for the end of a pause. */
  delays(timer: HostTimer): boolean {
    if (this.#paused) this.#late.push(timer);
    return this.#paused;
  }

  /** The pause's list must not wake a timer that was cancelled or set anew. */
  forget(timer: HostTimer): void {
    const index = this.#late.indexOf(timer);
    if (index >= 0) this.#late.splice(index, 1);
  }

  call(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#report(error);
    }
  }
}

class HostTimer implements Timer {
  /** Neighbours among the host's armed timers. */
  previous: HostTimer | null = null;
  next: HostTimer | null = null;
  /** Due, and held back by a pause. */
  late = false;
  readonly #host: HostTimers;
  readonly #timer: Timer;
  readonly #callback: () => void;
  #deadline = Infinity;

  constructor(host: HostTimers, world: Timers, callback: () => void) {
    this.#host = host;
    this.#callback = callback;
    this.#timer = world.timer(() => this.#fire());
  }

  get armed(): boolean {
    return this.#deadline !== Infinity;
  }

  get deadline(): number {
    return this.#deadline;
  }

  set(deadline: number): void {
    const host = this.#host;
    if (host.stopped) return;
    if (this.late) this.#punctual();
    this.#timer.set(deadline === Infinity ? Infinity : host.instantOf(deadline));
    const before = this.#deadline;
    this.#deadline = deadline;
    if (before === Infinity) {
      if (deadline !== Infinity) host.link(this);
    } else if (deadline === Infinity) host.unlink(this);
  }

  cancel(): void {
    if (this.#deadline === Infinity) return;
    if (this.late) this.#punctual();
    this.#timer.cancel();
    this.#deadline = Infinity;
    this.#host.unlink(this);
  }

  /** Waits for its deadline anew, whose instant has changed, or has passed unseen. */
  rearm(): void {
    this.late = false;
    this.#timer.set(this.#host.instantOf(this.#deadline));
  }

  #punctual(): void {
    this.late = false;
    this.#host.forget(this);
  }

  #fire(): void {
    const host = this.#host;
    if (host.delays(this)) {
      this.late = true;
      return;
    }
    this.#deadline = Infinity;
    host.unlink(this);
    host.call(this.#callback);
  }
}

function checkRate(rate: number): void {
  if (!(rate > 0 && rate < Infinity)) throw new RangeError(`rate ${String(rate)} is not above 0`);
}
