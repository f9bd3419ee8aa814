import type { Timer, Timers } from "@tesserae/device/clock";

/** A domain's timers, on those of the machine: they stand still while it is suspended, and end with it. */
export class DomainTimers implements Timers {
  readonly #machine: Timers;
  readonly #late = new Set<DomainTimer>();
  #isPaused = false;
  #isOver = false;

  constructor(machine: Timers) {
    this.#machine = machine;
  }

  now(): number {
    return this.#machine.now();
  }

  wall(): number {
    return this.#machine.wall();
  }

  timer(callback: () => void): Timer {
    return new DomainTimer(this, this.#machine, callback);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether a callback may run now; when not, it runs after the pause. */
  mayRun(timer: DomainTimer): boolean {
    if (this.#isPaused && !this.#isOver) this.#late.add(timer);
    return !this.#isPaused && !this.#isOver;
  }

  forget(timer: DomainTimer): void {
    this.#late.delete(timer);
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** What was due fires soon. */
  resume(): void {
    this.#isPaused = false;
    const late = [...this.#late];
    this.#late.clear();
    for (const timer of late) timer.set(this.now());
  }

  /** Nothing fires any more. */
  end(): void {
    this.#isOver = true;
    this.#late.clear();
  }
}

class DomainTimer implements Timer {
  readonly #owner: DomainTimers;
  readonly #timer: Timer;

  constructor(owner: DomainTimers, machine: Timers, callback: () => void) {
    this.#owner = owner;
    this.#timer = machine.timer(() => {
      if (owner.mayRun(this)) callback();
    });
  }

  get armed(): boolean {
    return this.#timer.armed;
  }

  get deadline(): number {
    return this.#timer.deadline;
  }

  set(deadline: number): void {
    this.#owner.forget(this);
    if (this.#owner.isOver) this.#timer.cancel();
    else this.#timer.set(deadline);
  }

  cancel(): void {
    this.#owner.forget(this);
    this.#timer.cancel();
  }
}
