/**
 * Real turns of the engine's event loop, one a step, with everything that the step made runnable (promise jobs, Node's
 * ticks) done before the next.
 *
 * A turn of its own for each step costs more than a microsecond, most of it in asking the kernel for I/O. Node drains
 * promise jobs between any two immediates of one turn as well, so steps are queued in batches: ten times as fast.
 */

// Taken before a simulation replaces the global one.
const realSetImmediate = setImmediate;

const batch = 64;

/** What a step says: go on in this batch, go on in a fresh turn (after I/O was polled), or end. */
export type Step = "next" | "fresh" | "end";

/** Runs `step` until it says `end`. What it throws rejects the promise. */
export async function runTurns(step: () => Step): Promise<void> {
  let failure: { readonly error: unknown } | undefined;
  await new Promise<void>((resolve) => {
    let queued = 0;
    let skip = false;
    let ended = false;
    const queue = (count: number): void => {
      queued = count;
      skip = false;
      for (let index = 0; index < count; index++) realSetImmediate(turn);
    };
    const turn = (): void => {
      queued--;
      if (!ended && !skip) {
        try {
          const said = step();
          if (said === "end") ended = true;
          // The rest of this batch must not run before the loop has polled.
          else if (said === "fresh") skip = true;
        } catch (error) {
          ended = true;
          failure = { error };
        }
      }
      if (queued > 0) return;
      if (ended) resolve();
      else queue(skip ? 1 : batch);
    };
    queue(batch);
  });
  // as: the promise above changes it, which the type checker cannot see
  const thrown = failure as { readonly error: unknown } | undefined;
  if (thrown !== undefined) throw thrown.error;
}
