// Timers for two hosts in one process: what is due runs in the next turn of the loop, not a millisecond later.
import type { Timer, Timers } from "@tesserae/device/clock";
import { Scheduler } from "@tesserae/time/scheduler";

/** The longest delay of a timer of Node's, milliseconds. */
const longest = 2 ** 31 - 1;

export interface PromptTimers extends Timers {
  close(): void;
}

/** @param options `isReferenced`: whether an armed timer keeps the process alive. Default true. */
export function createPromptTimers({ isReferenced = true } = {}): PromptTimers {
  const clock = { now: () => performance.now(), wall: () => Date.now() };
  const scheduler = new Scheduler(clock);
  let timeout: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  let wakesAt = Infinity;
  let isClosed = false;
  const run = (): void => {
    wakesAt = Infinity;
    scheduler.run();
    arm();
  };
  const arm = (): void => {
    const next = scheduler.nextDeadline();
    if (isClosed || next >= wakesAt) return;
    wakesAt = next;
    clearTimeout(timeout);
    clearImmediate(immediate);
    const delay = next - performance.now();
    // An immediate that is not referenced would wait for something else to wake the loop.
    if (delay <= 0 && isReferenced) immediate = setImmediate(run);
    else timeout = setTimeout(run, Math.min(longest, Math.max(1, Math.ceil(delay))));
    if (!isReferenced) timeout?.unref();
  };
  return {
    ...clock,
    timer(callback): Timer {
      const timer = scheduler.timer(callback);
      return {
        get armed() {
          return timer.armed;
        },
        get deadline() {
          return timer.deadline;
        },
        set(deadline) {
          timer.set(deadline);
          arm();
        },
        cancel() {
          timer.cancel();
        },
      };
    },
    close() {
      isClosed = true;
      clearTimeout(timeout);
      clearImmediate(immediate);
    },
  };
}
