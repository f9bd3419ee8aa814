import type { Timers } from "@tesserae/device/clock";
import { ConformanceError } from "./suite.ts";

/** Long enough, in milliseconds, for whatever is under way between two subjects to arrive. */
export const settleTime = 100;

/** Waits `ms` milliseconds. */
export function pause(timers: Timers, ms: number): Promise<void> {
  return new Promise((resolve) => timers.timer(resolve).set(timers.now() + ms));
}

/** Waits until `condition` holds, for at most `limit` milliseconds; then fails, saying `what` did not come. */
export async function until(timers: Timers, condition: () => boolean, what: string, limit = 10_000): Promise<void> {
  const end = timers.now() + limit;
  while (!condition()) {
    if (timers.now() >= end) throw new ConformanceError(`waited ${String(limit)} ms in vain for ${what}`);
    await pause(timers, 2);
  }
}

/** Settles as `promise` does, but fails after `limit` milliseconds, saying `what` did not come. */
export function within<T>(timers: Timers, promise: Promise<T>, what: string, limit = 20_000): Promise<T> {
  const result = new Promise<T>((resolve, reject) => {
    const timer = timers.timer(() => reject(new ConformanceError(`waited ${String(limit)} ms in vain for ${what}`)));
    timer.set(timers.now() + limit);
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
  // A case may fail before it comes to await this one: that is one failure, and not an unhandled rejection too.
  result.catch(() => undefined);
  return result;
}

/** Whether `promise` has settled by `ms` milliseconds from now. */
export async function settles(timers: Timers, promise: Promise<unknown>, ms: number): Promise<boolean> {
  const done = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([done, pause(timers, ms).then(() => false)]);
}

/** Bytes that differ from place to place and from seed to seed. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2654435761) | 1;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}
