import type { Random } from "@tesserae/device/random";

/**
 * A stream of random numbers that follows from its seed: xoshiro128** (Blackman and Vigna, 2018), its state filled by
 * SplitMix32 from a hash of the seed's text.
 *
 * Only 32-bit integer operations, so the stream is the same in every engine and on every machine. Not secret: never
 * for real targets.
 */
export class SeededRandom implements Random {
  readonly seed: string;
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: string) {
    this.seed = seed;
    let state = hashText(seed);
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    // The all-zero state is the one that xoshiro never leaves.
    this.#d = next() | 1;
  }

  /** An independent stream: the same for the same name, however much of this one was used. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.seed}/${name}`);
  }

  uint32(): number {
    const b = this.#b;
    const scaled = Math.imul(b, 5);
    const result = Math.imul((scaled << 7) | (scaled >>> 25), 9);
    const shifted = b << 9;
    this.#c ^= this.#a;
    this.#d ^= b;
    this.#b = b ^ this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** Uniform in [0, 1), in steps of 2⁻³². */
  unit(): number {
    return this.uint32() * 2 ** -32;
  }

  /** Uniform integer from 0 to `bound` − 1. `bound` is an integer from 1 to 2³². */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new RangeError(`bound ${String(bound)} is not an integer from 1 to 2^32`);
    }
    // Values in the last, incomplete run of `bound` would make the first ones likelier.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let value = this.uint32();
    while (value >= limit) value = this.uint32();
    return value % bound;
  }

  /** True with the given probability. Draws nothing when it is 0, so that a setting not used changes no run. */
  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  fill(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.length; offset += 4) {
      const word = this.uint32();
      bytes[offset] = word;
      if (offset + 1 < bytes.length) bytes[offset + 1] = word >>> 8;
      if (offset + 2 < bytes.length) bytes[offset + 2] = word >>> 16;
      if (offset + 3 < bytes.length) bytes[offset + 3] = word >>> 24;
    }
  }
}

/** A 32-bit hash of a text's UTF-16 units: FNV-1a with the finishing steps of MurmurHash3. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
