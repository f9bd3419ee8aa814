import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { Zones } from "@tesserae/dns/authoritative/zones";
import type { config } from "./tesserae.config.ts";
import { ZoneFiles } from "./zone-files.ts";

/** Answers for the zones in the files until it is told to stop. */
export async function main(devices: Devices<typeof config>): Promise<void> {
  const { stack, timers, random, log, keys, signal } = devices;
  const zones = new Zones();
  const files = new ZoneFiles(devices.zones, zones, log);
  await files.refresh();
  const { identity } = keys;
  const server = await createNameServer({
    ...{ udp: stack.udp, tcp: stack.tcp, timers, random, zones, log, port: keys.port },
    ...(identity === "" ? {} : { identity, nsid: new TextEncoder().encode(identity) }),
    ...(keys.cookies === "" ? {} : { cookieSecrets: [secretOf(keys.cookies)] }),
    rateLimit: keys.rate === 0 ? false : { perSecond: keys.rate },
  });
  log.info("answering", { at: formatEndpoint(server.local), zones: zones.size });
  const again = timers.timer(() => {
    files.refresh().then(
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
  const { udp, streams, memoised, limited } = server.statistics();
  log.info("answered", { udp, tcp: streams, memoised, limited });
  await server.close();
}

function secretOf(text: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/i.test(text)) throw new RangeError("cookies: not 32 hex digits");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
