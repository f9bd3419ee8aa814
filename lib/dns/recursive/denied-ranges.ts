import type { Clock } from "@tesserae/device/clock";
import { bitmapHas } from "../dnssec/bitmap.ts";
import { compareNames, nameLength } from "../name-bytes.ts";
import { nsecCovers } from "./denial.ts";
import type { Kept } from "./kept.ts";
import { bytesOfKey, commonAncestor, isWithin, keyOf, parentKey, rootKey, wildcardKey } from "./name-key.ts";
import { type Rrset, typeCode } from "./rrset.ts";

interface Range {
  /** The owner's name, for the order. */
  readonly bytes: Uint8Array;
  readonly owner: string;
  readonly next: string;
  readonly set: Rrset;
  /** Milliseconds on the `now()` axis. */
  readonly received: number;
  readonly expires: number;
}

interface DeniedZone {
  soa: Rrset;
  soaReceived: number;
  soaExpires: number;
  /** In canonical order. */
  readonly ranges: Range[];
}

const mostZones = 1000;
const mostRanges = 2000;

/**
 * Names that are known not to exist, from NSEC records that were validated (RFC 8198): questions for names between the
 * two names of a record need no server. What made-up names in a signed zone cost its servers is so bounded.
 */
export class DeniedRanges {
  readonly #clock: Clock;
  /** In order of use. */
  readonly #zones = new Map<string, DeniedZone>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the NSEC records of a secure negative answer of `zone`. */
  learn(kept: Kept, zone: string): void {
    const soa = kept.proof.find((set) => set.type === typeCode.SOA && set.name === zone);
    const sets = kept.proof.filter((set) => set.type === typeCode.NSEC && isWithin(set.name, zone));
    if (soa === undefined || sets.length === 0) return;
    const now = this.#clock.now();
    let known = this.#zones.get(zone);
    this.#zones.delete(zone);
    known ??= { soa, soaReceived: now, soaExpires: 0, ranges: [] };
    if (this.#zones.size >= mostZones) {
      for (const oldest of this.#zones.keys()) {
        this.#zones.delete(oldest);
        break;
      }
    }
    this.#zones.set(zone, known);
    known.soa = soa;
    known.soaReceived = now;
    known.soaExpires = now + kept.ttl * 1000;
    for (const set of sets) {
      const [data] = set.data;
      if (data === undefined || set.data.length > 1) continue;
      const next = keyOf(data);
      const bytes = bytesOfKey(set.name);
      // RFC 8198 §5.4: no longer than the negative answer itself.
      const ttl = Math.min(set.ttl, kept.ttl);
      const range = { bytes, owner: set.name, next, set, received: now, expires: now + ttl * 1000 };
      const at = place(known.ranges, bytes);
      const isSame = known.ranges[at - 1]?.owner === set.name;
      if (isSame) known.ranges[at - 1] = range;
      else if (known.ranges.length < mostRanges) known.ranges.splice(at, 0, range);
      // Another takes its place by chance of order: good enough for a zone of so many names.
      else known.ranges[Math.min(at, mostRanges - 1)] = range;
    }
  }

  /** What follows of a name and type: a negative answer, or `undefined` when nothing does. */
  find(name: string, type: number): Kept | undefined {
    if (this.#zones.size === 0) return undefined;
    // Of DS records the parent speaks.
    for (let zone = type === typeCode.DS ? parentKey(name) : name; ; zone = parentKey(zone)) {
      const known = this.#zones.get(zone);
      if (known !== undefined) return this.#deny(known, zone, name, type);
      if (zone === rootKey) return undefined;
    }
  }

  /** Forgets what is known of the zone and those below it. */
  flush(zone: string): void {
    for (const each of [...this.#zones.keys()]) if (isWithin(each, zone)) this.#zones.delete(each);
  }

  #deny(known: DeniedZone, zone: string, name: string, type: number): Kept | undefined {
    const now = this.#clock.now();
    if (now >= known.soaExpires) {
      this.#zones.delete(zone);
      return undefined;
    }
    const range = this.#at(known, name, now);
    if (range === undefined) return undefined;
    if (range.owner === name) {
      const has = (each: number): boolean => hasType(range, each);
      // A delegation, or the child's apex: others know.
      if (has(type) || has(typeCode.CNAME) || has(typeCode.NS) || type === typeCode.ANY || type === typeCode.DS) {
        return undefined;
      }
      return made("no-data", name, type, zone, known, [range], now);
    }
    if (!nsecCovers(range.owner, range.next, name) || isWithin(range.next, name)) return undefined;
    const speaks = !(isWithin(name, range.owner) && (hasType(range, typeCode.NS) || hasType(range, typeCode.DNAME)));
    // The apex has NS records and speaks for what is below it all the same.
    if (!speaks && range.owner !== zone) return undefined;
    if (range.owner === zone && hasType(range, typeCode.DNAME)) return undefined;
    const one = commonAncestor(name, range.owner);
    const other = commonAncestor(name, range.next);
    const wildcard = wildcardKey(one.length > other.length ? one : other);
    const forWildcard = this.#at(known, wildcard, now);
    if (forWildcard === undefined || forWildcard.owner === wildcard) return undefined;
    if (!nsecCovers(forWildcard.owner, forWildcard.next, wildcard)) return undefined;
    return made("no-name", name, type, zone, known, range === forWildcard ? [range] : [range, forWildcard], now);
  }

  /** The record whose owner is the name, or the last before it. */
  #at(known: DeniedZone, name: string, now: number): Range | undefined {
    const range = known.ranges[place(known.ranges, bytesOfKey(name)) - 1];
    return range !== undefined && now < range.expires ? range : undefined;
  }
}

function made(
  kind: "no-data" | "no-name",
  name: string,
  type: number,
  zone: string,
  known: DeniedZone,
  ranges: readonly Range[],
  now: number,
): Kept {
  const expires = Math.min(known.soaExpires, ...ranges.map((range) => range.expires));
  const proof = [known.soa, ...ranges.map(({ set }) => set)];
  const base = { kind, name, type, more: [], proof, zone, received: now };
  return { ...base, ttl: Math.max(0, (expires - now) / 1000), security: "secure" };
}

function hasType({ set }: Range, type: number): boolean {
  const [data] = set.data;
  return data !== undefined && bitmapHas(data, nameLength(data, 0), type);
}

/** How many ranges have owners that are not after the name. */
function place(ranges: readonly Range[], name: Uint8Array): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (range !== undefined && compareNames(range.bytes, name) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
