import type { Timer, Timers } from "@tesserae/device/clock";
import { Scheduler, type SchedulerOptions } from "@tesserae/time/scheduler";
import { processClock, processNow } from "./process-clock.ts";

/** The largest delay that setTimeout takes, in milliseconds; a longer wait is cut into several. */
const longestDelay = 2 ** 31 - 1;

/** The timers of a process: what {@link createTimers} makes. */
export interface ProcessTimers extends Timers {
  /** How many timers are armed. */
  readonly pending: number;
  /** Disarms the one wake-up that is pending in the event loop: nothing fires any more. Idempotent. */
  close(): void;
}

/**
 * Timers on the event loop: a {@link Scheduler} that is driven by one `setTimeout`.
 *
 * Resolution is the event loop's, 1 ms; nothing fires early. An armed timer keeps the process alive.
 */
export function createTimers(options: SchedulerOptions = {}): ProcessTimers {
  return new DrivenScheduler(options);
}

class DrivenScheduler implements ProcessTimers {
  readonly #scheduler: Scheduler;
  readonly #wake: () => void;
  #timeout: NodeJS.Timeout | undefined;
  /** When the pending `setTimeout` fires at the latest, or Infinity. Never later than the earliest deadline. */
  #wakesAt = Infinity;
  #running = false;
  #closed = false;

  constructor(options: SchedulerOptions) {
    this.#scheduler = new Scheduler(processClock, options);
    this.#wake = () => this.#run();
  }

  now(): number {
    return processNow();
  }

  wall(): number {
    return Date.now();
  }

  get pending(): number {
    return this.#scheduler.pending;
  }

  timer(callback: () => void): Timer {
    return new DrivenTimer(this, this.#scheduler.timer(callback));
  }

  /** Called after a deadline was set: wakes earlier when that is needed, and else does nothing. */
  expect(deadline: number): void {
    if (deadline < this.#wakesAt && !this.#running) this.#arm(deadline);
  }

  /** Called after a timer was disarmed. A stale wake-up is harmless, but must not keep an idle process alive. */
  forget(): void {
    if (this.#timeout !== undefined && !this.#running && this.#scheduler.pending === 0) this.#disarm();
  }

  close(): void {
    this.#closed = true;
    this.#disarm();
  }

  #arm(deadline: number): void {
    if (this.#closed) return;
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
    // Rounded up, as setTimeout cuts off fractions and nothing may fire early.
    const delay = Math.min(longestDelay, Math.max(1, Math.ceil(deadline - performance.now())));
    this.#wakesAt = deadline;
    this.#timeout = setTimeout(this.#wake, delay);
  }

  #disarm(): void {
    if (this.#timeout !== undefined) clearTimeout(this.#timeout);
    this.#timeout = undefined;
    this.#wakesAt = Infinity;
  }

  #run(): void {
    this.#timeout = undefined;
    this.#wakesAt = Infinity;
    this.#running = true;
    try {
      this.#scheduler.run();
    } finally {
      this.#running = false;
      const next = this.#scheduler.nextDeadline();
      if (next !== Infinity) this.#arm(next);
    }
  }
}

/** A scheduler's timer that tells the driver about earlier deadlines. */
class DrivenTimer implements Timer {
  readonly #driver: DrivenScheduler;
  readonly #timer: Timer;

  constructor(driver: DrivenScheduler, timer: Timer) {
    this.#driver = driver;
    this.#timer = timer;
  }

  get armed(): boolean {
    return this.#timer.armed;
  }

  get deadline(): number {
    return this.#timer.deadline;
  }

  set(deadline: number): void {
    this.#timer.set(deadline);
    if (deadline === Infinity) this.#driver.forget();
    else this.#driver.expect(deadline);
  }

  cancel(): void {
    this.#timer.cancel();
    this.#driver.forget();
  }
}
