import type { Timer } from "@tesserae/device/clock";
import type { XenDomain } from "./domain.ts";
import type { SharedPages } from "./grant.ts";

/** Milliseconds between two tries, at first and at most. */
const firstPause = 10;
const longestPause = 60_000;

interface Batch {
  readonly pages: SharedPages;
  readonly references: number[];
}

/**
 * Takes grants back, and releases the memory once no other domain has it mapped any more. The other end may let go late,
 * or never: it is asked less and less often, and nobody waits for it.
 */
export class Reclaimer {
  readonly #domain: XenDomain;
  readonly #timer: Timer;
  readonly #endResume: () => void;
  #batches: Batch[] = [];
  #pause = firstPause;

  constructor(domain: XenDomain) {
    this.#domain = domain;
    this.#timer = domain.timers.timer(() => this.#again());
    this.#endResume = domain.onResume(() => this.#forget());
  }

  /** Grants that could not be taken back yet. */
  get pending(): number {
    return this.#batches.reduce((sum, { references }) => sum + references.length, 0);
  }

  /** @param references all grants of `pages` that are live */
  reclaim(pages: SharedPages, references: readonly number[]): void {
    this.#batches.push({ pages, references: [...references] });
    this.#pause = firstPause;
    this.#again();
  }

  #again(): void {
    const { grants, timers } = this.#domain;
    const left: Batch[] = [];
    for (const batch of this.#batches) {
      const { pages, references } = batch;
      const held = references.filter((reference) => !grants.end(reference));
      references.splice(0, references.length, ...held);
      if (held.length > 0) left.push(batch);
      else pages.release();
    }
    this.#batches = left;
    if (left.length === 0) {
      this.#timer.cancel();
      return;
    }
    this.#timer.set(timers.now() + this.#pause);
    this.#pause = Math.min(this.#pause * 2, longestPause);
  }

  /** After a restore no grant is live. */
  #forget(): void {
    for (const { pages } of this.#batches) pages.release();
    this.#batches = [];
    this.#timer.cancel();
  }

  /** Does not hear of restores any more. What is pending is still taken back. */
  close(): void {
    this.#endResume();
  }
}
