// Plays packet scripts to the Linux kernel and to our stack, and shows what each did.
//   node scripts/packet-scripts.mjs [part of a name…] [--ours] [--quiet]
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const outfile = path.join(root, "node_modules/.cache/packet-scripts/show.mjs");
await build({
  entryPoints: [path.join(root, "test/packet-scripts/show.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  conditions: ["tesserae-source"],
  external: ["koffi"],
  logLevel: "warning",
});
process.setSourceMapsEnabled(true);
/** @type {{ show(folder: string, args: readonly string[]): Promise<number> }} */
const { show } = await import(pathToFileURL(outfile).href);
process.exitCode = await show(path.join(root, "test/packet-scripts/scripts"), process.argv.slice(2));
