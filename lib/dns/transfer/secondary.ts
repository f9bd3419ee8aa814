import { formatEndpoint } from "@tesserae/device/address";
import type { Timer } from "@tesserae/device/clock";
import type { Zone } from "../authoritative/zone.ts";
import { nameToText } from "../name-bytes.ts";
import { recordType } from "../wire.ts";
import { changesOf, type Difference, recordId, serialsOf, soaOf } from "./difference.ts";
import type { Fetch, Fetched } from "./fetch.ts";
import { type Peer, portOf } from "./policy.ts";
import type { Journal } from "./journal.ts";
import { isNewer } from "./serial.ts";
import { readSoa } from "./soa.ts";
import type { SecondariesOptions } from "./secondaries.ts";
import type { ZoneStore } from "./zone-store.ts";

/** Until a zone's SOA record says something else, milliseconds. */
const firstRetry = 5000;
const longestRetry = 3_600_000;

/** One zone that we have from others (RFC 1034 §4.3.5): asks for news by its SOA record's timers, and when told. */
export class Secondary {
  readonly apex: Uint8Array;
  primaries: readonly Peer[];
  readonly #options: SecondariesOptions;
  readonly #fetch: Fetch;
  readonly #journal: Journal;
  readonly #timer: Timer;
  readonly #abort = new AbortController();
  /** When a primary last said that what we have is the newest, on the `now()` axis. */
  #confirmed: number | undefined;
  #failures = 0;
  #next = 0;
  #isBusy = false;
  /** Told of news while busy. */
  #isAgain = false;

  constructor(
    options: SecondariesOptions,
    fetch: Fetch,
    journal: Journal,
    apex: Uint8Array,
    primaries: readonly Peer[],
  ) {
    this.#options = options;
    this.#fetch = fetch;
    this.#journal = journal;
    this.apex = apex;
    this.primaries = primaries;
    this.#timer = options.timers.timer(() => this.refresh());
    const { zones, timers } = options;
    if (zones.get(apex) !== undefined) this.#confirmed = timers.now();
    else zones.suspend(apex);
    if (options.store === undefined || this.#confirmed !== undefined) this.#timer.set(timers.now());
    else void this.#restore(options.store);
  }

  /** Serves what was kept, unless it has expired meanwhile, and asks for what is newer. Never rejects. */
  async #restore(store: ZoneStore): Promise<void> {
    const { zones, timers, log } = this.#options;
    const zone = nameToText(this.apex);
    const kept = await store.read(this.apex).catch((error: unknown) => {
      log?.error("kept zones cannot be read", { zone, why: String(error) });
      return undefined;
    });
    if (this.#isOver()) return;
    if (kept !== undefined && zones.get(this.apex) === undefined) {
      const { serial } = kept.zone;
      const age = Math.max(0, timers.wall() - kept.confirmed);
      if (age < readSoa(soaOf(kept.zone)).expire * 1000) {
        this.#confirmed = timers.now() - age;
        zones.replace(kept.zone);
        log?.info("zone as it was kept", { zone, serial, ageSeconds: Math.round(age / 1000) });
      } else log?.warn("the zone that was kept has expired", { zone, serial });
    }
    // At once: what was kept may be old.
    this.#timer.set(timers.now());
  }

  /** Asks now. While that is going on it is asked once more afterwards. */
  refresh(): void {
    if (this.#isBusy) {
      this.#isAgain = true;
      return;
    }
    this.#isBusy = true;
    void this.#refresh().then((isGood) => {
      this.#isBusy = false;
      if (this.#abort.signal.aborted) return;
      if (this.#isAgain) {
        this.#isAgain = false;
        this.refresh();
      } else this.#schedule(isGood);
    });
  }

  close(): void {
    this.#timer.cancel();
    this.#abort.abort();
  }

  #isOver(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Never rejects. */
  async #refresh(): Promise<boolean> {
    const { log, timers } = this.#options;
    for (let index = 0; index < this.primaries.length; index++) {
      const peer = this.primaries[(this.#next + index) % this.primaries.length];
      if (peer === undefined || this.#abort.signal.aborted) break;
      const from = formatEndpoint({ address: peer.address, port: portOf(peer) });
      const why = await this.#ask(peer).catch((error: unknown) => String(error));
      if (why === undefined) {
        this.#next = (this.#next + index) % this.primaries.length;
        this.#confirmed = timers.now();
        this.#options.store?.confirm(this.apex, timers.wall());
        this.#failures = 0;
        return true;
      }
      if (!this.#isOver()) log?.warn("no zone from primary", { zone: nameToText(this.apex), from, why });
    }
    this.#failures++;
    return false;
  }

  /** Why nothing came of it, in words; `undefined` when what we have is the newest now. */
  async #ask(peer: Peer): Promise<string | undefined> {
    const { zones } = this.#options;
    const { signal } = this.#abort;
    const have = zones.get(this.apex);
    if (have !== undefined) {
      const serial = await this.#fetch.serial(peer, this.apex, signal);
      if (serial.kind === "failed") return serial.why;
      if (!isNewer(serial.serial, have.serial)) {
        // An older version is no news; whoever is behind catches up.
        return serial.serial === have.serial ? undefined : `has serial ${serial.serial}, we have ${have.serial}`;
      }
    }
    let fetched = await this.#fetch.zone(peer, this.apex, have === undefined ? undefined : soaOf(have), signal);
    if (fetched.kind === "failed" && have !== undefined && !fetched.isGone) {
      this.#options.log?.info("no differences from primary: all is asked for", {
        ...{ zone: nameToText(this.apex), why: fetched.why },
      });
      fetched = await this.#fetch.zone(peer, this.apex, undefined, signal);
    }
    if (this.#take(fetched)) return undefined;
    if (fetched.kind !== "differences") return fetched.kind === "failed" ? fetched.why : "has nothing";
    fetched = await this.#fetch.zone(peer, this.apex, undefined, signal);
    return this.#take(fetched) ? undefined : fetched.kind === "failed" ? fetched.why : "has nothing";
  }

  /** Serves what came. False when it is nothing, or does not fit what we have. */
  #take(fetched: Fetched): boolean {
    const { zones, log, store, timers } = this.#options;
    if (this.#abort.signal.aborted) return false;
    const have = zones.get(this.apex);
    switch (fetched.kind) {
      case "failed":
        return false;
      case "current":
        return have !== undefined;
      case "zone":
        if (have?.serial === fetched.zone.serial) break;
        zones.replace(fetched.zone);
        store?.keep(fetched.zone, undefined, timers.wall());
        break;
      case "differences": {
        if (have === undefined) return false;
        let zone = have;
        for (const difference of fetched.differences) {
          if (!fits(zone, difference)) return false;
          zone = zone.update(changesOf(difference));
        }
        zone = have;
        for (const each of fetched.differences) {
          zone = this.#journal.apply(zone, each, changesOf(each));
          store?.keep(zone, each, timers.wall());
        }
        break;
      }
    }
    const serial = zones.get(this.apex)?.serial;
    log?.info("zone transferred", { zone: nameToText(this.apex), how: fetched.kind, serial });
    return true;
  }

  /** RFC 1035 §3.3.13 and RFC 1034 §4.3.5: refresh, retry, expire. */
  #schedule(isGood: boolean): void {
    const { zones, timers, random, log, least = 2 } = this.#options;
    const zone = zones.get(this.apex);
    const now = timers.now();
    let wait: number;
    if (zone === undefined) {
      wait = Math.min(longestRetry, firstRetry * 2 ** Math.min(this.#failures, 10));
    } else {
      const { refresh, retry, expire } = readSoa(soaOf(zone));
      const expiry = (this.#confirmed ?? now) + expire * 1000;
      if (now >= expiry) {
        log?.error("zone expired", { zone: nameToText(this.apex), serial: zone.serial });
        zones.suspend(this.apex);
      }
      wait = Math.max(least, isGood ? refresh : retry) * 1000;
      if (expiry > now) wait = Math.min(wait, expiry - now);
    }
    // Many zones of one primary should not ask all at once.
    const spread = 0.9 + (random.uint32() / 2 ** 32) * 0.1;
    this.#timer.set(now + wait * spread);
  }
}

/** Whether a difference begins at this version, and what it takes away is there (RFC 1995 §4). */
function fits(zone: Zone, difference: Difference): boolean {
  if (serialsOf(difference)[0] !== zone.serial) return false;
  return difference.removed.every((record) => {
    const id = recordId(record);
    // Signatures are found with the type that they cover.
    const type = record.type === recordType.RRSIG ? undefined : record.type;
    return zone.recordsOf(record.owner, type).some((each) => recordId(each) === id);
  });
}
