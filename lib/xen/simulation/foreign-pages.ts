import {
  checkCopy,
  copyStatus,
  pageSize,
  type Access,
  type CopyBatch,
  type ForeignPages,
  type MappedPages,
  type SharedPages,
} from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { bytesOfGrant, type Grant, type SimulatedGrants } from "./grant-table.ts";

/** Finds the grants of a domain that is there. */
export type GrantsOf = (domain: number) => SimulatedGrants | undefined;

class Mapping implements MappedPages {
  readonly #bytes: Uint8Array;
  readonly #grants: readonly Grant[];
  readonly #unmapped: (mapping: Mapping) => void;
  #isMapped = true;

  constructor(bytes: Uint8Array, grants: readonly Grant[], unmapped: (mapping: Mapping) => void) {
    this.#bytes = bytes;
    this.#grants = grants;
    this.#unmapped = unmapped;
    for (const grant of grants) grant.uses++;
  }

  /** Pages of it. */
  get count(): number {
    return this.#grants.length;
  }

  get bytes(): Uint8Array {
    if (!this.#isMapped) throw new RangeError("the pages are not mapped any more");
    return this.#bytes;
  }

  unmap(): void {
    if (!this.#isMapped) return;
    this.#isMapped = false;
    for (const grant of this.#grants) grant.uses--;
    this.#unmapped(this);
  }
}

/**
 * What one simulated domain has mapped of others. Memory is not paged here: several pages can be mapped together only
 * when they lie one after the other in what the other domain allocated.
 */
export class SimulatedForeignPages implements ForeignPages {
  readonly #self: () => number;
  readonly #grantsOf: GrantsOf;
  readonly #most: number;
  readonly #mappings = new Set<Mapping>();
  readonly #unmapped: () => void;
  #pages = 0;
  #isOver = false;

  /** @param most pages that can be mapped at a time */
  constructor(self: () => number, grantsOf: GrantsOf, most: number, unmapped: () => void) {
    this.#self = self;
    this.#grantsOf = grantsOf;
    this.#most = most;
    this.#unmapped = unmapped;
  }

  /** Pages that are mapped. */
  get mapped(): number {
    return this.#pages;
  }

  map(domain: number, references: readonly number[], access: Access): MappedPages {
    if (this.#isOver) throw new XenError("no-domain", "this domain is destroyed");
    const grants = this.#grantsOf(domain);
    if (grants === undefined) throw new XenError("no-domain", `there is no domain ${domain}`);
    if (this.#pages + references.length > this.#most) {
      throw new XenError("exhausted", `${this.#pages} pages of others are mapped, and no more can be`);
    }
    const found: Grant[] = [];
    for (const reference of references) {
      const grant = grants.find(reference, this.#self(), access);
      if (grant === undefined) {
        throw new XenError("bad-grant", `domain ${domain} has not given reference ${reference} for ${access} access`);
      }
      found.push(grant);
    }
    const [first] = found;
    if (first === undefined) throw new RangeError("no references");
    const isContiguous = found.every(({ pages, page }, index) => pages === first.pages && page === first.page + index);
    if (!isContiguous) throw new XenError("refused", "pages that do not follow each other cannot be mapped together");
    const start = first.page * pageSize;
    const mapping = new Mapping(first.pages.bytes.subarray(start, start + found.length * pageSize), found, (each) => {
      this.#mappings.delete(each);
      this.#pages -= each.count;
      this.#unmapped();
    });
    this.#mappings.add(mapping);
    this.#pages += mapping.count;
    return mapping;
  }

  createCopyBatch(capacity: number): CopyBatch {
    return new SimulatedCopyBatch(capacity, this.#self, (domain) =>
      this.#isOver ? undefined : this.#grantsOf(domain),
    );
  }

  /** Unmaps all. */
  clear(): void {
    for (const mapping of [...this.#mappings]) mapping.unmap();
  }

  /** The domain is destroyed: what of its code is still under way here reaches nobody's memory any more. */
  end(): void {
    this.#isOver = true;
    this.clear();
  }
}

class Copy {
  isFrom = true;
  domain = 0;
  reference = 0;
  offset = 0;
  bytes: Uint8Array = new Uint8Array(0);
  ownOffset = 0;
  length = 0;
  status = 0;
}

class SimulatedCopyBatch implements CopyBatch {
  readonly capacity: number;
  length = 0;
  readonly #self: () => number;
  readonly #grantsOf: GrantsOf;
  readonly #copies: readonly Copy[];

  constructor(capacity: number, self: () => number, grantsOf: GrantsOf) {
    this.capacity = capacity;
    this.#self = self;
    this.#grantsOf = grantsOf;
    this.#copies = Array.from({ length: capacity }, () => new Copy());
  }

  clear(): void {
    this.length = 0;
  }

  addFrom(domain: number, reference: number, offset: number, to: SharedPages, toOffset: number, length: number): void {
    this.#add(true, domain, reference, offset, to, toOffset, length);
  }

  addTo(
    from: SharedPages,
    fromOffset: number,
    domain: number,
    reference: number,
    offset: number,
    length: number,
  ): void {
    this.#add(false, domain, reference, offset, from, fromOffset, length);
  }

  #add(
    isFrom: boolean,
    domain: number,
    reference: number,
    offset: number,
    own: SharedPages,
    ownOffset: number,
    length: number,
  ): void {
    checkCopy(this, own, ownOffset, length);
    const copy = this.#copies[this.length];
    if (copy === undefined) return;
    this.length++;
    copy.isFrom = isFrom;
    copy.domain = domain;
    copy.reference = reference;
    copy.offset = offset;
    copy.bytes = own.bytes;
    copy.ownOffset = ownOffset;
    copy.length = length;
    copy.status = 0;
  }

  run(): void {
    for (let index = 0; index < this.length; index++) {
      const copy = this.#copies[index];
      if (copy !== undefined) copy.status = this.#copy(copy);
    }
  }

  #copy(copy: Copy): number {
    const { isFrom, domain, reference, offset, bytes, ownOffset, length } = copy;
    const grants = this.#grantsOf(domain);
    if (grants === undefined) return copyStatus.badDomain;
    const grant = grants.find(reference, this.#self(), "read-only");
    if (grant === undefined) return copyStatus.badReference;
    if (!isFrom && grant.access === "read-only") return copyStatus.permissionDenied;
    if (offset < 0 || offset + length > pageSize) return copyStatus.badCopyArgument;
    const page = bytesOfGrant(grant);
    if (isFrom) bytes.set(page.subarray(offset, offset + length), ownOffset);
    else page.set(bytes.subarray(ownOffset, ownOffset + length), offset);
    return copyStatus.okay;
  }

  status(index: number): number {
    const copy = index < this.length ? this.#copies[index] : undefined;
    if (copy === undefined) throw new RangeError(`copy ${index} is not one of ${this.length}`);
    return copy.status;
  }
}
