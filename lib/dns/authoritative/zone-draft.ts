import type { WireRecord } from "../wire-record.ts";
import { ByteArena } from "./byte-arena.ts";
import { IntPages } from "./int-pages.ts";
import type { NameKey } from "./name-key.ts";
import { sortNodes } from "./name-order.ts";
import { type NameTree, nodeFlag } from "./name-tree.ts";
import { putU16, putU32, u16At, u32At, u8At } from "./octets.ts";
import { coveredType } from "./record-layout.ts";
import {
  mostInSet,
  recordHeaderLength,
  RecordSet,
  type StoredRecord,
  type StoredSet,
  writeBlock,
} from "./rrset-block.ts";
import { atOnce, type Steps } from "./steps.ts";
import { recordType } from "../wire.ts";

/** Names that are written in one step. */
const nodesInStep = 512;
const opAdd = 1;
/** Previous change of the same node, and what is done. The record, as in a block, follows. */
const opHeaderLength = 5;
/** A record of these types takes the place of the one that was there. */
const singletons: ReadonlySet<number> = new Set([recordType.SOA, recordType.CNAME, recordType.DNAME]);

/** A record of a node, and when it came: 0 is from before. */
interface Dated extends StoredRecord {
  readonly order: number;
  readonly isAdded: boolean;
}

/**
 * Changes to the names of a zone, collected and then made at once: each name's records are written once, whatever
 * happened to it. A new zone is a change of an empty one.
 */
export class ZoneDraft {
  readonly tree: NameTree;
  /** The changes as bytes: a million of them must not be a million objects. */
  readonly #log = new ByteArena();
  /** The last change of each node: of those that were there before, which are few, and of new ones, less `#old`. */
  readonly #lastOfOld = new Map<number, number>();
  readonly #lastOfNew = new IntPages(1);
  /** How many nodes there were before. */
  readonly #old: number;
  readonly #touched: number[] = [];
  /** Bytes of blocks that were replaced. */
  garbage = 0;

  /** @param tree to be changed; the draft's from now on */
  constructor(tree: NameTree) {
    this.tree = tree;
    this.#old = tree.count;
  }

  add(key: NameKey, record: WireRecord): void {
    this.#note(this.tree.insert(key), opAdd, record);
  }

  /** Takes a record out; the time to live does not matter. Harmless when it is not there. */
  remove(key: NameKey, record: WireRecord): void {
    const node = this.tree.find(key, key.labels);
    if (node >= 0) this.#note(node, 0, record);
  }

  /** Makes the changes. The draft is used up. */
  finish(): void {
    atOnce(this.finishing());
  }

  /** The same in steps, between which the tree is nothing to look at. */
  *finishing(): Steps<void> {
    const { tree } = this;
    // Many new names are sorted at once, few are put in one by one.
    const sortAll = this.#touched.length * 8 > tree.order.length;
    // Names next to each other come to lie next to each other.
    const nodes = sortAll ? yield* sortNodes(tree, Int32Array.from(this.#touched)) : this.#touched;
    let count = 0;
    for (const node of nodes) {
      this.#rewrite(node, !sortAll);
      if (++count % nodesInStep === 0) yield;
    }
    if (!sortAll) return;
    const isTouched = new Uint8Array(tree.count);
    for (const node of nodes) isTouched[node] = 1;
    const old = tree.order.toArray().filter((node) => isTouched[node] === 0);
    const current = Int32Array.from(nodes).filter((node) => (tree.flags(node) & nodeFlag.data) !== 0);
    const both = new Int32Array(old.length + current.length);
    both.set(old);
    both.set(current, old.length);
    tree.order.assign(yield* sortNodes(tree, both));
  }

  #note(node: number, op: number, record: WireRecord): void {
    const { data } = record;
    const address = this.#log.allocate(opHeaderLength + recordHeaderLength + data.length);
    const bytes = this.#log.chunk(address);
    const at = this.#log.position(address);
    const before = this.#last(node);
    if (before === 0) this.#touched.push(node);
    putU32(bytes, at, before);
    bytes[at + 4] = op;
    putU16(bytes, at + 5, record.type);
    putU16(bytes, at + 7, record.class);
    putU32(bytes, at + 9, record.ttl);
    putU16(bytes, at + 13, data.length);
    bytes.set(data, at + opHeaderLength + recordHeaderLength);
    if (node < this.#old) this.#lastOfOld.set(node, address);
    else this.#lastOfNew.set(node - this.#old, address);
  }

  /** The address of a node's last change; 0 when there is none. */
  #last(node: number): number {
    if (node < this.#old) return this.#lastOfOld.get(node) ?? 0;
    this.#lastOfNew.grow(node - this.#old + 1);
    return this.#lastOfNew.get(node - this.#old);
  }

  #rewrite(node: number, keepOrder: boolean): void {
    const { tree } = this;
    const records: Dated[] = [];
    const old = tree.block(node);
    const set = new RecordSet();
    set.open(tree.arena, old);
    while (set.next()) {
      this.garbage += set.length + set.signaturesLength;
      readRecords(set.bytes, set.at, set.count, records);
      readRecords(set.bytes, set.signaturesAt, set.signatures, records);
    }
    let order = 1;
    const changes: Dated[] = [];
    for (let address = this.#last(node); address !== 0;) {
      const bytes = this.#log.chunk(address);
      const at = this.#log.position(address);
      changes.push({
        ...storedRecord(bytes, at + opHeaderLength),
        order: order--,
        isAdded: u8At(bytes, at + 4) === opAdd,
      });
      address = u32At(bytes, at) | 0;
    }
    // The newest has the highest number, all of them numbers above those from before.
    records.push(...changes.map((change) => ({ ...change, order: change.order + changes.length })));
    const sets = setsOf(records);
    tree.setBlock(node, writeBlock(tree.arena, sets));
    tree.setFlags(node, flagsOf(sets, node === 0), keepOrder);
  }
}

function storedRecord(bytes: Uint8Array, at: number): StoredRecord {
  return {
    type: u16At(bytes, at),
    class: u16At(bytes, at + 2),
    ttl: u32At(bytes, at + 4),
    bytes,
    at: at + recordHeaderLength,
    length: u16At(bytes, at + 8),
  };
}

function readRecords(bytes: Uint8Array, at: number, count: number, into: Dated[]): void {
  for (let index = 0; index < count; index++) {
    const record = storedRecord(bytes, at);
    into.push({ ...record, order: 0, isAdded: true });
    at = record.at + record.length;
  }
}

/** The type of the set that a record belongs to. */
function setType(record: StoredRecord): number {
  if (record.type !== recordType.RRSIG) return record.type;
  return coveredType(record.bytes.subarray(record.at, record.at + 2));
}

function compareData(a: StoredRecord, b: StoredRecord): number {
  const least = Math.min(a.length, b.length);
  for (let index = 0; index < least; index++) {
    const difference = u8At(a.bytes, a.at + index) - u8At(b.bytes, b.at + index);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** By set, RRSIGs behind the records, by data, and what is newest last. */
function compareRecords(a: Dated, b: Dated): number {
  return (
    setType(a) - setType(b) ||
    Number(a.type === recordType.RRSIG) - Number(b.type === recordType.RRSIG) ||
    compareData(a, b) ||
    a.order - b.order
  );
}

/** What remains of records and changes, as sets. */
function setsOf(records: Dated[]): StoredSet[] {
  if (records.length > 1) records.sort(compareRecords);
  const sets: { type: number; records: Dated[]; signatures: Dated[] }[] = [];
  for (const [index, record] of records.entries()) {
    const next = records[index + 1];
    // Of records that are the same the newest decides.
    if (next?.type === record.type && compareData(next, record) === 0) continue;
    if (!record.isAdded) continue;
    let set = sets.at(-1);
    if (set?.type !== setType(record)) {
      set = { type: setType(record), records: [], signatures: [] };
      sets.push(set);
    }
    const list = record.type === recordType.RRSIG ? set.signatures : set.records;
    if (list.length < mostInSet) list.push(record);
  }
  return sets.map((set) => ({ ...set, records: alike(set.records) }));
}

/** The records of one set have one time to live (RFC 2181 §5.2): that of the newest. */
function alike(records: readonly Dated[]): readonly StoredRecord[] {
  const first = records[0];
  if (first === undefined || records.length === 1) return records;
  const newest = records.reduce((best, each) => (each.order >= best.order ? each : best));
  if (singletons.has(first.type)) return [newest];
  return records.some((each) => each.ttl !== newest.ttl)
    ? records.map((each) => ({ ...each, ttl: newest.ttl }))
    : records;
}

function flagsOf(sets: readonly StoredSet[], isApex: boolean): number {
  let flags = 0;
  for (const set of sets) {
    flags |= nodeFlag.data;
    if (set.records.length === 0) continue;
    if (set.type === recordType.NS && !isApex) flags |= nodeFlag.cut;
    if (set.type === recordType.DNAME) flags |= nodeFlag.alias;
    if (set.type === recordType.NSEC) flags |= nodeFlag.nsec;
  }
  return flags;
}
