/** Memory that domains share by grants (Xen's `grant_table.h`). */

/** Bytes of a page: the unit of grants. */
export const pageSize = 4096;

/** The lowest reference that {@link GrantTable.grant} gives: those below belong to the toolstack. */
export const firstReference = 8;

/** What another domain may do with a page. */
export type Access = "read-only" | "read-write";

/**
 * Page-aligned memory of this domain that other domains may be given page by page. Others may write to pages they were
 * given at any time: what is read from there is read once, and checked after.
 */
export interface SharedPages {
  /** All pages, one after the other. Zeroed at first. */
  readonly bytes: Uint8Array;
  /** How many pages. */
  readonly count: number;
  /**
   * Gives the memory back. Only when no grant of it is live. Idempotent.
   *
   * @throws XenError `refused` when a grant is live: the memory stays where it is.
   */
  release(): void;
}

/** The grants that this domain gives to others. The table is bounded; references are used again. */
export interface GrantTable {
  /** References left. */
  readonly free: number;

  /**
   * Gives a domain access to one page. Allocates nothing.
   *
   * @param page index of the page in `pages`
   * @returns the reference, 32 bits without sign, at least {@link firstReference}
   * @throws XenError `exhausted`; RangeError when there is no such page.
   */
  grant(pages: SharedPages, page: number, domain: number, access: Access): number;

  /** Whether the other domain has the page mapped, or copies from or to it right now. */
  isInUse(reference: number): boolean;

  /**
   * Takes a grant back. After that the other domain can neither map nor copy; the reference may be given out again.
   *
   * @returns false while the other domain has it mapped: ask again later. If it began to only now, it may be the last time.
   */
  end(reference: number): boolean;
}

/** Other domains' pages, mapped here. */
export interface MappedPages {
  /** The pages in the order of the references. The other domain may write to them at any time. */
  readonly bytes: Uint8Array;
  /** Idempotent. `bytes` must not be touched after it. */
  unmap(): void;
}

/** The outcome of a copy (`GNTST_*` of Xen): 0, or negative. */
export const copyStatus = {
  okay: 0,
  generalError: -1,
  badDomain: -2,
  badReference: -3,
  permissionDenied: -8,
  badCopyArgument: -10,
  addressTooBig: -11,
} as const;

/** Operations of `GNTTABOP_copy`, collected and then run at once. Reusable; allocates nothing per use. */
export interface CopyBatch {
  readonly capacity: number;
  /** Operations added since it was cleared. */
  readonly length: number;
  /** Forgets operations and their outcomes. */
  clear(): void;

  /**
   * Adds a copy from another domain's page to memory of this one. A copy does not cross the end of either page.
   *
   * @param offset in the other domain's page, in bytes
   * @param toOffset in `to.bytes`, in bytes
   * @throws RangeError when the batch is full, or on this side the range crosses a page or the memory's end. What is
   *   wrong on the other side is in the status.
   */
  addFrom(domain: number, reference: number, offset: number, to: SharedPages, toOffset: number, length: number): void;

  /** Adds a copy from memory of this domain to another's page. Ranges as in {@link CopyBatch.addFrom}. */
  addTo(from: SharedPages, fromOffset: number, domain: number, reference: number, offset: number, length: number): void;

  /** Does all, in order. One that fails does not keep the others from being done. */
  run(): void;

  /** Outcome of operation `index` of the last run: 0, or a negative number of {@link copyStatus}. */
  status(index: number): number;
}

/** @throws RangeError as {@link CopyBatch.addFrom} says of this side. */
export function checkCopy(batch: CopyBatch, own: SharedPages, ownOffset: number, length: number): void {
  if (batch.length >= batch.capacity) throw new RangeError(`the batch holds ${batch.capacity} copies already`);
  if (!(ownOffset >= 0 && length >= 0 && ownOffset + length <= own.bytes.length)) {
    throw new RangeError(`${length} bytes at ${ownOffset} are outside of the memory`);
  }
  if ((ownOffset % pageSize) + length > pageSize) throw new RangeError(`${length} bytes at ${ownOffset} cross a page`);
}

/** What other domains have given to this one: for back ends. */
export interface ForeignPages {
  /**
   * Maps pages, one after the other in the order of the references.
   *
   * @throws XenError `bad-grant`, `no-domain` or `exhausted`: nothing stays mapped then.
   */
  map(domain: number, references: readonly number[], access: Access): MappedPages;

  /** A batch of at most `capacity` copies. */
  createCopyBatch(capacity: number): CopyBatch;
}
