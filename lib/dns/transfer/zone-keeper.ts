import type { Crypto } from "@tesserae/device/crypto";
import type { Timers } from "@tesserae/device/clock";
import type { WritableKv } from "@tesserae/device/kv";
import type { Log } from "@tesserae/device/log";
import type { Random } from "@tesserae/device/random";
import type { Tcp } from "@tesserae/device/tcp";
import type { Udp } from "@tesserae/device/udp";
import type { Extension } from "../authoritative/extension.ts";
import type { Zone } from "../authoritative/zone.ts";
import type { Zones } from "../authoritative/zones.ts";
import { createSocketExchange } from "../recursive/socket-exchange.ts";
import { ZoneStore } from "./zone-store.ts";
import { Signers } from "../signing/signers.ts";
import type { TsigKeyring } from "../tsig/key.ts";
import type { FetchOptions } from "./fetch.ts";
import { Journal, type JournalOptions } from "./journal.ts";
import { JournalStore } from "./journal-store.ts";
import { Maintenance } from "./maintenance.ts";
import { NotifySender } from "./notify-sender.ts";
import { ZonePolicies, type ZonePolicy } from "./policy.ts";
import { Secondaries } from "./secondaries.ts";

export interface ZoneKeeperOptions
  extends Pick<FetchOptions, "connectTls" | "bounds" | "silence" | "timeout">, Omit<JournalOptions, "zones"> {
  readonly zones: Zones;
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly timers: Timers;
  readonly random: Random;
  readonly crypto: Crypto;
  /** Keys that messages to us may be signed with. */
  readonly keys?: TsigKeyring;
  /** For zones without a policy of their own. Default: nothing is allowed. */
  readonly policy?: ZonePolicy;
  /** Keeps zones of others, and what updates change. Default: nothing is kept beyond the image's end. */
  readonly kv?: WritableKv;
  readonly log?: Log;
  /** The least time between two looks at a primary, seconds. Default 2. */
  readonly least?: number;
}

/** What keeps zones the same on several servers, and lets them change: an extension of a name server. */
export interface ZoneKeeper extends Extension {
  readonly policies: ZonePolicies;
  readonly journal: Journal;
  /** Zones that we have from others. */
  readonly secondaries: Secondaries;
  /** Who signs the zones that we sign: without one, a signed zone takes no updates. */
  readonly signers: Signers;
  /**
   * The zone with what updates changed before the last start, to be served in its place; the zone itself without `kv`.
   *
   * @throws KvError (rejects).
   */
  restore(zone: Zone): Promise<Zone>;
  /**
   * A zone with a signer ({@link signers}) as it was when the image ended, to go on with (`ZoneSigner.resume`); undefined
   * when it was not kept.
   *
   * @throws KvError (rejects).
   */
  restoreSigned(apex: Uint8Array): Promise<Zone | undefined>;
  /** Stops telling and asking. Resolves when what has changed is kept. */
  close(): Promise<void>;
}

/**
 * Zone transfers out and in (RFC 5936, RFC 1995), NOTIFY (RFC 1996), dynamic updates (RFC 2136) and TSIG (RFC 8945) for
 * the zones that a name server serves.
 */
export function createZoneKeeper(options: ZoneKeeperOptions): ZoneKeeper {
  const { zones, timers, crypto, random, keys, log } = options;
  const policies = new ZonePolicies(options.policy);
  const journal = new Journal(options);
  const signers = new Signers();
  const exchange = createSocketExchange(options);
  const notifier = new NotifySender({
    ...{ zones, policies, exchange, crypto, timers, random },
    ...(log === undefined ? {} : { log }),
  });
  const zoneStore =
    options.kv === undefined
      ? undefined
      : new ZoneStore({ kv: options.kv, crypto, ...(log === undefined ? {} : { log }) });
  const secondaries = new Secondaries(
    { ...options, policies, exchange, ...(zoneStore === undefined ? {} : { store: zoneStore }) },
    journal,
  );
  // After the journal, which knows by then what changed.
  const unwatch = zones.onChange((before, after) => {
    if (zoneStore === undefined || after === undefined || signers.get(after.apex) === undefined) return;
    const since = before === undefined ? undefined : journal.since(after.apex, before.serial);
    zoneStore.keep(after, since?.length === 1 ? since[0] : undefined, timers.wall());
  });
  const store =
    options.kv === undefined
      ? undefined
      : new JournalStore({
          ...{ kv: options.kv, journal },
          // These are kept as a whole.
          keeps: (apex) => !secondaries.has(apex) && signers.get(apex) === undefined,
          ...(log === undefined ? {} : { log }),
        });
  const maintenance = new Maintenance({
    ...{ zones, policies, journal, crypto, timers, secondaries, signers },
    ...(log === undefined ? {} : { log }),
    ...(keys === undefined ? {} : { keys }),
    async kept() {
      await store?.flush();
      await zoneStore?.flush();
    },
  });
  return {
    policies,
    journal,
    secondaries,
    signers,
    handle: (request) => maintenance.handle(request),
    restore: (zone) => store?.restore(zone) ?? Promise.resolve(zone),
    restoreSigned: async (apex) => (await zoneStore?.read(apex))?.zone,
    async close() {
      unwatch();
      notifier.close();
      secondaries.close();
      journal.close();
      await store?.close();
      await zoneStore?.close();
    },
  };
}
