import path from "node:path";
import { replaceFile } from "../replace-file.ts";
import type { FormatInput } from "./format.ts";

/**
 * Writes `firecracker.json`, for `firecracker --no-api --config-file firecracker.json` in the same folder. The network
 * interface is the host's `tap0`; firecracker adds `virtio_mmio.device=…` to the command line itself.
 *
 * @returns its path.
 */
export function writeFirecracker(input: FormatInput): string {
  const configuration = {
    "boot-source": {
      kernel_image_path: path.relative(input.output, input.kernel),
      initrd_path: path.relative(input.output, input.image),
      boot_args: input.commandLine,
    },
    // It may be empty, but it must be there.
    drives: [],
    "machine-config": { vcpu_count: 1, mem_size_mib: input.memory },
    "network-interfaces": [{ iface_id: "eth0", host_dev_name: "tap0" }],
    entropy: {},
  };
  const file = path.join(input.output, "firecracker.json");
  replaceFile(file, `${JSON.stringify(configuration, undefined, 2)}\n`);
  return file;
}
