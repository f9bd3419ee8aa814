import { classFromText, typeFromText } from "../record/type-name.ts";
import { recordClass, recordType } from "../wire.ts";

/** {@link wordCode}: neither a class nor a type. */
export const noWord = -1;
/** {@link wordCode} of a class: its number with this bit. */
export const classWord = 0x10000;

interface Word {
  readonly letters: Uint8Array;
  readonly code: number;
}

const words = new Map<number, Word>();

function hash(bytes: Uint8Array, start: number, end: number): number {
  let value = end - start;
  // Letters of either case: the digits are no other's, and what differs in this bit otherwise is compared below.
  for (let at = start; at < end; at++) value = (Math.imul(value, 31) + ((bytes[at] ?? 0) | 0x20)) | 0;
  return value;
}

function add(name: string, code: number): void {
  const letters = new TextEncoder().encode(name);
  const key = hash(letters, 0, letters.length);
  if (words.has(key)) throw new Error(`${name} hashes as another mnemonic does`);
  words.set(key, { letters, code });
}

for (const [name, code] of Object.entries(recordType)) add(name, code);
for (const name of ["IN", "CH", "HS"] as const) add(name, classWord | recordClass[name]);

/** The type, or with {@link classWord} the class, that `bytes[start … end)` name; {@link noWord} when they do not. */
export function wordCode(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  const word = words.get(hash(bytes, start, end));
  if (word?.letters.length === length) {
    let at = 0;
    while (at < length && upper(bytes[start + at] ?? 0) === word.letters[at]) at++;
    if (at === length) return word.code;
  }
  if (length > 10 || length < 5) return noWord;
  const text = String.fromCharCode(...bytes.subarray(start, end));
  const type = typeFromText(text);
  if (type !== undefined) return type;
  const other = classFromText(text);
  return other === undefined ? noWord : classWord | other;
}

function upper(byte: number): number {
  return byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte;
}
