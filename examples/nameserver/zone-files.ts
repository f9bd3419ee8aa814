import type { Kv } from "@tesserae/device/kv";
import type { Log } from "@tesserae/device/log";
import { inTurns } from "@tesserae/dns/authoritative/steps";
import { loadZoneInSteps } from "@tesserae/dns/authoritative/zone-file";
import type { Zones } from "@tesserae/dns/authoritative/zones";
import { nameFromText } from "@tesserae/dns/name-bytes";

const suffix = ".zone";

/** Keeps `zones` as the files say: `example.org.zone` has the zone `example.org`. */
export class ZoneFiles {
  readonly #files: Kv;
  readonly #zones: Zones;
  readonly #log: Log;
  readonly #others: ReadonlySet<string>;
  /** The digest of each file that was read, whether it was right or wrong. */
  readonly #read = new Map<string, string>();

  /** @param others zones whose files are passed over: they are had from other servers */
  constructor(files: Kv, zones: Zones, log: Log, others: ReadonlySet<string>) {
    this.#files = files;
    this.#zones = zones;
    this.#log = log;
    this.#others = others;
  }

  /**
   * Reads what is new or has changed. A zone whose file is wrong now, or gone, is served as it was.
   *
   * @param pause called every millisecond or so of the work: lets queries be answered
   */
  async refresh(pause: () => Promise<void>): Promise<void> {
    for (const key of await this.#files.list()) {
      if (!key.endsWith(suffix)) continue;
      const entry = await this.#files.stat(key);
      if (entry === undefined || entry.digest === this.#read.get(key)) continue;
      this.#read.set(key, entry.digest);
      const bytes = await this.#files.get(key);
      if (bytes !== undefined) await this.#load(key, bytes, pause);
    }
  }

  async #load(key: string, bytes: Uint8Array, pause: () => Promise<void>): Promise<void> {
    const zone = key.slice(key.lastIndexOf("/") + 1, -suffix.length);
    if (this.#others.has(zone)) return;
    const loaded = await inTurns(loadZoneInSteps(nameFromText(`${zone}.`), bytes, { source: key }), pause);
    for (const warning of loaded.warnings) this.#log.warn("zone file", { warning });
    if (!loaded.ok) {
      for (const error of loaded.errors) this.#log.error("zone not loaded", { error });
      return;
    }
    this.#zones.replace(loaded.zone);
    this.#log.info("zone loaded", { zone, serial: loaded.zone.serial, names: loaded.zone.size });
  }
}
