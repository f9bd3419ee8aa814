/** How many views are kept at first, and at most. */
const fewest = 64;
const most = 2048;
const none = new Uint8Array(0);

/**
 * Views of parts of arrays, those made lately being found again: a device receives in the same places over and over, so
 * that copying out of them by views, which is far faster than byte by byte, allocates nothing. Keeps the arrays alive that
 * they are of. It holds little until there are many places: up to 2048 views, two for each hash of an offset.
 */
export class RecentViews {
  #views: Uint8Array[] = new Array<Uint8Array>(fewest).fill(none);
  #of: Uint8Array[] = new Array<Uint8Array>(fewest).fill(none);
  #offsets: Int32Array = new Int32Array(fewest).fill(-1);
  /** What takes the bits of the hash that choose a place. */
  #shift = 33 - Math.log2(fewest);
  /** How often a view gave way to one of another offset since it grew. */
  #displaced = 0;

  /** `of.subarray(offset, offset + length)`, perhaps the same object as before. */
  view(of: Uint8Array, offset: number, length: number): Uint8Array {
    let place = this.#placeOf(offset);
    const first = this.#find(place, of, offset, length);
    if (first !== null) return first;
    const second = this.#find(place + 1, of, offset, length);
    if (second !== null) return second;
    const made = of.subarray(offset, offset + length);
    const last = this.#offsets[place] ?? -1;
    if (last >= 0 && last !== offset) {
      // The one that was put here last moves over, and the one before it gives way.
      if ((this.#offsets[place + 1] ?? -1) >= 0 && ++this.#displaced > 2 * this.#views.length)
        place = this.#grow(offset);
      this.#put(place + 1, this.#views[place] ?? none, this.#of[place] ?? none, this.#offsets[place] ?? -1);
    }
    this.#put(place, made, of, offset);
    return made;
  }

  #placeOf(offset: number): number {
    return (Math.imul(offset, 0x9e37_79b1) >>> this.#shift) << 1;
  }

  /** Makes room for twice as many, empty at first. @returns the place of `offset` now */
  #grow(offset: number): number {
    this.#displaced = 0;
    const size = this.#views.length * 2;
    if (size <= most) {
      this.#views = new Array<Uint8Array>(size).fill(none);
      this.#of = new Array<Uint8Array>(size).fill(none);
      this.#offsets = new Int32Array(size).fill(-1);
      this.#shift--;
    }
    return this.#placeOf(offset);
  }

  #find(place: number, of: Uint8Array, offset: number, length: number): Uint8Array | null {
    if (this.#offsets[place] !== offset || this.#of[place] !== of) return null;
    const view = this.#views[place];
    return view?.length === length ? view : null;
  }

  #put(place: number, view: Uint8Array, of: Uint8Array, offset: number): void {
    this.#views[place] = view;
    this.#of[place] = of;
    this.#offsets[place] = offset;
  }
}

/** A view for a copy is cheaper than a loop from about this many bytes on, where it need not be made for each. */
const viewFrom = 48;

/**
 * Copies `from[start … start + length)` to `to[at …)`. The arrays differ.
 *
 * @param views of `from`, where the same places are copied from again and again; otherwise null
 */
export function copyByView(
  from: Uint8Array,
  start: number,
  to: Uint8Array,
  at: number,
  length: number,
  views: RecentViews | null,
): void {
  if (length < viewFrom) {
    for (let index = 0; index < length; index++) to[at + index] = from[start + index] ?? 0;
  } else if (start === 0 && length === from.length) {
    to.set(from, at);
  } else if (views !== null) {
    to.set(views.view(from, start, length), at);
  } else {
    to.set(from.subarray(start, start + length), at);
  }
}
