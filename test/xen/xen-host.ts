// A Xen host for tests, with applications of ours ready to be its guests.
import { XenHost, type XenHostOptions } from "@tesserae/xen-host/host";
import type { XenGuest } from "@tesserae/xen-host/guest";
import { obtainAssets } from "@tesserae/xen-host/assets";
import type { XlGuest } from "@tesserae/vm-image/formats/xl-config";
import { skipping } from "../programs.ts";
import { buildForVm, vmUnavailable } from "../vm/test-machine.ts";

/** Milliseconds that a test with guests may take: twice emulated, on a busy host, a boot takes minutes. */
export const patience = 1_800_000;

/**
 * Why no Xen can be booted here, in words; `undefined` when it can. The first time its packages are fetched.
 *
 * @throws Error (rejects) in CI, where nothing is skipped.
 */
export async function xenUnavailable(): Promise<string | undefined> {
  const reason = vmUnavailable();
  if (reason !== undefined) return reason;
  try {
    await obtainAssets();
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return skipping(why, error);
  }
}

/** A Xen host that has applications of ours to start as guests. */
export class XenBench {
  readonly host: XenHost;

  private constructor(host: XenHost) {
    this.host = host;
  }

  /**
   * Builds the applications for the xen target, and boots the host.
   *
   * @param folders of the applications, relative to the root, by the names that guests are created with
   */
  static async start(folders: Readonly<Record<string, string>>, options: XenHostOptions = {}): Promise<XenBench> {
    const files: Record<string, string> = {};
    for (const [name, folder] of Object.entries(folders)) {
      const { kernel, image } = (await buildForVm(folder, [], "xen")).files;
      Object.assign(files, { [`/root/${name}/kernel.elf`]: kernel, [`/root/${name}/image.bin`]: image });
    }
    return new XenBench(await XenHost.start({ ...options, files: { ...files, ...options.files } }));
  }

  /**
   * Starts an application as a guest.
   *
   * @param name of the application; the guest's too, unless the options have another
   */
  async create(name: string, options: Partial<XlGuest> = {}): Promise<XenGuest> {
    const files = { kernel: `/root/${name}/kernel.elf`, ramdisk: `/root/${name}/image.bin` };
    return this.host.createGuest({ name, ...files, memory: 256, ...options });
  }
}
