import { createECDH } from "node:crypto";
import type { Crypto, HashAlgorithm } from "@tesserae/device/crypto";
import type { Random } from "@tesserae/device/random";

/** A curve of FIPS 186-4 §D.1.2, with the hash that DNSSEC uses it with (RFC 6605). */
export interface Curve {
  /** OpenSSL's name. */
  readonly name: string;
  /** RFC 7518 §6.2.1.1. */
  readonly jwk: string;
  readonly hash: HashAlgorithm;
  /** Of a scalar and of a coordinate. The hash has as many. */
  readonly bytes: number;
  /** The number of points. */
  readonly order: bigint;
}

export const curves: Readonly<Record<"ecdsa-p256-sha256" | "ecdsa-p384-sha384", Curve>> = {
  "ecdsa-p256-sha256": {
    name: "prime256v1",
    jwk: "P-256",
    hash: "sha256",
    bytes: 32,
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  "ecdsa-p384-sha384": {
    name: "secp384r1",
    jwk: "P-384",
    hash: "sha384",
    bytes: 48,
    order: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
};

/** What keeps `scalar` from being a private key. */
export function scalarFault(curve: Curve, scalar: Uint8Array): string | undefined {
  if (scalar.length !== curve.bytes) return `has ${scalar.length} bytes instead of ${curve.bytes}`;
  const value = toInteger(scalar);
  return value === 0n || value >= curve.order ? "is not between 0 and the order of the curve" : undefined;
}

/** A private key by rejection (FIPS 186-4 §B.4.2). */
export function randomScalar(curve: Curve, random: Random): Uint8Array {
  const scalar = new Uint8Array(curve.bytes);
  do random.fill(scalar);
  while (scalarFault(curve, scalar) !== undefined);
  return scalar;
}

/** The public key x ‖ y of a private one. */
export function publicPoint(curve: Curve, scalar: Uint8Array): Uint8Array {
  const exchange = createECDH(curve.name);
  exchange.setPrivateKey(scalar);
  // Behind the byte that says "not compressed".
  return new Uint8Array(exchange.getPublicKey().subarray(1));
}

/**
 * The signature r ‖ s whose random number is made of the key and the bytes (RFC 6979 §3.2). OpenSSL multiplies the point;
 * the rest takes a time that depends on the key.
 */
export function signDeterministically(crypto: Crypto, curve: Curve, secret: Uint8Array, bytes: Uint8Array): Uint8Array {
  const { hash, order } = curve;
  const digest = crypto.hash(hash, bytes);
  const reduced = toBytes(toInteger(digest) % order, curve.bytes);
  let value = new Uint8Array(curve.bytes).fill(1);
  let key = new Uint8Array(curve.bytes);
  const step = (...parts: readonly Uint8Array[]): void => {
    key = crypto.hmac(hash, key, Buffer.concat([value, ...parts])).slice();
    value = crypto.hmac(hash, key, value).slice();
  };
  step(Uint8Array.of(0), secret, reduced);
  step(Uint8Array.of(1), secret, reduced);
  for (;;) {
    value = crypto.hmac(hash, key, value).slice();
    if (scalarFault(curve, value) === undefined) {
      const r = toInteger(publicPoint(curve, value).subarray(0, curve.bytes)) % order;
      const sum = (toInteger(digest) + r * toInteger(secret)) % order;
      const s = (inverse(toInteger(value), order) * sum) % order;
      if (r !== 0n && s !== 0n) return Buffer.concat([toBytes(r, curve.bytes), toBytes(s, curve.bytes)]);
    }
    step(Uint8Array.of(0));
  }
}

/** By Euclid's algorithm; `modulus` is prime. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [low, high] = [value % modulus, modulus];
  let [one, other] = [1n, 0n];
  while (low > 1n) {
    const quotient = high / low;
    [low, high] = [high - quotient * low, low];
    [one, other] = [other - quotient * one, one];
  }
  return one < 0n ? one + modulus : one;
}

function toInteger(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex")}`);
}

function toBytes(value: bigint, length: number): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex"));
}
