import { firstReference, type Access, type GrantTable, type SharedPages } from "@tesserae/xen/grant";
import { XenError } from "@tesserae/xen/xen-error";
import type { GrantEntries } from "./grant-entries.ts";
import { WindowPages } from "./shared-pages.ts";

/** The grants that this domain gives, in the table that it shares with Xen. */
export class WindowGrantTable implements GrantTable {
  #entries: GrantEntries;
  /** Each entry's memory, by reference. */
  #owners: (WindowPages | undefined)[] = [];
  /** References to give out; the last `#left` of them. */
  #spare = new Uint32Array(0);
  #left = 0;

  constructor(entries: GrantEntries) {
    this.#entries = entries;
    this.begin(entries);
  }

  get free(): number {
    return this.#left;
  }

  grant(pages: SharedPages, page: number, domain: number, access: Access): number {
    const own = WindowPages.of(pages);
    if (!(page >= 0 && page < own.count)) throw new RangeError(`page ${page} of ${own.count}`);
    if (this.#left === 0) throw new XenError("exhausted", "the grant table is full");
    const reference = this.#spare[--this.#left] ?? 0;
    own.grants++;
    this.#owners[reference] = own;
    this.#entries.permit(reference, domain, own.frame + page, access);
    return reference;
  }

  isInUse(reference: number): boolean {
    return this.#owners[reference] !== undefined && this.#entries.isInUse(reference);
  }

  end(reference: number): boolean {
    const own = this.#owners[reference];
    if (own === undefined) return true;
    if (!this.#entries.revoke(reference)) return false;
    this.#owners[reference] = undefined;
    own.grants--;
    this.#spare[this.#left++] = reference;
    return true;
  }

  /** All grants are void: the table is another, and empty. */
  begin(entries: GrantEntries): void {
    for (const own of this.#owners) if (own !== undefined) own.grants--;
    this.#entries = entries;
    this.#owners = new Array<WindowPages | undefined>(entries.count).fill(undefined);
    this.#spare = new Uint32Array(Math.max(0, entries.count - firstReference));
    this.#left = this.#spare.length;
    // The lowest first: what is used together lies together.
    for (let index = 0; index < this.#left; index++) this.#spare[index] = firstReference + this.#left - 1 - index;
  }
}
