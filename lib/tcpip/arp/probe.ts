/** The timetable of taking an address (RFC 5227 §1.1, §2.1, §2.3). Pure: the caller keeps the timer. */

import type { Random } from "@tesserae/device/random";

/** Milliseconds and counts, named as in RFC 5227 §1.1. */
export const claimTiming = {
  probeWait: 1000,
  probeCount: 3,
  probeLeast: 1000,
  probeMost: 2000,
  announceWait: 2000,
  announceCount: 2,
  announceInterval: 2000,
  defendInterval: 10_000,
} as const;

/** What to do now. `own` comes once, with the first announcement: the address is ours from then on. */
export type ClaimStep = "wait" | "probe" | "own" | "announce" | "done";

/** One claim in progress. */
export class AddressClaim {
  readonly #random: Random;
  #probesLeft: number;
  #announcementsLeft: number = claimTiming.announceCount;
  #owned = false;
  /** When the next step is due. */
  deadline: number;

  /** @param probe whether to look for other users first */
  constructor(now: number, random: Random, probe: boolean) {
    this.#random = random;
    this.#probesLeft = probe ? claimTiming.probeCount : 0;
    this.deadline = probe ? now + this.#between(0, claimTiming.probeWait) : now;
  }

  /** Whether a conflict now means that the address is not ours. */
  get probing(): boolean {
    return !this.#owned;
  }

  /** The step that is due, and the next deadline. */
  step(now: number): ClaimStep {
    if (now < this.deadline) return "wait";
    if (this.#probesLeft > 0) {
      this.#probesLeft--;
      const { probeLeast, probeMost, announceWait } = claimTiming;
      this.deadline = now + (this.#probesLeft > 0 ? this.#between(probeLeast, probeMost) : announceWait);
      return "probe";
    }
    if (this.#announcementsLeft === 0) return "done";
    this.#announcementsLeft--;
    this.deadline = this.#announcementsLeft > 0 ? now + claimTiming.announceInterval : Infinity;
    if (this.#owned) return "announce";
    this.#owned = true;
    return "own";
  }

  #between(least: number, most: number): number {
    return least + ((most - least) * this.#random.uint32()) / 0x1_0000_0000;
  }
}
