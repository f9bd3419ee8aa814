import type { Clock } from "@tesserae/device/clock";
import type { NameServer } from "./classify.ts";
import { parentKey, rootKey } from "./name-key.ts";

/** Who is to be asked about a zone. */
export interface Delegation {
  readonly zone: string;
  readonly servers: readonly NameServer[];
  /** Milliseconds on the `now()` axis. */
  readonly expires: number;
  /** The servers are asked to resolve (a forwarder), or are given for the zone and for ever (a stub zone). */
  readonly given?: "forward" | "stub";
}

/**
 * Zones and their servers, as parents say: a child cannot prolong its own delegation (ghost domains), and glue is used
 * for nothing but its delegation. What was used longest ago goes first; what is given stays.
 */
export class Delegations {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #given: ReadonlyMap<string, Delegation>;
  readonly #learnt = new Map<string, Delegation>();
  readonly #hasGiven: boolean;

  /** @param given among them the root, with the hints */
  constructor(clock: Clock, capacity: number, given: readonly Delegation[]) {
    this.#clock = clock;
    this.#capacity = capacity;
    this.#given = new Map(given.map((each) => [each.zone, each]));
    this.#hasGiven = given.length > 1;
    if (!this.#given.has(rootKey)) throw new RangeError("the servers of the root are not given");
  }

  get size(): number {
    return this.#learnt.size;
  }

  /** The one whose zone is closest above the name, or at it. */
  closest(name: string): Delegation {
    for (let zone = name; ; zone = parentKey(zone)) {
      const found = this.#learntOf(zone) ?? this.#given.get(zone);
      if (found !== undefined) return found;
    }
  }

  /** The closest forwarded or stub zone at or above the name: nothing above it says anything of it. Else the root. */
  givenAbove(name: string): string {
    if (this.#hasGiven) {
      for (let zone = name; zone !== rootKey; zone = parentKey(zone)) {
        if (this.#given.get(zone)?.given !== undefined) return zone;
      }
    }
    return rootKey;
  }

  /** What was learnt of a zone, as long as it is valid. */
  learnt(zone: string): Delegation | undefined {
    return this.#learntOf(zone);
  }

  add(delegation: Delegation): void {
    const { zone } = delegation;
    const given = this.#given.get(zone);
    if (given?.given !== undefined) return;
    this.#learnt.delete(zone);
    if (this.#learnt.size >= this.#capacity) {
      for (const oldest of this.#learnt.keys()) {
        this.#learnt.delete(oldest);
        break;
      }
    }
    this.#learnt.set(zone, delegation);
  }

  #learntOf(zone: string): Delegation | undefined {
    const found = this.#learnt.get(zone);
    if (found === undefined) return undefined;
    this.#learnt.delete(zone);
    if (this.#clock.now() >= found.expires) return undefined;
    this.#learnt.set(zone, found);
    return found;
  }
}
