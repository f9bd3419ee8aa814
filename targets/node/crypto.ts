import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  timingSafeEqual,
  verify as verifyBytes,
} from "node:crypto";
import type { Crypto, HashAlgorithm, SignatureAlgorithm, SigningAlgorithm, SigningKey } from "@tesserae/device/crypto";
import type { Random } from "@tesserae/device/random";
import { curves, publicPoint, randomScalar, scalarFault, signDeterministically } from "./ecdsa.ts";

/** Node's cryptography (OpenSSL's). */
export function createCrypto(): Crypto {
  return new NodeCrypto(false);
}

/**
 * The same, whose ECDSA signatures follow from the key and the bytes (RFC 6979), so that a simulation repeats itself. Not
 * for secrets: its arithmetic takes a time that depends on them.
 */
export function createRepeatableCrypto(): Crypto {
  return new NodeCrypto(true);
}

/** Public keys parsed and kept; those that were used longest ago make room. */
const keptKeys = 512;
const longestRsaKey = 4096 / 8;
const longestRsaExponent = 8;

/** What comes before the seed in the PKCS #8 form of an EdDSA key (RFC 8410 §7), in hex. */
const edwards = {
  ed25519: { curve: "Ed25519", length: 32, signature: 64, prefix: "302e020100300506032b657004220420" },
  ed448: { curve: "Ed448", length: 57, signature: 114, prefix: "3047020100300506032b6571043b0439" },
} as const;

const digests = {
  "rsa-sha1": "sha1",
  "rsa-sha256": "sha256",
  "rsa-sha512": "sha512",
  "ecdsa-p256-sha256": "sha256",
  "ecdsa-p384-sha384": "sha384",
  // EdDSA hashes on its own.
  ed25519: undefined,
  ed448: undefined,
} as const;

class NodeKey implements SigningKey {
  readonly algorithm: SigningAlgorithm;
  readonly publicKey: Uint8Array;
  readonly secret: Uint8Array;
  readonly object: KeyObject;

  constructor(algorithm: SigningAlgorithm, publicKey: Uint8Array, secret: Uint8Array, object: KeyObject) {
    this.algorithm = algorithm;
    this.publicKey = publicKey;
    this.secret = secret;
    this.object = object;
  }
}

class NodeCrypto implements Crypto {
  readonly #repeatable: boolean;
  /** In order of their last use. What is no key is kept as null. */
  readonly #publicKeys = new Map<string, KeyObject | null>();

  constructor(repeatable: boolean) {
    this.#repeatable = repeatable;
  }

  hash(algorithm: HashAlgorithm, bytes: Uint8Array): Uint8Array {
    return plain(createHash(algorithm).update(bytes).digest());
  }

  hmac(algorithm: HashAlgorithm, key: Uint8Array, bytes: Uint8Array): Uint8Array {
    return plain(createHmac(algorithm, key).update(bytes).digest());
  }

  timingSafeEqual(one: Uint8Array, other: Uint8Array): boolean {
    return one.length === other.length && timingSafeEqual(one, other);
  }

  verify(algorithm: SignatureAlgorithm, publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
    if (signature.length !== signatureLength(algorithm, signature.length)) return false;
    const key = this.#publicKey(algorithm, publicKey);
    if (key === null) return false;
    try {
      return verifyBytes(digests[algorithm], bytes, { key, dsaEncoding: "ieee-p1363" }, signature);
    } catch {
      // OpenSSL calls some signatures an error: longer than the modulus, say.
      return false;
    }
  }

  generateKey(algorithm: SigningAlgorithm, random: Random): SigningKey {
    if (algorithm === "ed25519" || algorithm === "ed448") {
      const seed = new Uint8Array(edwards[algorithm].length);
      random.fill(seed);
      return this.importKey(algorithm, seed);
    }
    return this.importKey(algorithm, randomScalar(curves[algorithm], random));
  }

  importKey(algorithm: SigningAlgorithm, privateKey: Uint8Array): SigningKey {
    const secret = privateKey.slice();
    if (algorithm === "ed25519" || algorithm === "ed448") {
      const { length, prefix } = edwards[algorithm];
      if (secret.length !== length)
        throw new RangeError(`a key of ${algorithm} has ${length} bytes, not ${secret.length}`);
      const der = Buffer.concat([Buffer.from(prefix, "hex"), secret]);
      const object = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
      const { x = "" } = createPublicKey(object).export({ format: "jwk" });
      return new NodeKey(algorithm, plain(Buffer.from(x, "base64url")), secret, object);
    }
    const curve = curves[algorithm];
    const fault = scalarFault(curve, secret);
    if (fault !== undefined) throw new RangeError(`the key of ${algorithm} ${fault}`);
    const point = publicPoint(curve, secret);
    const key = { ...ecJwk(curve.jwk, point), d: text(secret) };
    return new NodeKey(algorithm, point, secret, createPrivateKey({ key, format: "jwk" }));
  }

  exportKey(key: SigningKey): Uint8Array {
    return own(key).secret.slice();
  }

  sign(key: SigningKey, bytes: Uint8Array): Uint8Array {
    const { algorithm, object, secret } = own(key);
    const digest = digests[algorithm];
    if (this.#repeatable && (algorithm === "ecdsa-p256-sha256" || algorithm === "ecdsa-p384-sha384")) {
      return signDeterministically(this, curves[algorithm], secret, bytes);
    }
    return plain(signBytes(digest, bytes, { key: object, dsaEncoding: "ieee-p1363" }));
  }

  #publicKey(algorithm: SignatureAlgorithm, bytes: Uint8Array): KeyObject | null {
    if (bytes.length > longestRsaKey + longestRsaExponent + 3) return null;
    const name = `${algorithm} ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")}`;
    let found = this.#publicKeys.get(name);
    if (found === undefined) {
      found = parsePublicKey(algorithm, bytes);
      if (this.#publicKeys.size >= keptKeys) {
        for (const oldest of this.#publicKeys.keys()) {
          this.#publicKeys.delete(oldest);
          break;
        }
      }
    } else this.#publicKeys.delete(name);
    this.#publicKeys.set(name, found);
    return found;
  }
}

function own(key: SigningKey): NodeKey {
  if (!(key instanceof NodeKey)) throw new TypeError("the key was made by another Crypto");
  return key;
}

/** How long a signature has to be; RSA's, as long as its modulus, is checked with it. */
function signatureLength(algorithm: SignatureAlgorithm, actual: number): number {
  if (algorithm === "ecdsa-p256-sha256" || algorithm === "ecdsa-p384-sha384") return 2 * curves[algorithm].bytes;
  if (algorithm === "ed25519" || algorithm === "ed448") return edwards[algorithm].signature;
  return Math.min(actual, longestRsaKey);
}

function parsePublicKey(algorithm: SignatureAlgorithm, bytes: Uint8Array): KeyObject | null {
  const key = jwkOf(algorithm, bytes);
  if (key === undefined) return null;
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch {
    // A point that is not on the curve.
    return null;
  }
}

type Jwk = Record<string, string>;

function jwkOf(algorithm: SignatureAlgorithm, bytes: Uint8Array): Jwk | undefined {
  if (algorithm === "ed25519" || algorithm === "ed448") {
    const { curve, length } = edwards[algorithm];
    return bytes.length === length ? { kty: "OKP", crv: curve, x: text(bytes) } : undefined;
  }
  if (algorithm === "ecdsa-p256-sha256" || algorithm === "ecdsa-p384-sha384") {
    const curve = curves[algorithm];
    return bytes.length === 2 * curve.bytes ? ecJwk(curve.jwk, bytes) : undefined;
  }
  // RFC 3110 §2: the exponent's length in one byte, or in two behind a zero.
  const [first = 0, second = 0, third = 0] = bytes;
  const start = first === 0 ? 3 : 1;
  const length = first === 0 ? (second << 8) | third : first;
  const modulus = withoutZeros(bytes.subarray(start + length));
  const exponent = withoutZeros(bytes.subarray(start, start + length));
  if (exponent.length === 0 || exponent.length > longestRsaExponent) return undefined;
  // Below 512 bits RFC 3110 §2 has no keys.
  if (modulus.length < 64 || modulus.length > longestRsaKey) return undefined;
  return { kty: "RSA", n: text(modulus), e: text(exponent) };
}

function withoutZeros(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  return start < 0 ? bytes.subarray(bytes.length) : bytes.subarray(start);
}

function ecJwk(curve: string, point: Uint8Array): Jwk {
  const half = point.length / 2;
  return { kty: "EC", crv: curve, x: text(point.subarray(0, half)), y: text(point.subarray(half)) };
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64url");
}

/** A `Buffer` as the plain array that it is said to be: Buffer's `slice` shares memory, and its `toString` is another. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
