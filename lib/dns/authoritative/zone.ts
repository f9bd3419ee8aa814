import { copyBytes } from "@tesserae/wire/copy-bytes";
import { nameLength, nameToText } from "../name-bytes.ts";
import type { WireRecord } from "../wire-record.ts";
import { NameKey, unkey } from "./name-key.ts";
import { NameTree, nodeFlag, none } from "./name-tree.ts";
import { NegativeAuthority } from "./negative-authority.ts";
import { i32At, u16At, u32At, u8At } from "./octets.ts";
import { coveredType, dataFault } from "./record-layout.ts";
import { recordHeaderLength, RecordSet } from "./rrset-block.ts";
import type { SetSigner } from "./set-signer.ts";
import { ZoneDraft } from "./zone-draft.ts";
import { recordType } from "../wire.ts";

const classIn = 1;

/** One change of a zone: a record comes in, or goes out. The time to live of one that goes out does not matter. */
export interface ZoneChange {
  readonly kind: "add" | "remove";
  readonly record: WireRecord;
}

/** The parts that a zone is made of. */
export interface ZoneParts {
  /** The apex as on the wire. */
  readonly apex: Uint8Array;
  readonly names: NameTree;
  /** Owners of NSEC3 records, which are names apart (RFC 5155 §7.2.8). */
  readonly hashed: NameTree;
  readonly garbage: number;
  readonly signer?: SetSigner | undefined;
}

/**
 * All records of a zone at one moment. Never changes: {@link update} makes another that shares what is the same.
 *
 * Made by a `ZoneBuilder`. Class IN only.
 */
export class Zone {
  /** The apex as on the wire, in the case of its first record. */
  readonly apex: Uint8Array;
  readonly apexKey: NameKey;
  readonly names: NameTree;
  /** Owners of NSEC3 records. */
  readonly hashed: NameTree;
  /** Serial number of the SOA record (RFC 1982). */
  readonly serial: number;
  /** For how long a negative answer may be kept, seconds (RFC 2308 §5). */
  readonly negativeTtl: number;
  /** Whether it is signed with NSEC. */
  readonly hasNsec: boolean;
  /** The salt and the iterations of its NSEC3 chain; undefined when there is none. */
  readonly nsec3: Nsec3Parameters | undefined;
  /** Signs what answers are made of while they are made; undefined when the zone has its signatures, or none. */
  readonly signer: SetSigner | undefined;
  /** The NSEC record that covers `*` right below the apex, as a node: found when it is first asked for; −2 before. */
  apexWildcardCover = -2;
  readonly #garbage: number;
  readonly #negative: (NegativeAuthority | undefined)[] = [undefined, undefined];

  /** @throws RangeError when there is no SOA record at the apex. */
  constructor(parts: ZoneParts) {
    this.apex = parts.apex;
    this.apexKey = new NameKey();
    this.apexKey.read(parts.apex, 0, parts.apex.length);
    this.names = parts.names;
    this.hashed = parts.hashed;
    this.#garbage = parts.garbage;
    this.signer = parts.signer;
    const set = new RecordSet();
    if (!this.#find(set, 0, recordType.SOA))
      throw new RangeError(`${nameToText(parts.apex)}: no SOA record at the apex`);
    const end = set.at + set.length;
    this.serial = u32At(set.bytes, end - 20);
    this.negativeTtl = Math.min(set.ttl, u32At(set.bytes, end - 4));
    this.hasNsec = (this.names.flags(0) & nodeFlag.nsec) !== 0;
    this.nsec3 = this.#find(set, 0, recordType.NSEC3PARAM) ? parametersIn(set) : undefined;
  }

  /** How many names have records, those of NSEC3 records included. */
  get size(): number {
    return this.names.order.length + this.hashed.order.length;
  }

  /** What negative answers have in their authority section. @param signed whether with RRSIGs, which are the zone's own */
  negative(signed: boolean): NegativeAuthority {
    return (this.#negative[signed ? 1 : 0] ??= new NegativeAuthority(this, signed));
  }

  /** Every record: SOA first, then by name in canonical order (NSEC3 records at the end), RRSIGs behind their set. */
  *records(): Generator<WireRecord, undefined> {
    yield* this.recordsOf(this.apex, recordType.SOA);
    const set = new RecordSet();
    for (const tree of [this.names, this.hashed]) {
      for (const node of tree.order) {
        const owner = this.owner(tree, node);
        set.open(tree.arena, tree.block(node));
        while (set.next()) {
          if (node !== 0 || set.type !== recordType.SOA) yield* recordsIn(owner, set.bytes, set.at, set.count);
          yield* recordsIn(owner, set.bytes, set.signaturesAt, set.signatures);
        }
      }
    }
    return undefined;
  }

  /**
   * The records of one name and type, or of one name; RRSIGs only when they are asked for. None where there is no such
   * name, or it is not in the zone. Does not follow wildcards or aliases, and sees what lies below delegations.
   */
  recordsOf(owner: Uint8Array, code?: number): WireRecord[] {
    const key = new NameKey();
    if (key.read(owner, 0, owner.length) < 0 || !this.contains(key)) return [];
    const found: WireRecord[] = [];
    const set = new RecordSet();
    for (const tree of [this.names, this.hashed]) {
      const node = tree.find(key, key.labels);
      if (node === none) continue;
      const named = this.owner(tree, node);
      set.open(tree.arena, tree.block(node));
      while (set.next()) {
        if (code === undefined || code === set.type) found.push(...recordsIn(named, set.bytes, set.at, set.count));
        if (code === undefined || code === recordType.RRSIG) {
          found.push(...recordsIn(named, set.bytes, set.signaturesAt, set.signatures));
        }
      }
    }
    return found;
  }

  /** Whether there are records at `owner`, or below it (RFC 2136 §2.4.4 wants to know). */
  hasName(owner: Uint8Array): boolean {
    const key = new NameKey();
    if (key.read(owner, 0, owner.length) < 0 || !this.contains(key)) return false;
    const node = this.names.find(key, key.labels);
    return node !== none && this.names.exists(node);
  }

  /**
   * The zone after `changes`, made in order; costs by what changes, not by what there is, but for now and then. An SOA,
   * CNAME or DNAME record that comes in takes the place of the one that is there.
   *
   * Changes that {@link recordFault} finds fault with are left out. When no SOA record would remain, the old one does.
   */
  update(changes: Iterable<ZoneChange>): Zone {
    const key = new NameKey();
    const names = new ZoneDraft(this.names.fork(this.apexKey));
    const hashed = new ZoneDraft(this.hashed.fork(this.apexKey));
    const soa = this.recordsOf(this.apex, recordType.SOA)[0];
    let soas = 0;
    for (const { kind, record } of changes) {
      if (recordFault(this.apexKey, key, record) !== undefined) continue;
      if (record.type === recordType.SOA) soas += kind === "add" ? 1 : 0;
      // The old SOA record goes when a new one comes.
      if (record.type === recordType.SOA && kind === "remove") continue;
      const draft = isHashed(record) ? hashed : names;
      if (kind === "add") draft.add(key, record);
      else draft.remove(key, record);
    }
    if (soas === 0 && soa === undefined) throw new RangeError(`${nameToText(this.apex)}: no SOA record at the apex`);
    names.finish();
    hashed.finish();
    const garbage = this.#garbage + names.garbage + hashed.garbage;
    const { apex, signer } = this;
    const zone = new Zone({ apex, names: names.tree, hashed: hashed.tree, garbage, signer });
    // What is dead makes way once it is as much as what is alive.
    return garbage > Math.max(65_536, names.tree.arena.size / 2) ? zone.compact() : zone;
  }

  /** The same zone without the space that replaced records still take. */
  compact(): Zone {
    const key = new NameKey();
    const names = new ZoneDraft(new NameTree(this.apexKey));
    const hashed = new ZoneDraft(new NameTree(this.apexKey));
    for (const record of this.records()) {
      key.read(record.owner, 0, record.owner.length);
      (isHashed(record) ? hashed : names).add(key, record);
    }
    names.finish();
    hashed.finish();
    return new Zone({ apex: this.apex, names: names.tree, hashed: hashed.tree, garbage: 0, signer: this.signer });
  }

  /** The same zone, signed by `signer` while it is served; its later versions are, too. */
  signedBy(signer: SetSigner | undefined): Zone {
    return new Zone({ ...{ apex: this.apex, names: this.names, hashed: this.hashed }, garbage: this.#garbage, signer });
  }

  /** Whether a name is at or below the apex. */
  contains(key: NameKey): boolean {
    return isBelow(this.apexKey, key);
  }

  /** The name of a node as on the wire. */
  owner(tree: NameTree, node: number): Uint8Array {
    const name = tree.name(node);
    const chunk = tree.arena.chunk(name);
    const at = tree.arena.position(name);
    const length = u8At(chunk, at);
    const owner = new Uint8Array(length + this.apex.length);
    unkey(chunk, at + 1, length, owner, length);
    owner.set(this.apex, length);
    return owner;
  }

  #find(set: RecordSet, node: number, code: number): boolean {
    return set.find(this.names.arena, this.names.block(node), code) && set.count > 0;
  }
}

/** What NSEC3 hashes are made with (RFC 5155 §4). SHA-1 is the only algorithm there is. */
export interface Nsec3Parameters {
  readonly iterations: number;
  readonly salt: Uint8Array;
}

/** The first parameters whose algorithm is known and whose flags are zero (RFC 5155 §4.1.2). */
function parametersIn(set: RecordSet): Nsec3Parameters | undefined {
  const { bytes } = set;
  let at = set.at;
  for (let index = 0; index < set.count; index++) {
    const data = at + recordHeaderLength;
    if (u8At(bytes, data) === 1 && u8At(bytes, data + 1) === 0) {
      const saltLength = u8At(bytes, data + 4);
      return { iterations: u16At(bytes, data + 2), salt: bytes.slice(data + 5, data + 5 + saltLength) };
    }
    at = data + u16At(bytes, at + 8);
  }
  return undefined;
}

/** Whether a record goes with the hashed owners. */
export function isHashed(record: WireRecord): boolean {
  return (
    record.type === recordType.NSEC3 ||
    (record.type === recordType.RRSIG && coveredType(record.data) === recordType.NSEC3)
  );
}

/** Whether `key` is at or below `apex`. */
export function isBelow(apex: NameKey, key: NameKey): boolean {
  if (key.labels < apex.labels || i32At(key.ends, apex.labels) !== apex.length) return false;
  for (let index = apex.length - 1; index >= 0; index--) {
    if (u8At(key.bytes, index) !== u8At(apex.bytes, index)) return false;
  }
  return true;
}

/**
 * Why a record cannot be in the zone, in words, or undefined when it can.
 *
 * @param apex of the zone
 * @param key becomes that of the record's owner
 */
export function recordFault(apex: NameKey, key: NameKey, record: WireRecord): string | undefined {
  const { owner, data } = record;
  if (nameLength(owner, 0) !== owner.length || key.read(owner, 0, owner.length) < 0) {
    return "the owner is not a name";
  }
  const where = (): string => `${nameToText(owner)}, type ${record.type}`;
  if (record.class !== classIn) return `${where()}: class ${record.class}, not IN`;
  if (!isBelow(apex, key)) return `${where()}: not in the zone`;
  if (!(record.ttl >= 0 && record.ttl <= 0x7fffffff)) return `${where()}: time to live ${record.ttl}`;
  const isMeta = record.type === 0 || record.type === recordType.OPT || (record.type >= 128 && record.type <= 255);
  if (isMeta) return `${where()}: no type of records in zones`;
  if (record.type === recordType.SOA && key.labels !== apex.labels) return `${where()}: not at the apex`;
  const fault = dataFault(record.type, data);
  return fault === undefined ? undefined : `${where()}: ${fault}`;
}

function* recordsIn(owner: Uint8Array, bytes: Uint8Array, at: number, count: number): Generator<WireRecord, undefined> {
  for (let index = 0; index < count; index++) {
    const length = u16At(bytes, at + 8);
    const data = new Uint8Array(length);
    copyBytes(bytes, at + recordHeaderLength, data, 0, length);
    yield { owner, type: u16At(bytes, at), class: u16At(bytes, at + 2), ttl: u32At(bytes, at + 4), data };
    at += recordHeaderLength + length;
  }
  return undefined;
}
