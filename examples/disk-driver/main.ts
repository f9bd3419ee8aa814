import type { Devices } from "@tesserae/config/config";
import { serveBlock } from "@tesserae/xen/block/back";
import { BackEndDirectory } from "@tesserae/xen/bus/back-end-directory";
import type { config } from "./tesserae.config.ts";

/**
 * A driver domain for disks: serves its own to other guests, whose configuration says
 * `disk = [ "backend=disk-driver,vdev=xvda,access=rw,target=any" ]`. All of them get the same one.
 */
export async function main({ xen, disk, log, signal }: Devices<typeof config>): Promise<void> {
  const directory = new BackEndDirectory(xen, "vbd", {
    serve: (path) => {
      log.info("serving", { path });
      return serveBlock(xen, path, { block: disk }).end;
    },
    onError: (path, error) => log.warn("ended", { path, reason: error.message }),
  });
  log.info("ready", { domain: xen.id, sectors: disk.sectors });
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([stopped, directory.over]);
  await directory.close();
}
