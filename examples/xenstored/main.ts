import type { Devices } from "@tesserae/config/config";
import { serveFlow } from "@tesserae/xenstore/serve";
import { XenstoreServer } from "@tesserae/xenstore/server";
import type { config } from "./tesserae.config.ts";

/** A xenstore on a Unix socket: `XENSTORED_PATH=xenstored.socket xenstore-ls` looks into it. */
export async function main({ local, timers, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const server = new XenstoreServer({ timers });
  const listener = await local.listen(keys.socket, (flow) => serveFlow(server, flow, { kind: "local" }));
  log.info("serving", { socket: keys.socket });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await listener.close();
}
