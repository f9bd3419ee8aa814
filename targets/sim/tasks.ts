import type { Timers } from "@tesserae/device/clock";
import type { Events } from "./event.ts";
import type { FirstFailure } from "./first-failure.ts";
import { HostCrashedError, type Host } from "./host.ts";

export interface Task {
  readonly name: string;
  /** Whether the run goes on until it has ended. */
  readonly foreground: boolean;
  /** Whose task it is, if a host's. */
  readonly host?: Host;
}

/** What runs in a world: its scenario's tasks, and what hosts do. The first that fails fails the run. */
export class Tasks {
  readonly #timers: Timers;
  readonly #events: Events;
  readonly #failure: FirstFailure;
  /** Those that have not ended, and what forgets one when its host crashes. */
  readonly #running = new Map<Task, (() => void) | undefined>();
  #foreground = 0;
  #foregroundEver = false;

  constructor(timers: Timers, events: Events, failure: FirstFailure) {
    this.#timers = timers;
    this.#events = events;
    this.#failure = failure;
  }

  /** How many have not ended. */
  get size(): number {
    return this.#running.size;
  }

  /** How many of those that the run goes on for have not ended; undefined when there never was one. */
  get foreground(): number | undefined {
    return this.#foregroundEver ? this.#foreground : undefined;
  }

  /** Of those that have not ended. */
  get names(): string[] {
    return [...this.#running.keys()].map((task) => task.name);
  }

  /** Starts a task from an event of its own: so it begins when the world runs, and in the order of the calls. */
  start<T>(task: Task, body: () => Promise<T> | T): Promise<T> {
    this.#running.set(task, undefined);
    if (task.foreground) {
      this.#foreground++;
      this.#foregroundEver = true;
    }
    let abandoned = false;
    const result = new Promise<void>((resolve) => {
      this.#timers.timer(resolve).set(this.#timers.now());
    }).then(() => {
      if (abandoned) return new Promise<T>(() => undefined);
      this.#events.note("", `begin ${task.name}`);
      return body();
    });
    result.then(
      () => {
        if (!abandoned) this.#ended(task, "end");
      },
      (error: unknown) => {
        if (abandoned) return;
        this.#ended(task, "fail");
        this.#failure.fail(error);
      },
    );
    const { host } = task;
    if (host === undefined) return result;
    const outcome = new Promise<T>((resolve, reject) => {
      result.then(resolve, reject);
      this.#running.set(task, () => {
        abandoned = true;
        this.#ended(task, "lose");
        reject(new HostCrashedError(host.name, task.name));
      });
    });
    // The world hears of failures by itself.
    outcome.catch(() => undefined);
    return outcome;
  }

  /** Forgets the tasks of a host that crashes. */
  abandon(host: Host): void {
    for (const [task, forget] of [...this.#running]) if (task.host === host) forget?.();
  }

  #ended(task: Task, how: string): void {
    this.#running.delete(task);
    if (task.foreground) this.#foreground--;
    this.#events.note("", `${how} ${task.name}`);
  }
}
