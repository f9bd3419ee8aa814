import type { Crypto } from "@tesserae/device/crypto";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { equalNames } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { childKeyRecords } from "./child-keys.ts";
import type { KeySet } from "./key-schedule.ts";

/** Sets at the apex that follow from the keys. */
const keyTypes: ReadonlySet<number> = new Set([recordType.DNSKEY, recordType.CDS, recordType.CDNSKEY]);

/** The keys that a signer has had: other records of the DNSKEY set are somebody else's. */
export class OwnKeys {
  readonly #known = new Set<string>();

  add(data: Uint8Array): void {
    this.#known.add(String(data));
  }

  /** Whether it is a DNSKEY record of a key that was never ours. */
  isForeign({ type, data }: WireRecord): boolean {
    return type === recordType.DNSKEY && !this.#known.has(String(data));
  }
}

/** What makes the DNSKEY, CDS and CDNSKEY sets of a zone those of `keys`; these are `own` from then on. */
export function keyChanges(
  crypto: Crypto,
  zone: Zone,
  apex: Uint8Array,
  keys: KeySet,
  own: OwnKeys,
  soaTtl: number,
): ZoneChange[] {
  const there = zone.recordsOf(apex).filter(({ type }) => keyTypes.has(type));
  const ttl = there.find(({ type }) => type === recordType.DNSKEY)?.ttl ?? soaTtl;
  const wanted: WireRecord[] = [
    ...keys.published.map(({ data }) => ({ owner: apex, type: recordType.DNSKEY, class: 1, ttl, data })),
    ...childKeyRecords(crypto, apex, keys.announced, ttl),
  ];
  const gone = there.filter((record) => !own.isForeign(record) && !wanted.some((each) => isSame(each, record)));
  const come = wanted.filter((record) => !there.some((each) => isSame(each, record)));
  for (const { data } of keys.published) own.add(data);
  return [
    ...gone.map((record): ZoneChange => ({ kind: "remove", record })),
    ...come.map((record): ZoneChange => ({ kind: "add", record })),
  ];
}

function isSame(a: WireRecord, b: WireRecord): boolean {
  if (a.type !== b.type || !equalNames(a.owner, b.owner) || a.data.length !== b.data.length) return false;
  return a.data.every((byte, at) => byte === b.data[at]);
}
