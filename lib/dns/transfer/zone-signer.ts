import type { Crypto } from "@tesserae/device/crypto";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Log } from "@tesserae/device/log";
import type { Zone } from "../authoritative/zone.ts";
import { ZoneBuilder } from "../authoritative/zone-builder.ts";
import type { Zones } from "../authoritative/zones.ts";
import type { ZoneKey } from "../dnssec/signature.ts";
import { signZone, type SignZoneOptions } from "../dnssec/sign-zone.ts";
import { nameToText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { soaOf } from "./difference.ts";
import { isNewer, nextSerial } from "./serial.ts";
import { withSerial } from "./soa.ts";

export interface ZoneSignerOptions extends Pick<SignZoneOptions, "nsec3" | "zonemd"> {
  /** Where the signed zone is served. */
  readonly zones: Zones;
  readonly crypto: Crypto;
  readonly timers: Timers;
  readonly keys: readonly ZoneKey[];
  /** How long signatures hold, seconds. Default 14 days; they are made anew after half of that. */
  readonly validity?: number;
  readonly log?: Log;
}

/** Clocks of validators may be behind by so much, seconds. */
const skew = 3600;
const usualValidity = 14 * 86_400;
/** Timers wait no longer than this, milliseconds, so that a clock that is set is noticed. */
const longestWait = 3_600_000;

/**
 * Signs a zone that comes without signatures, serves it signed, and signs it anew in time. Signing takes the time of a
 * signature for each set, all at once: for zones of some thousand names.
 */
export class ZoneSigner {
  readonly #options: ZoneSignerOptions;
  readonly #timer: Timer;
  #keys: readonly ZoneKey[];
  #plain: Zone | undefined;
  /** When the zone is to be signed again, milliseconds of wall-clock time. */
  #due = 0;

  /** @throws RangeError when `validity` is not above two hours. */
  constructor(options: ZoneSignerOptions) {
    const { validity = usualValidity } = options;
    if (!(validity > 2 * skew)) throw new RangeError(`validity is ${validity} s, not above ${2 * skew}`);
    this.#options = options;
    this.#keys = options.keys;
    this.#timer = options.timers.timer(() => this.#wake());
  }

  /**
   * Signs a version and serves it. Its serial number is the zone's own when that is newer than what is served, else the
   * next after that.
   *
   * @throws RangeError when there is no key.
   */
  publish(zone: Zone): void {
    this.#plain = zone;
    this.#sign();
  }

  /** Signs with these keys from now on (RFC 6781 §4.1): to roll one over, give both until caches have forgotten the old. */
  setKeys(keys: readonly ZoneKey[]): void {
    this.#keys = keys;
    if (this.#plain !== undefined) this.#sign();
  }

  close(): void {
    this.#timer.cancel();
  }

  #sign(): void {
    const { zones, crypto, timers, nsec3, zonemd, validity = usualValidity, log } = this.#options;
    const plain = this.#plain;
    if (plain === undefined) return;
    const served = zones.get(plain.apex)?.serial;
    const serial = served === undefined || isNewer(plain.serial, served) ? plain.serial : nextSerial(served);
    const now = Math.floor(timers.wall() / 1000);
    const records = [...plain.records()].filter((record) => record.type !== recordType.SOA);
    const signed = signZone(crypto, [withSerial(soaOf(plain), serial), ...records], plain.apex, {
      ...{ keys: this.#keys, inception: now - skew, expiration: now + validity },
      ...(nsec3 === undefined ? {} : { nsec3 }),
      ...(zonemd === undefined ? {} : { zonemd }),
    });
    const builder = new ZoneBuilder(plain.apex);
    for (const record of signed) builder.add(record);
    const built = builder.finish();
    if (!built.ok) throw new RangeError(built.message);
    zones.replace(built.zone);
    this.#due = timers.wall() + (validity / 2) * 1000;
    log?.info("zone signed", { zone: nameToText(plain.apex), serial, records: signed.length });
    this.#wait();
  }

  #wake(): void {
    if (this.#options.timers.wall() >= this.#due) this.#sign();
    else this.#wait();
  }

  #wait(): void {
    const { timers } = this.#options;
    this.#timer.set(timers.now() + Math.min(longestWait, Math.max(0, this.#due - timers.wall())));
  }
}
