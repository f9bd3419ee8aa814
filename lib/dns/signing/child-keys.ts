import type { Crypto } from "@tesserae/device/crypto";
import { keyDigest } from "../dnssec/key.ts";
import type { ZoneKey } from "../dnssec/signature.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";

/** The digest type of the DS records made here: SHA-256 (RFC 8624 §3.3). */
const sha256 = 2;

/** The data of a key's DS record, with SHA-256 (RFC 4034 §5.1). @param owner of the key */
export function dsData(crypto: Crypto, owner: Uint8Array, key: ZoneKey): Uint8Array {
  const digest = keyDigest(crypto, "sha256", owner, key.data);
  const data = new Uint8Array(4 + digest.length);
  data.set([key.tag >>> 8, key.tag & 255, key.algorithm, sha256]);
  data.set(digest, 4);
  return data;
}

/**
 * The CDS and CDNSKEY records by which a zone tells its parent which DS records it wants (RFC 7344 §4); none without keys.
 *
 * @param keys "delete" asks for a zone without DS records (RFC 8078 §4)
 */
export function childKeyRecords(
  crypto: Crypto,
  apex: Uint8Array,
  keys: readonly ZoneKey[] | "delete",
  ttl: number,
): WireRecord[] {
  const at = (type: number, data: Uint8Array): WireRecord => ({ owner: apex, type, class: 1, ttl, data });
  if (keys === "delete") {
    return [at(recordType.CDS, new Uint8Array(5)), at(recordType.CDNSKEY, Uint8Array.of(0, 0, 3, 0, 0))];
  }
  return keys.flatMap((key) => [at(recordType.CDS, dsData(crypto, apex, key)), at(recordType.CDNSKEY, key.data)]);
}
