import { lowerCase, mostLabels } from "../name-bytes.ts";
import { i32At, u8At } from "./octets.ts";

/**
 * The hash of a name: FNV-1a over its key, {@link spread} at the end. Every label contributes its length and its
 * letters made small, the one next to the root first.
 */
export const hashBasis = 0x811c9dc5 | 0;
export const hashPrime = 0x01000193;

/** Spreads the low bits of a hash over all. */
export function spread(hash: number): number {
  let word = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
  return word ^ (word >>> 15);
}

/**
 * A name in the form that the zones are searched by: labels with their lengths as on the wire, but the one next to the
 * root first, in small letters and without the root's 0. `www.Example.org` is `3org7example3www`.
 *
 * So the names above a name are prefixes of its key, one pass gives the hashes of all of them, and comparing keys label
 * by label is the canonical order (RFC 4034 §6.1). One object is used for ever: {@link read} replaces what it holds.
 */
export class NameKey {
  /** The key. At most 254 bytes. */
  readonly bytes: Uint8Array = new Uint8Array(256);
  /** How many labels, without the root's. */
  labels = 0;
  /** Where the first `n` labels of the key end, for each `n` up to `labels`. */
  readonly ends: Int32Array = new Int32Array(mostLabels + 1);
  /** The hash of the first `n` labels. */
  readonly hashes: Int32Array = new Int32Array(mostLabels + 1);
  readonly #starts = new Int32Array(mostLabels + 1);

  constructor() {
    this.hashes[0] = spread(hashBasis);
  }

  /** The length of the whole key, bytes. */
  get length(): number {
    return i32At(this.ends, this.labels);
  }

  /**
   * Takes the name at `data[at … end)`, which must not be compressed.
   *
   * @returns where what follows it is; −1 when it is not a name (then the key is undefined).
   */
  read(data: Uint8Array, at: number, end: number): number {
    const starts = this.#starts;
    let labels = 0;
    let total = 1;
    for (;;) {
      if (at >= end) return -1;
      const length = u8At(data, at);
      if (length === 0) break;
      total += length + 1;
      if (length > 63 || total > 255) return -1;
      starts[labels++] = at;
      at += length + 1;
    }
    if (at >= end) return -1;
    this.labels = labels;
    const { bytes, ends, hashes } = this;
    let to = 0;
    let hash = hashBasis;
    for (let label = 1; label <= labels; label++) {
      let from = i32At(starts, labels - label);
      const length = u8At(data, from++);
      bytes[to++] = length;
      hash = Math.imul(hash ^ length, hashPrime);
      for (let index = 0; index < length; index++) {
        const byte = u8At(lowerCase, u8At(data, from + index));
        bytes[to++] = byte;
        hash = Math.imul(hash ^ byte, hashPrime);
      }
      ends[label] = to;
      hashes[label] = spread(hash);
    }
    return at + 1;
  }

  /**
   * Makes this the key of `*` below the first `labels` labels of `other`; false when that would be too long for a name.
   */
  wildcardOf(other: NameKey, labels: number): boolean {
    const length = i32At(other.ends, labels);
    if (length + 2 > 254) return false;
    for (let index = 0; index < length; index++) this.bytes[index] = u8At(other.bytes, index);
    this.bytes[length] = 1;
    this.bytes[length + 1] = 0x2a;
    for (let label = 1; label <= labels; label++) this.ends[label] = i32At(other.ends, label);
    this.labels = labels + 1;
    this.ends[this.labels] = length + 2;
    this.#rehash();
    return true;
  }

  /** Makes this the key that goes on behind `front` with `bytes[at … at + length)`. */
  take(front: NameKey, bytes: Uint8Array, at: number, length: number): void {
    const before = front.length;
    for (let index = 0; index < before; index++) this.bytes[index] = u8At(front.bytes, index);
    for (let index = 0; index < length; index++) this.bytes[before + index] = u8At(bytes, at + index);
    const end = before + length;
    let labels = 0;
    for (let from = 0; from < end; from += u8At(this.bytes, from) + 1) {
      this.ends[++labels] = from + u8At(this.bytes, from) + 1;
    }
    this.labels = labels;
    this.#rehash();
  }

  #rehash(): void {
    let hash = hashBasis;
    let at = 0;
    for (let label = 1; label <= this.labels; label++) {
      const end = i32At(this.ends, label);
      for (; at < end; at++) hash = Math.imul(hash ^ u8At(this.bytes, at), hashPrime);
      this.hashes[label] = spread(hash);
    }
  }
}

/** Compares keys in canonical order (RFC 4034 §6.1): negative when `a` comes first, 0 when they are equal. */
export function compareKeys(
  a: Uint8Array,
  aAt: number,
  aLength: number,
  b: Uint8Array,
  bAt: number,
  bLength: number,
): number {
  const least = aLength < bLength ? aLength : bLength;
  let index = 0;
  while (index < least) {
    const aLabel = u8At(a, aAt + index);
    const bLabel = u8At(b, bAt + index);
    const end = index + 1 + (aLabel < bLabel ? aLabel : bLabel);
    for (let at = index + 1; at < end; at++) {
      const difference = u8At(a, aAt + at) - u8At(b, bAt + at);
      if (difference !== 0) return difference;
    }
    if (aLabel !== bLabel) return aLabel - bLabel;
    index = end;
  }
  return aLength - bLength;
}

/**
 * Writes the name whose key is `key[at … at + length)` behind `suffixLength` … as it is on the wire, without the root's
 * 0, in front of `into[end)`.
 *
 * @returns where it starts.
 */
export function unkey(key: Uint8Array, at: number, length: number, into: Uint8Array, end: number): number {
  const last = at + length;
  let to = end;
  while (at < last) {
    const label = u8At(key, at) + 1;
    to -= label;
    for (let index = 0; index < label; index++) into[to + index] = u8At(key, at + index);
    at += label;
  }
  return to;
}
