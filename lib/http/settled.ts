/** What is known of a promise without waiting for anything but the engine's own bookkeeping. */
import type { BodySource } from "./body-content.ts";

const turnOfQueue = Promise.resolve();

/** Whether `promise` settles within a few turns of the microtask queue, without any input or output. */
export async function isSettledSoon(promise: Promise<unknown>): Promise<boolean> {
  const seen = { settled: false };
  const settle = (): void => {
    seen.settled = true;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < 8 && !seen.settled; turn++) await turnOfQueue;
  return seen.settled;
}

export async function endsAtOnce(second: Promise<Uint8Array | undefined>): Promise<boolean> {
  return (await isSettledSoon(second)) && (await second) === undefined;
}

/** The length of a body that is there as one piece, without waiting for more. */
export async function lengthAtOnce(source: BodySource): Promise<number | undefined> {
  const reading = source.read();
  if (!(await isSettledSoon(reading))) return undefined;
  const first = await reading;
  if (first === undefined) return 0;
  return (await endsAtOnce(source.read())) ? first.length : undefined;
}
