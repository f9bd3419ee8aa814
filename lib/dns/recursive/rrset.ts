import { equalBytes } from "../authoritative/octets.ts";
import type { WireRecord } from "../wire-record.ts";
import { classIn } from "../wire.ts";
import { bytesOfKey, keyOf } from "./name-key.ts";

/** Types that this folder looks at, beside those of `recordType`. */
export const typeCode = {
  ...{ A: 1, NS: 2, CNAME: 5, SOA: 6, AAAA: 28, DNAME: 39, DS: 43, RRSIG: 46, NSEC: 47, DNSKEY: 48, NSEC3: 50 },
  ...{ ANY: 255 },
} as const;

/** Records of one name and type, and the signatures that came with them. Class IN. */
export interface Rrset {
  /** See `name-key.ts`. */
  readonly name: string;
  readonly type: number;
  /** Seconds: the least of the records'. */
  readonly ttl: number;
  /** The data of each record; no two the same. */
  readonly data: readonly Uint8Array[];
  /** The data of the RRSIG records that cover it. */
  readonly signatures: readonly Uint8Array[];
}

/** RFC 2181 §8, RFC 8767 §4: nobody's data is kept longer than this without asking again, seconds. */
export const longestTtl = 86_400;

/** The sets in records of a section, in the order of their first records; what is not of class IN is left out. */
export function rrsetsOf(records: readonly WireRecord[]): Rrset[] {
  const sets = new Map<
    string,
    { name: string; type: number; ttl: number; data: Uint8Array[]; signatures: Uint8Array[] }
  >();
  for (const { owner, type, class: recordClass, ttl, data } of records) {
    if (recordClass !== classIn) continue;
    const isSignature = type === typeCode.RRSIG && data.length > 18;
    const covered = isSignature ? u16(data, 0) : type;
    const name = keyOf(owner);
    const key = `${covered} ${name}`;
    let set = sets.get(key);
    if (set === undefined) {
      set = { name, type: covered, ttl: longestTtl, data: [], signatures: [] };
      sets.set(key, set);
    }
    const list = isSignature ? set.signatures : set.data;
    if (!list.some((each) => equalBytes(each, data))) list.push(data);
    // A signature that goes earlier than what it covers takes it along (RFC 4034 §3: their times are the same).
    set.ttl = Math.min(set.ttl, ttl);
  }
  return [...sets.values()].filter(({ data }) => data.length > 0);
}

/** The records of a set, with its signatures behind them when `withSignatures`. */
export function recordsOf(
  set: Rrset,
  ttl: number,
  withSignatures: boolean,
  owner = bytesOfKey(set.name),
): WireRecord[] {
  const record = (type: number, data: Uint8Array): WireRecord => ({ owner, type, class: classIn, ttl, data });
  const records = set.data.map((data) => record(set.type, data));
  if (withSignatures) records.push(...set.signatures.map((data) => record(typeCode.RRSIG, data)));
  return records;
}

export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 65_536 + u16(bytes, at + 2);
}

/** For how long an SOA record lets a negative answer be kept (RFC 2308 §5), seconds; 0 without one. */
export function negativeTtl(soa: Rrset | undefined): number {
  const [data] = soa?.data ?? [];
  return soa === undefined || data === undefined || data.length < 20
    ? 0
    : Math.min(soa.ttl, u32(data, data.length - 4));
}
