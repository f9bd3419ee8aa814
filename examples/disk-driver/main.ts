import type { Devices } from "@tesserae/config/config";
import { serveBlock } from "@tesserae/xen/block/back";
import { BackEndDirectory } from "@tesserae/xen/bus/back-end-directory";
import { partOf } from "./part-of.ts";
import type { config } from "./tesserae.config.ts";

/**
 * A driver domain for disks: serves parts of its own to other guests, whose configuration says which sectors:
 * `disk = [ "backend=disk-driver,format=raw,vdev=xvda,access=rw,target=0+8192" ]`.
 */
export async function main({ xen, disk, log, signal }: Devices<typeof config>): Promise<void> {
  const directory = new BackEndDirectory(xen, "vbd", {
    serve: (path) => {
      const block = (target: string) => {
        const part = partOf(disk, target);
        log.info("serving", { path, target, sectors: part.sectors });
        return part;
      };
      return serveBlock(xen, path, { block }).end;
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
  await disk.flush();
}
