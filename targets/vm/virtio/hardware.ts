import type { Block } from "@tesserae/device/block";
import type { Netif } from "@tesserae/device/netif";
import type { ImagePlan } from "@tesserae/image/plan";
import { StartError } from "@tesserae/node/run-process";
import { wanted, type Hardware } from "../hardware.ts";
import { discover, type Machine } from "../machine.ts";
import type { Window } from "../window/window.ts";
import { WindowError } from "../window/window-error.ts";
import { createVirtioBlock } from "./block.ts";
import { stirEntropy } from "./entropy.ts";
import { createVirtioNet } from "./net.ts";
import { deviceType } from "./transport.ts";
import { VirtioError } from "./virtio-error.ts";

/** How long the hypervisor's randomness is waited for, in milliseconds. */
const entropyBound = 1000;

const words = {
  netif: { what: "network card", advice: "QEMU: -nic user,model=virtio-net-pci" },
  block: { what: "disk", advice: "QEMU: -drive file=FILE,format=raw,if=virtio" },
} as const;

/**
 * Starts the virtio devices that an image wants.
 *
 * @param fail takes what makes it senseless to go on
 * @throws StartError (rejects) when one is missing, or breaks the rules.
 */
export async function startVirtio(window: Window, plan: ImagePlan, fail: (error: unknown) => void): Promise<Hardware> {
  const machine = discover(window);
  const ofType = (type: number): Machine["devices"] => machine.devices.filter((each) => each.type === type);
  // Before anything is started: what is missing is said at once.
  const cards = wanted(plan, "netif", ofType(deviceType.net), words.netif, machine.notes);
  const disks = wanted(plan, "block", ofType(deviceType.block), words.block, machine.notes);
  await stir(machine);
  const onDead = (error: VirtioError): void => fail(new StartError(error.message));
  const netifs: Netif[] = [];
  const blocks: Block[] = [];
  for (const [index, device] of cards.entries()) {
    netifs.push(await started(() => createVirtioNet({ device, name: `eth${String(index)}`, onDead })));
  }
  for (const device of disks) blocks.push(await started(() => createVirtioBlock({ device, onDead })));
  return {
    netifs,
    blocks,
    onPowerButton: (callback) => machine.onPowerButton(callback),
    close: async () => {
      for (const device of [...netifs, ...blocks]) await device.close();
    },
  };
}

/** Adds the hypervisor's randomness to the kernel's, which has enough of its own: without it we go on. */
async function stir(machine: Machine): Promise<void> {
  try {
    await stirEntropy(machine.devices, { signal: AbortSignal.timeout(entropyBound) });
  } catch (error) {
    process.stderr.write(`entropy device passed over: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

async function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    // These say all in words.
    if (error instanceof VirtioError || error instanceof WindowError) {
      throw new StartError(error.message, { cause: error });
    }
    throw error;
  }
}
