import { Buffer } from "node:buffer";
import type { XlGuest } from "@tesserae/vm-image/formats/xl-config";
import { XenHostError } from "./failure.ts";
import type { XenGuest } from "./guest.ts";
import type { XenHost } from "./host.ts";
import { linuxKernel, linuxRamdisk } from "./linux-files.ts";

/** What Linux takes of a command line. */
const longestCommandLine = 2047;

export interface LinuxGuest extends Pick<XlGuest, "name" | "type" | "interfaces" | "disks" | "vcpus" | "more"> {
  /** A shell script for busybox, run as root; when it ends, so does the guest. */
  readonly script: string;
  /** In MiB. Default: 128. */
  readonly memory?: number;
}

/**
 * Starts a small Linux as a guest, with drivers for Xen's disks and network cards: a peer for guests of ours. It is
 * paravirtualised unless asked otherwise, which is several times as fast where QEMU emulates the processor.
 *
 * @throws XenHostError (rejects) for a script that is too long for a command line, or with what xl said.
 */
export async function createLinuxGuest(host: XenHost, guest: LinuxGuest): Promise<XenGuest> {
  const { script, memory = 128, type = "pv", ...rest } = guest;
  const commandLine = `console=hvc0 quiet SCRIPT=${Buffer.from(script).toString("base64")}`;
  if (commandLine.length > longestCommandLine) {
    throw new XenHostError(`the script of ${guest.name} is too long for a command line`);
  }
  return host.createGuest({ ...rest, type, kernel: linuxKernel, ramdisk: linuxRamdisk, commandLine, memory });
}
