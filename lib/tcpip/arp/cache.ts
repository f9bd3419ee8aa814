/**
 * The neighbour table: pure bookkeeping, no frames.
 *
 * An entry is made only for an address that we have asked for, or for a neighbour that asked for ours. What is known is
 * never overwritten by what nobody asked for. Bounded, and filled in classes: a neighbour that merely asked (`learned`)
 * never pushes out one that has answered us, and unanswered questions push out only each other.
 */

import type { MacAddress } from "@tesserae/device/address";

/**
 * `incomplete`: asked, no answer yet. `learned`: it asked us; its address is used, and confirmed when first used.
 * `reachable`: it answered lately. `stale`: it answered once; used, and confirmed when used. `confirming`: used while we
 * ask it alone whether it is still there. `failed`: nobody answered; no question until some time has passed.
 */
export type NeighbourState = "incomplete" | "learned" | "reachable" | "stale" | "confirming" | "failed";

export class Neighbour {
  readonly ip: number;
  state: NeighbourState = "incomplete";
  mac: MacAddress | undefined;
  /** When the state ends by itself, or `Infinity`. */
  deadline = Infinity;
  /** Questions sent in this state. */
  attempts = 0;
  /** When it was last used, as a count that only grows: what orders eviction. */
  used = 0;
  /** The instant of its last answer; −Infinity before the first. */
  answered = -Infinity;

  constructor(ip: number) {
    this.ip = ip;
  }

  /** Open questions that failed go before those that may yet be answered. */
  get rank(): number {
    return this.state === "failed" ? -1 : this.used;
  }
}

const classes = { open: 0, learned: 1, confirmed: 2 } as const;
type NeighbourClass = (typeof classes)[keyof typeof classes];

function classOf(neighbour: Neighbour): NeighbourClass {
  if (neighbour.mac === undefined) return classes.open;
  return neighbour.state === "learned" ? classes.learned : classes.confirmed;
}

export class NeighbourCache {
  readonly capacity: number;
  readonly #entries = new Map<number, Neighbour>();
  /** Entries that were pushed out by others. */
  evicted = 0;
  /** Entries that were not made because there was no room for their kind. */
  refused = 0;

  /** @param capacity at least 8. A quarter is for open questions and a quarter for neighbours that merely asked. */
  constructor(capacity: number) {
    if (!(capacity >= 8)) throw new RangeError(`capacity ${capacity} is below 8`);
    this.capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(ip: number): Neighbour | undefined {
    return this.#entries.get(ip);
  }

  entries(): IterableIterator<Neighbour> {
    return this.#entries.values();
  }

  remove(neighbour: Neighbour): void {
    this.#entries.delete(neighbour.ip);
  }

  /**
   * A new entry for `ip`, which has none. `evict` is told of the one that makes room.
   *
   * @param learned whether a neighbour that asked us is to be noted, instead of one that we want to ask
   * @returns `undefined` when there is no room for one of its kind.
   */
  create(ip: number, learned: boolean, used: number, evict: (victim: Neighbour) => void): Neighbour | undefined {
    const own = learned ? classes.learned : classes.open;
    const share = this.capacity >>> 2;
    const counts: [number, number, number] = [0, 0, 0];
    const oldest: (Neighbour | undefined)[] = [undefined, undefined, undefined];
    if (this.#entries.size >= share) {
      for (const entry of this.#entries.values()) {
        const kind = classOf(entry);
        counts[kind]++;
        const other = oldest[kind];
        if (other === undefined || entry.rank < other.rank) oldest[kind] = entry;
      }
    }
    let victim: Neighbour | undefined;
    if (counts[own] >= share) victim = oldest[own];
    else if (this.#entries.size >= this.capacity) {
      // Full, and our kind has less than its share: the confirmed have more than theirs.
      victim = oldest[classes.open] ?? oldest[classes.learned];
      if (counts[classes.confirmed] > this.capacity - 2 * share) victim = oldest[classes.confirmed];
    }
    if (victim !== undefined) {
      this.#entries.delete(victim.ip);
      this.evicted++;
      evict(victim);
    } else if (this.#entries.size >= this.capacity) {
      this.refused++;
      return undefined;
    }
    const made = new Neighbour(ip);
    made.used = used;
    this.#entries.set(ip, made);
    return made;
  }
}
