import type { Crypto } from "@tesserae/device/crypto";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Log } from "@tesserae/device/log";
import type { Random } from "@tesserae/device/random";
import { equalBytes } from "../authoritative/octets.ts";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import type { Zones } from "../authoritative/zones.ts";
import { signZone, type SignZoneOptions } from "../dnssec/sign-zone.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import { childKeyRecords } from "../signing/child-keys.ts";
import { CurrentKeys } from "../signing/current-keys.ts";
import { DueSignatures } from "../signing/due-signatures.ts";
import { keyChanges, OwnKeys } from "../signing/key-records.ts";
import type { KeySet, ScheduledKey } from "../signing/key-schedule.ts";
import { type ChangeSigner, madeBySigner } from "../signing/signers.ts";
import type { SigningTerms } from "../signing/set-signatures.ts";
import { signedChanges, type SigningTask } from "../signing/zone-changes.ts";
import { recordType } from "../wire.ts";
import type { WireRecord } from "../wire-record.ts";
import { differenceBetween, soaOf } from "./difference.ts";
import { differenceOf, type Journal } from "./journal.ts";
import { isNewer, nextSerial } from "./serial.ts";
import { withSerial } from "./soa.ts";

export interface ZoneSignerOptions extends Pick<SignZoneOptions, "nsec3" | "zonemd"> {
  /** In any case. */
  readonly apex: Uint8Array;
  /** Where the signed zone is served. */
  readonly zones: Zones;
  readonly crypto: Crypto;
  readonly timers: Timers;
  readonly keys: readonly ScheduledKey[];
  /** Is told of what changes, so that secondaries get the differences. */
  readonly journal?: Journal;
  /** How long signatures hold, seconds. Default 14 days; they are made anew after half of that. */
  readonly validity?: number;
  /** Spreads the ends of signatures over a sixteenth of the validity. Default: all end together. */
  readonly random?: Random;
  readonly log?: Log;
}

/** Clocks of validators may be behind by so much, seconds. */
const skew = 3600;
const usualValidity = 14 * 86_400;
/** Timers wait no longer than this, milliseconds, so that a clock that is set is noticed. */
const longestWait = 3_600_000;
/** Between two slices of work, milliseconds. */
const pause = 20;
/** Names above which two versions are not compared but the new one is signed as a whole. */
const compareLimit = 100_000;

/**
 * Serves a zone signed: what comes without signatures is signed, what changes is signed as it changes, signatures are
 * made anew before they end, a slice of the zone at a time, and keys come and go by their times (RFC 6781 §4.1).
 *
 * The first signing, and one with other parameters of denial, is done all at once and takes the time of a signature for
 * each set.
 */
export class ZoneSigner implements ChangeSigner {
  readonly #options: ZoneSignerOptions;
  readonly #apex: Uint8Array;
  readonly #timer: Timer;
  readonly #keys: CurrentKeys;
  /** Every key that there was: others in the DNSKEY set are not ours to take away. */
  readonly #own = new OwnKeys();
  #due: DueSignatures | undefined;

  /** @throws RangeError when `validity` is not above two hours, or no key signs now. */
  constructor(options: ZoneSignerOptions) {
    const { validity = usualValidity, timers } = options;
    if (!(validity > 2 * skew)) throw new RangeError(`validity is ${validity} s, not above ${2 * skew}`);
    this.#options = options;
    this.#apex = lowerName(options.apex);
    this.#keys = new CurrentKeys(this.#apex, options.keys, this.#seconds());
    this.#timer = timers.timer(() => this.#wake());
  }

  /**
   * Signs a version and serves it. Its serial number is the zone's own when that is newer than what is served, else the
   * next after that.
   */
  publish(zone: Zone): void {
    const served = this.#options.zones.get(this.#apex);
    const serial =
      served === undefined || isNewer(zone.serial, served.serial) ? zone.serial : nextSerial(served.serial);
    const soa: ZoneChange = { kind: "add", record: withSerial(soaOf(zone), serial) };
    const isSmall = zone.size + (served?.size ?? 0) <= 4 * compareLimit;
    if (served === undefined || this.#due === undefined || !isSmall) {
      this.#signAll(zone, soa.record);
    } else {
      const { removed, added } = differenceBetween(this.#plain(served), this.#plain(zone));
      const changes = [
        ...removed.map((record): ZoneChange => ({ kind: "remove", record })),
        ...added.map((record): ZoneChange => ({ kind: "add", record })),
      ];
      this.#next({ plain: [...changes, soa] });
    }
    this.#plan();
  }

  /** Goes on with a zone that was signed before, and serves it: what was kept. */
  resume(zone: Zone): void {
    this.#options.zones.replace(zone);
    this.#due = new DueSignatures();
    for (const { data } of zone.recordsOf(this.#apex, recordType.DNSKEY)) {
      if (this.#keys.all.some(({ key }) => equalBytes(key.data, data))) this.#own.add(data);
    }
    this.#changeKeys(true);
    this.#plan();
  }

  change(changes: readonly ZoneChange[]): Zone {
    const zone = this.#next({ plain: changes.filter(({ record }) => !madeBySigner.has(record.type)) });
    this.#plan();
    return zone;
  }

  /** These are the keys from now on. @throws RangeError when none of them signs now. */
  setKeys(keys: readonly ScheduledKey[]): void {
    const before = this.#keys.set;
    this.#keys.replace(keys, this.#seconds());
    if (this.#due === undefined) return;
    this.#changeKeys(leavesSome(before, this.#keys.set));
    this.#plan();
  }

  close(): void {
    this.#timer.cancel();
  }

  #terms(): SigningTerms {
    const { crypto, validity = usualValidity, random } = this.#options;
    const now = this.#seconds();
    const spread = Math.floor(validity / 16);
    return {
      ...{ crypto, apex: this.#apex, keys: this.#keys.set, now, inception: now - skew },
      expiration: () => now + validity - (random === undefined ? 0 : random.uint32() % spread),
      renewBefore: now + Math.floor(validity / 2) + (random === undefined ? 0 : spread),
    };
  }

  /** Serves the next version of a zone that is served. */
  #next(task: SigningTask): Zone {
    const { zones, journal, nsec3, log } = this.#options;
    const zone = zones.get(this.#apex);
    if (zone === undefined) throw new RangeError(`${nameToText(this.#apex)}: is not served`);
    const last = task.plain.at(-1);
    const hasSoa = last?.record.type === recordType.SOA && last.kind === "add";
    const soa = hasSoa ? last.record : withSerial(soaOf(zone), nextSerial(zone.serial));
    const plain: readonly ZoneChange[] = hasSoa ? task.plain : [...task.plain, { kind: "add", record: soa }];
    const terms = this.#terms();
    const changes = signedChanges(terms, zone, { ...task, plain, optOut: nsec3?.optOut === true });
    if (changes === undefined) return this.#signAll(this.#plain(zone.update(plain)), soa);
    let after: Zone;
    if (journal === undefined) zones.replace((after = zone.update(changes)));
    else after = journal.apply(zone, differenceOf(zone, changes), changes);
    log?.debug("zone signed", { zone: nameToText(this.#apex), serial: after.serial, changes: changes.length });
    this.#due?.note(terms.expiration());
    return after;
  }

  #signAll(zone: Zone, soa: WireRecord): Zone {
    const { zones, crypto, nsec3, zonemd, log } = this.#options;
    const terms = this.#terms();
    const { signing, published } = this.#keys.set;
    const records = [soa, ...this.#announced(soa.ttl)];
    for (const record of this.#plain(zone).records()) if (record.type !== recordType.SOA) records.push(record);
    const signed = signZone(crypto, records, this.#apex, {
      ...{ keys: signing, published, inception: terms.inception, expiration: terms.expiration() },
      ...(nsec3 === undefined ? {} : { nsec3 }),
      ...(zonemd === undefined ? {} : { zonemd }),
    });
    for (const { data } of published) this.#own.add(data);
    const after = built(zone.apex, signed);
    zones.replace(after);
    this.#due = new DueSignatures();
    log?.info("zone signed", { zone: nameToText(this.#apex), serial: after.serial, records: signed.length });
    return after;
  }

  #announced(ttl: number): WireRecord[] {
    return childKeyRecords(this.#options.crypto, this.#apex, this.#keys.set.announced, ttl);
  }

  /** The zone without what signing makes. DNSKEY records of others stay. */
  #plain(zone: Zone): Zone {
    const records: WireRecord[] = [];
    for (const record of zone.records()) {
      if (this.#own.isForeign(record) || !madeBySigner.has(record.type)) records.push(record);
    }
    return built(zone.apex, records);
  }

  /** Makes the sets at the apex that follow from the keys what they should be. @param all whether every set is looked at */
  #changeKeys(all: boolean): void {
    const zone = this.#options.zones.get(this.#apex);
    if (zone === undefined) return;
    const { crypto } = this.#options;
    const plain = keyChanges(crypto, zone, this.#apex, this.#keys.set, this.#own, soaOf(zone).ttl);
    const due = all ? DueSignatures.everything(zone) : undefined;
    if (plain.length > 0 || (due !== undefined && due.isNeeded(this.#terms(), zone))) {
      this.#next({ plain, owners: due?.owners ?? [], hashed: due?.hashed ?? [] });
      this.#options.log?.info("keys changed", { zone: nameToText(this.#apex), tags: tagsOf(this.#keys.set) });
    }
  }

  #wake(): void {
    const { zones } = this.#options;
    const zone = zones.get(this.#apex);
    if (this.#due === undefined || zone === undefined) return;
    const { until } = this.#keys.set;
    if (until !== undefined && this.#seconds() >= until) {
      const before = this.#keys.set;
      this.#keys.advance(this.#seconds());
      this.#changeKeys(leavesSome(before, this.#keys.set));
    } else {
      const terms = this.#terms();
      const found = this.#due.slice(terms, zone);
      if (found !== undefined) this.#next({ plain: [], ...found });
    }
    this.#plan();
  }

  #plan(): void {
    const { timers, validity = usualValidity } = this.#options;
    const { until } = this.#keys.set;
    const wall = timers.wall() / 1000;
    let wait = this.#due?.isScanning === false ? Number.POSITIVE_INFINITY : 0;
    const end = this.#due?.earliest;
    if (end !== undefined && this.#due?.isScanning === false) wait = end - validity / 2 - wall;
    if (until !== undefined) wait = Math.min(wait, until - wall);
    this.#timer.set(timers.now() + Math.min(longestWait, Math.max(pause, wait * 1000)));
  }

  #seconds(): number {
    return Math.floor(this.#options.timers.wall() / 1000);
  }
}

/** Whether keys go, or an algorithm comes: then all signatures are looked at. */
function leavesSome(before: KeySet, after: KeySet): boolean {
  const known = new Set([...after.published, ...after.signing].map((key) => key.tag * 256 + key.algorithm));
  const algorithms = new Set(before.signing.map((key) => key.algorithm));
  return (
    [...before.published, ...before.signing].some((key) => !known.has(key.tag * 256 + key.algorithm)) ||
    after.signing.some((key) => !algorithms.has(key.algorithm))
  );
}

function tagsOf({ published, signing }: KeySet): string {
  return published.map((key) => `${key.tag}${signing.includes(key) ? "" : " (does not sign)"}`).join(", ");
}

function built(apex: Uint8Array, records: Iterable<WireRecord>): Zone {
  const builder = new ZoneBuilder(apex);
  for (const record of records) builder.add(record);
  const result = builder.finish();
  if (!result.ok) throw new RangeError(result.message);
  return result.zone;
}
