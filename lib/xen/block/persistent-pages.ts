import type { XenDomain } from "../domain.ts";
import type { MappedPages } from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { type BlockRequest, unit } from "./wire.ts";

/**
 * Pages of a front end that stay mapped from one request to the next, as it uses the same ones again and again
 * (`feature-persistent`). Those used longest ago go first.
 */
export class PersistentPages {
  readonly #domain: XenDomain;
  readonly #front: number;
  readonly #most: number;
  /** By reference, the one used last at the end. */
  readonly #mapped = new Map<number, MappedPages>();

  /** @param most pages mapped at a time */
  constructor(domain: XenDomain, front: number, most: number) {
    this.#domain = domain;
    this.#front = front;
    this.#most = most;
  }

  /**
   * Copies between the pages of a request, whose segments were checked, and `bytes`.
   *
   * @param isIn from the front end's pages
   * @returns false when a page is not there
   */
  move(request: BlockRequest, bytes: Uint8Array, isIn: boolean): boolean {
    let own = 0;
    for (let index = 0; index < request.segments; index++) {
      const page = this.#page(request.references[index] ?? 0);
      if (page === undefined) return false;
      const start = (request.first[index] ?? 0) * unit;
      const end = ((request.last[index] ?? 0) + 1) * unit;
      if (isIn) bytes.set(page.subarray(start, end), own);
      else page.set(bytes.subarray(own, own + end - start), start);
      own += end - start;
    }
    return true;
  }

  #page(reference: number): Uint8Array | undefined {
    const known = this.#mapped.get(reference);
    if (known !== undefined) {
      this.#mapped.delete(reference);
      this.#mapped.set(reference, known);
      return known.bytes;
    }
    if (this.#mapped.size >= this.#most) this.#dropOldest();
    try {
      const pages = this.#domain.foreign.map(this.#front, [reference], "read-write");
      this.#mapped.set(reference, pages);
      return pages.bytes;
    } catch (error) {
      if (error instanceof XenError) return undefined;
      throw error;
    }
  }

  #dropOldest(): void {
    for (const [reference, pages] of this.#mapped) {
      this.#mapped.delete(reference);
      pages.unmap();
      return;
    }
  }

  close(isVoid: boolean): void {
    if (!isVoid) for (const pages of this.#mapped.values()) pages.unmap();
    this.#mapped.clear();
  }
}
