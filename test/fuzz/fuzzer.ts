import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { mutate } from "./mutation.ts";
import type { Watchdog } from "./watchdog.ts";
import { Draws } from "./draws.ts";

/** How long, and from which seed. */
export interface FuzzOptions {
  /** An integer; the sequence of inputs is a function of it. */
  readonly seed: number;
  /** Stop after this many inputs. */
  readonly runs?: number;
  /** Asked every few inputs: stop now? */
  readonly expired?: () => boolean;
  /** The longest input, in bytes. Default 4096. */
  readonly longest?: number;
  /** Told before each run what is about to run. */
  readonly watchdog?: Watchdog;
}

export interface FuzzFailure {
  /** What the target threw. */
  readonly error: unknown;
  /** The input that broke it, made as short and as plain as could be found. */
  readonly input: Uint8Array;
  /** The input as it was found. */
  readonly found: Uint8Array;
}

export interface FuzzResult {
  readonly runs: number;
  readonly failure: FuzzFailure | undefined;
}

/** Inputs kept for further mutation, beside the seeds. */
const keptInputs = 256;

/** Runs between looks at the clock. */
const batch = 16;

/** Feeds the target its seeds, then mutations of them and of earlier mutations, until one breaks it or time is up. */
export async function fuzz(target: FuzzTarget, options: FuzzOptions): Promise<FuzzResult> {
  const { seed, runs: most = Infinity, expired = () => false, longest = 4096, watchdog } = options;
  const random = new Draws(seed);
  const first = [new Uint8Array(0), ...target.seeds.map((each) => each.slice())];
  const kept: Uint8Array[] = [];
  let runs = 0;
  const pick = (): Uint8Array => {
    const index = random.below(first.length + kept.length);
    return index < first.length ? first[index]! : kept[index - first.length]!;
  };
  while (runs < most && !(runs >= first.length && runs % batch === 0 && expired())) {
    const input = runs < first.length ? first[runs]! : mutate(pick(), pick(), random, longest);
    runs++;
    watchdog?.watch(target.name, input);
    const failed = await attempt(target, input);
    if (failed !== undefined) {
      watchdog?.rest();
      return { runs, failure: { error: failed.error, input: await shrink(target, input), found: input } };
    }
    // Some of what was tried, so that mutations pile up.
    if (random.below(16) === 0) kept[kept.length < keptInputs ? kept.length : random.below(keptInputs)] = input;
  }
  watchdog?.rest();
  return { runs, failure: undefined };
}

/** What the target throws for `input`, or `undefined` when it takes it. The target gets a copy. */
export async function attempt(target: FuzzTarget, input: Uint8Array): Promise<{ readonly error: unknown } | undefined> {
  try {
    const result = target.run(input.slice());
    // Most targets are synchronous: a turn of the event loop for each input would be most of the time.
    if (result !== undefined) await result;
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** The most runs that shrinking takes. */
const shrinkRuns = 5000;

/** Looks for a shorter and plainer input that still breaks the target: parts cut out, then bytes set to zero. */
export async function shrink(target: FuzzTarget, found: Uint8Array): Promise<Uint8Array> {
  let best: Uint8Array = found.slice();
  let left = shrinkRuns;
  const better = async (candidate: Uint8Array): Promise<boolean> => {
    if (left-- <= 0 || (await attempt(target, candidate)) === undefined) return false;
    best = candidate;
    return true;
  };
  for (let changed = true; changed && left > 0;) {
    changed = false;
    for (let size = best.length; size >= 1; size >>>= 1) {
      for (let at = 0; at + size <= best.length && left > 0;) {
        const candidate = new Uint8Array(best.length - size);
        candidate.set(best.subarray(0, at));
        candidate.set(best.subarray(at + size), at);
        if (await better(candidate)) changed = true;
        else at += size;
      }
    }
    for (let at = 0; at < best.length && left > 0; at++) {
      if (best[at] === 0) continue;
      const candidate = best.slice();
      candidate[at] = 0;
      if (await better(candidate)) changed = true;
    }
  }
  return best;
}
