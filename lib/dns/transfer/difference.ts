import { isHashed, type Zone, type ZoneChange } from "../authoritative/zone.ts";
import { compareNames, lowerName } from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";
import { recordType } from "../wire.ts";
import { readSoa } from "./soa.ts";

/** What leads from one version of a zone to the next (RFC 1995 §4). SOA records are only in `from` and `to`. */
export interface Difference {
  readonly from: WireRecord;
  readonly to: WireRecord;
  readonly removed: readonly WireRecord[];
  readonly added: readonly WireRecord[];
}

/** One text for records that are the same: owner without case, type and data; TTLs do not count. */
export function recordId({ owner, type, data }: WireRecord): string {
  return `${characters(lowerName(owner))} ${type} ${characters(data)}`;
}

function characters(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** The changes that make the second version of the first. */
export function changesOf({ to, removed, added }: Difference): ZoneChange[] {
  return [
    ...removed.map((record): ZoneChange => ({ kind: "remove", record })),
    ...added.map((record): ZoneChange => ({ kind: "add", record })),
    { kind: "add", record: to },
  ];
}

/** Bytes that it takes on the wire, without compression. */
export function differenceSize({ removed, added }: Difference): number {
  let size = 100;
  for (const records of [removed, added]) {
    for (const { owner, data } of records) size += owner.length + 10 + data.length;
  }
  return size;
}

/** Compares two versions of a zone; takes a time as the zone is large. */
export function differenceBetween(before: Zone, after: Zone): Difference {
  const removed: WireRecord[] = [];
  const added: WireRecord[] = [];
  const [old, now] = [new Owners(before), new Owners(after)];
  let [left, right] = [old.next(), now.next()];
  while (left.length > 0 || right.length > 0) {
    const order = compareOwners(left[0], right[0]);
    if (order < 0) removed.push(...left);
    else if (order > 0) added.push(...right);
    else compareSets(left, right, removed, added);
    if (order <= 0) left = old.next();
    if (order >= 0) right = now.next();
  }
  return { from: soaOf(before), to: soaOf(after), removed, added };
}

/** Two differences, of which the second begins where the first ends, as one (RFC 1995 §5). */
export function condense(first: Difference, second: Difference): Difference {
  const removed = new Map(first.removed.map((record) => [timedId(record), record]));
  const added = new Map(first.added.map((record) => [timedId(record), record]));
  for (const record of second.removed) {
    const id = timedId(record);
    if (!added.delete(id)) removed.set(id, record);
  }
  for (const record of second.added) {
    const id = timedId(record);
    if (!removed.delete(id)) added.set(id, record);
  }
  return { from: first.from, to: second.to, removed: [...removed.values()], added: [...added.values()] };
}

/** The SOA record of a zone. */
export function soaOf(zone: Zone): WireRecord {
  const [soa] = zone.recordsOf(zone.apex, recordType.SOA);
  if (soa === undefined) throw new RangeError("a zone without SOA record");
  return soa;
}

/** The serial numbers between which a difference leads. */
export function serialsOf({ from, to }: Difference): readonly [number, number] {
  return [readSoa(from).serial, readSoa(to).serial];
}

function timedId(record: WireRecord): string {
  return `${record.ttl} ${recordId(record)}`;
}

function compareSets(
  left: readonly WireRecord[],
  right: readonly WireRecord[],
  removed: WireRecord[],
  added: WireRecord[],
): void {
  const gone = new Map(left.map((record) => [timedId(record), record]));
  for (const record of right) if (!gone.delete(timedId(record))) added.push(record);
  removed.push(...gone.values());
}

/** Below 0 when the first comes earlier in `Zone.records()`: the owners of NSEC3 records are behind all others. */
function compareOwners(left: WireRecord | undefined, right: WireRecord | undefined): number {
  if (left === undefined || right === undefined) return left === right ? 0 : left === undefined ? 1 : -1;
  const [first, second] = [isHashed(left), isHashed(right)];
  if (first !== second) return first ? 1 : -1;
  return compareNames(left.owner, right.owner);
}

/** The records of a zone by owner, without the SOA record. */
class Owners {
  readonly #records: Iterator<WireRecord, undefined>;
  #ahead: WireRecord | undefined;

  constructor(zone: Zone) {
    this.#records = zone.records();
    this.#ahead = this.#read();
  }

  /** All records of the next owner; none at the end. */
  next(): WireRecord[] {
    const group: WireRecord[] = [];
    while (this.#ahead !== undefined) {
      if (group[0] !== undefined && compareOwners(group[0], this.#ahead) !== 0) break;
      group.push(this.#ahead);
      this.#ahead = this.#read();
    }
    return group;
  }

  #read(): WireRecord | undefined {
    for (;;) {
      const { value } = this.#records.next();
      if (value?.type !== recordType.SOA) return value;
    }
  }
}
