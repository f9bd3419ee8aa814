import type { RecordSet } from "./rrset-block.ts";

/** Signs the sets of answers while they are made. */
export interface SetSigner {
  /**
   * Gives a set its signatures ({@link RecordSet.signedWith}).
   *
   * @param owner in lower case, as the client sees it: not the wildcard's
   * @param isLasting whether the zone has the set under that name; others are remembered apart, so that made-up names do
   * not push out what is asked for again
   */
  sign(set: RecordSet, owner: Uint8Array, isLasting: boolean): void;

  /**
   * Makes `into` the NSEC record that proves a name to have these types at most, with its signature, and says that there
   * is no name up to the one right behind it (RFC 9824 §3).
   *
   * @param owner in lower case
   * @param types without NSEC and RRSIG
   * @param ttl seconds
   */
  deny(into: RecordSet, owner: Uint8Array, types: readonly number[], ttl: number): void;
}
