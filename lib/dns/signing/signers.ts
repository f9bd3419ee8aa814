import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";

/** What keeps one zone signed while it changes. */
export interface ChangeSigner {
  /**
   * Serves the next version: these changes, with what they change of signatures and denials.
   *
   * @param changes of records that are not {@link madeBySigner}; a new SOA record is the last
   */
  change(changes: readonly ZoneChange[]): Zone;
}

/** Types that only the signer of a zone changes. */
export const madeBySigner: ReadonlySet<number> = new Set([
  recordType.RRSIG,
  recordType.NSEC,
  recordType.NSEC3,
  recordType.NSEC3PARAM,
  recordType.DNSKEY,
  recordType.CDS,
  recordType.CDNSKEY,
  recordType.ZONEMD,
]);

/** Signers by zone. */
export class Signers {
  readonly #signers = new Map<string, ChangeSigner>();

  get(apex: Uint8Array): ChangeSigner | undefined {
    return this.#signers.get(nameToText(lowerName(apex)));
  }

  set(apex: Uint8Array, signer: ChangeSigner): void {
    this.#signers.set(nameToText(lowerName(apex)), signer);
  }

  delete(apex: Uint8Array): void {
    this.#signers.delete(nameToText(lowerName(apex)));
  }
}
