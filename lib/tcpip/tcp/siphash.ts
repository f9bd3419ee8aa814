/**
 * SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash for short inputs, whose output a peer cannot predict or invert
 * without the key. 64-bit words are pairs of 32-bit halves, because bigints would allocate.
 */
export class SipHash {
  readonly #key = new Int32Array(4);
  /** v0 to v3, each low half first. */
  readonly #state = new Int32Array(8);
  #pendingWord = 0;
  #words = 0;

  /** @throws RangeError when the key is not 16 bytes. */
  constructor(key: Uint8Array) {
    if (key.length !== 16) throw new RangeError(`key has ${String(key.length)} bytes, not 16`);
    for (let word = 0; word < 4; word++) {
      const at = word * 4;
      this.#key[word] =
        (key[at] ?? 0) | ((key[at + 1] ?? 0) << 8) | ((key[at + 2] ?? 0) << 16) | ((key[at + 3] ?? 0) << 24);
    }
    this.start();
  }

  /** Forgets what was added. */
  start(): void {
    const state = this.#state;
    const k0 = this.#key[0] ?? 0;
    const k1 = this.#key[1] ?? 0;
    const k2 = this.#key[2] ?? 0;
    const k3 = this.#key[3] ?? 0;
    state[0] = k0 ^ 0x70736575;
    state[1] = k1 ^ 0x736f6d65;
    state[2] = k2 ^ 0x6e646f6d;
    state[3] = k3 ^ 0x646f7261;
    state[4] = k0 ^ 0x6e657261;
    state[5] = k1 ^ 0x6c796765;
    state[6] = k2 ^ 0x79746573;
    state[7] = k3 ^ 0x74656462;
    this.#words = 0;
    this.#pendingWord = 0;
  }

  /** Adds four bytes, given as an integer whose low byte comes first. */
  word(value: number): void {
    if ((this.#words++ & 1) === 0) this.#pendingWord = value | 0;
    else this.#compress(this.#pendingWord, value | 0);
  }

  /** Ends the message with `length` (0 to 3) more bytes, the low bytes of `tail`; the low 32 bits of the hash. */
  finish(tail = 0, length = 0): number {
    const total = this.#words * 4 + length;
    const odd = (this.#words & 1) === 1;
    const last = (total << 24) | 0;
    // The last block ends with the length: behind a pending word, or behind the tail and zeros.
    if (odd) this.#compress(this.#pendingWord, last | tail);
    else this.#compress(tail, last);
    this.#markEnd();
    this.#round();
    this.#round();
    this.#round();
    this.#round();
    const state = this.#state;
    return (state[0] ?? 0) ^ (state[2] ?? 0) ^ (state[4] ?? 0) ^ (state[6] ?? 0);
  }

  /** The high 32 bits of the hash that {@link finish} has just returned the low bits of. */
  high(): number {
    const state = this.#state;
    return (state[1] ?? 0) ^ (state[3] ?? 0) ^ (state[5] ?? 0) ^ (state[7] ?? 0);
  }

  #markEnd(): void {
    this.#state[4] = (this.#state[4] ?? 0) ^ 0xff;
  }

  #compress(low: number, high: number): void {
    const state = this.#state;
    state[6] = (state[6] ?? 0) ^ low;
    state[7] = (state[7] ?? 0) ^ high;
    this.#round();
    this.#round();
    state[0] = (state[0] ?? 0) ^ low;
    state[1] = (state[1] ?? 0) ^ high;
  }

  #round(): void {
    const state = this.#state;
    this.#add(0, 2);
    this.#rotate(2, 13);
    this.#mix(2, 0);
    this.#swap(0);
    this.#add(4, 6);
    this.#rotate(6, 16);
    this.#mix(6, 4);
    this.#add(0, 6);
    this.#rotate(6, 21);
    this.#mix(6, 0);
    this.#add(4, 2);
    this.#rotate(2, 17);
    this.#mix(2, 4);
    const low = state[4] ?? 0;
    state[4] = state[5] ?? 0;
    state[5] = low;
  }

  #add(to: number, from: number): void {
    const state = this.#state;
    const low = ((state[to] ?? 0) >>> 0) + ((state[from] ?? 0) >>> 0);
    state[to + 1] = (state[to + 1] ?? 0) + (state[from + 1] ?? 0) + (low > 0xffffffff ? 1 : 0);
    state[to] = low;
  }

  #rotate(at: number, by: number): void {
    const state = this.#state;
    const low = state[at] ?? 0;
    const high = state[at + 1] ?? 0;
    state[at] = (low << by) | (high >>> (32 - by));
    state[at + 1] = (high << by) | (low >>> (32 - by));
  }

  #mix(at: number, from: number): void {
    const state = this.#state;
    state[at] = (state[at] ?? 0) ^ (state[from] ?? 0);
    state[at + 1] = (state[at + 1] ?? 0) ^ (state[from + 1] ?? 0);
  }

  /** Rotates by 32 bits: swaps the halves. */
  #swap(at: number): void {
    const state = this.#state;
    const low = state[at] ?? 0;
    state[at] = state[at + 1] ?? 0;
    state[at + 1] = low;
  }
}
