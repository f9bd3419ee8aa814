/**
 * SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash for short inputs, whose output a peer cannot predict or invert
 * without the key. 64-bit words are pairs of 32-bit halves, because bigints would allocate. Nothing else does.
 */
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
  #pendingWord = 0;
  #words = 0;

  /** @throws RangeError when the key is not 16 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 16) throw new RangeError(`key has ${String(key.length)} bytes, not 16`);
    this.#k0l = littleEndian(key, 0);
    this.#k0h = littleEndian(key, 4);
    this.#k1l = littleEndian(key, 8);
    this.#k1h = littleEndian(key, 12);
    this.start();
  }

  /** Forgets what was added. */
  start(): void {
    this.#v0l = this.#k0l ^ 0x70736575;
    this.#v0h = this.#k0h ^ 0x736f6d65;
    this.#v1l = this.#k1l ^ 0x6e646f6d;
    this.#v1h = this.#k1h ^ 0x646f7261;
    this.#v2l = this.#k0l ^ 0x6e657261;
    this.#v2h = this.#k0h ^ 0x6c796765;
    this.#v3l = this.#k1l ^ 0x79746573;
    this.#v3h = this.#k1h ^ 0x74656462;
    this.#words = 0;
    this.#pendingWord = 0;
  }

  /** Adds four bytes, given as an integer whose low byte comes first. */
  word(value: number): void {
    if ((this.#words++ & 1) === 0) this.#pendingWord = value | 0;
    else this.#absorb(this.#pendingWord, value | 0);
  }

  /** Ends the message with `length` (0 to 3) more bytes, the low bytes of `tail`; the low 32 bits of the hash. */
  finish(tail = 0, length = 0): number {
    const last = ((this.#words * 4 + length) << 24) | 0;
    // The last block ends with the length: behind a pending word, or behind the tail and zeros.
    if ((this.#words & 1) === 1) this.#absorb(this.#pendingWord, last | tail);
    else this.#absorb(tail, last);
    this.#v2l ^= 0xff;
    for (let round = 0; round < 4; round++) this.#round();
    return this.#v0l ^ this.#v1l ^ this.#v2l ^ this.#v3l;
  }

  /** The high 32 bits of the hash that {@link finish} has just returned the low bits of. */
  high(): number {
    return this.#v0h ^ this.#v1h ^ this.#v2h ^ this.#v3h;
  }

  /** Writes the hash of `text[0 … length)`, 8 bytes, the low one first. */
  write(text: Uint8Array, length: number, out: Uint8Array, at: number): void {
    const low = this.#hash(text, length);
    const high = this.high();
    for (let index = 0; index < 4; index++) {
      out[at + index] = low >>> (index * 8);
      out[at + 4 + index] = high >>> (index * 8);
    }
  }

  /** Whether the 8 bytes at `at` are the hash of `text[0 … length)`, in a time that does not depend on where not. */
  matches(text: Uint8Array, length: number, bytes: Uint8Array, at: number): boolean {
    const low = this.#hash(text, length) ^ littleEndian(bytes, at);
    const high = this.high() ^ littleEndian(bytes, at + 4);
    return (low | high) === 0;
  }

  #hash(text: Uint8Array, length: number): number {
    this.start();
    const whole = length & ~3;
    for (let at = 0; at < whole; at += 4) this.word(littleEndian(text, at));
    let tail = 0;
    for (let at = whole; at < length; at++) tail |= (text[at] ?? 0) << ((at - whole) * 8);
    return this.finish(tail, length - whole);
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
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}
