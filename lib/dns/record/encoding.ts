/** Base 16, 32 (with the hexadecimal alphabet) and 64 (RFC 4648), as master files write bytes. */

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const base32Alphabet = "0123456789abcdefghijklmnopqrstuv";

function valuesOf(alphabet: string): Int8Array {
  const values = new Int8Array(256).fill(-1);
  for (let index = 0; index < alphabet.length; index++) {
    values[alphabet.charCodeAt(index)] = index;
    if (alphabet === base32Alphabet) values[alphabet.toUpperCase().charCodeAt(index)] = index;
  }
  return values;
}

/** The value of each character's code, −1 for those that have none. */
export const base64Values: Int8Array = valuesOf(base64Alphabet);
export const base32Values: Int8Array = valuesOf(base32Alphabet);
export const hexValues: Int8Array = Int8Array.from({ length: 256 }, (_, code) =>
  code >= 0x30 && code <= 0x39
    ? code - 0x30
    : (code | 0x20) >= 0x61 && (code | 0x20) <= 0x66 && code >= 0x41
      ? (code | 0x20) - 0x57
      : -1,
);

export function base64Text(bytes: Uint8Array): string {
  let text = "";
  let at = 0;
  for (; at + 2 < bytes.length; at += 3) {
    const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += digit64(bits >>> 18) + digit64(bits >>> 12) + digit64(bits >>> 6) + digit64(bits);
  }
  const left = bytes.length - at;
  if (left === 0) return text;
  const bits = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8);
  text += digit64(bits >>> 18) + digit64(bits >>> 12);
  return `${text}${left === 2 ? digit64(bits >>> 6) : "="}=`;
}

function digit64(bits: number): string {
  return base64Alphabet.charAt(bits & 63);
}
