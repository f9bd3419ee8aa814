import type { SeededRandom } from "./random.ts";

/** One thing that a run decided: an integer from `least` to `most`, by name. `least` is the simplest. */
export interface Decision {
  readonly name: string;
  readonly value: number;
  readonly least: number;
  readonly most: number;
}

/** Decisions a run may take; a scenario that takes more is no scenario to shrink. */
const mostDecisions = 100_000;
const namePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;

/**
 * What a scenario leaves to its seed: how many, how long, who, whether. Each decision is an integer with a name and is
 * recorded, so that a run that fails can be made simpler, decision by decision, and run again.
 *
 * Each decision comes from a stream of its own, made from the seed and its name: one more, or one less, changes none of
 * the others. A name used again is another decision: `pause`, `pause:2`, `pause:3`.
 */
export class Choices {
  readonly #random: SeededRandom;
  readonly #given: ReadonlyMap<string, number> | undefined;
  readonly #decisions: Decision[] = [];
  readonly #uses = new Map<string, number>();

  /** @param given the decisions of an earlier run; what is not named is decided as the least. Default: the seed's. */
  constructor(random: SeededRandom, given?: ReadonlyMap<string, number>) {
    this.#random = random;
    this.#given = given;
  }

  /** What was decided so far, in order. */
  get decisions(): readonly Decision[] {
    return this.#decisions;
  }

  /**
   * An integer from `least` to `most`, each as likely as any other.
   *
   * @throws RangeError for a bad name or bounds; when the run has taken 100,000 decisions.
   */
  integer(name: string, least: number, most: number): number {
    checkBounds(name, least, most);
    return this.#decide(name, least, most, (random) => least + random.below(most - least + 1));
  }

  /** As {@link Choices.integer}, each order of magnitude as likely as any other: for sizes and durations. */
  size(name: string, least: number, most: number): number {
    checkBounds(name, least, most);
    return this.#decide(name, least, most, (random) => {
      let bits = 0;
      while (2 ** bits - 1 < most - least) bits++;
      const reach = Math.min(most - least, 2 ** random.below(bits + 1) - 1);
      return least + random.below(reach + 1);
    });
  }

  /** True with that probability. False is the simpler. */
  chance(name: string, probability: number): boolean {
    if (!(probability >= 0 && probability <= 1)) {
      throw new RangeError(`${name}: ${String(probability)} is not a probability from 0 to 1`);
    }
    return this.#decide(name, 0, 1, (random) => (random.chance(probability) ? 1 : 0)) === 1;
  }

  /** One of the list, which is not empty. The first is the simplest. */
  pick<T>(name: string, list: readonly T[]): T {
    if (list.length === 0) throw new RangeError(`${name}: there is nothing to pick from`);
    const index = this.integer(name, 0, list.length - 1);
    // as: integer() stays within the list
    return list[index] as T;
  }

  /** What {@link parseChoices} reads: the decisions that are not the simplest. */
  toString(): string {
    return formatChoices(this.#decisions);
  }

  #decide(name: string, least: number, most: number, draw: (random: SeededRandom) => number): number {
    if (!namePattern.test(name)) {
      throw new RangeError(`"${name}" is no name of a decision: a letter, then up to 63 letters, digits and . _ -`);
    }
    if (this.#decisions.length >= mostDecisions) throw new RangeError(`${name}: more than 100000 decisions in one run`);
    const use = (this.#uses.get(name) ?? 0) + 1;
    this.#uses.set(name, use);
    const full = use === 1 ? name : `${name}:${use}`;
    const given = this.#given;
    const value =
      given === undefined
        ? draw(this.#random.fork(`choice ${full}`))
        : Math.min(most, Math.max(least, given.get(full) ?? least));
    this.#decisions.push({ name: full, value, least, most });
    return value;
  }
}

/** The decisions that are not the least, as text without spaces: `crash.1,crash.1.at=1200,writes=3`. */
export function formatChoices(decisions: readonly Decision[]): string {
  return decisions
    .filter(({ value, least }) => value !== least)
    .map(({ name, value }) => (value === 1 ? name : `${name}=${value}`))
    .join(",");
}

/** Reads what {@link formatChoices} wrote. @returns a message when the text makes no sense. */
export function parseChoices(text: string): ReadonlyMap<string, number> | string {
  const given = new Map<string, number>();
  for (const part of text.split(/[\s,]+/)) {
    if (part === "") continue;
    const match = /^([A-Za-z][A-Za-z0-9_.-]{0,63}(?::\d{1,6})?)(?:=(-?\d{1,16}))?$/.exec(part);
    const [, name = "", value = "1"] = match ?? [];
    if (match === null || !Number.isSafeInteger(Number(value))) return `"${part}" is not NAME or NAME=INTEGER`;
    given.set(name, Number(value));
  }
  return given;
}

function checkBounds(name: string, least: number, most: number): void {
  if (!Number.isSafeInteger(least) || !Number.isSafeInteger(most) || least > most || most - least >= 2 ** 32) {
    throw new RangeError(`${name}: ${String(least)} to ${String(most)} is no range of at most 2^32 integers`);
  }
}
