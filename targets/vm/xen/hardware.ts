import type { Block } from "@tesserae/device/block";
import type { Netif } from "@tesserae/device/netif";
import type { ImagePlan } from "@tesserae/image/plan";
import { holdClock, releaseClock } from "@tesserae/node/process-clock";
import { StartError } from "@tesserae/node/run-process";
import { connectBlock } from "@tesserae/xen/block/front";
import type { FrontEndOptions } from "@tesserae/xen/bus/front-end";
import { createNetfront } from "@tesserae/xen/net/netfront";
import { XenError } from "@tesserae/xen/xen-error";
import { wanted, type Hardware } from "../hardware.ts";
import { followTarget } from "./balloon.ts";
import { watchShutdown } from "./control.ts";
import type { WindowDomain } from "./domain.ts";

const words = {
  netif: { what: "network interface", advice: 'xl: vif = [ "bridge=xenbr0" ]' },
  block: { what: "disk", advice: 'xl: disk = [ "format=raw,vdev=xvda,access=rw,target=FILE" ]' },
} as const;

/** Names of devices in xenstore, in the order of their numbers; several at most. */
const mostDevices = 64;

/**
 * Starts the front ends that an image wants, and does what the toolstack asks of the domain. A domain without xenstore
 * has no devices.
 *
 * @param fail takes what makes it senseless to go on
 * @throws StartError (rejects) when a device is missing, or has no back end.
 */
export async function startXen(
  domain: WindowDomain,
  plan: ImagePlan,
  fail: (error: unknown) => void,
): Promise<Hardware> {
  const pressed = new Set<() => void>();
  // First: a domain that waits for a back end can be shut down.
  const unwatch = domain.hasXenstore
    ? await watchShutdown(domain, (request) => {
        if (request === "suspend") {
          domain.suspend().catch(fail);
          return;
        }
        domain.setEnd(request === "reboot" ? "reboot" : "poweroff");
        for (const callback of [...pressed]) callback();
      })
    : () => Promise.resolve();
  const { balloon, timers } = domain;
  const unfollow = domain.hasXenstore
    ? await followTarget({
        domain,
        timers,
        balloon,
        onShort: (kib) => say(`memory: ${kib} KiB that Xen's toolstack wants back are in use`),
      })
    : () => Promise.resolve();
  const cards = wanted(plan, "netif", await devices(domain, "vif"), words.netif);
  const disks = wanted(plan, "block", await devices(domain, "vbd"), words.block);
  const netifs: Netif[] = [];
  const blocks: Block[] = [];
  for (const [index, path] of cards.entries()) {
    const name = `eth${String(index)}`;
    netifs.push(await started(() => createNetfront(domain, path, { ...loop, ...said(path), name, onDead: end })));
  }
  for (const path of disks) {
    const block = await started(() => connectBlock(domain, path, said(path)));
    void block.over.then((reason) => end(reason));
    blocks.push(block);
  }
  domain.isWaiting = false;
  return {
    netifs,
    blocks,
    onPowerButton: (callback) => {
      const own = (): void => callback();
      pressed.add(own);
      return () => {
        pressed.delete(own);
      };
    },
    close: async () => {
      domain.isWaiting = true;
      for (const device of [...netifs, ...blocks]) await device.close();
      for (const end of [unwatch, unfollow]) await end().catch(() => undefined);
      domain.close();
    },
  };

  function end(reason: XenError): void {
    if (reason.kind !== "closed") fail(new StartError(reason.message));
  }
}

/** How the event loop is shared with the stack: as on the other devices. */
const loop = {
  soon: (callback: () => void): void => void setImmediate(callback),
  beginBatch: holdClock,
  endBatch: releaseClock,
} as const;

/** On the console. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** What an operator is told on the console of devices that lose their back ends: the image goes on without. */
function said(path: string): Pick<FrontEndOptions, "onLost" | "onRegained"> {
  return {
    onLost: (reason) => say(`${reason.message}; waiting for another`),
    onRegained: () => say(`${path}: there is a back end again`),
  };
}

/** Paths of the domain's front ends of a kind. */
async function devices(domain: WindowDomain, kind: "vif" | "vbd"): Promise<readonly string[]> {
  if (!domain.hasXenstore) return [];
  const folder = `device/${kind}`;
  const names = await domain.xenstore.list(folder).catch(() => []);
  return names
    .filter((name) => /^\d{1,10}$/.test(name))
    .sort((one, other) => Number(one) - Number(other))
    .slice(0, mostDevices)
    .map((name) => `${folder}/${name}`);
}

async function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (error instanceof XenError) throw new StartError(error.message, { cause: error });
    throw error;
  }
}
