import type { Crypto } from "@tesserae/device/crypto";
import { copyBytes } from "@tesserae/wire/copy-bytes";
import { recordHeaderLength, type RecordSet } from "../authoritative/rrset-block.ts";
import { putU16, putU32, u16At } from "../authoritative/octets.ts";
import type { SetSigner } from "../authoritative/set-signer.ts";
import { keysFor } from "../dnssec/sign-zone.ts";
import { signRrset, type Validity, type ZoneKey } from "../dnssec/signature.ts";
import { latin1 } from "../latin1.ts";
import { lowerName } from "../name-bytes.ts";
import { canonicalData } from "../record/data.ts";
import { typeBitmap } from "../record/type-bitmap.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { BoundedMemory } from "./bounded-memory.ts";
import { nameBehind } from "./name-behind.ts";

export interface LiveSignerOptions {
  readonly crypto: Crypto;
  /** Of the zone, in any case. */
  readonly apex: Uint8Array;
  /** Bytes of signatures remembered for what the zone has, and as many for what it has not. Default 8 MiB. */
  readonly memory?: number;
}

/** Signatures made one by one, as RRSIG records in a block. */
interface Signed {
  readonly records: Uint8Array;
  readonly count: number;
}

/**
 * Signs sets when they are asked for, and remembers what it signed: a set that changes is another one, so that nothing
 * remembered is ever wrong. What can be asked for without end (names that are not there, names that a wildcard stands
 * for) is remembered apart.
 */
export class LiveSigner implements SetSigner {
  readonly #crypto: Crypto;
  readonly #apex: Uint8Array;
  #keys: readonly ZoneKey[] = [];
  #validity: Validity = { inception: 0, expiration: 0 };
  readonly #lasting: BoundedMemory<Signed>;
  readonly #passing: BoundedMemory<Signed>;
  /** Signatures made. */
  made = 0;

  constructor(options: LiveSignerOptions) {
    const { memory = 8 * 2 ** 20 } = options;
    this.#crypto = options.crypto;
    this.#apex = lowerName(options.apex);
    this.#lasting = new BoundedMemory(memory);
    this.#passing = new BoundedMemory(memory);
  }

  /** Signs with these keys, for this time, from now on, and forgets what was signed before. Without keys nothing is. */
  renew(keys: readonly ZoneKey[], validity: Validity): void {
    this.#keys = keys;
    this.#validity = validity;
    this.#lasting.clear();
    this.#passing.clear();
  }

  sign(set: RecordSet, owner: Uint8Array, isLasting: boolean): void {
    const { records, count } = this.#signed(set, owner, isLasting);
    set.signedWith(records, count);
  }

  deny(into: RecordSet, owner: Uint8Array, types: readonly number[], ttl: number): void {
    const next = nameBehind(owner);
    const bitmap = typeBitmap([...types, recordType.NSEC, recordType.RRSIG]);
    const data = new Uint8Array(next.length + bitmap.length);
    data.set(next);
    data.set(bitmap, next.length);
    into.take(recordType.NSEC, blockOf([{ owner, type: recordType.NSEC, class: 1, ttl, data }]), 1);
    this.sign(into, owner, false);
  }

  #signed(set: RecordSet, owner: Uint8Array, isLasting: boolean): Signed {
    const memory = isLasting ? this.#lasting : this.#passing;
    const id = this.#idOf(set, owner);
    const known = memory.get(id);
    if (known !== undefined) return known;
    const { type, ttl } = set;
    const data = dataIn(set).map((each) => canonicalData(type, each));
    const signatures = keysFor(this.#keys, type).map((key) => {
      return signRrset(this.#crypto, key, this.#apex, { owner, type, class: 1, ttl, data }, this.#validity);
    });
    this.made += signatures.length;
    const signed = { records: blockOf(signatures), count: signatures.length };
    memory.set(id, signed, id.length + signed.records.length);
    return signed;
  }

  /** One text for sets that are the same: owner and records, or their hash when they are long. */
  #idOf(set: RecordSet, owner: Uint8Array): string {
    const bytes = new Uint8Array(owner.length + set.length);
    bytes.set(owner);
    copyBytes(set.bytes, set.at, bytes, owner.length, set.length);
    return latin1(bytes.length <= 512 ? bytes : this.#crypto.hash("sha256", bytes));
  }
}

function dataIn(set: RecordSet): Uint8Array[] {
  const all: Uint8Array[] = [];
  let { at } = set;
  for (let left = set.count; left > 0; left--) {
    const end = at + recordHeaderLength + u16At(set.bytes, at + 8);
    all.push(set.bytes.slice(at + recordHeaderLength, end));
    at = end;
  }
  return all;
}

/** Records as they are in the blocks of a zone: what is behind the owner. */
function blockOf(records: readonly WireRecord[]): Uint8Array {
  const block = new Uint8Array(records.reduce((sum, { data }) => sum + recordHeaderLength + data.length, 0));
  let at = 0;
  for (const { type, ttl, data } of records) {
    putU16(block, at, type);
    putU16(block, at + 2, 1);
    putU32(block, at + 4, ttl);
    putU16(block, at + 8, data.length);
    block.set(data, at + recordHeaderLength);
    at += recordHeaderLength + data.length;
  }
  return block;
}
