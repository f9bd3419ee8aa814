/** Executions of a block that count as the same: once, twice or three times, and so on. */
const buckets = [1, 2, 4, 16, 128, 1024];

declare global {
  /** The counters that scripts/block-counters.mjs puts into a bundle; none elsewhere. */
  var tesseraeBlockCounts: Uint32Array | undefined;
}

/** Which blocks of the code under test run, and roughly how often. */
export class BlockCoverage {
  readonly #counts: Uint32Array;

  /** @throws Error when this is no bundle whose blocks are counted. */
  constructor() {
    const counts = globalThis.tesseraeBlockCounts;
    if (counts === undefined) throw new Error("nothing counts blocks here: run scripts/fuzz-corpus.mjs");
    this.#counts = counts;
  }

  /** What ran since the last call: a number for each block and bucket of executions. */
  take(): Set<number> {
    const counts = this.#counts;
    const features = new Set<number>();
    for (let block = 0; block < counts.length; block++) {
      const count = counts[block]!;
      if (count > 0) features.add(block * 8 + buckets.findLastIndex((least) => count >= least));
    }
    counts.fill(0);
    return features;
  }
}
