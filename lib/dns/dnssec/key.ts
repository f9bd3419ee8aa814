import type { Crypto, HashAlgorithm, SignatureAlgorithm } from "@tesserae/device/crypto";
import { lowerName } from "../name-bytes.ts";

/** Flags of a DNSKEY record (RFC 4034 §2.1.1, RFC 5011 §7). */
export const keyFlag = { zone: 0x0100, revoked: 0x0080, secureEntryPoint: 0x0001 } as const;

/** A number that tells most keys of a zone apart (RFC 4034 appendix B), of the data of a DNSKEY record. */
export function keyTag(data: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < data.length; at++) sum += (at & 1) === 0 ? (data[at] ?? 0) << 8 : (data[at] ?? 0);
  return (sum + (sum >>> 16)) & 0xffff;
}

/** Algorithms by number that signatures are checked with (RFC 8624 §3.1). RSA/SHA-1 is among them. */
const signatureAlgorithms: ReadonlyMap<number, SignatureAlgorithm> = new Map([
  [5, "rsa-sha1"],
  [7, "rsa-sha1"],
  [8, "rsa-sha256"],
  [10, "rsa-sha512"],
  [13, "ecdsa-p256-sha256"],
  [14, "ecdsa-p384-sha384"],
  [15, "ed25519"],
  [16, "ed448"],
]);

/** `undefined` when a zone signed with it counts as unsigned (RFC 4035 §5.2). */
export function signatureAlgorithm(number: number): SignatureAlgorithm | undefined {
  return signatureAlgorithms.get(number);
}

/** Digests of DS records by number (RFC 8624 §3.3). */
const digests: ReadonlyMap<number, HashAlgorithm> = new Map([
  [1, "sha1"],
  [2, "sha256"],
  [4, "sha384"],
]);

export function digestAlgorithm(number: number): HashAlgorithm | undefined {
  return digests.get(number);
}

/** The digest of a key for a DS record (RFC 4034 §5.1.4). */
export function keyDigest(crypto: Crypto, algorithm: HashAlgorithm, owner: Uint8Array, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(owner.length + key.length);
  bytes.set(lowerName(owner));
  bytes.set(key, owner.length);
  return crypto.hash(algorithm, bytes);
}
