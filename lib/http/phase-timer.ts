import type { Timer, Timers } from "@tesserae/device/clock";

/** Milliseconds that a connection may take, each at least 1; `Infinity` turns one off. */
export interface ServerTimeouts {
  /** From the first octet of a head to its last: then 408. */
  readonly head: number;
  /** Between two pieces of a request body: then 408, or a reset when the response has begun. */
  readonly body: number;
  /** Between requests, and before the first: then the connection is closed. */
  readonly idle: number;
  /** For the peer to take one piece of a response: then the connection is reset. */
  readonly write: number;
}

/** What a connection waits for. */
export const phaseIdle = 0;
export const phaseHead = 1;
export const phaseBody = 2;
export const phaseWrite = 3;
/** The handler, which takes as long as it takes. */
export const phaseHandler = 4;
export type Phase = typeof phaseIdle | typeof phaseHead | typeof phaseBody | typeof phaseWrite | typeof phaseHandler;

/** Watches how long a connection has been waiting for what it waits for. */
export class PhaseTimer {
  phase: Phase = phaseIdle;
  readonly #timers: Timers;
  readonly #timer: Timer;
  readonly #timeouts: ServerTimeouts;
  readonly #expire: () => void;
  #deadline = Infinity;

  /** @param expire is called when a phase takes too long, and may enter another. */
  constructor(timers: Timers, timeouts: ServerTimeouts, expire: () => void) {
    this.#timers = timers;
    this.#timeouts = timeouts;
    this.#expire = expire;
    this.#timer = timers.timer(() => this.#fire());
  }

  /** From now on the connection waits for this, or for the next piece of it. */
  enter(phase: Phase): void {
    this.phase = phase;
    const timeout = this.#timeoutOf(phase);
    if (timeout === Infinity) {
      this.#deadline = Infinity;
      return;
    }
    const deadline = this.#timers.now() + timeout;
    this.#deadline = deadline;
    // The timer is moved only to be earlier: when it fires too early it is set again, and most never fire.
    if (this.#timer.deadline > deadline) this.#timer.set(deadline);
  }

  cancel(): void {
    this.#deadline = Infinity;
    this.#timer.cancel();
  }

  #timeoutOf(phase: Phase): number {
    switch (phase) {
      case phaseIdle:
        return this.#timeouts.idle;
      case phaseHead:
        return this.#timeouts.head;
      case phaseBody:
        return this.#timeouts.body;
      case phaseWrite:
        return this.#timeouts.write;
      default:
        return Infinity;
    }
  }

  #fire(): void {
    if (this.#deadline === Infinity) return;
    if (this.#timers.now() < this.#deadline) this.#timer.set(this.#deadline);
    else this.#expire();
  }
}
