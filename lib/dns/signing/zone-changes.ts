/** Keeps a signed zone signed: what a change of its records changes of its signatures and denials. */

import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { NameKey } from "../authoritative/name-key.ts";
import { nodeFlag, none } from "../authoritative/name-tree.ts";
import { zoneDigest, zonemdData } from "../dnssec/zone-digest.ts";
import { denialTtl } from "../dnssec/denial-chain.ts";
import { setOf, zoneNames } from "../dnssec/zone-names.ts";
import { lowerName } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { Draft, NameSet, nodesBelow } from "./draft.ts";
import { updateHashed } from "./hashed-denials.ts";
import { updateLinked } from "./linked-denials.ts";
import { isSameSet, nodeOf, setsAt, setsToSign } from "./name-sets.ts";
import { renewSignatures, type SigningTerms } from "./set-signatures.ts";

/** What is to be done to a signed zone. */
export interface SigningTask {
  /** Changes of records that are not made by signing. A new SOA record has to be the last. */
  readonly plain: readonly ZoneChange[];
  /** Names whose signatures are to be looked at, beside those that change. */
  readonly owners?: Iterable<Uint8Array>;
  /** Owners of NSEC3 records whose signatures are to be looked at. */
  readonly hashed?: Iterable<Uint8Array>;
  /** Whether NSEC3 records that are made leave out insecure delegations (RFC 5155 §6). */
  readonly optOut?: boolean;
}

/**
 * All changes that make the next version of a signed zone, the plain ones among them, the SOA record last. `undefined`
 * when the time to live of denials or the parameters of NSEC3 change: then the zone is signed as a whole.
 *
 * Costs by what changes: a signature for each set that does, and for the denials of its name and of the one before; but
 * a ZONEMD record has a digest of everything.
 */
export function signedChanges(terms: SigningTerms, zone: Zone, task: SigningTask): ZoneChange[] | undefined {
  const draft = new Draft(zone, task.plain);
  const ttl = denialTtlOf(zone);
  if (ttl === undefined || ttl !== denialTtlOf(draft.zone)) return undefined;
  const touchesParameters = task.plain.some(({ record }) => record.type === recordType.NSEC3PARAM);
  if (touchesParameters || zone.hasNsec === (zone.nsec3 !== undefined)) return undefined;
  const affected = affectedNames(zone, draft.zone, task.plain);
  affected.add(draft.zone.apex);
  for (const owner of task.owners ?? []) affected.add(owner);
  for (const owner of affected) signSets(terms, zone, draft, owner);
  draft.flush();
  if (zone.nsec3 === undefined) updateLinked(terms, draft, affected, ttl);
  else updateHashed(terms, draft, affected, task.hashed ?? [], ttl, zone.nsec3, task.optOut === true);
  draft.flush();
  if (draft.zone.recordsOf(zone.apex, recordType.ZONEMD).length > 0) updateDigest(terms, draft);
  return netChanges(zone, draft);
}

function denialTtlOf(zone: Zone): number | undefined {
  return denialTtl(setsAt(zone, lowerName(zone.apex)).name);
}

/** The names that change, and those that come or go under a delegation or a DNAME record. */
function affectedNames(before: Zone, after: Zone, changes: readonly ZoneChange[]): NameSet {
  const affected = new NameSet();
  const key = new NameKey();
  const hides = nodeFlag.cut | nodeFlag.alias;
  for (const { record } of changes) {
    affected.add(record.owner);
    if (record.type !== recordType.NS && record.type !== recordType.DNAME) continue;
    const node = nodeOf(after, record.owner, key);
    const old = nodeOf(before, record.owner, key);
    const did = old !== none && (before.names.flags(old) & hides) !== 0;
    if (node === none || did === ((after.names.flags(node) & hides) !== 0)) continue;
    for (const below of nodesBelow(after, node, key)) affected.add(after.owner(after.names, below));
  }
  return affected;
}

/** Brings the signatures of a name's sets up to date, those of denials apart. */
function signSets(terms: SigningTerms, before: Zone, draft: Draft, owner: Uint8Array): void {
  const old = setsAt(before, owner);
  const now = setsAt(draft.zone, owner);
  const signed = setsToSign(now);
  for (const set of signed) {
    const same = isSameSet(setOf(old.name, set.type), set);
    const { removed, added } = renewSignatures(terms, set, now.signatures.get(set.type) ?? [], same);
    draft.remove(removed);
    draft.put(added);
  }
  for (const [type, records] of now.signatures) {
    if (type === recordType.NSEC || type === recordType.NSEC3) continue;
    if (!signed.some((set) => set.type === type)) draft.remove(records);
  }
}

function updateDigest(terms: SigningTerms, draft: Draft): void {
  const { crypto, apex } = terms;
  const old = draft.zone.recordsOf(apex, recordType.ZONEMD);
  const names = zoneNames(draft.zone.records(), apex);
  for (const record of old) {
    const algorithm = record.data[5] ?? 0;
    const digest = zoneDigest(crypto, names, apex, algorithm);
    if (digest === undefined) continue;
    draft.remove([record]);
    draft.put([{ ...record, data: zonemdData(draft.zone.serial, algorithm, digest) }]);
  }
  const { signatures } = setsAt(draft.zone, apex);
  draft.remove(signatures.get(recordType.ZONEMD) ?? []);
  draft.flush();
  const set = setOf(setsAt(draft.zone, apex).name, recordType.ZONEMD);
  if (set !== undefined) draft.put(renewSignatures(terms, set, [], false).added);
  draft.flush();
}

/** What differs at the names that were changed. */
function netChanges(before: Zone, draft: Draft): ZoneChange[] {
  const changes: ZoneChange[] = [];
  let soa: ZoneChange | undefined;
  for (const owner of draft.owners) {
    const old = new Map(before.recordsOf(owner).map((record) => [idOf(record), record]));
    const added: ZoneChange[] = [];
    for (const record of draft.zone.recordsOf(owner)) {
      if (old.delete(idOf(record))) continue;
      if (record.type === recordType.SOA) soa = { kind: "add", record };
      else added.push({ kind: "add", record });
    }
    for (const record of old.values()) if (record.type !== recordType.SOA) changes.push({ kind: "remove", record });
    changes.push(...added);
  }
  if (soa !== undefined) changes.push(soa);
  return changes;
}

function idOf({ type, ttl, data }: WireRecord): string {
  let text = `${type} ${ttl} `;
  for (const byte of data) text += String.fromCharCode(byte);
  return text;
}
