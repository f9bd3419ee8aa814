import { equalBytes } from "../authoritative/octets.ts";
/** Proofs that a name, or a type at it, is not there: RFC 4035 §5.4, RFC 5155 §8, RFC 6840 §4, RFC 9276. */

import type { Crypto } from "@tesserae/device/crypto";
import { bitmapHas } from "../dnssec/bitmap.ts";
import { compareData } from "../dnssec/canonical.ts";
import { base32Hex, nsec3Hash } from "../dnssec/nsec3-hash.ts";
import { compareNames, nameLength } from "../name-bytes.ts";
import type { RecursiveLimits } from "./limits.ts";
import {
  bytesOfKey,
  commonAncestor,
  isWithin,
  keyOf,
  labelsOfKey,
  lastLabels,
  parentKey,
  wildcardKey,
} from "./name-key.ts";
import { type Rrset, typeCode } from "./rrset.ts";
import type { Work } from "./work.ts";

/**
 * What a proof comes to. `unsigned`: nothing is signed there (opt-out, or hashes that cost too much). `delegation`: the
 * name is a delegation without DS records, so nothing below it is signed.
 */
export type Denial = "proven" | "unsigned" | "delegation" | "missing";

/** All records of one proof, checked already, and what their checking may cost. */
export interface Proof {
  /** Whose records they are. */
  readonly zone: string;
  readonly sets: readonly Rrset[];
  readonly crypto: Crypto;
  readonly limits: RecursiveLimits;
  readonly work: Work;
}

/** Whether there is no such name. */
export function denyName(proof: Proof, name: string): Denial {
  const nsec = nsecs(proof);
  if (nsec.length > 0) {
    const cover = covering(nsec, name);
    if (cover === undefined || isWithin(cover.next, name)) return "missing";
    const wildcard = wildcardKey(encloser(cover, name));
    return covering(nsec, wildcard) !== undefined ? "proven" : "missing";
  }
  const hashed = new Hashed(proof);
  if (hashed.isCostly) return "unsigned";
  const found = hashed.closest(name);
  if (found === undefined) return "missing";
  if (hashed.covering(wildcardKey(found.encloser)) === undefined) return "missing";
  return found.optOut ? "unsigned" : "proven";
}

/** Whether the name has no records of a type. */
export function denyType(proof: Proof, name: string, type: number): Denial {
  const nsec = nsecs(proof);
  if (nsec.length > 0) {
    const own = nsec.find((each) => each.owner === name);
    if (own !== undefined) return ofOwner(own, name, type);
    const cover = covering(nsec, name);
    if (cover === undefined) return "missing";
    // Something is below the name, so it exists, with nothing of its own.
    if (isWithin(cover.next, name)) return "proven";
    const wildcard = wildcardKey(encloser(cover, name));
    const matched = nsec.find((each) => each.owner === wildcard);
    return matched === undefined ? "missing" : ofOwner(matched, name, type);
  }
  const hashed = new Hashed(proof);
  if (hashed.isCostly) return "unsigned";
  const own = hashed.matching(name);
  if (own !== undefined) return ofOwner(own, name, type);
  const found = hashed.closest(name);
  if (found === undefined) return "missing";
  const matched = hashed.matching(wildcardKey(found.encloser));
  if (matched !== undefined) {
    const denial = ofOwner(matched, name, type);
    // With opt-out there may be an unsigned delegation closer than the wildcard.
    return found.optOut && denial !== "missing" ? "unsigned" : denial;
  }
  // RFC 5155 §8.6: unsigned delegations may be left out.
  return found.optOut ? "unsigned" : "missing";
}

/** Whether the wildcard below the last `labels` labels of the name answers for it, as nothing closer exists. */
export function denyCloser(proof: Proof, name: string, labels: number): Denial {
  const nsec = nsecs(proof);
  if (nsec.length > 0) {
    const cover = covering(nsec, name);
    if (cover === undefined || isWithin(cover.next, name)) return "missing";
    return labelsOfKey(encloser(cover, name)) === labels ? "proven" : "missing";
  }
  const hashed = new Hashed(proof);
  if (hashed.isCostly) return "unsigned";
  const cover = hashed.covering(lastLabels(name, labels + 1));
  if (cover === undefined) return "missing";
  return cover.optOut ? "unsigned" : "proven";
}

/** A record that says which types its owner has, and what comes next. */
interface Denying {
  /** Of NSEC: the name; of NSEC3: unused. */
  readonly owner: string;
  readonly data: Uint8Array;
  /** Where the bitmap begins. */
  readonly bitmap: number;
}

interface Nsec extends Denying {
  readonly next: string;
  readonly apex: string;
}

function ofOwner({ data, bitmap, owner }: Denying, name: string, type: number): Denial {
  const has = (each: number): boolean => bitmapHas(data, bitmap, each);
  if (has(type) || (has(typeCode.CNAME) && type !== typeCode.CNAME)) return "missing";
  const isDelegation = has(typeCode.NS) && !has(typeCode.SOA);
  if (type === typeCode.DS) {
    // RFC 6840 §4.4: the child's record says nothing of what the parent has.
    if (has(typeCode.SOA) && name.length > 1) return "missing";
    return isDelegation ? "delegation" : "proven";
  }
  // RFC 6840 §4.4: of a delegation the parent knows only the DS records.
  return isDelegation && (owner === name || owner === "") ? "missing" : "proven";
}

function nsecs({ sets, zone }: Proof): Nsec[] {
  return sets
    .filter((set) => set.type === typeCode.NSEC && isWithin(set.name, zone))
    .flatMap((set) =>
      set.data.slice(0, 1).map((data) => {
        const bitmap = nameLength(data, 0);
        return { owner: set.name, next: keyOf(data), bitmap, data, apex: zone };
      }),
    );
}

/** The NSEC record between whose names `name` would be. */
function covering(all: readonly Nsec[], name: string): Nsec | undefined {
  return all.find((each) => nsecCovers(each.owner, each.next, name) && speaksFor(each, name));
}

/** RFC 4034 §6.1: whether `name` is after `owner` and before `next`, which is the zone's own for the last. */
export function nsecCovers(owner: string, next: string, name: string): boolean {
  const bytes = bytesOfKey(name);
  if (compareNames(bytesOfKey(owner), bytes) >= 0) return false;
  return compareNames(bytes, bytesOfKey(next)) < 0 || isWithin(owner, next);
}

/** RFC 6840 §4.1: a delegation, or a DNAME record, above the name says nothing of what is below itself. */
function speaksFor({ owner, data, bitmap }: Denying, name: string): boolean {
  if (!isWithin(name, owner)) return true;
  const has = (each: number): boolean => bitmapHas(data, bitmap, each);
  return !(has(typeCode.NS) && !has(typeCode.SOA)) && !has(typeCode.DNAME);
}

/** The longest existing ancestor of a name that is covered. */
function encloser({ owner, next }: Nsec, name: string): string {
  const one = commonAncestor(name, owner);
  const other = commonAncestor(name, next);
  return one.length > other.length ? one : other;
}

interface Nsec3 extends Denying {
  readonly hash: string;
  readonly hashBytes: Uint8Array;
  readonly next: Uint8Array;
  readonly optOut: boolean;
}

/** The NSEC3 records of one proof, with the same parameters all of them. */
class Hashed {
  readonly #proof: Proof;
  readonly #records: Nsec3[] = [];
  readonly #salt: Uint8Array;
  readonly #iterations: number;
  readonly #hashes = new Map<string, Uint8Array>();
  /** Whether the zone asks for more hashing than is good (RFC 9276 §3.2), or an unknown algorithm. */
  readonly isCostly: boolean;

  constructor(proof: Proof) {
    this.#proof = proof;
    const sets = proof.sets.filter((set) => set.type === typeCode.NSEC3 && parentKey(set.name) === proof.zone);
    const first = sets[0]?.data[0] ?? new Uint8Array(5);
    this.#iterations = ((first[2] ?? 0) << 8) | (first[3] ?? 0);
    this.#salt = first.subarray(5, 5 + (first[4] ?? 0));
    this.isCostly = sets.length > 0 && (first[0] !== 1 || this.#iterations > proof.limits.iterations);
    const same = first.subarray(2, 5 + this.#salt.length);
    for (const set of sets.slice(0, 16)) {
      const [data = first] = set.data;
      if (data[0] !== 1 || !equalBytes(data.subarray(2, 5 + this.#salt.length), same)) continue;
      const nextAt = 6 + this.#salt.length;
      const bitmap = nextAt + (data[nextAt - 1] ?? 0);
      const hash = set.name.slice(1, 1 + set.name.charCodeAt(0));
      const next = data.slice(nextAt, bitmap);
      const optOut = ((data[1] ?? 0) & 1) !== 0;
      this.#records.push({ owner: "", data, bitmap, hash, hashBytes: fromBase32Hex(hash), next, optOut });
    }
  }

  matching(name: string): Nsec3 | undefined {
    if (this.#records.length === 0) return undefined;
    const hash = base32Hex(this.#hash(name));
    return this.#records.find((each) => each.hash === hash);
  }

  covering(name: string): Nsec3 | undefined {
    if (this.#records.length === 0) return undefined;
    const hash = this.#hash(name);
    if (hash.length === 0) return undefined;
    return this.#records.find(({ hashBytes, next }) => {
      const isAfter = compareData(hashBytes, hash) < 0;
      const isBefore = compareData(hash, next) < 0;
      return compareData(hashBytes, next) < 0 ? isAfter && isBefore : isAfter || isBefore;
    });
  }

  /** RFC 5155 §8.3: an ancestor that exists, and that the next longer name does not. */
  closest(name: string): { readonly encloser: string; readonly optOut: boolean } | undefined {
    const { zone } = this.#proof;
    let closer = name;
    while (closer !== zone && isWithin(closer, zone)) {
      const above = parentKey(closer);
      const match = this.matching(above);
      if (match !== undefined) {
        if (!speaksFor({ ...match, owner: above }, name)) return undefined;
        const cover = this.covering(closer);
        return cover === undefined ? undefined : { encloser: above, optOut: cover.optOut };
      }
      closer = above;
    }
    return undefined;
  }

  /** None when the question has cost enough (CVE-2023-50868). */
  #hash(name: string): Uint8Array {
    const known = this.#hashes.get(name);
    if (known !== undefined) return known;
    const { work, crypto } = this.#proof;
    work.hashes -= this.#iterations + 1;
    if (work.hashes < 0) return new Uint8Array();
    const hash = nsec3Hash(crypto, bytesOfKey(name), this.#salt, this.#iterations);
    this.#hashes.set(name, hash);
    return hash;
  }
}

/** The bytes of a label in base 32; what is no digit counts as 0, and then nothing is like it. */
function fromBase32Hex(text: string): Uint8Array {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const digit of text) {
    held = ((held << 5) | Math.max(0, "0123456789abcdefghijklmnopqrstuv".indexOf(digit))) & 0xfff;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >>> bits) & 255);
  }
  return Uint8Array.from(bytes);
}
