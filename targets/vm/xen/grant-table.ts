import { firstReference, type Access, type GrantTable, type SharedPages } from "@tesserae/xen/grant";
import { XenError } from "@tesserae/xen/xen-error";
import { WindowPages } from "./shared-pages.ts";

/** An entry of version 1 (`grant_entry_v1` of Xen): flags and domain, 16 bits each, and the frame's number. */
const entryBytes = 8;
const permitAccess = 1;
const readOnly = 4;
const inUse = 8 | 16;
const domainShift = 16;

/**
 * The grant table of this domain, in the pages that it shares with Xen. Version 1 reaches 16 TiB of a guest's memory, which
 * is more than the boot kernel uses.
 */
export class WindowGrantTable implements GrantTable {
  /** Halves of entries, of which Xen changes the first; and their words. */
  readonly #halves: Uint16Array;
  readonly #words: Int32Array;
  /** Each entry's memory, by reference. */
  readonly #owners: (WindowPages | undefined)[];
  /** References to give out; the last `#left` of them. */
  readonly #spare: Uint32Array;
  #left = 0;

  /** @param table the pages that Xen and the domain share */
  constructor(table: Uint8Array) {
    this.#halves = new Uint16Array(table.buffer, table.byteOffset, table.length / 2);
    this.#words = new Int32Array(table.buffer, table.byteOffset, table.length / 4);
    const count = table.length / entryBytes;
    this.#owners = new Array<WindowPages | undefined>(count).fill(undefined);
    this.#spare = new Uint32Array(Math.max(0, count - firstReference));
    this.forget();
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
    this.#words[reference * 2 + 1] = own.frame + page;
    // The entry is valid from here on, for its frame is there.
    const flags = permitAccess | (access === "read-only" ? readOnly : 0);
    Atomics.store(this.#words, reference * 2, flags | (domain << domainShift));
    return reference;
  }

  isInUse(reference: number): boolean {
    return this.#owners[reference] !== undefined && (Atomics.load(this.#halves, reference * 4) & inUse) !== 0;
  }

  end(reference: number): boolean {
    const own = this.#owners[reference];
    if (own === undefined) return true;
    const at = reference * 4;
    for (;;) {
      const flags = Atomics.load(this.#halves, at);
      if ((flags & inUse) !== 0) return false;
      // Xen sets the bits of use at any time: then the flags are others.
      if (Atomics.compareExchange(this.#halves, at, flags, 0) === flags) break;
    }
    this.#owners[reference] = undefined;
    own.grants--;
    this.#spare[this.#left++] = reference;
    return true;
  }

  /** All grants are void: the table is another, and empty. */
  forget(): void {
    for (const own of this.#owners) if (own !== undefined) own.grants--;
    this.#owners.fill(undefined);
    this.#left = this.#spare.length;
    // The lowest first: what is used together lies together.
    for (let index = 0; index < this.#left; index++) this.#spare[index] = firstReference + this.#left - 1 - index;
  }
}
