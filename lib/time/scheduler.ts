import type { Clock, Timer, Timers } from "@tesserae/device/clock";
import { TimingWheel, WheelEntry } from "./timing-wheel.ts";

export interface SchedulerOptions {
  /**
   * Gets what a timer's callback threw. Must not throw. Default: the error is thrown again from a microtask of its
   * own, so that the engine reports it.
   */
  readonly onError?: (error: unknown) => void;
}

/**
 * All the timers of one image, over any clock.
 *
 * A target drives it: it sleeps until {@link nextDeadline}, or until a device has something, and calls {@link run}.
 * Setting and cancelling take constant time and allocate nothing.
 */
export class Scheduler implements Timers {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #wheel: TimingWheel<ScheduledTimer>;
  readonly #due: ScheduledTimer[] = [];
  #running = false;

  constructor(clock: Clock, options: SchedulerOptions = {}) {
    this.#clock = clock;
    this.#onError = options.onError ?? rethrow;
    this.#wheel = new TimingWheel<ScheduledTimer>(clock.now());
  }

  now(): number {
    return this.#clock.now();
  }

  wall(): number {
    return this.#clock.wall();
  }

  timer(callback: () => void): Timer {
    return new ScheduledTimer(this.#wheel, callback);
  }

  /** How many timers are armed. */
  get pending(): number {
    return this.#wheel.size;
  }

  /** The earliest pending deadline, in milliseconds on the `now()` axis, or `Infinity`. Exact, and may be past. */
  nextDeadline(): number {
    return this.#wheel.next();
  }

  /**
   * Fires every timer that is due now, in the order of their deadlines.
   *
   * A timer set by one of these callbacks waits for the next call, even when it is due: so a call ends, and a target
   * can look at its devices in between.
   *
   * @returns how many fired.
   * @throws TypeError when called from a timer's callback.
   */
  run(): number {
    if (this.#running) throw new TypeError("run() was called from a timer's callback");
    this.#running = true;
    const due = this.#due;
    const wheel = this.#wheel;
    let fired = 0;
    try {
      wheel.takeDue(this.#clock.now(), due);
      for (let index = 0; index < due.length; index++) {
        const timer = due[index];
        // An earlier callback may have cancelled this one or set it anew.
        if (timer === undefined || !wheel.isTaken(timer)) continue;
        wheel.remove(timer);
        fired++;
        try {
          timer.callback();
        } catch (error) {
          this.#onError(error);
        }
      }
    } finally {
      due.length = 0;
      this.#running = false;
    }
    return fired;
  }
}

class ScheduledTimer extends WheelEntry implements Timer {
  readonly callback: () => void;
  readonly #wheel: TimingWheel<ScheduledTimer>;

  constructor(wheel: TimingWheel<ScheduledTimer>, callback: () => void) {
    super();
    this.#wheel = wheel;
    this.callback = callback;
  }

  get armed(): boolean {
    return this.deadline !== Infinity;
  }

  set(deadline: number): void {
    if (Number.isNaN(deadline)) throw new RangeError("deadline is NaN");
    this.#wheel.remove(this);
    if (deadline !== Infinity) this.#wheel.insert(this, deadline);
  }

  cancel(): void {
    this.#wheel.remove(this);
  }
}

function rethrow(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
