import { NameKey } from "../authoritative/name-key.ts";
import { none } from "../authoritative/name-tree.ts";
import type { Nsec3Parameters, Zone } from "../authoritative/zone.ts";
import { compareData } from "../dnssec/canonical.ts";
import { hashedOwner } from "../dnssec/denial-chain.ts";
import { nsec3Hash } from "../dnssec/nsec3-hash.ts";
import { setOf, signedSets, typesOf } from "../dnssec/zone-names.ts";
import { ancestorName, labelCount, lowerName, nameLength } from "../name-bytes.ts";
import { base32Values } from "../record/encoding.ts";
import { typeBitmap } from "../record/type-bitmap.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { isHidden, isOwnName, nodeOf, setsAt } from "./name-sets.ts";
import { renewSignatures, type SigningTerms } from "./set-signatures.ts";
import { type Draft, NameSet, nodesBelow } from "./draft.ts";

const hashLength = 20;

/** Brings the NSEC3 records (RFC 5155 §7.1) of names that changed, of those above them, and the links to them up to date. */
export function updateHashed(
  terms: SigningTerms,
  draft: Draft,
  affected: Iterable<Uint8Array>,
  due: Iterable<Uint8Array>,
  ttl: number,
  parameters: Nsec3Parameters,
  optOut: boolean,
): void {
  const { zone } = draft;
  const { salt, iterations } = parameters;
  const apexLabels = labelCount(zone.apex);
  const candidates = new NameSet();
  for (const owner of affected) {
    for (let labels = labelCount(owner); labels >= apexLabels; labels--) candidates.add(ancestorName(owner, labels));
  }
  // What comes and goes, with links that are still those from before.
  const touched: { readonly owner: Uint8Array; readonly hash: Uint8Array; readonly types: Uint8Array | undefined }[] =
    [];
  for (const owner of candidates) {
    const hash = nsec3Hash(terms.crypto, owner, salt, iterations);
    const at = hashedOwner(hash, lowerName(zone.apex));
    const there = zone.recordsOf(at, recordType.NSEC3);
    const types = typesAt(zone, owner, optOut);
    if (types === undefined) {
      draft.remove(there);
      draft.remove(signaturesOf(zone, at));
    } else if (there.length === 0) {
      const data = denialData(parameters, optOut, hash, types);
      draft.put([{ owner: at, type: recordType.NSEC3, class: 1, ttl, data }]);
    }
    touched.push({ owner: at, hash, types });
  }
  draft.flush();
  const order = draft.zone;
  const wanted = new Map<string, Uint8Array>();
  const linked = new NameSet();
  for (const { owner, types } of touched) {
    if (types !== undefined) {
      wanted.set(textOf(owner), types);
      linked.add(owner);
    }
    linked.add(hashedNeighbour(order, owner, -1));
  }
  for (const owner of due) linked.add(owner);
  for (const owner of linked) {
    const old = order.recordsOf(owner, recordType.NSEC3);
    const [first] = old;
    if (first === undefined) continue;
    const types = wanted.get(textOf(owner)) ?? typesIn(first.data);
    const flags = first.data[1] ?? 0;
    const data = denialData(parameters, (flags & 1) !== 0, hashOf(hashedNeighbour(order, owner, 1)), types);
    const isSame = old.length === 1 && first.ttl === ttl && compareData(first.data, data) === 0;
    const record: WireRecord = { owner, type: recordType.NSEC3, class: 1, ttl, data };
    if (!isSame) {
      draft.remove(old);
      draft.put([record]);
    }
    const { removed, added } = renewSignatures(terms, { ...record, data: [data] }, signaturesOf(order, owner), isSame);
    draft.remove(removed);
    draft.put(added);
  }
}

/** What an NSEC3 record says of a name; undefined when it has none. */
function typesAt(zone: Zone, owner: Uint8Array, optOut: boolean): Uint8Array | undefined {
  const key = new NameKey();
  const node = nodeOf(zone, owner, key);
  if (node === none) return undefined;
  if (isOwnName(zone, node)) {
    const { name } = setsAt(zone, owner);
    // A name that has nothing but what its hash would have is none.
    if (name.sets.length > 0) {
      const isSigned = signedSets(name).length > 0;
      if (name.place === "delegation" && optOut && !isSigned) return undefined;
      const types = typesOf(name);
      return typeBitmap(isSigned ? [...types, recordType.RRSIG] : types);
    }
  }
  if (isHidden(zone, node) || !zone.names.exists(node)) return undefined;
  for (const below of nodesBelow(zone, node, key)) {
    if (!isOwnName(zone, below)) continue;
    const { name } = setsAt(zone, lowerName(zone.owner(zone.names, below)));
    if (optOut && name.place === "delegation" && setOf(name, recordType.DS) === undefined) continue;
    return new Uint8Array(0);
  }
  return undefined;
}

function denialData({ salt, iterations }: Nsec3Parameters, optOut: boolean, next: Uint8Array, types: Uint8Array) {
  const data = new Uint8Array(6 + salt.length + next.length + types.length);
  data.set([1, optOut ? 1 : 0, iterations >>> 8, iterations & 255, salt.length]);
  data.set(salt, 5);
  data[5 + salt.length] = next.length;
  data.set(next, 6 + salt.length);
  data.set(types, 6 + salt.length + next.length);
  return data;
}

function typesIn(data: Uint8Array): Uint8Array {
  const at = 5 + (data[4] ?? 0);
  return data.subarray(at + 1 + (data[at] ?? 0));
}

function signaturesOf(zone: Zone, owner: Uint8Array): WireRecord[] {
  return zone.recordsOf(owner, recordType.RRSIG).filter(({ data }) => data[0] === 0 && data[1] === recordType.NSEC3);
}

/** The owner of the NSEC3 record before or behind one, round the end. */
function hashedNeighbour(zone: Zone, owner: Uint8Array, step: 1 | -1): Uint8Array {
  const { hashed } = zone;
  const key = new NameKey();
  key.read(owner, 0, owner.length);
  const rank = hashed.order.rank(hashed, key, key.labels);
  const { length } = hashed.order;
  if (length === 0) return owner;
  const isThere = hashed.order.atOrBefore(hashed, key, key.labels) === hashed.find(key, key.labels);
  const at = step > 0 ? rank : rank - (isThere ? 2 : 1);
  const [node = 0] = hashed.order.slice((at + 2 * length) % length, 1);
  return lowerName(zone.owner(hashed, node));
}

/** The hash that the first label of a hashed owner is (RFC 5155 §3.3). */
function hashOf(owner: Uint8Array): Uint8Array {
  const hash = new Uint8Array(hashLength);
  let bits = 0;
  let held = 0;
  let to = 0;
  for (let at = 1; at <= (owner[0] ?? 0); at++) {
    held = (held << 5) | Math.max(0, base32Values[owner[at] ?? 0] ?? 0);
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      hash[to++] = held >>> bits;
      held &= (1 << bits) - 1;
    }
  }
  return hash;
}

function textOf(owner: Uint8Array): string {
  return String.fromCharCode(...owner.subarray(0, nameLength(owner, 0)));
}
