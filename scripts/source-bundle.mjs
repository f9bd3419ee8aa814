// Bundles and runs programs that are written in TypeScript, from the sources of the packages.
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

export const root = path.resolve(import.meta.dirname, "..");

/** @satisfies {import("esbuild").BuildOptions} */
export const fromSources = /** @type {const} */ ({
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  packages: "bundle",
  logLevel: "warning",
  conditions: ["tesserae-source"],
  external: ["koffi", "esbuild", "typescript"],
});

/**
 * Bundles a module, and gives what it exports. Errors are told with places in the sources.
 *
 * @param {string} entry path from the root
 * @returns {Promise<any>}
 */
export async function importFromSources(entry) {
  const outfile = path.join(root, "node_modules/.cache/source-bundle", entry.replace(/\.ts$/, ".mjs"));
  await build({ ...fromSources, entryPoints: [path.join(root, entry)], outfile });
  process.setSourceMapsEnabled(true);
  process.chdir(root);
  return import(pathToFileURL(outfile).href);
}
