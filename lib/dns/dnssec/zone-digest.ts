import type { Crypto } from "@tesserae/device/crypto";
import { equalNames } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { compareData } from "./canonical.ts";
import type { ZoneName } from "./zone-names.ts";

/** Hash algorithms of ZONEMD by number (RFC 8976 §5.3). */
const digestHash = new Map([
  [1, "sha384"],
  [2, "sha512"],
] as const);

/** The number of the scheme SIMPLE (RFC 8976 §5.2). */
const simple = 1;

/**
 * The digest of a zone by the scheme SIMPLE (RFC 8976 §3.3.1): every record in canonical form and order, but the ZONEMD
 * set of the apex and its signatures. `undefined` when the hash algorithm is not known.
 */
export function zoneDigest(
  crypto: Crypto,
  names: readonly ZoneName[],
  apex: Uint8Array,
  algorithm: number,
): Uint8Array | undefined {
  // as: a number that is no key gives undefined
  const hash = digestHash.get(algorithm as 1);
  if (hash === undefined) return undefined;
  let length = 0;
  for (const name of names) {
    for (const { owner, data } of name.sets) for (const each of data) length += owner.length + 10 + each.length;
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { owner, sets } of names) {
    const isApex = equalNames(owner, apex);
    for (const set of sets) {
      if (isApex && set.type === recordType.ZONEMD) continue;
      for (const [index, data] of set.data.entries()) {
        if (isApex && set.type === recordType.RRSIG && covered(data) === recordType.ZONEMD) continue;
        bytes.set(owner, at);
        at += owner.length;
        view.setUint16(at, set.type);
        view.setUint16(at + 2, set.class);
        view.setUint32(at + 4, set.records[index]?.ttl ?? set.ttl);
        view.setUint16(at + 8, data.length);
        bytes.set(data, at + 10);
        at += 10 + data.length;
      }
    }
  }
  return crypto.hash(hash, bytes.subarray(0, at));
}

function covered(signature: Uint8Array): number {
  return ((signature[0] ?? 0) << 8) | (signature[1] ?? 0);
}

/** The data of a ZONEMD record. @param digest of 12 bytes or more */
export function zonemdData(serial: number, algorithm: number, digest: Uint8Array): Uint8Array {
  const data = new Uint8Array(6 + digest.length);
  new DataView(data.buffer).setUint32(0, serial);
  data.set([simple, algorithm], 4);
  data.set(digest, 6);
  return data;
}

/**
 * Checks the ZONEMD records of a zone (RFC 8976 §4).
 *
 * @returns "absent" without any, "unsupported" when none is of a scheme and hash that are known, "serial" when none is
 * for the zone's serial, else whether one of them is right.
 */
export function verifyZonemd(
  crypto: Crypto,
  names: readonly ZoneName[],
  apex: Uint8Array,
): "right" | "wrong" | "absent" | "unsupported" | "serial" {
  const top = names.find(({ owner }) => equalNames(owner, apex));
  const data = top?.sets.find(({ type }) => type === recordType.ZONEMD)?.data ?? [];
  const soa = top?.sets.find(({ type }) => type === recordType.SOA)?.data[0];
  if (data.length === 0 || soa === undefined) return "absent";
  const serial = soa.subarray(soa.length - 20, soa.length - 16);
  const current = data.filter((each) => compareData(each.subarray(0, 4), serial) === 0);
  if (current.length === 0) return "serial";
  let result: "wrong" | "unsupported" = "unsupported";
  const seen = new Set<number>();
  for (const each of current) {
    const algorithm = each[5] ?? 0;
    // Two of one kind say nothing (§4, step 4b).
    const isAlone = current.filter((other) => other[4] === each[4] && other[5] === algorithm).length === 1;
    if (each[4] !== simple || !isAlone || seen.has(algorithm)) continue;
    seen.add(algorithm);
    const digest = zoneDigest(crypto, names, apex, algorithm);
    if (digest === undefined) continue;
    if (compareData(digest, each.subarray(6)) === 0) return "right";
    result = "wrong";
  }
  return result;
}
