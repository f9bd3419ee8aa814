import type { Built } from "./build.ts";
import { startImage, type RunningImage } from "./child.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Starts what was built: in a process, or in a machine.
 *
 * @throws Failure when the machine cannot be started.
 */
export async function startBuilt(built: Built, terminal: Terminal): Promise<RunningImage> {
  if (built.machine === undefined) return startImage(built.image, built.rest);
  const { startMachine } = await import("./machine-run.ts");
  return startMachine(built, terminal);
}
