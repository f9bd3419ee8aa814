/**
 * The neighbour cache (RFC 4861 §5.1, §7.3.2): pure bookkeeping, no packets.
 *
 * Bounded, and filled in classes (RFC 6583): a neighbour that merely asked (`learned`) never pushes out one that has
 * answered, and unanswered questions push out only each other, so that a scan of the prefix costs nobody his place.
 */

import type { IpAddress, MacAddress } from "@tesserae/device/address";
import type { Random } from "@tesserae/device/random";
import { AddressEntry, AddressTable } from "../ip/address-table.ts";

/** The states of RFC 4861 §7.3.2, and `failed`: nobody answered; no question until some time has passed. */
export type NeighbourState = "incomplete" | "reachable" | "stale" | "delay" | "probe" | "failed";

export class Neighbour6 extends AddressEntry {
  state: NeighbourState = "incomplete";
  mac: MacAddress | undefined = undefined;
  isRouter = false;
  /** Whether it has ever answered us, or has been confirmed by a transport: see {@link NeighbourCache6}. */
  hasAnswered = false;
  /** When the state ends by itself, or `Infinity`. */
  deadline = Infinity;
  /** Solicitations sent in this state. */
  attempts = 0;
  /** When it was last used, as a count that only grows: what orders eviction. */
  used = 0;

  /** Questions that failed go before those that may yet be answered. */
  get rank(): number {
    return this.state === "failed" ? -1 : this.used;
  }
}

type NeighbourClass = 0 | 1 | 2;
const open = 0;
const learned = 1;
const confirmed = 2;

function classOf(neighbour: Neighbour6): NeighbourClass {
  if (neighbour.mac === undefined) return open;
  return neighbour.hasAnswered ? confirmed : learned;
}

export class NeighbourCache6 {
  readonly capacity: number;
  readonly #entries: AddressTable<Neighbour6>;
  /** Entries that were pushed out by others. */
  evicted = 0;
  /** Entries that were not made because there was no room for their kind. */
  refused = 0;

  /** @param capacity at least 8. A quarter is for open questions and a quarter for neighbours that merely asked. */
  constructor(capacity: number, random: Random) {
    if (!(capacity >= 8)) throw new RangeError(`capacity ${capacity} is below 8`);
    this.capacity = capacity;
    this.#entries = new AddressTable(random);
  }

  get size(): number {
    return this.#entries.size;
  }

  get(address: IpAddress): Neighbour6 | undefined {
    return this.#entries.get(address);
  }

  /** All, as they were when the call was made. */
  entries(): Neighbour6[] {
    return this.#entries.entries();
  }

  remove(neighbour: Neighbour6): void {
    this.#entries.remove(neighbour);
  }

  clear(): void {
    this.#entries.clear();
  }

  /**
   * A new entry for an address that has none. `evict` is told of the one that makes room.
   *
   * @param isLearned whether a neighbour that told us of itself is to be noted, instead of one that we want to ask
   * @returns `undefined` when there is no room for one of its kind.
   */
  create(
    address: IpAddress,
    isLearned: boolean,
    used: number,
    evict: (victim: Neighbour6) => void,
  ): Neighbour6 | undefined {
    const own = isLearned ? learned : open;
    const share = this.capacity >>> 2;
    const counts: [number, number, number] = [0, 0, 0];
    const oldest: (Neighbour6 | undefined)[] = [undefined, undefined, undefined];
    if (this.size >= share) {
      for (const entry of this.entries()) {
        const kind = classOf(entry);
        counts[kind]++;
        const other = oldest[kind];
        if (other === undefined || entry.rank < other.rank) oldest[kind] = entry;
      }
    }
    let victim: Neighbour6 | undefined;
    if (counts[own] >= share) victim = oldest[own];
    else if (this.size >= this.capacity) {
      // Full, and our kind has less than its share: some other kind has more than its own.
      victim = oldest[open] ?? oldest[learned];
      if (counts[confirmed] > this.capacity - 2 * share) victim = oldest[confirmed];
    }
    if (victim !== undefined) {
      this.#entries.remove(victim);
      this.evicted++;
      evict(victim);
    } else if (this.size >= this.capacity) {
      this.refused++;
      return undefined;
    }
    const made = new Neighbour6(address);
    made.used = used;
    this.#entries.add(made);
    return made;
  }
}
