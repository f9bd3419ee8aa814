import { decodeBase64 } from "@tesserae/wire/base64";
import type { HashAlgorithm } from "@tesserae/device/crypto";
import { lowerName, nameFromText, nameToText } from "../name-bytes.ts";

/** An algorithm of RFC 8945 §6: how it is called on the wire, which hash it has, and how much of the code is sent. */
export interface TsigAlgorithm {
  readonly name: Uint8Array;
  readonly text: string;
  readonly hash: HashAlgorithm;
  /** Of the hash. */
  readonly digestBytes: number;
  /** Of the code as it is sent: less than the digest for the truncated variants. */
  readonly macBytes: number;
}

/** A secret that two parties share, under the name by which both know it. */
export interface TsigKey {
  /** In lower case. */
  readonly name: Uint8Array;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Uint8Array;
}

function algorithm(text: string, hash: HashAlgorithm, digestBytes: number, macBytes = digestBytes): TsigAlgorithm {
  return { name: nameFromText(text), text, hash, digestBytes, macBytes };
}

/** HMAC-MD5 and GSS-TSIG are not here on purpose. */
export const tsigAlgorithms: readonly TsigAlgorithm[] = [
  algorithm("hmac-sha1", "sha1", 20),
  algorithm("hmac-sha224", "sha224", 28),
  algorithm("hmac-sha256", "sha256", 32),
  algorithm("hmac-sha256-128", "sha256", 32, 16),
  algorithm("hmac-sha384", "sha384", 48),
  algorithm("hmac-sha384-192", "sha384", 48, 24),
  algorithm("hmac-sha512", "sha512", 64),
  algorithm("hmac-sha512-256", "sha512", 64, 32),
];

/** Keys by name; at most one of a name. */
export class TsigKeyring {
  readonly #keys = new Map<string, TsigKey>();

  constructor(keys: Iterable<TsigKey> = []) {
    for (const key of keys) this.#keys.set(keyId(key.name), key);
  }

  get size(): number {
    return this.#keys.size;
  }

  /** The key of that name, whatever its case. */
  get(name: Uint8Array): TsigKey | undefined {
    return this.#keys.get(keyId(lowerName(name)));
  }

  [Symbol.iterator](): IterableIterator<TsigKey> {
    return this.#keys.values();
  }
}

function keyId(name: Uint8Array): string {
  return nameToText(name);
}

/**
 * The key that a text of the form `[algorithm:]name:secret` gives, as dig -y takes it; without an algorithm it is
 * `hmac-sha256`.
 *
 * @throws RangeError naming what is wrong.
 */
export function parseKey(text: string): TsigKey {
  const parts = text.trim().split(":");
  if (parts.length < 2 || parts.length > 3) throw new RangeError("a key is written [algorithm:]name:secret");
  const [secret = "", name = "", method = "hmac-sha256"] = parts.reverse();
  return makeKey(name, method, secret);
}

/**
 * The keys of a text like BIND's: `key "name" { algorithm hmac-sha256; secret "…"; };`, with comments of all three kinds.
 *
 * @param source what the text is called in errors
 * @throws RangeError with the place: `keys:3: …`.
 */
export function parseKeys(text: string, source = "keys"): TsigKeyring {
  const words = new Words(text, source);
  const keys: TsigKey[] = [];
  for (let word = words.next(); word !== ""; word = words.next()) {
    if (word === ";") continue;
    if (word !== "key") words.fail(`"${word}" where "key" is expected`);
    const name = words.next();
    const line = words.line;
    const values = new Map<string, string>();
    words.expect("{");
    for (let field = words.next(); field !== "}"; field = words.next()) {
      if (field !== "algorithm" && field !== "secret")
        words.fail(`"${field}" where "algorithm" or "secret" is expected`);
      if (values.has(field)) words.fail(`"${field}" for the second time`);
      values.set(field, words.next());
      words.expect(";");
    }
    words.expect(";");
    const [method, secret] = [values.get("algorithm"), values.get("secret")];
    if (method === undefined || secret === undefined) {
      throw new RangeError(`${source}:${line}: the key "${name}" needs an algorithm and a secret`);
    }
    let key: TsigKey;
    try {
      key = makeKey(name, method, secret);
    } catch (error) {
      throw new RangeError(`${source}:${line}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    if (keys.some((other) => keyId(other.name) === keyId(key.name))) {
      throw new RangeError(`${source}:${line}: there are two keys "${name}"`);
    }
    keys.push(key);
  }
  return new TsigKeyring(keys);
}

/**
 * @param secret in base 64
 * @throws RangeError
 */
export function makeKey(name: string, method: string, secret: string): TsigKey {
  if (name === "") throw new RangeError("a key without a name");
  const wanted = method.toLowerCase().replace(/\.$/, "");
  const found = tsigAlgorithms.find((each) => each.text === wanted);
  if (found === undefined) {
    const known = tsigAlgorithms.map((each) => each.text).join(", ");
    throw new RangeError(`key "${name}": no algorithm "${method}": there are ${known}`);
  }
  let bytes: Uint8Array;
  try {
    bytes = decodeBase64(secret);
  } catch (cause) {
    // The secret itself is not in the message; one sign of it may be in the cause's.
    throw new RangeError(`key "${name}": the secret is not base64`, { cause });
  }
  if (bytes.length === 0) throw new RangeError(`key "${name}": the secret is empty`);
  return { name: lowerName(nameFromText(name)), algorithm: found, secret: bytes };
}

/** Words, quoted texts and the signs `{};`, with comments left out. */
class Words {
  readonly #text: string;
  readonly #source: string;
  #at = 0;
  line = 1;

  constructor(text: string, source: string) {
    this.#text = text;
    this.#source = source;
  }

  /** Empty at the end of the text. */
  next(): string {
    const pattern = /\s+|#[^\n]*|\/\/[^\n]*|\/\*[^]*?\*\/|"([^"\n]*)"|[{};]|[^\s{};"#]+|[^]/y;
    for (;;) {
      pattern.lastIndex = this.#at;
      const found = pattern.exec(this.#text);
      if (found === null) return "";
      const word = found[0];
      const start = this.line;
      this.#at += word.length;
      this.line += word.split("\n").length - 1;
      if (/^(\s|#|\/\/|\/\*)/.test(word)) continue;
      if (word === '"') throw new RangeError(`${this.#source}:${start}: a text without its second quote`);
      return found[1] ?? word;
    }
  }

  expect(sign: string): void {
    const word = this.next();
    if (word !== sign) this.fail(`${word === "" ? "the text ends" : `"${word}"`} where "${sign}" is expected`);
  }

  fail(what: string): never {
    throw new RangeError(`${this.#source}:${this.line}: ${what}`);
  }
}
