/** Octets of a head that is remembered, at most. */
const longest = 512;
/** After so many different heads in a row a connection is taken to have no habit. */
const patience = 8;
const nothing = new Uint8Array(0);

/**
 * The octets of the last head of a connection. Clients send the same head again and again over one connection, and what
 * the same octets mean is known.
 */
export class RepeatedHead {
  #bytes: Uint8Array = nothing;
  #length = 0;
  #different = 0;

  /** How long the head at `bytes[offset … end)` is, if it is the one remembered; else 0. */
  find(bytes: Uint8Array, offset: number, end: number): number {
    const own = this.#bytes;
    const length = this.#length;
    if (length === 0 || end - offset < length) return 0;
    for (let index = 0; index < length; index++) {
      if (own[index] !== bytes[offset + index]) {
        this.#different++;
        return 0;
      }
    }
    this.#different = 0;
    return length;
  }

  /** Remembers the head `bytes[offset … end)`. */
  remember(bytes: Uint8Array, offset: number, end: number): void {
    const length = end - offset;
    this.#length = 0;
    if (length > longest || this.#different >= patience) {
      this.#bytes = nothing;
      return;
    }
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(length);
    this.#bytes.set(bytes.subarray(offset, end));
    this.#length = length;
  }

  /** The last head was another one, which is not to be remembered. */
  forget(): void {
    this.#length = 0;
  }
}
