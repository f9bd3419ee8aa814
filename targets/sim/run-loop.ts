import type { Scheduler } from "@tesserae/time/scheduler";
import type { VirtualClock } from "@tesserae/time/virtual-clock";
import type { Events } from "./event.ts";
import type { ExternalWork } from "./external.ts";
import type { FirstFailure } from "./first-failure.ts";
import { Grace } from "./grace.ts";
import type { Invariants } from "./invariants.ts";
import type { Tasks } from "./tasks.ts";
import { runTurns, type Step } from "./turns.ts";

/** A run that cannot end: tasks wait, and nothing is left to happen, or a limit is reached. The message names them. */
export class StuckError extends Error {
  override readonly name = "StuckError";
  readonly kind: "idle" | "time-limit" | "event-limit";
  /** The names of the tasks that have not ended. */
  readonly waiting: readonly string[];

  constructor(kind: StuckError["kind"], waiting: readonly string[], message: string) {
    super(message);
    this.kind = kind;
    this.waiting = waiting;
  }
}

/** How far a run goes, in virtual milliseconds since the beginning and in timers fired. */
export interface RunBounds {
  /** Stops here. */
  readonly until: number;
  readonly timeLimit: number;
  /** Of {@link RunLoop.events}. */
  readonly eventLimit: number;
}

/** Why it stopped. */
export type RunEnd = "done" | "idle" | "until" | "interrupted" | "time-limit" | "event-limit" | "failed";

/** What moves when virtual time goes on, and what stops it. */
export interface RunParts {
  readonly scheduler: Scheduler;
  readonly clock: VirtualClock;
  readonly events: Events;
  readonly tasks: Tasks;
  readonly external: ExternalWork;
  readonly invariants: Invariants;
  readonly failure: FirstFailure;
  /** Makes ambient time virtual. @returns what makes it real again */
  installAmbient(): () => void;
}

/** The loop of a world: the earliest instant at which a timer fires, then all that follows from it, then the next. */
export class RunLoop {
  readonly #parts: RunParts;
  /** Timers fired. */
  events = 0;
  /** Timers that wait and do not keep a run from being idle. */
  background = 0;
  /** Whether the invariants are looked at. */
  looks = true;
  /** How many of the events the invariants have been asked about. */
  #checked = 0;
  #driving = false;
  #interrupted = false;

  constructor(parts: RunParts) {
    this.#parts = parts;
  }

  /**
   * Lets virtual time go on until `done` says so, or something else ends it.
   *
   * @throws TypeError (rejects) when it runs already
   */
  async drive(done: () => boolean, { until, timeLimit, eventLimit }: RunBounds): Promise<RunEnd> {
    if (this.#driving) throw new TypeError("this world is running already");
    const { scheduler, clock, tasks, external, failure } = this.#parts;
    const restore = this.#parts.installAmbient();
    this.#driving = true;
    let end: RunEnd = "idle";
    const grace = new Grace();
    const step = (): Step => {
      this.#lookAtInvariants();
      if (failure.found !== undefined) {
        end = "failed";
        return "end";
      }
      if (this.#interrupted) {
        this.#interrupted = false;
        end = "interrupted";
        return "end";
      }
      if (external.underWay) return "fresh";
      if (external.handOver()) return "next";
      if (done()) {
        end = "done";
        return "end";
      }
      const next = scheduler.nextDeadline();
      if (next === Infinity || scheduler.pending === this.background) {
        if (tasks.size > 0 && !grace.isOver()) return "fresh";
        end = "idle";
        return "end";
      }
      grace.reset();
      if (next > until) {
        if (until > clock.now()) clock.advanceTo(until);
        end = "until";
        return "end";
      }
      if (next > timeLimit || this.events >= eventLimit) {
        end = next > timeLimit ? "time-limit" : "event-limit";
        return "end";
      }
      if (next > clock.now()) clock.advanceTo(next);
      this.events += scheduler.run();
      return "next";
    };
    try {
      await runTurns(step);
    } finally {
      restore();
      this.#driving = false;
    }
    return end;
  }

  /** Makes a run that is under way end soon, from outside the simulation. */
  interrupt(): void {
    this.#interrupted = this.#driving;
  }

  /** Says who waits, in a run that cannot end. */
  stuck(kind: StuckError["kind"]): StuckError {
    const waiting = this.#parts.tasks.names;
    const what = {
      idle: "nothing is left to happen",
      "time-limit": "the time limit is reached",
      "event-limit": "the event limit is reached",
    }[kind];
    const names = waiting.slice(0, 20).join("; ") + (waiting.length > 20 ? `; and ${waiting.length - 20} more` : "");
    const now = this.#parts.clock.now();
    const message = `${what} at ${now} ms, after ${this.events} events, and these wait: ${names}`;
    return new StuckError(kind, waiting, message);
  }

  #lookAtInvariants(): void {
    const events = this.events - this.#checked;
    if (events === 0 || !this.looks) return;
    this.#checked = this.events;
    const broken = this.#parts.invariants.look(this.#parts.clock.now(), events);
    if (broken === undefined) return;
    this.#parts.events.note("", broken.message);
    this.#parts.failure.fail(broken);
  }
}
