import type { Stack } from "@tesserae/device/stack";
import type { ImagePlan } from "@tesserae/image/plan";
import { createConsole } from "@tesserae/node/console";
import { createRandom } from "@tesserae/node/random";
import { runProcess, type OpenTarget } from "@tesserae/node/run-process";
import { createTimers } from "@tesserae/node/timers";
import { describeWords, parseCommandLine } from "./command-line.ts";
import { withoutInterrupts } from "./console-input.ts";
import { flagsFor, readFlags } from "./flags.ts";
import { startVirtio } from "./virtio/hardware.ts";
import { openWindow, type Window } from "./window/window.ts";
import { WindowError } from "./window/window-error.ts";
import { WindowDomain } from "./xen/domain.ts";
import { startXen } from "./xen/hardware.ts";

/** What the kernel makes of an end by a signal: 64 and its number. */
const signalled = 64;
/**
 * Presses of the power button less than this many milliseconds apart are one, held or repeated: whoever presses from
 * outside cannot see whether the image listens yet, and presses again.
 */
const samePress = 3000;

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
  const timers = createTimers();
  const random = createRandom();
  const domain = WindowDomain.open({ window, timers, random, report: fail });
  const hardware = domain === undefined ? await startVirtio(window, plan, fail) : await startXen(domain, plan, fail);
  let pressed = -Infinity;
  const unwatch = hardware.onPowerButton(() => {
    const isSame = timers.now() - pressed < samePress;
    pressed = timers.now();
    if (!isSame) process.emit("SIGTERM", "SIGTERM");
  });
  const input = withoutInterrupts(process.stdin, () => void process.emit("SIGINT", "SIGINT"));
  let hasNodeApi = false;
  return {
    base: {
      ...{ timers, random, console: createConsole({ input }) },
      // Only the xen target offers it to applications.
      ...(domain === undefined ? {} : { xen: domain }),
    },
    several: { netif: hardware.netifs, block: hardware.blocks },
    keys,
    made: ({ kind }, made) => {
      if (kind !== "stack" || hasNodeApi || plan.installNodeApi === undefined) return;
      hasNodeApi = true;
      // as: the catalogue's implementations of the kind are of this type.
      plan.installNodeApi({ stack: made as Stack, timers, random });
    },
    close: async () => {
      await hardware.close();
      unwatch();
      process.stdin.destroy();
      timers.close();
    },
  };
}
