import type { IpAddress } from "@tesserae/device/address";
import type { Rrset } from "./rrset.ts";

/**
 * What validation says (RFC 4035 §4.3). `unchecked`: nobody has looked yet. Without a trust anchor everything is
 * `insecure`.
 */
export type Security = "unchecked" | "secure" | "insecure" | "bogus";

/** Why something failed: an Extended DNS Error (RFC 8914), and words for people. */
export interface Failure {
  readonly code: number;
  readonly text: string;
}

/** What is known about one name and type, and kept until it expires. */
export interface Kept {
  /**
   * `positive`: `rrset` has the type asked for, or is the CNAME record of the name or a DNAME record above it.
   * `failed`: nobody could be asked, or nobody knew.
   */
  readonly kind: "positive" | "no-data" | "no-name" | "failed";
  readonly name: string;
  readonly type: number;
  readonly rrset?: Rrset;
  /** Answers to ANY beside `rrset`. */
  readonly more: readonly Rrset[];
  /** SOA, NSEC and NSEC3 records that came with it. */
  readonly proof: readonly Rrset[];
  /** The zone whose servers said so; the root for what was not asked of anybody. */
  readonly zone: string;
  /** Who said so. */
  readonly server?: IpAddress;
  /** Milliseconds on the `now()` axis. */
  readonly received: number;
  /** Seconds that it lasts from then on. Validation may make it less. */
  ttl: number;
  security: Security;
  failure?: Failure;
}

/** Milliseconds on the `now()` axis. */
export function expiryOf(kept: Kept): number {
  return kept.received + kept.ttl * 1000;
}
