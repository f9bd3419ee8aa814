/** Looks at a world between two events. Throws, or gives a text that says what is wrong; anything else is well. Must change nothing. */
export type Check = () => unknown;

/** An invariant that does not hold. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  /** The name of the invariant. */
  readonly invariant: string;
  /** Virtual milliseconds. */
  readonly time: number;

  constructor(invariant: string, time: number, what: string, options?: { readonly cause?: unknown }) {
    super(`invariant "${invariant}" does not hold at ${time} ms: ${what}`, options);
    this.invariant = invariant;
    this.time = time;
  }
}

export interface InvariantOptions {
  /** Looks after each so many events only, where looking is dear. Default 1. */
  readonly every?: number;
}

interface Invariant {
  readonly name: string;
  readonly check: Check;
  readonly every: number;
  waited: number;
}

/** The invariants of one world. */
export class Invariants {
  readonly #list: Invariant[] = [];
  /** Times that one was looked at. */
  checks = 0;

  /** @throws RangeError when `every` is no integer from 1 on. */
  add(name: string, check: Check, options: InvariantOptions = {}): void {
    const every = options.every ?? 1;
    if (!Number.isInteger(every) || every < 1) throw new RangeError(`every ${String(every)} is no integer from 1 on`);
    this.#list.push({ name, check, every, waited: 0 });
  }

  /** Looks at those that are due after `events` more events. @returns the first that does not hold. */
  look(time: number, events: number): InvariantError | undefined {
    const list = this.#list;
    for (let index = 0; index < list.length; index++) {
      const each = list[index];
      if (each === undefined) continue;
      each.waited += events;
      if (each.waited < each.every) continue;
      each.waited = 0;
      this.checks++;
      const broken = ask(each, time);
      if (broken !== undefined) return broken;
    }
    return undefined;
  }

  /** Looks at all of them. */
  lookAtAll(time: number): InvariantError | undefined {
    for (const each of this.#list) {
      this.checks++;
      const broken = ask(each, time);
      if (broken !== undefined) return broken;
    }
    return undefined;
  }
}

function ask({ name, check }: Invariant, time: number): InvariantError | undefined {
  try {
    const said = check();
    return typeof said === "string" ? new InvariantError(name, time, said) : undefined;
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    return new InvariantError(name, time, what, { cause: error });
  }
}
