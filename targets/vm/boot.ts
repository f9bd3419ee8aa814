import type { Block } from "@tesserae/device/block";
import type { Netif } from "@tesserae/device/netif";
import type { Stack } from "@tesserae/device/stack";
import type { ImagePlan } from "@tesserae/image/plan";
import { createConsole } from "@tesserae/node/console";
import { createRandom } from "@tesserae/node/random";
import { runProcess, StartError, type OpenTarget } from "@tesserae/node/run-process";
import { createTimers } from "@tesserae/node/timers";
import { describeWords, parseCommandLine } from "./command-line.ts";
import { withoutInterrupts } from "./console-input.ts";
import { flagsFor, readFlags } from "./flags.ts";
import { discover, type Machine } from "./machine.ts";
import { createVirtioBlock } from "./virtio/block.ts";
import { stirEntropy } from "./virtio/entropy.ts";
import { createVirtioNet } from "./virtio/net.ts";
import { deviceType, type Transport } from "./virtio/transport.ts";
import { VirtioError } from "./virtio/virtio-error.ts";
import { openWindow, type Window } from "./window/window.ts";
import { WindowError } from "./window/window-error.ts";

/** What the kernel makes of an end by a signal: 64 and its number. */
const signalled = 64;
/**
 * Presses of the power button less than this many milliseconds apart are one, held or repeated: whoever presses from
 * outside cannot see whether the image listens yet, and presses again.
 */
const samePress = 3000;
/** How long the hypervisor's randomness is waited for, in milliseconds. */
const entropyBound = 1000;

/**
 * Runs an image as the one program of a machine, on our boot kernel: the boot command line has its keys, the power
 * button asks it to stop, and its exit status is the machine's. See `vmFlags` for what else the command line may
 * say, and `runProcess` for the rest.
 */
export async function boot(plan: ImagePlan): Promise<void> {
  let window: Window;
  try {
    window = openWindow();
  } catch (error) {
    if (!(error instanceof WindowError)) throw error;
    process.stderr.write(`${plan.name}: ${error.message}\n`);
    process.exitCode = 1;
    return;
  }
  await runProcess(plan, {
    flags: flagsFor(plan.keys),
    commandLine: {
      parse: (keys, flags) => parseCommandLine(window.commandLine, keys, flags),
      describe: describeWords,
      help: "the word help",
    },
    statusAfter: (signal) => signalled + signal,
    open: (flags, keys, fail) => open(window, plan, readFlags(flags, plan.keys, keys), fail),
  });
}

async function open(
  window: Window,
  plan: ImagePlan,
  keys: Readonly<Record<string, string>>,
  fail: (error: unknown) => void,
): Promise<OpenTarget> {
  const machine = discover(window);
  const timers = createTimers();
  const random = createRandom();
  // Before anything is started: what is missing is said at once.
  const cards = wanted(plan, machine, "netif");
  const disks = wanted(plan, machine, "block");
  await stir(machine);
  const onDead = (error: VirtioError): void => fail(new StartError(error.message));
  const netifs: Netif[] = [];
  const blocks: Block[] = [];
  for (const [index, device] of cards.entries()) {
    netifs.push(await started(() => createVirtioNet({ device, name: `eth${String(index)}`, onDead })));
  }
  for (const device of disks) blocks.push(await started(() => createVirtioBlock({ device, onDead })));
  let pressed = -Infinity;
  const unwatch = machine.onPowerButton(() => {
    const isSame = timers.now() - pressed < samePress;
    pressed = timers.now();
    if (!isSame) process.emit("SIGTERM", "SIGTERM");
  });
  const input = withoutInterrupts(process.stdin, () => void process.emit("SIGINT", "SIGINT"));
  let hasNodeApi = false;
  return {
    base: { timers, random, console: createConsole({ input }) },
    several: { netif: netifs, block: blocks },
    keys,
    made: ({ kind }, made) => {
      if (kind !== "stack" || hasNodeApi || plan.installNodeApi === undefined) return;
      hasNodeApi = true;
      // as: the catalogue's implementations of the kind are of this type.
      plan.installNodeApi({ stack: made as Stack, timers, random });
    },
    close: async () => {
      for (const device of [...netifs, ...blocks]) await device.close();
      unwatch();
      process.stdin.destroy();
      timers.close();
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

const hardware = {
  netif: { type: deviceType.net, what: "network card", advice: "QEMU: -nic user,model=virtio-net-pci" },
  block: { type: deviceType.block, what: "disk", advice: "QEMU: -drive file=FILE,format=raw,if=virtio" },
} as const;

/** The devices of the machine for those of a kind that the image has, in order. @throws StartError when it lacks one. */
function wanted(plan: ImagePlan, machine: Machine, kind: keyof typeof hardware): readonly Transport[] {
  const { type, what, advice } = hardware[kind];
  const there = machine.devices.filter((each) => each.type === type);
  const ids = plan.devices.filter((each) => each.base === true && each.kind === kind).map((each) => each.id);
  const missing = ids[there.length];
  if (missing !== undefined) {
    const has = there.length === 0 ? `no ${what}` : `only ${String(there.length)} of the kind`;
    const notes = machine.notes.length === 0 ? "" : `; passed over: ${machine.notes.join("; ")}`;
    throw new StartError(`device "${missing}" needs a ${what}, and this machine has ${has} (${advice})${notes}`);
  }
  return there.slice(0, ids.length);
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
