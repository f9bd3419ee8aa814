// A million timers: set, moved and cancelled, against setTimeout and clearTimeout.

import { performance } from "node:perf_hooks";
import type { Timer } from "@tesserae/device/clock";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { sink } from "./harness/loop.ts";
import { main } from "./harness/main.ts";
import type { Contender, Race } from "./harness/race.ts";

const count = 1_000_000;

/** Deadlines of all magnitudes up to two minutes, as those of a server's connections: the same for all. */
const delays = new Float64Array(count);
{
  let state = 12345;
  for (let index = 0; index < count; index++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const exponent = 1 + ((state >>> 8) % 17);
    delays[index] = 1 + ((state >>> 4) & ((1 << exponent) - 1));
  }
}

/** Measures `work` on what `prepare` made, in operations a second; making it does not count. */
function once<T>(
  name: string,
  prepare: () => T,
  work: (prepared: T) => number,
  clean?: (prepared: T) => void,
): Contender {
  return {
    name,
    measure() {
      const prepared = prepare();
      const start = performance.now();
      sink.value ^= work(prepared);
      const elapsed = performance.now() - start;
      clean?.(prepared);
      return (count * 1000) / elapsed;
    },
  };
}

const nothing = (): void => undefined;
const clock = new VirtualClock();

function makeTimers(scheduler: Scheduler): Timer[] {
  return Array.from({ length: count }, () => scheduler.timer(nothing));
}

/** Made once and used for ever: that is what a Timer is for. */
const kept = makeTimers(new Scheduler(clock));

function cancelAll(timers: readonly Timer[]): void {
  for (const timer of timers) timer.cancel();
}

function clearAll(handles: readonly NodeJS.Timeout[]): void {
  for (const handle of handles) clearTimeout(handle);
}

/** Sets a million from scratch with setTimeout. */
function setTimeouts(): NodeJS.Timeout[] {
  const handles: NodeJS.Timeout[] = [];
  for (let index = 0; index < count; index++) handles.push(setTimeout(nothing, delays[index]));
  return handles;
}

/** Sets the timers given. */
function setAll(timers: readonly Timer[], later: number): readonly Timer[] {
  for (let index = 0; index < count; index++) timers[index]?.set(later + (delays[index] ?? 0));
  return timers;
}

const races: Race[] = [
  {
    name: "set a million, cancel them",
    unit: "timers/s",
    rival: "setTimeout, clearTimeout",
    contenders: [
      once(
        "setTimeout, clearTimeout",
        () => undefined,
        () => {
          const handles = setTimeouts();
          clearAll(handles);
          return handles.length;
        },
      ),
      once(
        "Scheduler, timers kept",
        () => kept,
        (timers) => {
          cancelAll(setAll(timers, 0));
          return timers.length;
        },
      ),
      once(
        "Scheduler, timers made anew",
        () => new Scheduler(clock),
        (scheduler) => {
          cancelAll(setAll(makeTimers(scheduler), 0));
          return scheduler.pending;
        },
      ),
    ],
  },
  {
    name: "put off a million that are pending",
    unit: "timers/s",
    rival: "clearTimeout, setTimeout",
    contenders: [
      once(
        "clearTimeout, setTimeout",
        setTimeouts,
        (handles) => {
          for (let index = 0; index < count; index++) {
            clearTimeout(handles[index]);
            handles[index] = setTimeout(nothing, 20 + (delays[index] ?? 0));
          }
          return handles.length;
        },
        clearAll,
      ),
      once(
        "timeout.refresh()",
        setTimeouts,
        (handles) => {
          for (const handle of handles) handle.refresh();
          return handles.length;
        },
        clearAll,
      ),
      once(
        "Scheduler",
        () => setAll(kept, 0),
        (timers) => setAll(timers, 20).length,
        cancelAll,
      ),
    ],
  },
];

await main(races, 5);
