import type { Scheduler } from "./scheduler.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export interface VirtualRun {
  readonly clock: VirtualClock;
  /** Every scheduler on that clock. */
  readonly schedulers: readonly Scheduler[];
  /**
   * Resolves when all the promises that can go on have gone on. On Node: `() => new Promise(setImmediate)`. Code that
   * has no other source of events than timers is done after one turn.
   */
  readonly turn: () => Promise<void>;
  /** How far the clock may go, in milliseconds from now. Default: 24 hours. */
  readonly limit?: number;
}

/** Nothing is left to happen, or the time is up, and the promise waited for is still pending. */
export class StuckError extends Error {
  override readonly name = "StuckError";
}

/**
 * Moves virtual time from deadline to deadline until `promise` settles.
 *
 * @returns what `promise` resolves to.
 * @throws StuckError (rejects) when no timer is left, or `limit` is reached; what `promise` rejects with.
 */
export async function runVirtual<T>(run: VirtualRun, promise: Promise<T>): Promise<T> {
  const { clock, schedulers, turn } = run;
  const end = clock.now() + (run.limit ?? 86_400_000);
  const state = { settled: false };
  const settle = (): void => {
    state.settled = true;
  };
  promise.then(settle, settle);
  let idle = 0;
  for (;;) {
    await turn();
    if (state.settled) return promise;
    let next = Infinity;
    for (const scheduler of schedulers) next = Math.min(next, scheduler.nextDeadline());
    if (next === Infinity) {
      // Work outside the schedulers, a digest in a thread pool say, gets some more turns.
      if (++idle > 100) throw new StuckError(`nothing is left to happen at ${String(clock.now())} ms`);
      continue;
    }
    idle = 0;
    if (next > end)
      throw new StuckError(`still pending at ${String(clock.now())} ms, next event at ${String(next)} ms`);
    if (next > clock.now()) clock.advanceTo(next);
    for (const scheduler of schedulers) if (scheduler.nextDeadline() <= clock.now()) scheduler.run();
  }
}
