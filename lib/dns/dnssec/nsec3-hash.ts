import type { Crypto } from "@tesserae/device/crypto";
import { lowerName } from "../name-bytes.ts";

/** The hash of a name (RFC 5155 §5): SHA-1, `iterations` times more after the first. 20 bytes. */
export function nsec3Hash(crypto: Crypto, name: Uint8Array, salt: Uint8Array, iterations: number): Uint8Array {
  let hash = crypto.hash("sha1", joined(lowerName(name), salt));
  for (let left = iterations; left > 0; left--) hash = crypto.hash("sha1", joined(hash, salt));
  return hash;
}

const digits = "0123456789abcdefghijklmnopqrstuv";

/** Base 32 with the extended hex alphabet (RFC 4648 §7), in lower case and without padding. */
export function base32Hex(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += digits.charAt((held >>> bits) & 31);
    }
    held &= 31;
  }
  return bits > 0 ? text + digits.charAt((held << (5 - bits)) & 31) : text;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
