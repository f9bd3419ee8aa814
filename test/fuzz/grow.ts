import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import type { BlockCoverage } from "./coverage.ts";
import { Draws } from "./draws.ts";
import { attempt } from "./fuzzer.ts";
import { mutate } from "./mutation.ts";
import type { Watchdog } from "./watchdog.ts";

/** An input that was worth keeping, and what it alone, when it was found, reached. */
export interface KeptInput {
  readonly input: Uint8Array;
  readonly features: ReadonlySet<number>;
}

export interface GrowOptions {
  readonly seed: number;
  readonly longest?: number;
  readonly expired: () => boolean;
  readonly coverage: Pick<BlockCoverage, "take">;
  readonly watchdog?: Watchdog;
  /** Is told each input that is kept and was not given, when it is found. */
  readonly found?: (input: Uint8Array) => void;
}

export interface Grown {
  readonly kept: readonly KeptInput[];
  readonly runs: number;
  /** An input that breaks the target. */
  readonly failure: { readonly input: Uint8Array; readonly error: unknown } | undefined;
}

/** Runs an input; what it reached, or what the target threw. */
async function reach(
  target: FuzzTarget,
  input: Uint8Array,
  { coverage, watchdog }: GrowOptions,
): Promise<{ readonly features: Set<number>; readonly failure: { readonly error: unknown } | undefined }> {
  watchdog?.watch(target.name, input);
  coverage.take();
  const failure = await attempt(target, input);
  const features = coverage.take();
  watchdog?.rest();
  return { features, failure };
}

/** Mutates inputs that reach something new, starting from the target's seeds and from `corpus`. */
export async function grow(target: FuzzTarget, corpus: readonly Uint8Array[], options: GrowOptions): Promise<Grown> {
  const { seed, longest = 1024, expired } = options;
  const random = new Draws(seed);
  const seen = new Set<number>();
  const kept: KeptInput[] = [];
  const first = [new Uint8Array(0), ...target.seeds, ...corpus];
  let runs = 0;
  const pick = (): Uint8Array => {
    // Half of the time one of the latest finds: what they opened is least explored.
    const from = random.below(2) === 0 ? Math.max(0, kept.length - 32) : 0;
    return kept[from + random.below(kept.length - from)]?.input ?? new Uint8Array(0);
  };
  while (runs < first.length || !expired()) {
    const input = (first[runs] ?? mutate(pick(), pick(), random, longest)).slice();
    runs++;
    const { features, failure } = await reach(target, input, options);
    if (failure !== undefined) return { kept, runs, failure: { input, error: failure.error } };
    const fresh = [...features].some((feature) => !seen.has(feature));
    if (!fresh) continue;
    for (const feature of features) seen.add(feature);
    kept.push({ input, features });
    if (runs > first.length) options.found?.(input);
  }
  return { kept, runs, failure: undefined };
}

/** The fewest and shortest of the inputs that together reach what all of them do, greedily, and each made shorter. */
export async function minimise(
  target: FuzzTarget,
  kept: readonly KeptInput[],
  options: GrowOptions,
): Promise<Uint8Array[]> {
  const left = new Set<number>();
  for (const { features } of kept) for (const feature of features) left.add(feature);
  const chosen: { readonly input: Uint8Array; readonly duties: Set<number> }[] = [];
  const candidates = new Set(kept);
  while (left.size > 0 && candidates.size > 0) {
    let best: KeptInput | undefined;
    let bestWorth = 0;
    for (const each of candidates) {
      let news = 0;
      for (const feature of each.features) if (left.has(feature)) news++;
      if (news === 0) candidates.delete(each);
      const worth = news / (each.input.length + 16);
      if (worth > bestWorth) {
        best = each;
        bestWorth = worth;
      }
    }
    if (best === undefined) break;
    const duties = new Set([...best.features].filter((feature) => left.has(feature)));
    for (const feature of duties) left.delete(feature);
    chosen.push({ input: best.input, duties });
    candidates.delete(best);
  }
  const inputs: Uint8Array[] = [];
  for (const { input, duties } of chosen) inputs.push(await shorten(target, input, duties, options));
  return inputs;
}

/** Cuts out what the duties do not need. */
async function shorten(
  target: FuzzTarget,
  input: Uint8Array,
  duties: ReadonlySet<number>,
  options: GrowOptions,
): Promise<Uint8Array> {
  let best = input;
  for (let size = best.length >>> 1; size >= 1; size >>>= 1) {
    for (let at = 0; at + size <= best.length && !options.expired();) {
      const shorter = new Uint8Array(best.length - size);
      shorter.set(best.subarray(0, at));
      shorter.set(best.subarray(at + size), at);
      const { features, failure } = await reach(target, shorter, options);
      if (failure === undefined && [...duties].every((feature) => features.has(feature))) best = shorter;
      else at += size;
    }
  }
  return best;
}
