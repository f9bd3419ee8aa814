// Asks name servers the same generated queries and shows what they do differently; docs/dns.md says why.
//   node scripts/dns-differential.mjs [--count N] [--seed N] [--subject NAME] [--rivals NAME,NAME]
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const outfile = path.join(root, "node_modules/.cache/dns-differential/main.mjs");
await build({
  entryPoints: [path.join(root, "test/dns/differential/main.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  conditions: ["tesserae-source"],
  external: ["koffi", "esbuild", "typescript"],
  logLevel: "warning",
});
process.setSourceMapsEnabled(true);
process.chdir(root);
/** @type {{ main(args: readonly string[]): Promise<number> }} */
const { main } = await import(pathToFileURL(outfile).href);
process.exitCode = await main(process.argv.slice(2));
