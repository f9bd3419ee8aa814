import type { Devices } from "@tesserae/config/config";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { loadZone } from "@tesserae/dns/authoritative/zone-file";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { apex, zoneText } from "../../dns/zone-text.ts";
import type { config } from "./tesserae.config.ts";

/** Serves the zone of the benchmarks of name servers, as NSD is told to: no rate limiting. */
export async function main({ stack, timers, random, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const zones = new Zones();
  const text = [...zoneText(keys.names)].join("");
  const loaded = loadZone(nameFromText(apex), new TextEncoder().encode(text), { source: "bench.zone" });
  if (!loaded.ok) throw new Error(loaded.errors.join("\n"));
  zones.replace(loaded.zone);
  const server = await createNameServer({
    udp: stack.udp,
    tcp: stack.tcp,
    timers,
    random,
    zones,
    port: 53,
    rateLimit: false,
  });
  log.info("answering", { names: loaded.zone.size });
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  await server.close();
}
