/** Classes of octets (RFC 9110 §5.6, RFC 9112 §3), as tables of 256 so that a scan costs one load a byte. */

/** The lower-case octet for each `tchar` (RFC 9110 §5.6.2), 0 for every other octet. */
export const tokenOctet: Uint8Array = new Uint8Array(256);
/** 1 for what a field value may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5). */
export const fieldOctet: Uint8Array = new Uint8Array(256);
/** 1 for what a request target may hold: VCHAR without `#` (a target has no fragment, RFC 9112 §3.2). */
export const targetOctet: Uint8Array = new Uint8Array(256);
/** The value of each hexadecimal digit, −1 for every other octet. */
export const hexOctet: Int8Array = new Int8Array(256).fill(-1);

for (let octet = 0x21; octet < 0x7f; octet++) {
  fieldOctet[octet] = 1;
  if (octet !== 0x23) targetOctet[octet] = 1;
}
for (let octet = 0x80; octet < 0x100; octet++) fieldOctet[octet] = 1;
fieldOctet[0x20] = 1;
fieldOctet[0x09] = 1;
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  tokenOctet[char.charCodeAt(0)] = char.charCodeAt(0);
}
for (let upper = 0x41; upper <= 0x5a; upper++) tokenOctet[upper] = upper | 0x20;
for (let value = 0; value < 16; value++) {
  hexOctet[value.toString(16).charCodeAt(0)] = value;
  hexOctet[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

const decoder = new TextDecoder();

/**
 * `bytes[start … end)` as a string of Latin-1 characters.
 *
 * @param ascii the caller has seen that no octet is above 0x7f, which lets the engine decode in one step
 */
export function latin1(bytes: Uint8Array, start: number, end: number, ascii: boolean): string {
  const piece = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  if (ascii) return decoder.decode(piece);
  let text = "";
  for (let from = 0; from < piece.length; from += 4096) {
    text += String.fromCharCode(...piece.subarray(from, from + 4096));
  }
  return text;
}

/** Whether `text` is one or more `tchar`. */
export function isToken(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0xff || tokenOctet[code] === 0) return false;
  }
  return text.length > 0;
}

/** Whether `text` may be sent as a field value: field octets only, no white space at either end. */
export function isFieldValue(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0xff || fieldOctet[code] === 0) return false;
  }
  return text.length === 0 || (text.charCodeAt(0) > 0x20 && text.charCodeAt(text.length - 1) > 0x20);
}

/** Whether `text` is `lower` in any case. `lower` is in lower case. */
export function equalsIgnoreCase(text: string, lower: string): boolean {
  return text.length === lower.length && (text === lower || text.toLowerCase() === lower);
}
