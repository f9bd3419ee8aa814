import { u8At } from "./octets.ts";

/** SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short texts, 64 bits. Allocates nothing. */
export class SipHash {
  readonly #k0l: number;
  readonly #k0h: number;
  readonly #k1l: number;
  readonly #k1h: number;
  /** The four words of the state, each as its low and its high half. */
  #v0l = 0;
  #v0h = 0;
  #v1l = 0;
  #v1h = 0;
  #v2l = 0;
  #v2h = 0;
  #v3l = 0;
  #v3h = 0;

  /** @throws RangeError when the key has not 16 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 16) throw new RangeError(`a key has 16 bytes, not ${key.length}`);
    this.#k0l = littleEndian(key, 0);
    this.#k0h = littleEndian(key, 4);
    this.#k1l = littleEndian(key, 8);
    this.#k1h = littleEndian(key, 12);
  }

  /** Writes the hash of `text[0 … length)`, 8 bytes, the low one first. */
  write(text: Uint8Array, length: number, out: Uint8Array, at: number): void {
    this.#run(text, length);
    for (let index = 0; index < 8; index++) out[at + index] = this.#byte(index);
  }

  /** Whether the 8 bytes at `at` are the hash of `text[0 … length)`, in a time that does not depend on where not. */
  matches(text: Uint8Array, length: number, bytes: Uint8Array, at: number): boolean {
    this.#run(text, length);
    let difference = 0;
    for (let index = 0; index < 8; index++) difference |= u8At(bytes, at + index) ^ this.#byte(index);
    return difference === 0;
  }

  #byte(index: number): number {
    const half =
      index < 4 ? this.#v0l ^ this.#v1l ^ this.#v2l ^ this.#v3l : this.#v0h ^ this.#v1h ^ this.#v2h ^ this.#v3h;
    return (half >>> ((index & 3) * 8)) & 255;
  }

  #run(text: Uint8Array, length: number): void {
    this.#v0l = this.#k0l ^ 0x70736575;
    this.#v0h = this.#k0h ^ 0x736f6d65;
    this.#v1l = this.#k1l ^ 0x6e646f6d;
    this.#v1h = this.#k1h ^ 0x646f7261;
    this.#v2l = this.#k0l ^ 0x6e657261;
    this.#v2h = this.#k0h ^ 0x6c796765;
    this.#v3l = this.#k1l ^ 0x79746573;
    this.#v3h = this.#k1h ^ 0x74656462;
    const whole = length & ~7;
    for (let at = 0; at < whole; at += 8) this.#absorb(littleEndian(text, at), littleEndian(text, at + 4));
    let low = 0;
    let high = length << 24;
    for (let at = whole; at < length; at++) {
      const part = at - whole;
      if (part < 4) low |= u8At(text, at) << (part * 8);
      else high |= u8At(text, at) << ((part - 4) * 8);
    }
    this.#absorb(low, high);
    this.#v2l ^= 0xff;
    for (let round = 0; round < 4; round++) this.#round();
  }

  #absorb(low: number, high: number): void {
    this.#v3l ^= low;
    this.#v3h ^= high;
    this.#round();
    this.#round();
    this.#v0l ^= low;
    this.#v0h ^= high;
  }

  #round(): void {
    let { v0l, v0h } = { v0l: this.#v0l, v0h: this.#v0h };
    let { v1l, v1h } = { v1l: this.#v1l, v1h: this.#v1h };
    let { v2l, v2h } = { v2l: this.#v2l, v2h: this.#v2h };
    let { v3l, v3h } = { v3l: this.#v3l, v3h: this.#v3h };
    let low = (v0l >>> 0) + (v1l >>> 0);
    v0h = (v0h + v1h + (low > 0xffffffff ? 1 : 0)) | 0;
    v0l = low | 0;
    let l = (v1l << 13) | (v1h >>> 19);
    let h = (v1h << 13) | (v1l >>> 19);
    v1l = l ^ v0l;
    v1h = h ^ v0h;
    l = v0l;
    v0l = v0h;
    v0h = l;
    low = (v2l >>> 0) + (v3l >>> 0);
    v2h = (v2h + v3h + (low > 0xffffffff ? 1 : 0)) | 0;
    v2l = low | 0;
    l = (v3l << 16) | (v3h >>> 16);
    h = (v3h << 16) | (v3l >>> 16);
    v3l = l ^ v2l;
    v3h = h ^ v2h;
    low = (v0l >>> 0) + (v3l >>> 0);
    v0h = (v0h + v3h + (low > 0xffffffff ? 1 : 0)) | 0;
    v0l = low | 0;
    l = (v3l << 21) | (v3h >>> 11);
    h = (v3h << 21) | (v3l >>> 11);
    v3l = l ^ v0l;
    v3h = h ^ v0h;
    low = (v2l >>> 0) + (v1l >>> 0);
    v2h = (v2h + v1h + (low > 0xffffffff ? 1 : 0)) | 0;
    v2l = low | 0;
    l = (v1l << 17) | (v1h >>> 15);
    h = (v1h << 17) | (v1l >>> 15);
    v1l = l ^ v2l;
    v1h = h ^ v2h;
    l = v2l;
    v2l = v2h;
    v2h = l;
    this.#v0l = v0l;
    this.#v0h = v0h;
    this.#v1l = v1l;
    this.#v1h = v1h;
    this.#v2l = v2l;
    this.#v2h = v2h;
    this.#v3l = v3l;
    this.#v3h = v3h;
  }
}

function littleEndian(bytes: Uint8Array, at: number): number {
  return u8At(bytes, at) | (u8At(bytes, at + 1) << 8) | (u8At(bytes, at + 2) << 16) | (u8At(bytes, at + 3) << 24);
}
