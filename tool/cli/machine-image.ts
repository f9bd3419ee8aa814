import { statSync } from "node:fs";
import path from "node:path";
import { buildImage } from "@tesserae/vm-image/build-image";
import type { Format } from "@tesserae/vm-image/formats/format";
import type { IcuChoice } from "@tesserae/vm-image/icu";
import { ImageFailure } from "@tesserae/vm-image/image-failure";
import { userCache } from "@tesserae/vm-image/node-runtime";
import type { PartSize } from "@tesserae/vm-image/sizes";
import { Failure } from "./failure.ts";

/** What the command line says about an image for a machine. */
export interface MachineRequest {
  readonly formats: readonly Format[];
  readonly node: string | undefined;
  readonly sysroot: string | undefined;
  readonly icu: IcuChoice | undefined;
}

/** What a hypervisor boots. Absolute paths, sizes in bytes. */
export interface MachineImage {
  readonly kernel: string;
  readonly image: string;
  readonly manifest: string;
  /** Of kernel and image. */
  readonly bytes: number;
  readonly sizes: readonly PartSize[];
  /** The main file of each other format that was asked for. */
  readonly formats: Readonly<Partial<Record<Format, string>>>;
}

/**
 * Makes kernel and image of a bundle, in the folder `image` beside it.
 *
 * @throws Failure
 */
export async function buildMachineImage(
  { name, bundle, interfaces, disks, progress }: BundledApplication,
  { formats, node, sysroot, icu }: MachineRequest,
): Promise<MachineImage> {
  try {
    const report = await buildImage({
      bundle,
      name,
      interfaces,
      disks,
      output: path.join(path.dirname(bundle), "image"),
      cache: path.join(userCache(), "kernel"),
      formats,
      ...(node === undefined ? {} : { node }),
      ...(sysroot === undefined ? {} : { sysroot }),
      ...(icu === undefined ? {} : { icu }),
      onProgress: (text) => progress(`${text} …`),
    });
    return {
      kernel: report.kernel.file,
      image: report.image.file,
      manifest: report.manifest,
      bytes: statSync(report.kernel.file).size + report.image.size,
      sizes: report.sizes,
      formats: report.formats,
    };
  } catch (error) {
    if (!(error instanceof ImageFailure)) throw error;
    const fix = error.fix === undefined ? {} : { fix: error.fix };
    throw new Failure([{ message: error.message, ...fix }]);
  }
}

export interface BundledApplication {
  readonly name: string;
  /** Absolute. */
  readonly bundle: string;
  /** Network interfaces and disks that it wants of the machine. */
  readonly interfaces: number;
  readonly disks: number;
  readonly progress: (text: string) => void;
}
