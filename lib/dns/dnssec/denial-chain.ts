import type { Crypto } from "@tesserae/device/crypto";
import { labelCount, ancestorName } from "../name-bytes.ts";
import { typeBitmap } from "../record/type-bitmap.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { compareData } from "./canonical.ts";
import { base32Hex, nsec3Hash } from "./nsec3-hash.ts";
import { setOf, signedSets, typesOf, type ZoneName } from "./zone-names.ts";

/** How names are hashed for NSEC3 records (RFC 5155 §3.1). RFC 9276 §3.1 wants 0 iterations, and no salt. */
export interface Nsec3Options {
  readonly iterations: number;
  /** At most 255 bytes. */
  readonly salt: Uint8Array;
  /** Whether delegations without DS records are left out (RFC 5155 §6). */
  readonly optOut: boolean;
}

/** More cost too much (RFC 9276 §3.2), for us and for every resolver. */
export const mostIterations = 500;

/** The NSEC records of a zone (RFC 4035 §2.3), in its order. @param ttl seconds: the least of SOA's and its minimum */
export function nsecChain(names: readonly ZoneName[], ttl: number): WireRecord[] {
  const members = names.filter(({ place }) => place !== "below");
  return members.map((name, index) => {
    const next = (members[index + 1] ?? members[0] ?? name).owner;
    const types = typeBitmap([...typesOf(name), recordType.NSEC, recordType.RRSIG]);
    const data = new Uint8Array(next.length + types.length);
    data.set(next);
    data.set(types, next.length);
    return { owner: name.owner, type: recordType.NSEC, class: 1, ttl, data };
  });
}

/** A name with its hash. */
interface Hashed {
  readonly hash: Uint8Array;
  readonly types: Uint8Array;
}

/**
 * The NSEC3 records of a zone (RFC 5155 §7.1), in the order of the hashes.
 *
 * @throws RangeError when two names have one hash, and another salt is needed; or the iterations are more than 500.
 */
export function nsec3Chain(
  crypto: Crypto,
  names: readonly ZoneName[],
  apex: Uint8Array,
  ttl: number,
  options: Nsec3Options,
): WireRecord[] {
  const { iterations, salt, optOut } = options;
  if (!(iterations >= 0 && iterations <= mostIterations)) {
    throw new RangeError(`${iterations} iterations of NSEC3, and ${mostIterations} are allowed`);
  }
  const hashed: Hashed[] = [];
  const add = (owner: Uint8Array, types: Uint8Array): void => {
    hashed.push({ hash: nsec3Hash(crypto, owner, salt, iterations), types });
  };
  let before = apex;
  for (const name of names) {
    if (name.place === "below") continue;
    const isSigned = signedSets(name).some(({ type }) => type !== recordType.NSEC);
    if (name.place === "delegation" && optOut && !isSigned) continue;
    // Names without records between the one before and this: they lie on this one's way to the apex.
    const labels = labelCount(name.owner);
    for (let count = sharedLabels(before, name.owner) + 1; count < labels; count++) {
      if (count > labelCount(apex)) add(ancestorName(name.owner, count), typeBitmap([]));
    }
    before = name.owner;
    const types = typesOf(name);
    add(name.owner, typeBitmap(isSigned ? [...types, recordType.RRSIG] : types));
  }
  hashed.sort((a, b) => compareData(a.hash, b.hash));
  return hashed.map(({ hash, types }, index) => {
    const next = (hashed[index + 1] ?? hashed[0])?.hash ?? hash;
    if (hashed.length > 1 && compareData(next, hash) === 0) throw new RangeError("two names have one hash");
    const data = new Uint8Array(5 + salt.length + 1 + next.length + types.length);
    data.set([1, optOut ? 1 : 0, iterations >>> 8, iterations & 255, salt.length]);
    data.set(salt, 5);
    data[5 + salt.length] = next.length;
    data.set(next, 6 + salt.length);
    data.set(types, 6 + salt.length + next.length);
    return { owner: hashedOwner(hash, apex), type: recordType.NSEC3, class: 1, ttl, data };
  });
}

/** The name of a hash in the zone. @param apex in lower case */
export function hashedOwner(hash: Uint8Array, apex: Uint8Array): Uint8Array {
  const label = base32Hex(hash);
  const owner = new Uint8Array(1 + label.length + apex.length);
  owner[0] = label.length;
  for (let at = 0; at < label.length; at++) owner[at + 1] = label.charCodeAt(at);
  owner.set(apex, 1 + label.length);
  return owner;
}

function sharedLabels(a: Uint8Array, b: Uint8Array): number {
  const labels = Math.min(labelCount(a), labelCount(b));
  for (let count = labels; count > 0; count--) {
    if (compareData(ancestorName(a, count), ancestorName(b, count)) === 0) return count;
  }
  return 0;
}

/** The data of the NSEC3PARAM record for these options (RFC 5155 §4.1: the opt-out flag is not in it). */
export function nsec3Param({ iterations, salt }: Nsec3Options): Uint8Array {
  return Uint8Array.from([1, 0, iterations >>> 8, iterations & 255, salt.length, ...salt]);
}

/** How long denials may be kept (RFC 9077): the least of the SOA record's time to live and its minimum. */
export function denialTtl(apex: ZoneName): number | undefined {
  const soa = setOf(apex, recordType.SOA);
  const data = soa?.data[0];
  if (soa === undefined || data === undefined || data.length < 22) return undefined;
  return Math.min(soa.ttl, new DataView(data.buffer, data.byteOffset, data.length).getUint32(data.length - 4));
}
