import type { Crypto } from "@tesserae/device/crypto";
import { equalNames, equalNamesAt, lowerName, nameLength, nameToText } from "../name-bytes.ts";
import { bitmapTypes } from "../record/type-bitmap.ts";
import { typeName } from "../record/type-name.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { compareData } from "./canonical.ts";
import { denialTtl, nsec3Chain, nsecChain, mostIterations } from "./denial-chain.ts";
import { signatureAlgorithm } from "./key.ts";
import { base32Hex } from "./nsec3-hash.ts";
import { isZoneKey, verifyRrset } from "./signature.ts";
import { verifyZonemd } from "./zone-digest.ts";
import { setOf, signedSets, zoneNames, type RecordSet, type ZoneName } from "./zone-names.ts";

/** Beyond this many, faults are not looked for. */
const mostFaults = 100;

/**
 * Checks a signed zone as a whole: that every set that is to be signed is, by a key of each algorithm that the zone has
 * (RFC 4035 §2.2); that NSEC or NSEC3 records are there for every name, and say what is there; and the ZONEMD record.
 *
 * @param now seconds since 1970
 * @returns what is wrong, a line each, at most 100; none when all is well. That the keys are the right ones is not seen
 * here.
 */
export function verifyZone(crypto: Crypto, records: Iterable<WireRecord>, zone: Uint8Array, now: number): string[] {
  const apex = lowerName(zone);
  const names = zoneNames(records, apex);
  const top = names[0];
  const ttl = top?.place === "apex" ? denialTtl(top) : undefined;
  if (top === undefined || ttl === undefined) return [`${nameToText(apex)} SOA: there is none`];
  const keys = (setOf(top, recordType.DNSKEY)?.data ?? []).filter(isZoneKey);
  if (keys.length === 0) return [`${nameToText(apex)} DNSKEY: there is none`];
  const algorithms = new Set(keys.map((key) => key[3] ?? 0).filter((each) => signatureAlgorithm(each) !== undefined));
  const faults: string[] = [];
  for (const name of names) {
    const signatures = setOf(name, recordType.RRSIG)?.data ?? [];
    for (const set of signedSets(name)) {
      if (faults.length < mostFaults) checkSet(crypto, set, signatures, apex, keys, algorithms, now, faults);
    }
  }
  checkDenial(crypto, names, top, apex, ttl, faults);
  const digest = verifyZonemd(crypto, names, apex);
  if (digest === "wrong" || digest === "serial") faults.push(`${nameToText(apex)} ZONEMD: ${digest}`);
  return faults.slice(0, mostFaults);
}

function checkSet(
  crypto: Crypto,
  set: RecordSet,
  signatures: readonly Uint8Array[],
  apex: Uint8Array,
  keys: readonly Uint8Array[],
  algorithms: ReadonlySet<number>,
  now: number,
  faults: string[],
): void {
  const good = new Set<number>();
  let fault = "no signature";
  for (const signature of signatures) {
    if ((((signature[0] ?? 0) << 8) | (signature[1] ?? 0)) !== set.type || good.has(signature[2] ?? 0)) continue;
    const found = verifyRrset(crypto, signature, set, apex, keys, now);
    if (found === undefined) good.add(signature[2] ?? 0);
    else fault = found;
  }
  for (const algorithm of algorithms) {
    if (good.has(algorithm)) continue;
    faults.push(`${nameToText(set.owner)} ${typeName(set.type)}: algorithm ${algorithm}: ${fault}`);
    return;
  }
}

function checkDenial(
  crypto: Crypto,
  names: readonly ZoneName[],
  top: ZoneName,
  apex: Uint8Array,
  ttl: number,
  faults: string[],
): void {
  // The hashed names are no names of the zone.
  const plain = names.filter((name) => typesBeside(name, recordType.NSEC3) > 0);
  const parameters = setOf(top, recordType.NSEC3PARAM)?.data[0];
  if (setOf(top, recordType.NSEC) !== undefined || parameters === undefined) {
    compareChain(plain, nsecChain(plain, ttl), recordType.NSEC, false, faults);
    return;
  }
  const hashed = names.filter((name) => setOf(name, recordType.NSEC3) !== undefined);
  const optOut = hashed.some((name) => ((setOf(name, recordType.NSEC3)?.data[0]?.[1] ?? 0) & 1) !== 0);
  const iterations = ((parameters[2] ?? 0) << 8) | (parameters[3] ?? 0);
  const salt = parameters.slice(5, 5 + (parameters[4] ?? 0));
  if (iterations > mostIterations) {
    faults.push(`${nameToText(apex)} NSEC3PARAM: ${iterations} iterations, and ${mostIterations} are checked`);
    return;
  }
  compareChain(
    hashed,
    nsec3Chain(crypto, plain, apex, ttl, { iterations, salt, optOut }),
    recordType.NSEC3,
    optOut,
    faults,
  );
  if (optOut) checkLinks(hashed, faults);
}

/** How many sets a name has beside those of `type` and their signatures. */
function typesBeside(name: ZoneName, type: number): number {
  return name.sets.filter((set) => set.type !== type && set.type !== recordType.RRSIG).length;
}

/** Compares the denials that are there with those that there should be. */
function compareChain(
  names: readonly ZoneName[],
  expected: readonly WireRecord[],
  type: number,
  optOut: boolean,
  faults: string[],
): void {
  const found = new Map<string, readonly Uint8Array[]>();
  for (const name of names) {
    const set = setOf(name, type);
    if (set !== undefined) found.set(nameToText(name.owner), set.data);
  }
  for (const { owner, data } of expected) {
    const text = nameToText(owner);
    const there = found.get(text);
    found.delete(text);
    if (there === undefined) faults.push(`${text} ${typeName(type)}: there is none`);
    else if (there.length !== 1) faults.push(`${text} ${typeName(type)}: there are ${there.length}`);
    else if (!isSameDenial(there[0] ?? data, data, type, optOut))
      faults.push(`${text} ${typeName(type)}: says something else`);
    if (faults.length >= mostFaults) return;
  }
  for (const [text, [data]] of found) {
    if (optOut && data !== undefined && isInsecure(data)) continue;
    faults.push(`${text} ${typeName(type)}: has no place here`);
  }
}

/** Whether an NSEC3 record is of a delegation without DS records, or of a name above one: opting out may keep those. */
function isInsecure(data: Uint8Array): boolean {
  const head = 5 + (data[4] ?? 0);
  const types = bitmapTypes(data, head + 1 + (data[head] ?? 0), data.length);
  return types.every((type) => type === recordType.NS);
}

function isSameDenial(there: Uint8Array, data: Uint8Array, type: number, optOut: boolean): boolean {
  if (type === recordType.NSEC) {
    // The next name may be in either case (RFC 6840 §5.1).
    const next = nameLength(data, 0);
    return (
      nameLength(there, 0) === next &&
      equalNamesAt(there, 0, data, 0, next) &&
      compareData(there.subarray(next), data.subarray(next)) === 0
    );
  }
  // The flag may be set in some records only; the next hash, when there may be others, is checked by itself.
  const head = 5 + (data[4] ?? 0);
  const skip = optOut ? head + 1 + (data[head] ?? 0) : head;
  return (
    there[0] === data[0] &&
    compareData(there.subarray(2, head), data.subarray(2, head)) === 0 &&
    compareData(there.subarray(skip), data.subarray(skip)) === 0
  );
}

/** Whether each hashed name leads to the next one. */
function checkLinks(hashed: readonly ZoneName[], faults: string[]): void {
  const chain = nsec3Links(hashed);
  for (let index = 0; index < chain.length && faults.length < mostFaults; index++) {
    // as: both are within the array
    const each = chain[index] as Link;
    const next = chain[(index + 1) % chain.length] as Link; // as: above
    if (!equalNames(each.next, next.label)) faults.push(`${nameToText(each.owner)} NSEC3: leads to another name`);
  }
}

interface Link {
  readonly owner: Uint8Array;
  readonly label: Uint8Array;
  readonly next: Uint8Array;
}

/** In the order of their names, which is that of the hashes. */
function nsec3Links(hashed: readonly ZoneName[]): Link[] {
  return hashed.map(({ owner, sets }) => {
    const data = sets.find(({ type }) => type === recordType.NSEC3)?.data[0] ?? new Uint8Array(6);
    const at = 5 + (data[4] ?? 0);
    const text = base32Hex(data.subarray(at + 1, at + 1 + (data[at] ?? 0)));
    const next = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return { owner, label: owner.subarray(1, 1 + (owner[0] ?? 0)), next };
  });
}
