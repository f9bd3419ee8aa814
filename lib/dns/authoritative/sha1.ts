import { i32At, u8At } from "./octets.ts";

const blockLength = 64;

/**
 * SHA-1 (FIPS 180-4 §6.1) of short texts, over and over, into the same 20 bytes: for NSEC3, which knows no other hash
 * (RFC 5155 §11) and needs several for a name that does not exist.
 */
export class Sha1 {
  /** The last digest. */
  readonly digest: Uint8Array = new Uint8Array(20);
  readonly #words = new Int32Array(80);
  readonly #block = new Uint8Array(blockLength);
  readonly #state = new Int32Array(5);

  /** Hashes `first[0 … firstLength)` followed by `second`; either may be the digest itself. */
  hash(first: Uint8Array, firstLength: number, second: Uint8Array): void {
    const state = this.#state;
    state[0] = 0x67452301;
    state[1] = 0xefcdab89;
    state[2] = 0x98badcfe;
    state[3] = 0x10325476;
    state[4] = 0xc3d2e1f0;
    const block = this.#block;
    const total = firstLength + second.length;
    let at = 0;
    for (let index = 0; index < total; index++) {
      block[at++] = index < firstLength ? u8At(first, index) : u8At(second, index - firstLength);
      if (at === blockLength) {
        this.#compress();
        at = 0;
      }
    }
    block[at++] = 0x80;
    if (at > blockLength - 8) {
      block.fill(0, at);
      this.#compress();
      at = 0;
    }
    block.fill(0, at);
    block[blockLength - 3] = total >>> 13;
    block[blockLength - 2] = total >>> 5;
    block[blockLength - 1] = total << 3;
    this.#compress();
    for (let index = 0; index < 20; index++) {
      this.digest[index] = i32At(state, index >>> 2) >>> (24 - (index & 3) * 8);
    }
  }

  #compress(): void {
    const words = this.#words;
    const block = this.#block;
    for (let at = 0; at < 16; at++) {
      const from = at * 4;
      words[at] =
        (u8At(block, from) << 24) |
        (u8At(block, from + 1) << 16) |
        (u8At(block, from + 2) << 8) |
        u8At(block, from + 3);
    }
    for (let at = 16; at < 80; at++) {
      const word = i32At(words, at - 3) ^ i32At(words, at - 8) ^ i32At(words, at - 14) ^ i32At(words, at - 16);
      words[at] = (word << 1) | (word >>> 31);
    }
    const state = this.#state;
    let a = i32At(state, 0);
    let b = i32At(state, 1);
    let c = i32At(state, 2);
    let d = i32At(state, 3);
    let e = i32At(state, 4);
    for (let at = 0; at < 80; at++) {
      let mixed: number;
      if (at < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
      else if (at < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
      else if (at < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
      else mixed = (b ^ c ^ d) + 0xca62c1d6;
      const next = (((a << 5) | (a >>> 27)) + mixed + e + i32At(words, at)) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    state[0] = i32At(state, 0) + a;
    state[1] = i32At(state, 1) + b;
    state[2] = i32At(state, 2) + c;
    state[3] = i32At(state, 3) + d;
    state[4] = i32At(state, 4) + e;
  }
}
