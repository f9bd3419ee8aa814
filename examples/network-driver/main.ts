import type { Devices } from "@tesserae/config/config";
import { bridgeBackEnds } from "@tesserae/xen/net/bridge-back-ends";
import type { config } from "./tesserae.config.ts";

/**
 * A driver domain for networks: bridges the interfaces of other guests, whose configuration says
 * `vif = [ "backend=network-driver" ]`, with its own.
 */
export async function main({ xen, uplink, log, keys, signal }: Devices<typeof config>): Promise<void> {
  const served = bridgeBackEnds(xen, {
    uplink,
    locked: keys.locked,
    onChange: (name, isConnected) => log.info(isConnected ? "connected" : "disconnected", { name }),
    onError: (path, error) => log.warn("ended", { path, reason: error.message }),
  });
  log.info("bridging", { domain: xen.id, uplink: uplink.mac.toString() });
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([stopped, served.directory.over]);
  await served.close();
}
