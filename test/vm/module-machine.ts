import path from "node:path";
import { buildImage } from "@tesserae/vm-image/build-image";
import { build } from "esbuild";
import { kernelCache, type BuiltMachine } from "./test-machine.ts";

/**
 * Builds an image of one module that is no application: it has the machine to itself, without `boot`.
 *
 * @param entry the module, from the folder of these tests
 * @param folder for what is written
 */
export async function buildModule(name: string, entry: string, folder: string): Promise<BuiltMachine> {
  const bundle = path.join(folder, "main.mjs");
  await build({
    entryPoints: [path.join(import.meta.dirname, entry)],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["tesserae-source"],
    logLevel: "silent",
  });
  const { image, kernel, manifest } = await buildImage({
    bundle,
    output: path.join(folder, "image"),
    cache: kernelCache,
  });
  const files = { kernel: kernel.file, image: image.file, manifest, bytes: image.size, sizes: [], formats: {} };
  return { name, files };
}
