import { performance } from "node:perf_hooks";
import type { Clock } from "@tesserae/device/clock";

/** The moment that is held, or −1. */
let held = -1;

/**
 * Lets the clock of this process stand still until {@link releaseClock}: for a batch of packets that is handled without
 * a pause. To be released in the same turn of the event loop; does not nest.
 */
export function holdClock(): void {
  held = performance.now();
}

export function releaseClock(): void {
  held = -1;
}

/** Milliseconds since the process started. */
export function processNow(): number {
  return held < 0 ? performance.now() : held;
}

/** The process's monotonic clock, and its wall clock. */
export const processClock: Clock = {
  now: processNow,
  wall: () => Date.now(),
};
