/**
 * Domain names as keys of tables: the bytes of the name on the wire, uncompressed and in lower case, one character a
 * byte. The root's is `"\0"`. A name's ancestors are ends of its key, which costs no copy.
 */

import { lowerCase, nameFromText, nameLength, nameToText } from "../name-bytes.ts";

/** The root. */
export const rootKey = "\0";

/** The key of the name at `at`, which ends inside `bytes`. */
export function keyOf(bytes: Uint8Array, at = 0): string {
  const end = at + nameLength(bytes, at);
  let key = "";
  for (let index = at; index < end; index++) key += String.fromCharCode(lowerCase[bytes[index] ?? 0] ?? 0);
  return key;
}

/** @throws RangeError naming the text when it is no name. */
export function keyFromText(text: string): string {
  return keyOf(nameFromText(text));
}

/** The name in lower case, a copy. */
export function bytesOfKey(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let index = 0; index < key.length; index++) bytes[index] = key.charCodeAt(index);
  return bytes;
}

/** For people: as in a master file. */
export function keyText(key: string): string {
  return nameToText(bytesOfKey(key));
}

/** The name without its first label; the root's own for the root. */
export function parentKey(key: string): string {
  return key.length === 1 ? key : key.slice(1 + key.charCodeAt(0));
}

/** Labels without the root's. */
export function labelsOfKey(key: string): number {
  let count = 0;
  for (let at = 0; key.charCodeAt(at) !== 0; at += 1 + key.charCodeAt(at)) count++;
  return count;
}

/** The last `count` labels; the whole name when it has no more. */
export function lastLabels(key: string, count: number): string {
  let at = 0;
  for (let left = labelsOfKey(key) - count; left > 0; left--) at += 1 + key.charCodeAt(at);
  return key.slice(at);
}

/** Whether `key` is `zone` or below it. */
export function isWithin(key: string, zone: string): boolean {
  if (!key.endsWith(zone)) return false;
  let at = 0;
  const start = key.length - zone.length;
  while (at < start) at += 1 + key.charCodeAt(at);
  return at === start;
}

/** The longest name that both are at or below. */
export function commonAncestor(a: string, b: string): string {
  let ancestor = lastLabels(a, labelsOfKey(b));
  while (!isWithin(b, ancestor)) ancestor = parentKey(ancestor);
  return ancestor;
}

/** `*` in front of the name. */
export function wildcardKey(key: string): string {
  return `\x01*${key}`;
}
