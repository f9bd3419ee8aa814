import { headroom, Page } from "@tesserae/device/page";
import { copyBytes } from "@tesserae/wire/copy-bytes";

/** Bytes of a page: of the usual frames, of jumbo frames, of the longest. */
const sizes = [2048, 16_384, 131_072];
/** Whose a page is: nobody's, or a link's. An interface has a number above 0. */
const free = 0;
const flying = -1;

/**
 * The pages of all frames of a world, those that hosts build and those on their way. Grows as needed: the bounds of
 * interfaces and links bound it.
 */
export class FrameStore {
  readonly #free: Page[][] = sizes.map(() => []);
  /** By the index of a page. */
  readonly #owners: number[] = [];

  /** Pages made since the beginning. */
  get made(): number {
    return this.#owners.length;
  }

  /** A page with at least `size` bytes, for `owner`. */
  take(size: number, owner = flying): Page {
    const kind = size <= 2048 ? 0 : size <= 16_384 ? 1 : 2;
    let page = this.#free[kind]?.pop();
    if (page === undefined) {
      page = new Page(new Uint8Array(sizes[kind] ?? size), this.#owners.length);
      this.#owners.push(free);
    }
    page.reset();
    this.#owners[page.index] = owner;
    return page;
  }

  /** A page with a copy of the frame at {@link headroom}, for a link. */
  copy(bytes: Uint8Array, offset: number, length: number): Page {
    const page = this.take(headroom + length);
    copyBytes(bytes, offset, page.bytes, headroom, length);
    return page;
  }

  /** Makes a page hold a copy of another frame of the same length. */
  copyInto(page: Page, bytes: Uint8Array, offset: number, length: number): void {
    page.reset();
    copyBytes(bytes, offset, page.bytes, headroom, length);
  }

  /** An interface hands a page over to a link. @throws RangeError when the page is not its. */
  send(page: Page, owner: number): void {
    this.#check(page, owner);
    this.#owners[page.index] = flying;
  }

  /** @throws RangeError when the page is not its: a double release corrupts packets. */
  release(page: Page, owner = flying): void {
    this.#check(page, owner);
    this.#owners[page.index] = free;
    const size = page.bytes.length;
    this.#free[size === 2048 ? 0 : size === 16_384 ? 1 : 2]?.push(page);
  }

  #check(page: Page, owner: number): void {
    if (this.#owners[page.index] !== owner) throw new RangeError(`page ${String(page.index)} is not out of this pool`);
  }
}
