import { nameLength } from "../name-bytes.ts";
import { NameKey } from "./name-key.ts";
import { i32At } from "./octets.ts";
import { isBelow, type Zone } from "./zone.ts";

/** Told when a zone comes (`before` is undefined), changes, or goes (`after` is undefined). */
export type ZonesListener = (before: Zone | undefined, after: Zone | undefined) => void;

/** One zone that we are to serve. */
export class ServedZone {
  readonly key: NameKey;
  /** Undefined while there is nothing to serve: not loaded yet, or expired (RFC 1035 §4.3.5). */
  zone: Zone | undefined;

  constructor(key: NameKey, zone: Zone | undefined) {
    this.key = key;
    this.zone = zone;
  }
}

/**
 * The zones that are served, by their apex. Answers read it while it changes: each sees a zone as it was before or as
 * it is after a change.
 */
export class Zones {
  readonly #listeners = new Set<ZonesListener>();
  /** Open-addressed; at most half full. */
  #slots: (ServedZone | undefined)[] = new Array<ServedZone | undefined>(8).fill(undefined);
  #count = 0;
  readonly #key = new NameKey();
  /** Goes up with every change. What was answered under another number may be wrong now. */
  generation = 1;

  /** How many there are. */
  get size(): number {
    return this.#count;
  }

  /** The zone with this very apex. */
  get(apex: Uint8Array): Zone | undefined {
    return this.#served(apex)?.zone;
  }

  /** Whether there is a zone with this apex, be it one without data. */
  has(apex: Uint8Array): boolean {
    return this.#served(apex) !== undefined;
  }

  /** Puts a zone in the place of the one with the same apex, or beside the others. Listeners are called before it returns. */
  replace(zone: Zone): void {
    const served = this.#served(zone.apex);
    const before = served?.zone;
    if (served === undefined) this.#add(new ServedZone(zone.apexKey, zone));
    else served.zone = zone;
    this.#changed(before, zone);
  }

  /** From now on queries for the zone fail (SERVFAIL): its data are not there yet, or have expired. */
  suspend(apex: Uint8Array): void {
    const served = this.#served(apex);
    const before = served?.zone;
    if (served === undefined) {
      const key = new NameKey();
      if (nameLength(apex, 0) !== apex.length) throw new RangeError("the apex is not a name");
      key.read(apex, 0, apex.length);
      this.#add(new ServedZone(key, undefined));
    } else served.zone = undefined;
    this.#changed(before, undefined);
  }

  /** From now on nothing is answered as it was before, though no zone has changed: signatures are made anew. */
  refresh(): void {
    this.generation++;
  }

  /** Serves the zone no more; false when it was not served. */
  remove(apex: Uint8Array): boolean {
    const served = this.#served(apex);
    if (served === undefined) return false;
    const rest = this.#slots.filter((each) => each !== undefined && each !== served);
    this.#slots = new Array<ServedZone | undefined>(this.#slots.length).fill(undefined);
    this.#count = 0;
    for (const each of rest) if (each !== undefined) this.#add(each);
    this.#changed(served.zone, undefined);
    return true;
  }

  /** Calls `listener` after every change, until the function that it returns is called. */
  onChange(listener: ZonesListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The zones with data. */
  *[Symbol.iterator](): Generator<Zone, undefined> {
    for (const served of this.#slots) if (served?.zone !== undefined) yield served.zone;
    return undefined;
  }

  /** The zone that a name is in: of those at or above its first `labels` labels, the lowest. */
  find(key: NameKey, labels: number): ServedZone | undefined {
    for (let above = labels; above >= 0; above--) {
      const served = this.#exact(key, above);
      if (served !== undefined) return served;
    }
    return undefined;
  }

  #served(apex: Uint8Array): ServedZone | undefined {
    const key = this.#key;
    return key.read(apex, 0, apex.length) < 0 ? undefined : this.#exact(key, key.labels);
  }

  #exact(key: NameKey, labels: number): ServedZone | undefined {
    const mask = this.#slots.length - 1;
    for (let slot = i32At(key.hashes, labels) & mask; ; slot = (slot + 1) & mask) {
      const served = this.#slots[slot];
      if (served === undefined) return undefined;
      if (served.key.labels === labels && isBelow(served.key, key)) return served;
    }
  }

  #add(served: ServedZone): void {
    if ((this.#count + 1) * 2 > this.#slots.length) {
      const all = this.#slots;
      this.#slots = new Array<ServedZone | undefined>(all.length * 2).fill(undefined);
      for (const each of all) if (each !== undefined) this.#put(each);
    }
    this.#count++;
    this.#put(served);
  }

  #put(served: ServedZone): void {
    const mask = this.#slots.length - 1;
    let slot = i32At(served.key.hashes, served.key.labels) & mask;
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask;
    this.#slots[slot] = served;
  }

  #changed(before: Zone | undefined, after: Zone | undefined): void {
    this.generation++;
    for (const listener of this.#listeners) listener(before, after);
  }
}
