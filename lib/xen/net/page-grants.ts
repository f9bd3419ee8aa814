import type { Access, GrantTable, SharedPages } from "../grant.ts";

/**
 * Gives a domain every page of some memory.
 *
 * @returns the reference of each page, in order
 * @throws XenError `exhausted`: nothing stays granted then.
 */
export function grantAll(grants: GrantTable, pages: SharedPages, domain: number, access: Access): Uint32Array {
  const references = new Uint32Array(pages.count);
  for (let page = 0; page < pages.count; page++) {
    try {
      references[page] = grants.grant(pages, page, domain, access);
    } catch (error) {
      for (const reference of references.subarray(0, page)) grants.end(reference);
      throw error;
    }
  }
  return references;
}
