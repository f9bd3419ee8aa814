/**
 * Domain names as bytes: labels with their lengths in front, ending in the root's 0 (RFC 1035 §3.1), 1 to 255 bytes,
 * nothing compressed. A name is a `Uint8Array` of just its bytes, or lies at an offset of a larger one.
 *
 * What takes a name trusts it: names come from {@link nameLength}, {@link expandName}, {@link nameFromText} or a parser
 * that checked them. Names are compared without the case of ASCII letters (RFC 4343). Lengths are below 64 and no
 * letters, so that a whole name may be folded byte by byte.
 */

import { labelsOf } from "./name.ts";

/** Bytes of the longest name. */
export const longestName = 255;
/** Labels that a name may have, without the root's. */
export const mostLabels = 127;
/** Pointers followed for one name. Each goes backwards; real messages need one or two. */
const mostPointers = 32;

/** The name of the root. Not to be written to. */
export const rootName: Uint8Array = new Uint8Array(1);

/** Lower case of each byte: only A to Z change. */
export const lowerCase: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte,
);

/**
 * The length of the uncompressed name at `at`, bytes with the root's 0; 0 when it does not end before `end`, is longer
 * than 255 bytes, or has a pointer.
 */
export function nameLength(bytes: Uint8Array, at: number, end: number = bytes.length): number {
  const most = end - at > longestName ? at + longestName : end;
  let next = at;
  while (next < most) {
    // as: `next` is below `most`, which is within the array
    const length = bytes[next] as number;
    next += length + 1;
    if (length === 0) return next - at;
    if (length > 63) return 0;
  }
  return 0;
}

/**
 * Writes the name at `at` of the message `data[start … end)`, following pointers (RFC 1035 §4.1.4), to `out`, which
 * has 255 bytes of room at `outAt`. Pointers must go to before the piece that they end. Case is kept.
 *
 * @returns what {@link expandedLength} and {@link expandedNext} take apart, or −1 when the name is malformed. Allocates
 * nothing.
 */
export function expandName(
  data: Uint8Array,
  at: number,
  start: number,
  end: number,
  out: Uint8Array,
  outAt: number,
): number {
  let next = 0;
  let to = outAt;
  const most = outAt + longestName;
  let pointers = 0;
  let piece = at;
  for (;;) {
    if (at >= end) return -1;
    // as, here and below: `at` was checked
    const length = data[at] as number;
    if (length >= 0xc0) {
      if (at + 1 >= end) return -1;
      const target = start + (((length & 0x3f) << 8) | (data[at + 1] as number)); // as: above
      if (target >= piece || ++pointers > mostPointers) return -1;
      if (next === 0) next = at + 2;
      at = target;
      piece = target;
      continue;
    }
    if (length > 63 || at + 1 + length > end || to + 1 + length > most) return -1;
    for (let left = length; left >= 0; left--) out[to++] = data[at++] as number; // as: above
    if (length === 0) return (next === 0 ? at : next) * 256 + (to - outAt);
    // The label that was copied just now was not the root's: one byte must be left for that.
    if (to >= most) return -1;
  }
}

/** Bytes of the name that {@link expandName} wrote. */
export function expandedLength(expanded: number): number {
  return expanded % 256;
}

/** Where what follows the name is, in the message that {@link expandName} read. */
export function expandedNext(expanded: number): number {
  return Math.floor(expanded / 256);
}

/** Whether two names are equal but for case. */
export function equalNames(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && equalNamesAt(a, 0, b, 0, a.length);
}

/** Whether `length` bytes of two names are equal but for case. */
export function equalNamesAt(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    // as: the caller says that the bytes are there, and `lowerCase` has all 256
    const left = a[aAt + index] as number;
    const right = b[bAt + index] as number; // as: above
    if (left !== right && lowerCase[left] !== lowerCase[right]) return false;
  }
  return true;
}

/** A hash of 32 bits (an unsigned integer) that does not depend on case; `seed` makes it hard to foresee. */
export function hashName(bytes: Uint8Array, at = 0, length: number = bytes.length - at, seed = 0): number {
  let hash = seed ^ length;
  for (let index = at, end = at + length; index < end; index++) {
    // as: the caller says that the bytes are there, and `lowerCase` has all 256
    hash = Math.imul(hash ^ (lowerCase[bytes[index] as number] as number), 0x01000193);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Copies `length` bytes of names in lower case. */
export function lowerInto(bytes: Uint8Array, at: number, length: number, out: Uint8Array, outAt: number): void {
  for (let index = 0; index < length; index++) {
    // as: the caller says that the bytes are there, and `lowerCase` has all 256
    out[outAt + index] = lowerCase[bytes[at + index] as number] as number;
  }
}

/** The name in lower case; `name` itself when it is already. */
export function lowerName(name: Uint8Array): Uint8Array {
  for (let index = 0; index < name.length; index++) {
    // as: within the array
    const byte = name[index] as number;
    if (lowerCase[byte] === byte) continue;
    const lower = new Uint8Array(name.length);
    lowerInto(name, 0, name.length, lower, 0);
    return lower;
  }
  return name;
}

/** How many labels the name has, without the root's: 0 to 127. A wildcard's `*` counts. */
export function labelCount(bytes: Uint8Array, at = 0): number {
  let count = 0;
  // as: the name was checked, so that it ends in 0
  for (let length = bytes[at] as number; length !== 0; length = bytes[at] as number) {
    at += length + 1;
    count++;
  }
  return count;
}

/**
 * Writes where each label begins (the index of its length), first to last, without the root's.
 *
 * @param offsets 127 bytes or more
 * @returns how many there are
 */
export function labelOffsets(bytes: Uint8Array, at: number, offsets: Uint8Array): number {
  let count = 0;
  let next = at;
  // as: the name was checked, so that it ends in 0
  for (let length = bytes[next] as number; length !== 0; length = bytes[next] as number) {
    offsets[count++] = next - at;
    next += length + 1;
  }
  return count;
}

// Where the labels of the two names begin that are compared: nothing is kept from one call to the next.
const offsetsA = new Uint8Array(mostLabels + 1);
const offsetsB = new Uint8Array(mostLabels + 1);

/**
 * The canonical order (RFC 4034 §6.1): by labels from the last to the first, each as bytes in lower case, and what is
 * missing first.
 *
 * @returns below 0, 0 or above 0, for {@link Array.sort}
 */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  return compareNamesAt(a, 0, b, 0);
}

/** {@link compareNames} of names at offsets. Allocates nothing. */
export function compareNamesAt(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): number {
  let countA = labelOffsets(a, aAt, offsetsA);
  let countB = labelOffsets(b, bAt, offsetsB);
  while (countA > 0 && countB > 0) {
    // as: the offsets below the counts were just written; they point at labels, whose bytes are there
    let left = aAt + (offsetsA[--countA] as number);
    let right = bAt + (offsetsB[--countB] as number); // as: above
    const lengthA = a[left] as number; // as: above
    const lengthB = b[right] as number; // as: above
    const shorter = lengthA < lengthB ? lengthA : lengthB;
    for (let index = 0; index < shorter; index++) {
      const order = (lowerCase[a[++left] as number] as number) - (lowerCase[b[++right] as number] as number); // as: above
      if (order !== 0) return order;
    }
    if (lengthA !== lengthB) return lengthA - lengthB;
  }
  return countA - countB;
}

/** How many labels the two names have in common at their ends, without the root's. */
export function commonLabels(a: Uint8Array, b: Uint8Array): number {
  let countA = labelOffsets(a, 0, offsetsA);
  let countB = labelOffsets(b, 0, offsetsB);
  let common = 0;
  while (countA > 0 && countB > 0) {
    // as: the offsets below the counts were just written, and point at labels
    const left = offsetsA[--countA] as number;
    const right = offsetsB[--countB] as number; // as: above
    const length = a[left] as number; // as: above
    if (length !== b[right] || !equalNamesAt(a, left + 1, b, right + 1, length)) break;
    common++;
  }
  return common;
}

/** The name without its first label (a view); `undefined` for the root. */
export function parentName(name: Uint8Array): Uint8Array | undefined {
  // as: a name has at least the root's byte
  const length = name[0] as number;
  return length === 0 ? undefined : name.subarray(length + 1);
}

/** The last `labels` labels of the name (a view): the name itself when it has no more. */
export function ancestorName(name: Uint8Array, labels: number): Uint8Array {
  let at = 0;
  for (let count = labelCount(name); count > labels; count--) at += (name[at] as number) + 1; // as: a label is there
  return at === 0 ? name : name.subarray(at);
}

/** Whether `name` is `ancestor` or below it. Everything is below the root. */
export function isAtOrBelow(name: Uint8Array, ancestor: Uint8Array): boolean {
  let at = name.length - ancestor.length;
  if (at < 0) return false;
  if (!equalNamesAt(name, at, ancestor, 0, ancestor.length)) return false;
  // The bytes agree; that they begin at a label is still to be seen.
  let next = 0;
  while (next < at) next += (name[next] as number) + 1; // as: below the name's length
  at -= next;
  return at === 0;
}

/** Whether `name` is below `ancestor`, and not the same. */
export function isBelow(name: Uint8Array, ancestor: Uint8Array): boolean {
  return name.length > ancestor.length && isAtOrBelow(name, ancestor);
}

/** Whether the first label is `*` (RFC 4592 §2.1.1). */
export function isWildcard(name: Uint8Array, at = 0): boolean {
  return name[at] === 1 && name[at + 1] === 0x2a;
}

/** `*` in front of the name; `undefined` when that would be longer than 255 bytes. */
export function wildcardOf(name: Uint8Array): Uint8Array | undefined {
  if (name.length + 2 > longestName) return undefined;
  const wildcard = new Uint8Array(name.length + 2);
  wildcard[0] = 1;
  wildcard[1] = 0x2a;
  wildcard.set(name, 2);
  return wildcard;
}

/**
 * `name` with its end `from` replaced by `to`, as a DNAME does (RFC 6672 §2.2); `undefined` when that would be longer
 * than 255 bytes.
 *
 * @param name is below `from`
 */
export function substituteName(name: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array | undefined {
  const kept = name.length - from.length;
  if (kept + to.length > longestName) return undefined;
  const result = new Uint8Array(kept + to.length);
  result.set(name.subarray(0, kept));
  result.set(to, kept);
  return result;
}

/**
 * Bytes of a name in text, absolute whether or not it ends in a dot.
 *
 * @throws RangeError naming the text, as {@link labelsOf}.
 */
export function nameFromText(text: string): Uint8Array {
  const labels = labelsOf(text);
  let length = 1;
  for (const label of labels) length += label.length + 1;
  const name = new Uint8Array(length);
  let at = 0;
  for (const label of labels) {
    name[at] = label.length;
    name.set(label, at + 1);
    at += label.length + 1;
  }
  return name;
}

/** Characters that mean something in a master file, and are written `\X` (RFC 1035 §5.1). */
const special = '\\."();@$';

/** How each byte is written inside a label. */
const labelText: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (special.includes(character)) return `\\${character}`;
  return byte > 0x20 && byte < 0x7f ? character : `\\${String(byte).padStart(3, "0")}`;
});

/** The name at `at` in text as in a master file, with the dot at the end that makes it absolute. */
export function nameToText(bytes: Uint8Array, at = 0): string {
  let length = bytes[at] ?? 0;
  if (length === 0) return ".";
  let text = "";
  while (length > 0) {
    const end = at + 1 + length;
    for (at++; at < end; at++) text += labelText[bytes[at] ?? 0] ?? "";
    text += ".";
    length = bytes[at] ?? 0;
  }
  return text;
}
