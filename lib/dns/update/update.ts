/** Dynamic updates (RFC 2136) as a function: a zone and a message in, a response code and the changes out. */

import { dataFault } from "../authoritative/record-layout.ts";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { equalNames, isAtOrBelow, lowerName, nameToText } from "../name-bytes.ts";
import { recordId, soaOf } from "../transfer/difference.ts";
import { isNewer, nextSerial } from "../transfer/serial.ts";
import { readSoa, withSerial } from "../transfer/soa.ts";
import type { WireMessage } from "../wire-message.ts";
import type { WireRecord } from "../wire-record.ts";
import { rcode, recordType } from "../wire.ts";

const classIn = 1;
const classNone = 254;
const classAny = 255;
const typeAny = 255;

/** Response codes that only updates have (RFC 2136 §2.2). */
export const updateCode = {
  nameExists: 6,
  setExists: 7,
  noSet: 8,
  notAuthoritative: 9,
  notInZone: 10,
} as const;

export type UpdateOutcome =
  | { readonly kind: "refused"; readonly rcode: number; readonly why: string }
  /** `changes` is empty when everything was so already. Else a new SOA record is the last. */
  | { readonly kind: "done"; readonly changes: readonly ZoneChange[] };

/** Whether a change may be made: RFC 2136 §3.3. */
export type UpdatePermission = (owner: Uint8Array, type: number) => boolean;

export interface UpdateBounds {
  /** Records in the message. Default 10,000. */
  readonly records?: number;
}

/**
 * What `message`, whose zone section names `zone`, makes of it. All of it or nothing.
 *
 * @param mayChange asked for each record of the update section; `typeAny` (255) is all of a name
 */
export function updateZone(
  zone: Zone,
  message: WireMessage,
  mayChange: UpdatePermission,
  bounds: UpdateBounds = {},
): UpdateOutcome {
  const { answers: prerequisites, authorities: updates } = message;
  if (prerequisites.length + updates.length > (bounds.records ?? 10_000)) {
    return refused(rcode.refused, "too many records");
  }
  return (
    checkPrerequisites(zone, prerequisites) ??
    prescan(zone, updates) ??
    checkPermission(updates, mayChange) ??
    applied(zone, updates)
  );
}

/** RFC 2136 §3.2. */
function checkPrerequisites(zone: Zone, records: readonly WireRecord[]): UpdateOutcome | undefined {
  const sets = new Map<string, { owner: Uint8Array; type: number; wanted: Set<string> }>();
  for (const record of records) {
    const { owner, type, ttl, data } = record;
    const where = `prerequisite ${nameToText(owner)} type ${type}`;
    if (ttl !== 0) return refused(rcode.formatError, `${where}: a time to live`);
    if (!isAtOrBelow(owner, zone.apex)) return refused(updateCode.notInZone, `${where}: not in the zone`);
    if (record.class === classIn) {
      if (isMeta(type)) return refused(rcode.formatError, `${where}: no type of records`);
      const id = `${nameToText(lowerName(owner))} ${type}`;
      let set = sets.get(id);
      if (set === undefined) sets.set(id, (set = { owner, type, wanted: new Set() }));
      set.wanted.add(recordId(record));
      continue;
    }
    if (record.class !== classAny && record.class !== classNone) return refused(rcode.formatError, `${where}: class`);
    if (data.length > 0) return refused(rcode.formatError, `${where}: data`);
    if (type !== typeAny && isMeta(type)) return refused(rcode.formatError, `${where}: no type of records`);
    const isThere = zone.recordsOf(owner, type === typeAny ? undefined : type).length > 0;
    if (record.class === classAny && !isThere) {
      return refused(type === typeAny ? rcode.nameError : updateCode.noSet, `${where}: does not exist`);
    }
    if (record.class === classNone && isThere) {
      return refused(type === typeAny ? updateCode.nameExists : updateCode.setExists, `${where}: exists`);
    }
  }
  for (const { owner, type, wanted } of sets.values()) {
    const found = zone.recordsOf(owner, type);
    if (found.length !== wanted.size || !found.every((record) => wanted.has(recordId(record)))) {
      return refused(updateCode.noSet, `prerequisite ${nameToText(owner)} type ${type}: is another set`);
    }
  }
  return undefined;
}

/** RFC 2136 §3.4.1. */
function prescan(zone: Zone, records: readonly WireRecord[]): UpdateOutcome | undefined {
  for (const record of records) {
    const { owner, type, ttl, data } = record;
    const where = `${nameToText(owner)} type ${type}`;
    if (!isAtOrBelow(owner, zone.apex)) return refused(updateCode.notInZone, `${where}: not in the zone`);
    const isAll = type === typeAny && record.class === classAny;
    if (!isAll && isMeta(type)) return refused(rcode.formatError, `${where}: no type of records`);
    switch (record.class) {
      case classIn: {
        const fault = dataFault(type, data);
        if (fault !== undefined) return refused(rcode.formatError, `${where}: ${fault}`);
        break;
      }
      case classAny:
        if (ttl !== 0 || data.length > 0) return refused(rcode.formatError, `${where}: a time to live, or data`);
        break;
      case classNone:
        if (ttl !== 0) return refused(rcode.formatError, `${where}: a time to live`);
        break;
      default:
        return refused(rcode.formatError, `${where}: class ${record.class}`);
    }
  }
  return undefined;
}

function checkPermission(records: readonly WireRecord[], mayChange: UpdatePermission): UpdateOutcome | undefined {
  for (const { owner, type } of records) {
    if (!mayChange(owner, type)) return refused(rcode.refused, `${nameToText(owner)} type ${type}: not permitted`);
  }
  return undefined;
}

/** RFC 2136 §3.4.2, on copies of the names that are touched; the changes are what differs in the end. */
function applied(zone: Zone, records: readonly WireRecord[]): UpdateOutcome {
  const before = new Map<string, readonly WireRecord[]>();
  const names = new Map<string, WireRecord[]>();
  for (const record of records) {
    const id = nameToText(lowerName(record.owner));
    let name = names.get(id);
    if (name === undefined) {
      // Signatures with the rest, so that they go where all of a name goes.
      const found = zone.recordsOf(record.owner);
      before.set(id, found);
      names.set(id, (name = [...found]));
    }
    const isApex = equalNames(record.owner, zone.apex);
    if (record.class === classIn) add(name, record, isApex);
    else if (record.class === classAny) removeSets(name, record.type, isApex);
    else removeOne(name, record, isApex);
  }
  const changes: ZoneChange[] = [];
  let soa = soaOf(zone);
  for (const [id, now] of names) {
    const old = new Map((before.get(id) ?? []).map((record) => [timedId(record), record]));
    const added: ZoneChange[] = [];
    for (const record of now) {
      if (old.delete(timedId(record))) continue;
      if (record.type === recordType.SOA) soa = record;
      else added.push({ kind: "add", record });
    }
    for (const record of old.values()) if (record.type !== recordType.SOA) changes.push({ kind: "remove", record });
    changes.push(...added);
  }
  const isNewSoa = isNewer(readSoa(soa).serial, zone.serial);
  if (changes.length === 0 && !isNewSoa) return { kind: "done", changes: [] };
  changes.push({ kind: "add", record: isNewSoa ? soa : withSerial(soa, nextSerial(zone.serial)) });
  return { kind: "done", changes };
}

function add(name: WireRecord[], record: WireRecord, isApex: boolean): void {
  const { type } = record;
  const existing = name.find((each) => each.type === type);
  if (type === recordType.SOA) {
    const isLater = existing !== undefined && isNewer(readSoa(record).serial, readSoa(existing).serial);
    if (isApex && isLater) name[name.indexOf(existing)] = record;
    return;
  }
  // RFC 2136 §3.4.2.2: an alias and other records do not come together; what is there stays. RFC 4035 §2.5 knows exceptions.
  if (type === recordType.CNAME ? name.some((each) => !goesWithAlias(each.type)) : !goesWithAlias(type)) {
    if (type === recordType.CNAME || name.some((each) => each.type === recordType.CNAME)) return;
  }
  const id = recordId(record);
  for (let index = name.length - 1; index >= 0; index--) {
    const each = name[index];
    if (each?.type !== type) continue;
    const isReplaced = type === recordType.CNAME || type === recordType.DNAME || recordId(each) === id;
    if (isReplaced) name.splice(index, 1);
    // RFC 2181 §5.2: the records of a set live as long as each other.
    else if (each.ttl !== record.ttl && type !== recordType.RRSIG) name[index] = { ...each, ttl: record.ttl };
  }
  name.push(record);
}

function removeSets(name: WireRecord[], type: number, isApex: boolean): void {
  const isKept = (each: WireRecord): boolean => {
    if (isApex && (each.type === recordType.SOA || each.type === recordType.NS)) return true;
    return type !== typeAny && each.type !== type;
  };
  name.splice(0, name.length, ...name.filter(isKept));
}

function removeOne(name: WireRecord[], record: WireRecord, isApex: boolean): void {
  if (record.type === recordType.SOA) return;
  // RFC 2136 §3.4.2.4: the zone's last NS record stays.
  const servers = name.filter((each) => each.type === recordType.NS);
  if (isApex && record.type === recordType.NS && servers.length === 1) return;
  const id = recordId(record);
  const index = name.findIndex((each) => recordId(each) === id);
  if (index >= 0) name.splice(index, 1);
}

function goesWithAlias(type: number): boolean {
  return type === recordType.CNAME || type === recordType.RRSIG || type === recordType.NSEC || type === recordType.KEY;
}

/** Types of questions and of the protocol, which no zone has (RFC 6895 §3.1). */
function isMeta(type: number): boolean {
  return type === 0 || type === recordType.OPT || (type >= 128 && type <= 255);
}

function timedId(record: WireRecord): string {
  return `${record.ttl} ${recordId(record)}`;
}

function refused(code: number, why: string): UpdateOutcome {
  return { kind: "refused", rcode: code, why };
}
