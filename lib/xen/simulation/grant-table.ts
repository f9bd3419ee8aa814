import { firstReference, pageSize, type Access, type GrantTable, type SharedPages } from "../grant.ts";
import { XenError } from "../xen-error.ts";
import { SimulatedPages } from "./shared-pages.ts";

/** A page that a domain was given. */
export interface Grant {
  readonly pages: SimulatedPages;
  readonly page: number;
  readonly domain: number;
  readonly access: Access;
  /** How often it is mapped. */
  uses: number;
}

/** The grants of one simulated domain. */
export class SimulatedGrants implements GrantTable {
  readonly #capacity: number;
  #table = new Map<number, Grant>();
  /** References that were given back, the last one first: a late use of one finds another's page. */
  #returned: number[] = [];
  #next = firstReference;
  #isOver = false;
  /** Calls that a domain in its right mind does not make: taking back what it has not given. */
  mistakes = 0;

  /** @param capacity references in all */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Grants that are live. */
  get live(): number {
    return this.#table.size;
  }

  get free(): number {
    return this.#returned.length + this.#capacity - this.#next;
  }

  grant(pages: SharedPages, page: number, domain: number, access: Access): number {
    if (this.free <= 0) throw new XenError("exhausted", "no grant reference is free");
    const reference = this.#returned.pop() ?? this.#next++;
    this.grantAt(reference, pages, page, domain, access);
    return reference;
  }

  /** As the toolstack does for a domain that it makes: at a reference of its choice. */
  grantAt(reference: number, pages: SharedPages, page: number, domain: number, access: Access): void {
    if (this.#isOver) throw new XenError("gone", "the domain is destroyed");
    if (!(pages instanceof SimulatedPages) || pages.isReleased) throw new RangeError("memory that is not the domain's");
    if (!Number.isInteger(page) || page < 0 || page >= pages.count) {
      throw new RangeError(`page ${page} is not one of ${pages.count}`);
    }
    pages.grants++;
    this.#table.set(reference, { pages, page, domain, access, uses: 0 });
  }

  isInUse(reference: number): boolean {
    return (this.#table.get(reference)?.uses ?? 0) > 0;
  }

  end(reference: number): boolean {
    if (this.#isOver) return true;
    const grant = this.#table.get(reference);
    if (grant === undefined) {
      this.mistakes++;
      return true;
    }
    if (grant.uses > 0) return false;
    this.#table.delete(reference);
    grant.pages.grants--;
    if (reference >= firstReference) this.#returned.push(reference);
    return true;
  }

  /** The page behind a reference, for another domain. @returns undefined: it was not given that */
  find(reference: number, domain: number, access: Access): Grant | undefined {
    if (this.#isOver) return undefined;
    const grant = this.#table.get(reference);
    if (grant?.domain !== domain) return undefined;
    return access === "read-write" && grant.access === "read-only" ? undefined : grant;
  }

  /** All grants are void, and given to nobody anew. @returns those that are still mapped */
  clear(): Grant[] {
    const held: Grant[] = [];
    for (const grant of this.#table.values()) {
      grant.pages.grants--;
      if (grant.uses > 0) held.push(grant);
    }
    this.#table = new Map();
    this.#returned = [];
    this.#next = firstReference;
    return held;
  }

  /** The domain is destroyed: it gives nothing any more. @returns what others have mapped still */
  stop(): Grant[] {
    this.#isOver = true;
    return this.clear();
  }
}

/** The bytes of a grant's page. */
export function bytesOfGrant({ pages, page }: Grant): Uint8Array {
  return pages.bytes.subarray(page * pageSize, (page + 1) * pageSize);
}
