import type { Crypto, SigningAlgorithm, SigningKey } from "@tesserae/device/crypto";
import { equalNames, isAtOrBelow, isWildcard, labelCount, lowerName, nameLength } from "../name-bytes.ts";
import { algorithmNumber } from "../record/number-field.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { signedData } from "./canonical.ts";
import { keyFlag, keyTag, signatureAlgorithm } from "./key.ts";
import type { RecordSet } from "./zone-names.ts";

const numbers: Readonly<Record<SigningAlgorithm, number>> = {
  "ecdsa-p256-sha256": algorithmNumber.ECDSAP256SHA256,
  "ecdsa-p384-sha384": algorithmNumber.ECDSAP384SHA384,
  ed25519: algorithmNumber.ED25519,
  ed448: algorithmNumber.ED448,
};

/** A key that signs the records of a zone. */
export interface ZoneKey {
  readonly key: SigningKey;
  /** The data of its DNSKEY record. */
  readonly data: Uint8Array;
  readonly tag: number;
  readonly algorithm: number;
  /** Whether it is a key-signing key (RFC 4034 §2.1.1): where there are others too, it signs only keys. */
  readonly isEntryPoint: boolean;
}

/** A key of a zone, out of a pair. */
export function createZoneKey(key: SigningKey, isEntryPoint: boolean): ZoneKey {
  const algorithm = numbers[key.algorithm];
  const flags = keyFlag.zone | (isEntryPoint ? keyFlag.secureEntryPoint : 0);
  const data = new Uint8Array(4 + key.publicKey.length);
  data.set([flags >>> 8, flags & 255, 3, algorithm]);
  data.set(key.publicKey, 4);
  return { key, data, tag: keyTag(data), algorithm, isEntryPoint };
}

/** When signatures hold: seconds since 1970, compared modulo 2³² (RFC 4034 §3.1.5). */
export interface Validity {
  readonly inception: number;
  readonly expiration: number;
}

/** The RRSIG record of a set (RFC 4034 §3). @param signer the zone's apex */
export function signRrset(
  crypto: Crypto,
  zoneKey: ZoneKey,
  signer: Uint8Array,
  set: RecordSet,
  { inception, expiration }: Validity,
): WireRecord {
  const name = lowerName(signer);
  const head = new Uint8Array(18 + name.length);
  const labels = labelCount(set.owner) - (isWildcard(set.owner) ? 1 : 0);
  head.set([set.type >>> 8, set.type & 255, zoneKey.algorithm, labels]);
  const view = new DataView(head.buffer);
  view.setUint32(4, set.ttl);
  view.setUint32(8, expiration);
  view.setUint32(12, inception);
  view.setUint16(16, zoneKey.tag);
  head.set(name, 18);
  const bytes = signedData(head, set.owner, set.type, set.data);
  // The labels are the owner's own: there is always something to sign.
  if (bytes === undefined) throw new RangeError("a set that cannot be signed");
  const signature = crypto.sign(zoneKey.key, bytes);
  const data = new Uint8Array(head.length + signature.length);
  data.set(head);
  data.set(signature, head.length);
  return { owner: set.owner, type: recordType.RRSIG, class: set.class, ttl: set.ttl, data };
}

/** Why a signature does not hold. */
export type SignatureFault =
  | "malformed"
  | "another type"
  | "another zone"
  | "not yet valid"
  | "expired"
  | "no such key"
  | "unknown algorithm"
  | "wrong signature";

/**
 * Checks a signature (RFC 4035 §5.3).
 *
 * @param signature the data of an RRSIG record
 * @param keys the data of the zone's DNSKEY records, which are trusted
 * @param now seconds since 1970
 * @returns undefined when it holds
 */
export function verifyRrset(
  crypto: Pick<Crypto, "verify">,
  signature: Uint8Array,
  set: Pick<RecordSet, "owner" | "type" | "data">,
  apex: Uint8Array,
  keys: readonly Uint8Array[],
  now: number,
): SignatureFault | undefined {
  const signer = signature.length > 18 ? nameLength(signature, 18) : 0;
  if (signer === 0) return "malformed";
  const view = new DataView(signature.buffer, signature.byteOffset, signature.length);
  if (view.getUint16(0) !== set.type) return "another type";
  if (!equalNames(signature.subarray(18, 18 + signer), apex) || !isAtOrBelow(set.owner, apex)) return "another zone";
  // Serial numbers (RFC 1982): the difference counts.
  if (((now - view.getUint32(12)) | 0) < 0) return "not yet valid";
  if (((view.getUint32(8) - now) | 0) < 0) return "expired";
  const number = view.getUint8(2);
  const algorithm = signatureAlgorithm(number);
  if (algorithm === undefined) return "unknown algorithm";
  const bytes = signedData(signature, set.owner, set.type, set.data);
  if (bytes === undefined) return "malformed";
  let fault: SignatureFault = "no such key";
  // Keys whose tags collide are tried, and not many (CVE-2023-50387).
  let tries = 0;
  for (const key of keys) {
    if (key[3] !== number || !isZoneKey(key) || keyTag(key) !== view.getUint16(16) || ++tries > 4) continue;
    if (crypto.verify(algorithm, key.subarray(4), bytes, signature.subarray(18 + signer))) return undefined;
    fault = "wrong signature";
  }
  return fault;
}

/** Whether the data of a DNSKEY record are a key that signs zones, and not revoked (RFC 4034 §2.1, RFC 5011 §2.1). */
export function isZoneKey(data: Uint8Array): boolean {
  const flags = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  return (flags & keyFlag.zone) !== 0 && (flags & keyFlag.revoked) === 0 && data[2] === 3 && data.length > 4;
}
