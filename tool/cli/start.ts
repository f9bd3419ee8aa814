import type { BuildRequest, Built } from "./build.ts";
import { startImage, type RunningImage } from "./child.ts";
import { failure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Starts what was built: in a process, or in a machine.
 *
 * @throws Failure when the machine cannot be started.
 */
export async function startBuilt(built: Built, terminal: Terminal): Promise<RunningImage> {
  if (built.machine === undefined) return startImage(built.image, built.rest);
  if (built.target === "xen") {
    const { startXen } = await import("./xen-run.ts");
    return startXen(built, terminal);
  }
  const { startMachine } = await import("./machine-run.ts");
  return startMachine(built, terminal);
}

/**
 * Looks for what an image of the target cannot be started without, so that nobody waits for a build to hear of it.
 *
 * @throws Failure that names what is missing.
 */
export async function checkStartable({ target, image }: Pick<BuildRequest, "target" | "image">): Promise<void> {
  if (target === "xen") {
    const { checkXen } = await import("./xen-run.ts");
    if (!checkXen(image)) return;
  } else if (target !== "vm") return;
  const [{ findQemu }, { MachineError }] = await Promise.all([
    import("@tesserae/qemu/find"),
    import("@tesserae/qemu/failure"),
  ]);
  try {
    findQemu();
  } catch (error) {
    throw error instanceof MachineError ? failure(error.message, error.fix) : error;
  }
}
