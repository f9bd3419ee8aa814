import { performance } from "node:perf_hooks";
import type { Contender } from "./race.ts";

/** Keeps results alive, so that the engine cannot drop the work. Read it at the end of a program. */
export const sink = { value: 0 };

/**
 * A contender that is a function of this process.
 *
 * @param amount how much one call does, in the unit of the race
 * @param call one call; its result goes into {@link sink}
 * @param sampleMs about how long one measurement lasts
 */
export function loop(name: string, amount: number, call: () => number, sampleMs = 40): Contender {
  let calls = 1;
  return {
    name,
    measure() {
      for (;;) {
        const start = performance.now();
        let value = 0;
        for (let count = 0; count < calls; count++) value = (value + call()) | 0;
        const elapsed = performance.now() - start;
        sink.value ^= value;
        if (elapsed >= sampleMs / 2) {
          const rate = (amount * calls * 1000) / elapsed;
          calls = Math.max(1, Math.round((calls * sampleMs) / elapsed));
          return rate;
        }
        // Too short to trust: the warm-up brings the count of calls up.
        calls = Math.max(calls * 2, Math.min(calls * 100, Math.round((calls * sampleMs) / Math.max(elapsed, 0.001))));
      }
    },
  };
}
