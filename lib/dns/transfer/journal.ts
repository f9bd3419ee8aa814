import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import type { Zones } from "../authoritative/zones.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import { condense, type Difference, differenceBetween, differenceSize, serialsOf, soaOf } from "./difference.ts";
import { recordType } from "../wire.ts";
import { isNewer } from "./serial.ts";

export interface JournalOptions {
  readonly zones: Zones;
  /** Bytes of differences kept for a zone; the oldest go first. Default 1 MiB. */
  readonly zoneLimit?: number;
  /** Zones with a journal; more have none. Default 100,000. */
  readonly mostZones?: number;
  /**
   * Names above which two versions of a zone that come without their difference are not compared. Default 100,000:
   * comparing takes some microseconds a record.
   */
  readonly compareLimit?: number;
}

/** Told of each difference that was added; in order. */
export type JournalListener = (zone: Zone, difference: Difference) => void;

interface ZoneJournal {
  readonly differences: Difference[];
  size: number;
}

/** The differences between versions of the zones that are served, for IXFR. Follows `zones` by itself. */
export class Journal {
  readonly #zones: Zones;
  readonly #zoneLimit: number;
  readonly #mostZones: number;
  readonly #compareLimit: number;
  readonly #journals = new Map<string, ZoneJournal>();
  readonly #listeners = new Set<JournalListener>();
  readonly #unwatch: () => void;
  /** Set while a change is made through {@link apply}. */
  #known: Difference | undefined;

  constructor(options: JournalOptions) {
    this.#zones = options.zones;
    this.#zoneLimit = options.zoneLimit ?? 2 ** 20;
    this.#mostZones = options.mostZones ?? 100_000;
    this.#compareLimit = options.compareLimit ?? 100_000;
    this.#unwatch = options.zones.onChange((before, after) => this.#changed(before, after));
  }

  /**
   * Makes the next version of a zone and serves it.
   *
   * @param difference begins at the version that is served
   */
  apply(zone: Zone, difference: Difference, changes: readonly ZoneChange[]): Zone {
    const after = zone.update(changes);
    this.#known = difference;
    try {
      this.#zones.replace(after);
    } finally {
      this.#known = undefined;
    }
    return after;
  }

  /** The differences that lead from `serial` to the version that is served; `undefined` when they are not all there. */
  since(apex: Uint8Array, serial: number): readonly Difference[] | undefined {
    const differences = this.#journals.get(idOf(apex))?.differences ?? [];
    const start = differences.findIndex((each) => serialsOf(each)[0] === serial);
    return start < 0 ? undefined : differences.slice(start);
  }

  /** Bytes of the differences of a zone. */
  size(apex: Uint8Array): number {
    return this.#journals.get(idOf(apex))?.size ?? 0;
  }

  /** All that is kept of a zone as one difference; `undefined` when there is nothing. */
  condensed(apex: Uint8Array): Difference | undefined {
    const differences = this.#journals.get(idOf(apex))?.differences ?? [];
    return differences.length === 0 ? undefined : differences.reduce(condense);
  }

  /** Calls `listener` after each difference, until the function that it returns is called. */
  onDifference(listener: JournalListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows the zones no more. */
  close(): void {
    this.#unwatch();
    this.#listeners.clear();
    this.#journals.clear();
  }

  #changed(before: Zone | undefined, after: Zone | undefined): void {
    // A zone that expired goes on where it was when it comes back; if not, its first difference does not fit.
    if (before === undefined || after === undefined) {
      const zone = before ?? after;
      if (zone !== undefined && before === undefined && !this.#continues(zone)) this.#journals.delete(idOf(zone.apex));
      return;
    }
    if (!isNewer(after.serial, before.serial)) {
      // RFC 1995 §2: nobody could tell the versions apart.
      this.#journals.delete(idOf(after.apex));
      return;
    }
    const difference = this.#known ?? this.#compared(before, after);
    if (difference === undefined) this.#journals.delete(idOf(after.apex));
    else this.#add(after, difference);
  }

  #continues(zone: Zone): boolean {
    const last = this.#journals.get(idOf(zone.apex))?.differences.at(-1);
    return last !== undefined && serialsOf(last)[1] === zone.serial;
  }

  #compared(before: Zone, after: Zone): Difference | undefined {
    return before.size + after.size > 2 * this.#compareLimit ? undefined : differenceBetween(before, after);
  }

  #add(zone: Zone, difference: Difference): void {
    const id = idOf(zone.apex);
    let journal = this.#journals.get(id);
    if (journal === undefined) {
      if (this.#journals.size >= this.#mostZones) return;
      journal = { differences: [], size: 0 };
      this.#journals.set(id, journal);
    }
    journal.differences.push(difference);
    journal.size += differenceSize(difference);
    while (journal.size > this.#zoneLimit) {
      const oldest = journal.differences.shift();
      if (oldest === undefined) break;
      journal.size -= differenceSize(oldest);
    }
    for (const listener of this.#listeners) listener(zone, difference);
  }
}

/** A difference made of the changes to a zone that is served; a new SOA record must be among them. */
export function differenceOf(zone: Zone, changes: readonly ZoneChange[]): Difference {
  let to = soaOf(zone);
  const removed = new Array<Difference["removed"][number]>();
  const added = new Array<Difference["added"][number]>();
  for (const { kind, record } of changes) {
    if (record.type === recordType.SOA) to = kind === "add" ? record : to;
    else (kind === "add" ? added : removed).push(record);
  }
  return { from: soaOf(zone), to, removed, added };
}

function idOf(apex: Uint8Array): string {
  return nameToText(lowerName(apex));
}
