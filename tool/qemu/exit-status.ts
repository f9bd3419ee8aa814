import { MachineError } from "./failure.ts";

/** How a machine's process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
  /** The status in the kernel's last line, when there was one. */
  readonly told: number | undefined;
  /** What QEMU itself had to say. */
  readonly stderr: string;
  /** The reason of QEMU's SHUTDOWN event: `guest-shutdown`, `guest-reset` … */
  readonly reason: string | undefined;
}

/**
 * The exit status of the image in a machine that ended: 0 to 127.
 *
 * The exit device makes QEMU's status twice the image's and one; without that device the kernel's last line tells. QEMU
 * ends with 1 for reasons of its own too, so status 0 counts only when that line says so as well.
 *
 * @throws MachineError when it ended without saying why.
 */
export function imageStatus({ code, signal, told, stderr, reason }: Ending): number {
  if (code !== null && code % 2 === 1 && (code > 1 || told === 0)) return (code - 1) / 2;
  if (code === 0 && told !== undefined) return told;
  const said = stderr
    .trim()
    .split("\n")
    .find((line) => line !== "" && !/: warning: /.test(line))
    ?.replace(/^\S*qemu-system-x86_64: /, "");
  if (signal !== null) throw new MachineError(`QEMU was ended by ${signal}${said === undefined ? "" : `: ${said}`}`);
  if (code !== 0 && said !== undefined && /initrd is too large/.test(said)) {
    throw new MachineError("the image does not fit into the machine's memory", "give it more: --memory 256M");
  }
  if (code !== 0 && said !== undefined) throw new MachineError(`QEMU: ${said}`, adviceFor(said));
  if (reason === "guest-reset" || (code === 0 && reason === undefined)) {
    throw new MachineError("the machine reset itself without a word: the kernel never got as far as its console");
  }
  throw new MachineError(`the machine ended without a word (QEMU's status ${String(code)}, ${reason ?? "no reason"})`);
}

function adviceFor(said: string): string | undefined {
  if (/cannot set up guest memory|Cannot allocate memory/.test(said)) return "give it less: --memory 256M";
  if (/could not configure .*tun|tap/i.test(said)) return "make the tap device first, or leave --tap out";
  if (/host forwarding rule/.test(said)) return "that port is taken, or not for you: give another with --forward";
  return undefined;
}
