import type { FlagPlan } from "@tesserae/image/arguments";
import type { ImagePlan } from "@tesserae/image/plan";
import { createConsole } from "./console.ts";
import { createRandom } from "./random.ts";
import { queuesFlag, runProcess } from "./run-process.ts";
import { createTimers } from "./timers.ts";

/** The flags of the node target. */
export const nodeFlags: readonly FlagPlan[] = [queuesFlag];

/** Runs an image on the kernel of this process. See `runProcess` for signals and the exit status. */
export function boot(plan: ImagePlan): Promise<void> {
  return runProcess(plan, {
    flags: nodeFlags,
    open: () => {
      const timers = createTimers();
      const base = { timers, random: createRandom(), console: createConsole() };
      return Promise.resolve({ base, close: () => timers.close() });
    },
  });
}
