import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import { createAnchorKeeper } from "@tesserae/dns/recursive/anchor-keeper";
import { createRecursive } from "@tesserae/dns/recursive/recursive";
import { createResolverService } from "@tesserae/dns/recursive/service";
import { createSocketExchange } from "@tesserae/dns/recursive/socket-exchange";
import { rootAnchors } from "@tesserae/dns/recursive/trust-anchor";
import { createValidator } from "@tesserae/dns/recursive/validator";
import { parsePrefixes, parseZones, parts } from "./settings.ts";
import type { config } from "./tesserae.config.ts";

/** Resolves names for the hosts around it, from the root's servers down, and validates what is signed. */
export async function main({
  stack,
  timers,
  random,
  crypto,
  kv,
  log,
  keys,
  signal,
}: Devices<typeof config>): Promise<void> {
  const { udp, tcp } = stack;
  const roots = parseZones(keys.roots).map(({ zone, servers }) => ({ name: zone, addresses: servers }));
  const anchors = keys.anchors === "" ? rootAnchors : parts(keys.anchors, ";");
  const insecure = parts(keys.insecure);
  const keeper = await createAnchorKeeper({ crypto, timers, anchors: keys.anchors === "off" ? [] : anchors, kv, log });
  const families: Readonly<Record<typeof keys.families, readonly (4 | 6)[]>> = { "4": [4], "6": [6], both: [4, 6] };
  const resolver = createRecursive({
    exchange: createSocketExchange({ udp, tcp, timers }),
    timers,
    random,
    ...(roots.length === 0 ? {} : { roots }),
    forward: parseZones(keys.forward),
    stub: parseZones(keys.stub),
    families: () => families[keys.families],
    askLoopback: keys.loopback,
    port: keys.upstreamPort,
    limits: { cacheBytes: keys.cache },
    ...(keys.anchors === "off"
      ? {}
      : { validator: createValidator({ crypto, anchors: keys.follow ? keeper : anchors, insecure }) }),
  });
  const allow = parsePrefixes(keys.allow);
  const service = await createResolverService({
    ...{ resolver, udp, tcp, timers, random, log, port: keys.port },
    ...(allow.length === 0 ? {} : { allow }),
  });
  log.info("resolving", { at: formatEndpoint(service.local), validating: keys.anchors !== "off" });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await service.close();
  await keeper.close();
  const { questions, hits, queries } = resolver.statistics;
  log.info("resolved", { questions, hits, queries, memoised: service.statistics().memoised });
}
