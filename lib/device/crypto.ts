import type { Random } from "./random.ts";

/**
 * Cryptography as an argument: the hashes, message authentication codes and signatures that protocols ask for by name.
 *
 * Everything is synchronous, and nothing keeps the bytes that it was given. What a function returns is the caller's.
 */
export interface Crypto {
  /** The digest of `bytes` (FIPS 180-4): 20, 28, 32, 48 or 64 bytes. */
  hash(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array;

  /** The HMAC (RFC 2104) of `bytes` under `key` of any length, as long as the digest. */
  hmac(algorithm: HashAlgorithm, key: Uint8Array, bytes: Uint8Array): Uint8Array;

  /** Whether two secrets are the same, in a time that says nothing of where they differ. */
  timingSafeEqual(one: Uint8Array, other: Uint8Array): boolean;

  /**
   * Whether `signature` is one of `bytes`. A key or a signature that is none, whatever its bytes, makes it false; so does
   * an RSA key above 4096 bits or with an exponent above 64 bits, whose use would cost more than it should.
   *
   * @param publicKey as in a DNSKEY record: RSA by RFC 3110 §2, ECDSA by RFC 6605 §4, EdDSA by RFC 8080 §3
   * @param signature as in an RRSIG record: RSA by RFC 3110 §3 (PKCS #1 1.5), ECDSA r ‖ s, EdDSA by RFC 8032
   */
  verify(algorithm: SignatureAlgorithm, publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;

  /** A new pair of keys, which follows from what `random` gives and from nothing else. */
  generateKey(algorithm: SigningAlgorithm, random: Random): SigningKey;

  /**
   * The pair of a private key: the scalar of ECDSA (32 or 48 bytes, big-endian), the seed of EdDSA (32 or 57 bytes).
   *
   * @throws RangeError when it has another length or is no key.
   */
  importKey(algorithm: SigningAlgorithm, privateKey: Uint8Array): SigningKey;

  /**
   * The private part, as {@link importKey} takes it.
   *
   * @throws TypeError when the key is another implementation's.
   */
  exportKey(key: SigningKey): Uint8Array;

  /**
   * A signature of `bytes`, as {@link verify} takes it. That of EdDSA follows from the key and the bytes; that of ECDSA
   * differs from call to call, but for implementations that say otherwise.
   *
   * @throws TypeError when the key is another implementation's.
   */
  sign(key: SigningKey, bytes: Uint8Array): Uint8Array;
}

export type HashAlgorithm = "sha1" | "sha224" | "sha256" | "sha384" | "sha512";

/** What a signature is checked with. */
export type SignatureAlgorithm = "rsa-sha1" | "rsa-sha256" | "rsa-sha512" | SigningAlgorithm;

/** What can be signed with. */
export type SigningAlgorithm = "ecdsa-p256-sha256" | "ecdsa-p384-sha384" | "ed25519" | "ed448";

/** A pair of keys. The private part stays inside the implementation that made it. */
export interface SigningKey {
  readonly algorithm: SigningAlgorithm;
  /** As {@link Crypto.verify} takes it; not to be written to. */
  readonly publicKey: Uint8Array;
}
