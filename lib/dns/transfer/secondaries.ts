import type { IpAddress } from "@tesserae/device/address";
import type { Log } from "@tesserae/device/log";
import type { Zones } from "../authoritative/zones.ts";
import { lowerName, nameToText } from "../name-bytes.ts";
import type { TsigKey } from "../tsig/key.ts";
import { isAllowed } from "./access.ts";
import { Fetch, type FetchOptions } from "./fetch.ts";
import type { Journal } from "./journal.ts";
import type { ZonePolicies, ZonePolicy } from "./policy.ts";
import { Secondary } from "./secondary.ts";
import type { ZoneStore } from "./zone-store.ts";

export interface SecondariesOptions extends FetchOptions {
  readonly zones: Zones;
  readonly policies: ZonePolicies;
  readonly log?: Log;
  /** Keeps the zones, so that they are served at once after a restart. */
  readonly store?: ZoneStore;
  /** The least time between two looks at a primary, seconds, whatever SOA records say. Default 2. */
  readonly least?: number;
  /** Transfers at once; more wait. Default 10. */
  readonly parallel?: number;
}

/** All zones that we have from others. */
export class Secondaries {
  readonly #options: SecondariesOptions;
  readonly #journal: Journal;
  readonly #fetch: Fetch;
  readonly #zones = new Map<string, Secondary>();

  constructor(options: SecondariesOptions, journal: Journal) {
    this.#options = options;
    this.#journal = journal;
    this.#fetch = new LimitedFetch(options, options.parallel ?? 10);
  }

  get size(): number {
    return this.#zones.size;
  }

  has(apex: Uint8Array): boolean {
    return this.#zones.has(idOf(apex));
  }

  /** Takes over a zone whose policy names primaries: asks for it at once. Again for a zone that is there: new primaries. */
  add(apex: Uint8Array, policy: ZonePolicy): void {
    const { primaries = [] } = policy;
    if (primaries.length === 0) throw new RangeError(`${nameToText(apex)}: there is no primary to have it from`);
    this.#options.policies.set(apex, policy);
    const known = this.#zones.get(idOf(apex));
    if (known !== undefined) known.primaries = primaries;
    else this.#zones.set(idOf(apex), new Secondary(this.#options, this.#fetch, this.#journal, apex, primaries));
  }

  /** Gives a zone up, and serves it no more. False when it was not there. */
  remove(apex: Uint8Array): boolean {
    const zone = this.#zones.get(idOf(apex));
    if (zone === undefined) return false;
    zone.close();
    this.#zones.delete(idOf(apex));
    this.#options.policies.delete(apex);
    this.#options.zones.remove(apex);
    this.#options.store?.forget(apex);
    return true;
  }

  /** Whether who sent a NOTIFY is believed; then the zone is asked for, unless it has that serial number. */
  notified(apex: Uint8Array, client: IpAddress, key: TsigKey | undefined, serial: number | undefined): boolean {
    const zone = this.#zones.get(idOf(apex));
    if (zone === undefined) return false;
    const { notifyFrom = [] } = this.#options.policies.get(apex);
    const isPrimary = zone.primaries.some((peer) => peer.address.equals(client));
    if (!isPrimary && !isAllowed(notifyFrom, client, key)) return false;
    if (serial === undefined || this.#options.zones.get(apex)?.serial !== serial) zone.refresh();
    return true;
  }

  close(): void {
    for (const zone of this.#zones.values()) zone.close();
    this.#zones.clear();
  }
}

/** Lets so many transfers go on at once. */
class LimitedFetch extends Fetch {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(options: FetchOptions, parallel: number) {
    super(options);
    this.#free = parallel;
  }

  override async zone(...parameters: Parameters<Fetch["zone"]>): ReturnType<Fetch["zone"]> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await super.zone(...parameters);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

function idOf(apex: Uint8Array): string {
  return nameToText(lowerName(apex));
}
