import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { createZoneKeeper } from "@tesserae/dns/transfer/zone-keeper";
import { TsigKeyring } from "@tesserae/dns/tsig/key";
import { readPeers } from "./peers.ts";
import { sleep } from "@tesserae/time/sleep";
import type { config } from "./tesserae.config.ts";
import { ZoneFiles } from "./zone-files.ts";

/** Answers for the zones in the files, and for those of other servers, until it is told to stop. */
export async function main(devices: Devices<typeof config>): Promise<void> {
  const { stack, timers, random, crypto, kv, log, keys, signal } = devices;
  const zones = new Zones();
  const { key, policy, secondaries } = readPeers(keys);
  const files = new ZoneFiles(devices.zones, zones, log, new Set(secondaries.keys()));
  // Nobody waits yet.
  await files.refresh(() => Promise.resolve());
  const common = { udp: stack.udp, tcp: stack.tcp, timers, random, zones, log };
  const keyring = new TsigKeyring(key === undefined ? [] : [key]);
  const keeper = createZoneKeeper({ ...common, crypto, kv, policy, keys: keyring });
  for (const [zone, primaries] of secondaries)
    keeper.secondaries.add(nameFromText(`${zone}.`), { ...policy, primaries });
  const { identity } = keys;
  const server = await createNameServer({
    ...{ ...common, port: keys.port, extensions: [keeper] },
    ...(identity === "" ? {} : { identity, nsid: new TextEncoder().encode(identity) }),
    ...(keys.cookies === "" ? {} : { cookieSecrets: [secretOf(keys.cookies)] }),
    rateLimit: keys.rate === 0 ? false : { perSecond: keys.rate },
  });
  log.info("answering", { at: formatEndpoint(server.local), zones: zones.size });
  const again = timers.timer(() => {
    files
      .refresh(() => sleep(timers, 0))
      .then(
        () => again.set(timers.now() + keys.refresh),
        (error: unknown) => log.error("zone files cannot be read", { error: String(error) }),
      );
  });
  again.set(timers.now() + keys.refresh);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  again.cancel();
  await keeper.close();
  const { udp, streams, memoised, limited } = server.statistics();
  log.info("answered", { udp, tcp: streams, memoised, limited });
  await server.close();
}

function secretOf(text: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/i.test(text)) throw new RangeError("cookies: not 32 hex digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
