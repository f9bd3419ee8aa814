import { formatChoices, type Decision } from "./choices.ts";

/** What one attempt came to: whether the run failed in the same way, and what it decided. */
export interface Attempt {
  readonly failed: boolean;
  readonly decisions: readonly Decision[];
}

export interface ShrinkOptions {
  /** Runs a scenario with these choices (see `parseChoices`). */
  readonly attempt: (choices: string) => Promise<Attempt>;
  /** Attempts at most. Default 500. */
  readonly most?: number;
  /** Attempts under way at once. Default 1. */
  readonly parallel?: number;
  /** Says to stop early, with the best so far. */
  readonly enough?: () => boolean;
}

export interface Shrunk {
  /** The simplest decisions found that still fail. */
  readonly decisions: readonly Decision[];
  readonly attempts: number;
  /** False when it stopped before nothing more could be made simpler. */
  readonly complete: boolean;
}

/**
 * Makes the decisions of a failing run simpler as long as it fails in the same way: takes as many as it can for their
 * least, in ever smaller groups (delta debugging, Zeller and Hildebrandt 2002), then brings each that is left as near
 * to its least as it can by halving; and again, until nothing changes.
 *
 * Deterministic when `attempt` is, whatever `parallel` is: of the attempts of one round the first that fails counts.
 */
export async function shrink(decisions: readonly Decision[], options: ShrinkOptions): Promise<Shrunk> {
  const search = new Search(decisions, options);
  for (;;) {
    const before = formatChoices(search.best);
    await search.dropGroups();
    await search.lower();
    if (formatChoices(search.best) === before || search.isOver) break;
  }
  return { decisions: search.best, attempts: search.attempts, complete: !search.isOver };
}

class Search {
  best: readonly Decision[];
  attempts = 0;
  readonly #options: ShrinkOptions;
  readonly #most: number;
  /** What was tried before: a run is a function of its choices. */
  readonly #tried = new Set<string>();

  constructor(decisions: readonly Decision[], options: ShrinkOptions) {
    this.best = decisions;
    this.#options = options;
    this.#most = options.most ?? 500;
    this.#tried.add(formatChoices(decisions));
  }

  get isOver(): boolean {
    return this.attempts >= this.#most || this.#options.enough?.() === true;
  }

  /** Sets groups of decisions to their least. */
  async dropGroups(): Promise<void> {
    let size = this.#open().length;
    while (size >= 1 && !this.isOver) {
      const open = this.#open();
      size = Math.min(size, open.length);
      if (size === 0) return;
      const groups: ReadonlySet<string>[] = [];
      for (let from = 0; from < open.length; from += size) {
        groups.push(new Set(open.slice(from, from + size).map((each) => each.name)));
      }
      const found = await this.#first(
        groups.map((group) => this.best.map((each) => (group.has(each.name) ? { ...each, value: each.least } : each))),
      );
      if (!found) size = Math.floor(size / 2);
    }
  }

  /** Brings every decision nearer to its least. */
  async lower(): Promise<void> {
    for (const { name } of this.#open()) {
      // The distance that is known to be too little for a failure; what is there now is enough.
      let low = 0;
      for (;;) {
        const now = this.best.find((each) => each.name === name);
        if (now === undefined || this.isOver) break;
        const distance = now.value - now.least;
        if (distance - low <= 1) break;
        const middle = low + Math.floor((distance - low) / 2);
        const value = now.least + middle;
        const found = await this.#first([this.best.map((each) => (each.name === name ? { ...each, value } : each))]);
        if (!found) low = middle;
      }
    }
  }

  #open(): readonly Decision[] {
    return this.best.filter((each) => each.value !== each.least);
  }

  /** Takes the first of the candidates that fails. @returns whether there is one. */
  async #first(candidates: readonly (readonly Decision[])[]): Promise<boolean> {
    const texts = candidates.map(formatChoices).filter((text) => !this.#tried.has(text));
    const parallel = Math.max(1, this.#options.parallel ?? 1);
    for (let at = 0; at < texts.length && !this.isOver; at += parallel) {
      const batch = texts.slice(at, at + parallel);
      for (const text of batch) this.#tried.add(text);
      this.attempts += batch.length;
      const outcomes = await Promise.all(batch.map((text) => this.#options.attempt(text)));
      const failing = outcomes.find((each) => each.failed);
      // What the run decided, and not what it was told to: choices that it never came to are gone.
      if (failing !== undefined) {
        this.best = failing.decisions;
        return true;
      }
    }
    return false;
  }
}
