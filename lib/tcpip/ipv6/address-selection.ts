/** Which of our addresses a packet comes from, and which of a host's to try first (RFC 6724). Pure. */

import { IpAddress, Prefix } from "@tesserae/device/address";
import { scopeOf } from "./scope.ts";

/** One row of the policy table (RFC 6724 §2.1). */
interface Policy {
  readonly prefix: Prefix;
  readonly precedence: number;
  readonly label: number;
}

const policies: readonly Policy[] = [
  ["::1/128", 50, 0],
  ["::ffff:0:0/96", 35, 4],
  ["2001::/32", 5, 5],
  ["2002::/16", 30, 2],
  ["fc00::/7", 3, 13],
  ["fec0::/10", 1, 11],
  ["3ffe::/16", 1, 12],
  ["::/96", 1, 3],
  ["::/0", 40, 1],
]
  .map(([text, precedence, label]) => ({
    prefix: Prefix.parse(String(text)),
    precedence: Number(precedence),
    label: Number(label),
  }))
  .sort((a, b) => b.prefix.length - a.prefix.length);

function policyOf(address: IpAddress): Policy {
  const mapped = address.family === 6 ? address : new IpAddress(6, 0, 0, 0xffff, address.w3);
  const found = policies.find(({ prefix }) => prefix.contains(mapped));
  if (found === undefined) throw new TypeError("the policy table has a row for everything");
  return found;
}

/** One of our addresses, as the rules look at it. */
export interface SourceCandidate {
  readonly address: IpAddress;
  /** Bits of the prefix on the link. */
  readonly prefixLength: number;
  readonly deprecated: boolean;
  /** Made up for a while (RFC 8981). */
  readonly temporary: boolean;
  /** The interface that has it, 1 and up. */
  readonly interface: number;
}

/**
 * The best source address (RFC 6724 §5), or `undefined` when there is no candidate.
 *
 * @param outgoing the interface that the packet leaves by
 */
export function selectSource<Candidate extends SourceCandidate>(
  destination: IpAddress,
  candidates: readonly Candidate[],
  outgoing: number,
): Candidate | undefined {
  let best: Candidate | undefined;
  for (const each of candidates) {
    if (best === undefined || isBetterSource(destination, each, best, outgoing)) best = each;
  }
  return best;
}

function isBetterSource(destination: IpAddress, a: SourceCandidate, b: SourceCandidate, outgoing: number): boolean {
  // Rule 1: the destination itself.
  if (a.address.equals(destination)) return true;
  if (b.address.equals(destination)) return false;
  // Rule 2: the smallest scope that reaches, else the largest.
  const wanted = scopeOf(destination);
  const scopeA = scopeOf(a.address);
  const scopeB = scopeOf(b.address);
  if (scopeA < scopeB) return scopeA >= wanted;
  if (scopeB < scopeA) return scopeB < wanted;
  // Rule 3: not a deprecated one.
  if (a.deprecated !== b.deprecated) return b.deprecated;
  // Rule 5: one of the outgoing interface.
  if ((a.interface === outgoing) !== (b.interface === outgoing)) return a.interface === outgoing;
  // Rule 6: of the same kind as the destination.
  const label = policyOf(destination).label;
  const matchesA = policyOf(a.address).label === label;
  const matchesB = policyOf(b.address).label === label;
  if (matchesA !== matchesB) return matchesA;
  // Rule 7: a temporary one.
  if (a.temporary !== b.temporary) return a.temporary;
  // Rule 8: the longest match.
  return matchingBits(a.address, destination, a.prefixLength) > matchingBits(b.address, destination, b.prefixLength);
}

/**
 * Sorts the addresses of a host, best first (RFC 6724 §6), keeping the order of equals.
 *
 * @param sourceFor our address for a destination, or `undefined` when there is no route
 */
export function sortDestinations(
  destinations: readonly IpAddress[],
  sourceFor: (destination: IpAddress) => IpAddress | undefined,
): IpAddress[] {
  const rows = destinations.map((address, index) => ({ address, index, source: sourceFor(address) }));
  return rows.sort((a, b) => compareDestinations(a, b) || a.index - b.index).map(({ address }) => address);
}

interface DestinationRow {
  readonly address: IpAddress;
  readonly source: IpAddress | undefined;
}

function compareDestinations(a: DestinationRow, b: DestinationRow): number {
  // Rule 1: not one that cannot be reached.
  if (a.source === undefined || b.source === undefined) {
    return Number(a.source === undefined) - Number(b.source === undefined);
  }
  // Rule 2: scopes that match.
  const matches = Number(familyScope(b.address) === familyScope(b.source));
  const scopes = matches - Number(familyScope(a.address) === familyScope(a.source));
  if (scopes !== 0) return scopes;
  // Rule 5: labels that match.
  const policyA = policyOf(a.address);
  const policyB = policyOf(b.address);
  const labels =
    Number(policyB.label === policyOf(b.source).label) - Number(policyA.label === policyOf(a.source).label);
  if (labels !== 0) return labels;
  // Rule 6: the higher precedence.
  if (policyA.precedence !== policyB.precedence) return policyB.precedence - policyA.precedence;
  // Rule 8: the smaller scope.
  const scope = familyScope(a.address) - familyScope(b.address);
  if (scope !== 0) return scope;
  // Rule 9: the longest match, for IPv6; among IPv4 addresses it defeats the server's own order (RFC 3484's mistake).
  if (a.address.family === 4 || b.address.family === 4) return 0;
  return matchingBits(b.source, b.address, 64) - matchingBits(a.source, a.address, 64);
}

/** RFC 6724 §3.2: of IPv4, 169.254/16 and loopback are link-local, and all others global. */
function familyScope(address: IpAddress): number {
  if (address.family === 6) return scopeOf(address);
  return address.isLoopback || address.w3 >>> 16 === 0xa9fe ? 2 : 14;
}

/** How many leading bits are the same, at most `most` (RFC 6724 §2.2). */
export function matchingBits(a: IpAddress, b: IpAddress, most: number): number {
  const w0 = a.w0 ^ b.w0;
  if (w0 !== 0) return Math.min(most, Math.clz32(w0));
  const w1 = a.w1 ^ b.w1;
  if (w1 !== 0) return Math.min(most, 32 + Math.clz32(w1));
  const w2 = a.w2 ^ b.w2;
  if (w2 !== 0) return Math.min(most, 64 + Math.clz32(w2));
  return Math.min(most, 96 + Math.clz32(a.w3 ^ b.w3));
}
