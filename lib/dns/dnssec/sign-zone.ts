import type { Crypto } from "@tesserae/device/crypto";
import { lowerName } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { denialTtl, nsec3Chain, type Nsec3Options, nsec3Param, nsecChain } from "./denial-chain.ts";
import { signRrset, type Validity, type ZoneKey } from "./signature.ts";
import { zoneDigest, zonemdData } from "./zone-digest.ts";
import { setOf, signedSets, zoneNames, type RecordSet } from "./zone-names.ts";

export interface SignZoneOptions extends Validity {
  /** What signs. */
  readonly keys: readonly ZoneKey[];
  /** What is in the DNSKEY set. Default: what signs. */
  readonly published?: readonly ZoneKey[];
  /** NSEC3 in place of NSEC. */
  readonly nsec3?: Nsec3Options;
  /** Adds a ZONEMD record with this hash: 1 is SHA-384, 2 SHA-512. */
  readonly zonemd?: 1 | 2;
}

/** What signing makes anew. */
const made: ReadonlySet<number> = new Set([
  recordType.RRSIG,
  recordType.NSEC,
  recordType.NSEC3,
  recordType.NSEC3PARAM,
  recordType.ZONEMD,
]);

/** Types that key-signing keys sign, where there are other keys too. */
const keyTypes: ReadonlySet<number> = new Set([recordType.DNSKEY, recordType.CDS, recordType.CDNSKEY]);

/**
 * Signs a zone as a whole (RFC 4035 §2): the records given, with the keys', NSEC or NSEC3 records, and the signatures
 * of all of them, in canonical order; names keep their case. Signatures and denials among the records given are made anew.
 *
 * @throws RangeError when there is no SOA record at the apex, or no key.
 */
export function signZone(
  crypto: Crypto,
  records: Iterable<WireRecord>,
  zone: Uint8Array,
  options: SignZoneOptions,
): WireRecord[] {
  const apex = lowerName(zone);
  const { keys, published = keys, nsec3, zonemd } = options;
  if (keys.length === 0) throw new RangeError("a zone is not signed without keys");
  const plain: WireRecord[] = [];
  for (const record of records) if (!made.has(record.type)) plain.push(record);
  const soa = zoneNames(plain, apex)[0];
  const ttl = soa?.place === "apex" ? denialTtl(soa) : undefined;
  if (soa === undefined || ttl === undefined) throw new RangeError("the zone has no SOA record at its apex");
  const keyTtl = setOf(soa, recordType.DNSKEY)?.ttl ?? setOf(soa, recordType.SOA)?.ttl ?? ttl;
  const atApex = (type: number, each: number, data: Uint8Array): void => {
    plain.push({ owner: apex, type, class: 1, ttl: each, data });
  };
  for (const { data } of published) atApex(recordType.DNSKEY, keyTtl, data);
  if (nsec3 !== undefined) atApex(recordType.NSEC3PARAM, 0, nsec3Param(nsec3));
  const soaSet = setOf(soa, recordType.SOA);
  const soaData = soaSet?.data[0] ?? new Uint8Array(22);
  const serial = new DataView(soaData.buffer, soaData.byteOffset).getUint32(soaData.length - 20);
  if (zonemd !== undefined)
    atApex(recordType.ZONEMD, soaSet?.ttl ?? ttl, zonemdData(serial, zonemd, new Uint8Array(48)));
  const bare = zoneNames(plain, apex);
  for (const record of nsec3 === undefined ? nsecChain(bare, ttl) : nsec3Chain(crypto, bare, apex, ttl, nsec3)) {
    plain.push(record);
  }
  const result: WireRecord[] = [];
  const names = zoneNames(plain, apex);
  for (const name of names) {
    const signed = new Set(signedSets(name));
    for (const set of name.sets) {
      for (const record of set.records) result.push({ ...record, ttl: set.ttl });
      if (!signed.has(set)) continue;
      for (const key of keysFor(keys, set.type)) result.push(signRrset(crypto, key, apex, set, options));
    }
  }
  return zonemd === undefined ? result : withDigest(crypto, result, apex, serial, zonemd, options);
}

/** Puts the right ZONEMD record, and signatures of it, in place of those there. */
function withDigest(
  crypto: Crypto,
  records: readonly WireRecord[],
  apex: Uint8Array,
  serial: number,
  algorithm: 1 | 2,
  options: SignZoneOptions,
): WireRecord[] {
  const digest = zoneDigest(crypto, zoneNames(records, apex), apex, algorithm) ?? new Uint8Array(0);
  const data = zonemdData(serial, algorithm, digest);
  const result: WireRecord[] = [];
  for (const record of records) {
    const isSignature =
      record.type === recordType.RRSIG && record.data[0] === 0 && record.data[1] === recordType.ZONEMD;
    if (isSignature) continue;
    if (record.type !== recordType.ZONEMD) {
      result.push(record);
      continue;
    }
    const set: RecordSet = { ...record, data: [data] };
    result.push({ ...record, data });
    for (const key of keysFor(options.keys, record.type)) result.push(signRrset(crypto, key, apex, set, options));
  }
  return result;
}

/** The keys that sign sets of a type: of each algorithm the zone-signing ones, or the only ones there are. */
export function keysFor(keys: readonly ZoneKey[], type: number): ZoneKey[] {
  return keys.filter((key) => {
    const others = keys.some((other) => other.algorithm === key.algorithm && other.isEntryPoint !== key.isEntryPoint);
    return !others || key.isEntryPoint === keyTypes.has(type);
  });
}
