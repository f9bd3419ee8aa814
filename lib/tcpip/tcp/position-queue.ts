/** Places in a scoreboard, first in, first out. Grows by doubling up to a bound; holds nothing until it is used. */
export class PositionQueue {
  #places: Int32Array | null = null;
  #head = 0;
  length = 0;
  readonly #bound: number;

  /** @param bound how many it holds at most, a power of two */
  constructor(bound: number) {
    this.#bound = bound;
  }

  /** Adds one; a queue that is full forgets its first. */
  push(position: number): void {
    let places = this.#places;
    if (places === null || this.length === places.length) {
      if (places !== null && places.length >= this.#bound) this.shift();
      else places = this.#grow(places);
    }
    places[(this.#head + this.length) & (places.length - 1)] = position;
    this.length++;
  }

  /** The first; there is one. */
  get first(): number {
    const places = this.#places;
    return places === null ? 0 : (places[this.#head] ?? 0);
  }

  shift(): void {
    if (this.#places === null || this.length === 0) return;
    this.#head = (this.#head + 1) & (this.#places.length - 1);
    this.length--;
  }

  /** Forgets everything, and gives its memory back. */
  clear(): void {
    this.#places = null;
    this.#head = 0;
    this.length = 0;
  }

  #grow(places: Int32Array | null): Int32Array {
    const grown = new Int32Array(places === null ? 16 : places.length * 2);
    for (let index = 0; index < this.length; index++) {
      grown[index] = places?.[(this.#head + index) & (places.length - 1)] ?? 0;
    }
    this.#head = 0;
    this.#places = grown;
    return grown;
  }
}
