import type { Crypto } from "@tesserae/device/crypto";
import type { Timer, Timers } from "@tesserae/device/clock";
import type { Log } from "@tesserae/device/log";
import type { Zone, ZoneChange } from "../authoritative/zone.ts";
import type { Zones } from "../authoritative/zones.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import { CurrentKeys } from "../signing/current-keys.ts";
import { keyChanges, OwnKeys } from "../signing/key-records.ts";
import type { ScheduledKey } from "../signing/key-schedule.ts";
import { LiveSigner, type LiveSignerOptions } from "../signing/live-signer.ts";
import { type ChangeSigner, madeBySigner } from "../signing/signers.ts";
import { soaOf } from "./difference.ts";
import { differenceOf, type Journal } from "./journal.ts";

export interface LiveZoneSignerOptions extends LiveSignerOptions {
  /** Where the zone is served. */
  readonly zones: Zones;
  readonly crypto: Crypto;
  readonly timers: Timers;
  readonly keys: readonly ScheduledKey[];
  /** Is told of what changes. */
  readonly journal?: Journal;
  /** How long signatures hold, seconds. Default 4 days; after a quarter of that they are made anew. */
  readonly validity?: number;
  readonly log?: Log;
}

const skew = 3600;
const usualValidity = 4 * 86_400;
/** Timers wait no longer than this, milliseconds, so that a clock that is set is noticed. */
const longestWait = 3_600_000;

/**
 * Serves a zone whose answers are signed when they are asked for, with denials that name nothing else of the zone
 * (RFC 9824). A zone costs no signature before it is asked for anything; it cannot be transferred.
 */
export class LiveZoneSigner implements ChangeSigner {
  readonly #options: LiveZoneSignerOptions;
  readonly #apex: Uint8Array;
  readonly #signer: LiveSigner;
  readonly #own = new OwnKeys();
  readonly #timer: Timer;
  readonly #keys: CurrentKeys;
  /** When signatures are made anew, seconds since 1970. */
  #due = 0;

  /** @throws RangeError when `validity` is not above four hours, or no key signs now. */
  constructor(options: LiveZoneSignerOptions) {
    const { validity = usualValidity, timers } = options;
    if (!(validity > 4 * skew)) throw new RangeError(`validity is ${validity} s, not above ${4 * skew}`);
    this.#options = options;
    this.#apex = lowerName(options.apex);
    this.#signer = new LiveSigner(options);
    this.#keys = new CurrentKeys(this.#apex, options.keys, this.#seconds());
    this.#timer = timers.timer(() => {
      if (this.#seconds() >= this.#due) this.#renew();
      else this.#wait();
    });
  }

  /** Signatures made so far. */
  get made(): number {
    return this.#signer.made;
  }

  /** Serves a version, which comes without signatures. */
  publish(zone: Zone): void {
    this.#renew();
    const { zones, crypto } = this.#options;
    const changes = keyChanges(crypto, zone, this.#apex, this.#keys.set, this.#own, soaOf(zone).ttl);
    zones.replace(zone.update(changes).signedBy(this.#signer));
  }

  change(changes: readonly ZoneChange[]): Zone {
    const { zones, journal } = this.#options;
    const zone = zones.get(this.#apex);
    if (zone === undefined) throw new RangeError(`${nameToText(this.#apex)}: is not served`);
    const plain = changes.filter(({ record }) => !madeBySigner.has(record.type));
    if (journal !== undefined) return journal.apply(zone, differenceOf(zone, plain), plain);
    const after = zone.update(plain);
    zones.replace(after);
    return after;
  }

  /** These are the keys from now on. @throws RangeError when none of them signs now. */
  setKeys(keys: readonly ScheduledKey[]): void {
    this.#keys.replace(keys, this.#seconds());
    this.#renew();
  }

  close(): void {
    this.#timer.cancel();
  }

  /** Takes what the keys are by now, and lets signatures be made anew when their time has come. */
  #renew(): void {
    const { zones, crypto, validity = usualValidity, log } = this.#options;
    const now = this.#seconds();
    this.#keys.advance(now);
    this.#signer.renew(this.#keys.set.signing, { inception: now - skew, expiration: now + validity });
    const zone = zones.get(this.#apex);
    if (zone?.signer === this.#signer) {
      const changes = keyChanges(crypto, zone, this.#apex, this.#keys.set, this.#own, soaOf(zone).ttl);
      if (changes.length > 0) zones.replace(zone.update(changes));
      log?.info("signatures are made anew", { zone: nameToText(this.#apex), keys: this.#keys.set.signing.length });
    }
    // What was answered has signatures of before.
    zones.refresh();
    this.#due = Math.min(now + Math.floor(validity / 4), this.#keys.set.until ?? Number.POSITIVE_INFINITY);
    this.#wait();
  }

  #wait(): void {
    const { timers } = this.#options;
    const wait = this.#due * 1000 - timers.wall();
    this.#timer.set(timers.now() + Math.min(longestWait, Math.max(1, wait)));
  }

  #seconds(): number {
    return Math.floor(this.#options.timers.wall() / 1000);
  }
}
