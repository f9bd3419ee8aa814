import { headroom, Page } from "@tesserae/device/page";

/**
 * The pages of frames in flight, for a whole world. Grows as needed: the links' queues bound it.
 *
 * Frames lie at {@link headroom}, so that a receiver finds as much room in front of one as a sender has.
 */
export class FrameStore {
  readonly #free: Page[] = [];
  #made = 0;
  #size = 2048;

  /** Pages made since the beginning. */
  get made(): number {
    return this.#made;
  }

  /** A page with a copy of the frame at {@link headroom}. */
  copy(bytes: Uint8Array, offset: number, length: number): Page {
    let page = this.#free.pop();
    if (page === undefined || page.bytes.length < headroom + length) {
      // Frames above the usual size are rare: the pages made from then on have room for them.
      while (this.#size < headroom + length) this.#size *= 2;
      page = new Page(new Uint8Array(this.#size), this.#made++);
    }
    page.reset();
    copyBytes(page.bytes, headroom, bytes, offset, length);
    return page;
  }

  release(page: Page): void {
    this.#free.push(page);
  }
}

function copyBytes(to: Uint8Array, at: number, from: Uint8Array, offset: number, length: number): void {
  // A view of a small frame costs more than copying it by hand.
  if (length > 96) {
    to.set(from.subarray(offset, offset + length), at);
    return;
  }
  for (let index = 0; index < length; index++) to[at + index] = from[offset + index] ?? 0;
}
