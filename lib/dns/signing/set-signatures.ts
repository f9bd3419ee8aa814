import type { Crypto } from "@tesserae/device/crypto";
import { keysFor } from "../dnssec/sign-zone.ts";
import { signRrset, type ZoneKey } from "../dnssec/signature.ts";
import type { RecordSet } from "../dnssec/zone-names.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import type { KeySet } from "./key-schedule.ts";

/** What signatures are made with and judged by, at one moment. */
export interface SigningTerms {
  readonly crypto: Crypto;
  /** The zone, in lower case. */
  readonly apex: Uint8Array;
  readonly keys: Pick<KeySet, "published" | "signing">;
  /** Seconds since 1970. */
  readonly now: number;
  /** Of new signatures, seconds since 1970; called for each. */
  readonly inception: number;
  readonly expiration: () => number;
  /** Signatures that end before this are made anew, seconds since 1970. */
  readonly renewBefore: number;
}

/** Offsets into the data of an RRSIG record (RFC 4034 §3.1). */
const at = { algorithm: 2, expiration: 8, inception: 12, tag: 16 } as const;

/** Sets that every key that signs keys signs itself. */
const keyTypes: ReadonlySet<number> = new Set([recordType.DNSKEY, recordType.CDS, recordType.CDNSKEY]);

/** What happens to the signatures of a set. */
export interface SignatureChange {
  readonly removed: readonly WireRecord[];
  readonly added: readonly WireRecord[];
}

/**
 * Brings the signatures of a set up to date: those stay that hold long enough, of keys that are in the zone, one for each
 * algorithm; what is missing is made.
 *
 * @param there RRSIG records of the set
 * @param isSame whether the set is what they were made for
 */
export function renewSignatures(
  terms: SigningTerms,
  set: RecordSet,
  there: readonly WireRecord[],
  isSame: boolean,
): SignatureChange {
  const { crypto, apex, keys } = terms;
  const signers = keysFor(keys.signing, set.type);
  const isKeySet = keyTypes.has(set.type);
  const removed: WireRecord[] = [];
  const kept: WireRecord[] = [];
  const candidates = isSame ? there.filter((each) => holds(terms, each.data)) : [];
  const isOf = (record: WireRecord, key: ZoneKey): boolean => {
    return record.data[at.algorithm] === key.algorithm && tagOf(record.data) === key.tag;
  };
  const missing: ZoneKey[] = [];
  const done = new Set<number>();
  for (const key of signers) {
    if (!isKeySet && done.has(key.algorithm)) continue;
    const own = candidates.find((each) => isOf(each, key));
    // A signature of a key that signs no more is as good, as long as the key is there.
    const other = isKeySet
      ? undefined
      : candidates.find((each) => {
          return each.data[at.algorithm] === key.algorithm && keys.published.some((known) => isOf(each, known));
        });
    const found = own ?? other;
    if (found === undefined) missing.push(key);
    else kept.push(found);
    done.add(key.algorithm);
  }
  for (const each of there) if (!kept.includes(each)) removed.push(each);
  const added = missing.map((key) => {
    return signRrset(crypto, key, apex, set, { inception: terms.inception, expiration: terms.expiration() });
  });
  return { removed, added };
}

/** Whether one of the signatures of a set is to be made anew. */
export function isRenewalDue(terms: SigningTerms, signature: Uint8Array): boolean {
  return !holds(terms, signature);
}

/** When a signature ends, seconds since 1970 modulo 2³². */
export function expirationOf(signature: Uint8Array): number {
  return u32(signature, at.expiration);
}

function holds({ now, renewBefore, keys }: SigningTerms, signature: Uint8Array): boolean {
  if (signature.length <= 18) return false;
  const isKnown = [...keys.published, ...keys.signing].some((key) => {
    return key.algorithm === signature[at.algorithm] && key.tag === tagOf(signature);
  });
  return (
    isKnown &&
    ((now - u32(signature, at.inception)) | 0) >= 0 &&
    ((u32(signature, at.expiration) - renewBefore) | 0) > 0
  );
}

function tagOf(signature: Uint8Array): number {
  return ((signature[at.tag] ?? 0) << 8) | (signature[at.tag + 1] ?? 0);
}

function u32(bytes: Uint8Array, from: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(from);
}
