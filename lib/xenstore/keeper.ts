/** What a server that died left behind: a state, and what was done since. */
export interface Kept {
  /** Of {@link XenstoreServer.save}; undefined: the tree was empty. */
  readonly state: Uint8Array | undefined;
  /** Of {@link Journal.end}, in order. */
  readonly records: readonly Uint8Array[];
}

/** Keeps what a server does: in memory, for a server in the same program, or beyond the program's end. */
export interface Keeper {
  /** All that is kept. */
  kept(): Kept;
  /** Bytes of records since the state. */
  readonly length: number;
  /** Keeps a record: it is when this returns. The bytes are the keeper's. */
  append(record: Uint8Array): void;
  /** Keeps a state instead of all before. */
  begin(state: Uint8Array): void;
}

/** Keeps in memory: for a server that dies of a fault while the program goes on. */
export class MemoryKeeper implements Keeper {
  #state: Uint8Array | undefined;
  #records: Uint8Array[] = [];
  length = 0;

  kept(): Kept {
    return { state: this.#state, records: this.#records };
  }

  append(record: Uint8Array): void {
    this.#records.push(record);
    this.length += record.length;
  }

  begin(state: Uint8Array): void {
    this.#state = state;
    this.#records = [];
    this.length = 0;
  }
}

/** Keeps in memory. */
export function createMemoryKeeper(): Keeper {
  return new MemoryKeeper();
}
