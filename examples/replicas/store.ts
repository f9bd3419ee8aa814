/** What a replica holds for one key. */
export interface Entry {
  readonly value: string;
  /** How many writes of the key led to this one. */
  readonly version: number;
  /** The replica that it was written at. */
  readonly origin: string;
}

/** One replica's copy of the data: the last writer wins. */
export class Store {
  readonly #name: string;
  readonly #bug: boolean;
  readonly #entries = new Map<string, Entry>();

  constructor(name: string, bug: boolean) {
    this.#name = name;
    this.#bug = bug;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  get entries(): Iterable<[string, Entry]> {
    return this.#entries;
  }

  /** A client's write. */
  set(key: string, value: string): void {
    const version = (this.#entries.get(key)?.version ?? 0) + 1;
    this.#entries.set(key, { value, version, origin: this.#name });
  }

  /** What another replica holds. */
  merge(key: string, theirs: Entry): void {
    const ours = this.#entries.get(key);
    if (ours === undefined || this.#isNewer(theirs, ours)) this.#entries.set(key, theirs);
  }

  #isNewer(theirs: Entry, ours: Entry): boolean {
    if (theirs.version !== ours.version) return theirs.version > ours.version;
    // The mistake: when both sides of a partition have written, their versions can be equal, and each keeps its own.
    return this.#bug ? false : theirs.origin > ours.origin;
  }
}
