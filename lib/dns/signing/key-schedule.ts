import type { ZoneKey } from "../dnssec/signature.ts";

/** When what happens to a key (RFC 7583 §2.1), seconds since 1970; what is absent never does, but see {@link keysAt}. */
export interface KeyTimes {
  readonly created?: number;
  /** The key is in the zone from then on. Default: always. */
  readonly publish?: number;
  /** It signs from then on. Default: when it is published. */
  readonly activate?: number;
  /** It signs no more; its signatures stay until they would end. */
  readonly inactive?: number;
  /** It is gone from the zone, with all its signatures. */
  readonly delete?: number;
  /** It is in the CDS and CDNSKEY records from then on, and until `syncDelete`. Default: never. */
  readonly syncPublish?: number;
  readonly syncDelete?: number;
}

/** A key of a zone and its times. */
export interface ScheduledKey {
  readonly key: ZoneKey;
  readonly times: KeyTimes;
}

/** What the keys of a zone do at a moment. */
export interface KeySet {
  /** In the DNSKEY set. */
  readonly published: readonly ZoneKey[];
  /** Signing. A key may sign before it is published, as a change of algorithms needs (RFC 6781 §4.1.4). */
  readonly signing: readonly ZoneKey[];
  /** In the CDS and CDNSKEY sets: what the parent's DS records are to be made of (RFC 7344 §4). */
  readonly announced: readonly ZoneKey[];
  /** When this changes, seconds since 1970; undefined when it never does. */
  readonly until: number | undefined;
}

/**
 * What `keys` do at `now` (seconds since 1970). Every algorithm that is published signs (RFC 4035 §2.2): when none of its
 * keys is active, those that are published sign on.
 */
export function keysAt(keys: readonly ScheduledKey[], now: number): KeySet {
  const has = (time: number | undefined, otherwise: boolean): boolean => (time === undefined ? otherwise : time <= now);
  const published = keys.filter(({ times }) => has(times.publish, true) && !has(times.delete, false));
  const active = keys.filter(({ times }) => {
    return has(times.activate ?? times.publish, true) && !has(times.inactive, false) && !has(times.delete, false);
  });
  const algorithms = new Set(active.map(({ key }) => key.algorithm));
  const signing = [...active, ...published.filter(({ key }) => !algorithms.has(key.algorithm))];
  const announced = keys.filter(({ key, times }) => {
    return key.isEntryPoint && has(times.syncPublish, false) && !has(times.syncDelete, false);
  });
  let until: number | undefined;
  for (const { times } of keys) {
    const { publish, activate, inactive, syncPublish, syncDelete } = times;
    for (const time of [publish, activate, inactive, times.delete, syncPublish, syncDelete]) {
      if (time !== undefined && time > now && (until === undefined || time < until)) until = time;
    }
  }
  return { published: keysOf(published), signing: keysOf(signing), announced: keysOf(announced), until };
}

/** Keys that are published, sign, and are never changed. */
export function alwaysKeys(keys: readonly ZoneKey[]): ScheduledKey[] {
  return keys.map((key) => ({ key, times: {} }));
}

function keysOf(keys: readonly ScheduledKey[]): ZoneKey[] {
  return keys.map(({ key }) => key);
}
