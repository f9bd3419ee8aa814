import { compareNames, isAtOrBelow, isBelow, lowerName } from "../name-bytes.ts";
import { canonicalData } from "../record/data.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { compareData } from "./canonical.ts";

/** The records of one name and type. */
export interface RecordSet {
  readonly owner: Uint8Array;
  readonly type: number;
  readonly class: number;
  /** The least of them. */
  readonly ttl: number;
  /** In canonical form and order (RFC 4034 §6.2, §6.3), no two the same. */
  readonly data: readonly Uint8Array[];
}

/** A set with the records that it was made of, in the same order, with their case. */
export interface ZoneSet extends RecordSet {
  readonly records: readonly WireRecord[];
}

/** A name that has records, in canonical form. */
export interface ZoneName {
  readonly owner: Uint8Array;
  /**
   * `below`: under a delegation or a DNAME, so that nothing there is the zone's to say (glue, and what is hidden).
   */
  readonly place: "apex" | "inside" | "delegation" | "below";
  /** By type, ascending; RRSIG records are a set of their own. */
  readonly sets: readonly ZoneSet[];
}

/** The names of a zone in canonical order (RFC 4034 §6.1). Records outside the zone are left out. */
export function zoneNames(records: Iterable<WireRecord>, apex: Uint8Array): ZoneName[] {
  const all: Entry[] = [];
  for (const record of records) {
    const { owner, type, data } = record;
    if (isAtOrBelow(owner, apex)) all.push({ owner: lowerName(owner), type, data: canonicalData(type, data), record });
  }
  all.sort((a, b) => compareNames(a.owner, b.owner) || a.type - b.type || compareData(a.data, b.data));
  const names: ZoneName[] = [];
  let cut: Uint8Array | undefined;
  for (let at = 0; at < all.length;) {
    const sets: ZoneSet[] = [];
    // as: below the length
    const { owner } = all[at] as Entry;
    while (at < all.length && isSame(all[at]?.owner, owner)) {
      const set = takeSet(all, at);
      sets.push(set.set);
      at = set.next;
    }
    if (cut !== undefined && !isBelow(owner, cut)) cut = undefined;
    let place: ZoneName["place"] = "inside";
    if (cut !== undefined) place = "below";
    else if (owner.length === apex.length) place = "apex";
    else if (sets.some(({ type }) => type === recordType.NS)) place = "delegation";
    if (place === "delegation" || (place !== "below" && sets.some(({ type }) => type === recordType.DNAME)))
      cut = owner;
    names.push({ owner, place, sets });
  }
  return names;
}

/** A record, and its canonical form. */
interface Entry {
  readonly owner: Uint8Array;
  readonly type: number;
  readonly data: Uint8Array;
  readonly record: WireRecord;
}

function takeSet(all: readonly Entry[], at: number): { readonly set: ZoneSet; readonly next: number } {
  // as: below the length
  const { owner, type, record: first } = all[at] as Entry;
  const data: Uint8Array[] = [];
  const records: WireRecord[] = [];
  let { ttl } = first;
  let next = at;
  for (let each = all[next]; each?.type === type && isSame(each.owner, owner); each = all[++next]) {
    ttl = Math.min(ttl, each.record.ttl);
    const before = data.at(-1);
    if (before !== undefined && compareData(before, each.data) === 0) continue;
    data.push(each.data);
    records.push(each.record);
  }
  return { set: { owner, type, class: first.class, ttl, data, records }, next };
}

/** Both are in lower case. */
function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && compareData(a, b) === 0;
}

export function setOf(name: ZoneName, type: number): ZoneSet | undefined {
  return name.sets.find((set) => set.type === type);
}

/** The sets that signatures are made for (RFC 4035 §2.2): at a delegation only what is this side's. */
export function signedSets(name: ZoneName): ZoneSet[] {
  return name.sets.filter(({ type }) => {
    if (type === recordType.RRSIG || name.place === "below") return false;
    return name.place !== "delegation" || type === recordType.DS || type === recordType.NSEC;
  });
}

/** The types that NSEC and NSEC3 records say of a name (RFC 4035 §2.3, RFC 5155 §7.1), without those two and RRSIG. */
export function typesOf(name: ZoneName): number[] {
  const types = name.sets.map(({ type }) => type);
  return types.filter((type) => {
    if (type === recordType.RRSIG || type === recordType.NSEC || type === recordType.NSEC3) return false;
    return name.place !== "delegation" || type === recordType.NS || type === recordType.DS;
  });
}
