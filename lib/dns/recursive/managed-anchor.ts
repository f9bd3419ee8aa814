/** Trust anchors that follow their zone's keys (RFC 5011), as a function: what was seen, and when, in; states out. */

import { keyFlag } from "../dnssec/key.ts";

/**
 * RFC 5011 §4: `pending` is waiting for its 30 days, `missing` was trusted and is not seen (and is trusted still),
 * `revoked` is never trusted again.
 */
export type AnchorState = "pending" | "valid" | "missing" | "revoked";

/** A key of a zone, and what is thought of it. */
export interface ManagedKey {
  /** The data of its DNSKEY record, without the flag that revokes it. */
  readonly data: Uint8Array;
  readonly state: AnchorState;
  /** Since when, seconds since 1970. */
  readonly since: number;
}

/** What the zone's servers said. Only a set that a trusted key has signed is looked at. */
export interface SeenKeys {
  /** The data of the DNSKEY records. */
  readonly keys: readonly Uint8Array[];
  /** Those of them that revoke themselves, and have signed the set themselves (§2.1). */
  readonly revoking: readonly Uint8Array[];
  /** Of the set, seconds. */
  readonly ttl: number;
}

/** How long a new key has to be there, and a revoked one is remembered, seconds (§2.4.1). */
const holdDown = 30 * 86_400;
/** Keys of one zone; more are not looked at. */
const mostKeys = 16;

/** The keys as they are after this was seen. */
export function observe(known: readonly ManagedKey[], seen: SeenKeys, now: number): ManagedKey[] {
  const present = seen.keys.filter(isEntryPoint);
  const find = (list: readonly Uint8Array[], data: Uint8Array): boolean => list.some((each) => isSameKey(each, data));
  const after: ManagedKey[] = [];
  for (const key of known) {
    const isRevoking = find(seen.revoking, key.data);
    const isThere = present.some((each) => (each[1] ?? 0) === (key.data[1] ?? 0) && isSameKey(each, key.data));
    const next = isRevoking ? revoked(key, now) : moved(key, isThere, seen.ttl, now);
    if (next !== undefined) after.push(next);
  }
  for (const data of present) {
    const isRevoked = ((data[1] ?? 0) & keyFlag.revoked) !== 0;
    if (isRevoked || after.length >= mostKeys || known.some((key) => isSameKey(key.data, data))) continue;
    after.push({ data: data.slice(), state: "pending", since: now });
  }
  return after;
}

function revoked(key: ManagedKey, now: number): ManagedKey | undefined {
  // A key that was never trusted is forgotten.
  if (key.state === "pending") return undefined;
  // It is remembered as long as it is seen, and then for 30 days.
  return { ...key, state: "revoked", since: now };
}

function moved(key: ManagedKey, isThere: boolean, ttl: number, now: number): ManagedKey | undefined {
  const age = now - key.since;
  switch (key.state) {
    case "pending":
      if (!isThere) return undefined;
      return age >= Math.max(holdDown, ttl) ? { ...key, state: "valid", since: now } : key;
    case "valid":
      return isThere ? key : { ...key, state: "missing", since: now };
    case "missing":
      return isThere ? { ...key, state: "valid", since: now } : key;
    case "revoked":
      return age >= holdDown ? undefined : key;
  }
}

/** Whether a key is one to begin trust at (RFC 4034 §2.1.1), by its flags. */
function isEntryPoint(data: Uint8Array): boolean {
  const flags = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  return data.length > 4 && (flags & keyFlag.zone) !== 0 && (flags & keyFlag.secureEntryPoint) !== 0;
}

/** Whether two are one key, be it revoked or not. */
export function isSameKey(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  return a.every(
    (byte, at) => (at === 1 ? byte | keyFlag.revoked : byte) === (at === 1 ? (b[at] ?? 0) | keyFlag.revoked : b[at]),
  );
}

/** Seconds until the zone is asked again (§2.3): half of what the set lasts, or a tenth when there was no answer. */
export function nextLook(wasSeen: boolean, ttl: number, signatureLeft: number): number {
  const share = wasSeen ? 0.5 : 0.1;
  const most = (wasSeen ? 15 : 1) * 86_400;
  return Math.max(3600, Math.min(most, share * ttl, share * Math.max(0, signatureLeft)));
}
