import type { Devices } from "@tesserae/config/config";
import { formatEndpoint } from "@tesserae/device/address";
import { serve } from "@tesserae/http/server";
import { createSite } from "./site.ts";
import type { config } from "./tesserae.config.ts";

/** Serves the site until it is told to stop, then finishes the requests in flight. */
export async function main({ stack, site, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const app = createSite({ files: site, timers });
  const server = await serve({ tcp: stack.tcp, timers, port: keys.port, signal, log }, app.fetch);
  log.info("serving", { at: formatEndpoint(server.local) });
  await server.closed;
}
