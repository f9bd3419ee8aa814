import type { Zone } from "../authoritative/zone.ts";
import { NameKey } from "../authoritative/name-key.ts";
import { nodeFlag, none } from "../authoritative/name-tree.ts";
import { coveredType } from "../authoritative/record-layout.ts";
import { compareData } from "../dnssec/canonical.ts";
import { type RecordSet, signedSets, type ZoneName, zoneNames } from "../dnssec/zone-names.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";

/** A name of a zone at one moment: what it has, and what of it is signed. */
export interface NameSets {
  readonly name: ZoneName;
  /** RRSIG records by the type that they cover. */
  readonly signatures: ReadonlyMap<number, readonly WireRecord[]>;
  /** The records of NSEC or NSEC3, which are not among the sets of {@link name}. */
  readonly denials: readonly WireRecord[];
}

/** Whether there is something of the zone's own at a node, so that a denial names it: not below a delegation or DNAME. */
export function isOwnName(zone: Zone, node: number): boolean {
  const { names } = zone;
  if (node === none || (names.flags(node) & nodeFlag.data) === 0) return false;
  return !isHidden(zone, node);
}

/** Whether a node is below a delegation or a DNAME record. */
export function isHidden({ names }: Zone, node: number): boolean {
  for (let at = names.parent(node); at !== none; at = names.parent(at)) {
    if ((names.flags(at) & (nodeFlag.cut | nodeFlag.alias)) !== 0) return true;
  }
  return false;
}

/** The node of a name; `none` when there never was one. */
export function nodeOf(zone: Zone, owner: Uint8Array, key = new NameKey()): number {
  return key.read(owner, 0, owner.length) < 0 || !zone.contains(key) ? none : zone.names.find(key, key.labels);
}

/** What a name has, and where it is. @param owner in lower case */
export function setsAt(zone: Zone, owner: Uint8Array): NameSets {
  const plain: WireRecord[] = [];
  const denials: WireRecord[] = [];
  const signatures = new Map<number, WireRecord[]>();
  for (const record of zone.recordsOf(owner)) {
    if (record.type === recordType.RRSIG) {
      const covered = coveredType(record.data);
      const list = signatures.get(covered);
      if (list === undefined) signatures.set(covered, [record]);
      else list.push(record);
    } else if (record.type === recordType.NSEC || record.type === recordType.NSEC3) denials.push(record);
    else plain.push(record);
  }
  const [found] = zoneNames(plain, zone.apex);
  const node = nodeOf(zone, owner);
  let name: ZoneName = found ?? { owner, place: "inside", sets: [] };
  if (node === 0) name = { ...name, place: "apex" };
  else if (node !== none && isHidden(zone, node)) name = { ...name, place: "below" };
  return { name, signatures, denials };
}

/** The sets that have to be signed, denials apart. */
export function setsToSign({ name }: NameSets): RecordSet[] {
  return signedSets(name);
}

/** Whether two sets are the same to a signature: data in canonical form, and the time to live. */
export function isSameSet(a: RecordSet | undefined, b: RecordSet): boolean {
  if (a?.data.length !== b.data.length || a.ttl !== b.ttl) return false;
  return a.data.every((data, index) => compareData(data, b.data[index] ?? data) === 0);
}
