import { NameKey } from "../authoritative/name-key.ts";
import type { Zone } from "../authoritative/zone.ts";
import { compareData } from "../dnssec/canonical.ts";
import { typesOf } from "../dnssec/zone-names.ts";
import { lowerName } from "../name-bytes.ts";
import { typeBitmap } from "../record/type-bitmap.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { isOwnName, nodeOf, setsAt } from "./name-sets.ts";
import { renewSignatures, type SigningTerms } from "./set-signatures.ts";
import { type Draft, NameSet } from "./draft.ts";

/** Brings the NSEC records (RFC 4035 §2.3) of names that changed, and of those before them, up to date. */
export function updateLinked(terms: SigningTerms, draft: Draft, affected: Iterable<Uint8Array>, ttl: number): void {
  // First what has nothing but its denial any more goes, so that the order is that of the names there are.
  const names: Uint8Array[] = [...affected];
  for (const owner of names) {
    const { name, denials, signatures } = setsAt(draft.zone, owner);
    if (name.place !== "below" && name.sets.length > 0) continue;
    draft.remove(denials.filter((each) => each.type === recordType.NSEC));
    draft.remove(signatures.get(recordType.NSEC) ?? []);
  }
  draft.flush();
  const { zone } = draft;
  const linked = new NameSet();
  for (const owner of names) {
    if (isOwnName(zone, nodeOf(zone, owner))) linked.add(owner);
    linked.add(neighbour(zone, owner, -1));
  }
  for (const owner of linked) {
    const next = neighbour(zone, owner, 1);
    const { name, denials, signatures } = setsAt(zone, owner);
    const types = typeBitmap([...typesOf(name), recordType.NSEC, recordType.RRSIG]);
    const data = new Uint8Array(next.length + types.length);
    data.set(next);
    data.set(types, next.length);
    const record: WireRecord = { owner, type: recordType.NSEC, class: 1, ttl, data };
    const old = denials.filter((each) => each.type === recordType.NSEC);
    const [same] = old;
    const isSame = old.length === 1 && same?.ttl === ttl && compareData(lowerNext(same.data), data) === 0;
    if (!isSame) {
      draft.remove(old);
      draft.put([record]);
    }
    const set = { ...record, data: [data] };
    const change = renewSignatures(terms, set, signatures.get(recordType.NSEC) ?? [], isSame);
    draft.remove(change.removed);
    draft.put(change.added);
  }
}

/** The next name may be in either case (RFC 6840 §5.1); here it is in lower case. */
function lowerNext(data: Uint8Array): Uint8Array {
  let end = 0;
  while ((data[end] ?? 0) !== 0) end += (data[end] ?? 0) + 1;
  const result = data.slice();
  result.set(lowerName(data.subarray(0, end + 1)));
  return result;
}

/** The name of the zone's own before or behind a name, round the end. */
function neighbour(zone: Zone, owner: Uint8Array, step: 1 | -1): Uint8Array {
  const { names } = zone;
  const key = new NameKey();
  key.read(owner, 0, owner.length);
  const self = names.find(key, key.labels);
  const rank = names.order.rank(names, key, key.labels);
  const { length } = names.order;
  // `rank` is that of the first behind it.
  let at = step > 0 ? rank : rank - 1;
  for (let left = length; left >= 0; left--, at += step) {
    const node = names.order.slice((at + length) % length, 1)[0] ?? 0;
    if (node === self && left === length) continue;
    if (isOwnName(zone, node)) return lowerName(zone.owner(names, node));
  }
  return lowerName(zone.apex);
}
