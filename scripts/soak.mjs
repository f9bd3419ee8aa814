// Fuzzes for minutes with new seeds, or replays one input.
//   node scripts/soak.mjs [name…] [--minutes N] [--seed N]
//   node scripts/soak.mjs name --input HEX
import { mkdirSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const cache = path.join(root, "node_modules/.cache/soak");
mkdirSync(cache, { recursive: true });
/** @satisfies {import("esbuild").BuildOptions} */
const common = /** @type {const} */ ({
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  packages: "bundle",
  logLevel: "warning",
});

const lists = { conditions: ["tesserae-source"], external: ["koffi", "esbuild", "typescript"] };

const list = path.join(cache, "targets.mjs");
await build({
  ...common,
  ...lists,
  entryPoints: [path.join(root, "test/fuzz/targets.ts")],
  outfile: list,
  define: here("test/fuzz"),
});
/** @type {{ fuzzFiles(): string[] }} */
const { fuzzFiles } = await import(pathToFileURL(list).href);

const imports = fuzzFiles().map((file, index) => `import { fuzz as target${index} } from "./${file}";`);
const names = imports.map((_, index) => `target${index}`);
const outfile = path.join(cache, "soak.mjs");
await build({
  ...common,
  ...lists,
  stdin: {
    contents: [
      'import process from "node:process";',
      'import { soak } from "./test/fuzz/soak.ts";',
      ...imports,
      `process.exitCode = await soak([${names.join(", ")}], process.argv.slice(2));`,
    ].join("\n"),
    resolveDir: root,
    sourcefile: "soak-entry.mjs",
  },
  outfile,
});
process.setSourceMapsEnabled(true);
await import(pathToFileURL(outfile).href);

/** What `import.meta.dirname` was in the sources of a folder. @param {string} folder */
function here(folder) {
  return { "import.meta.dirname": JSON.stringify(path.join(root, folder)) };
}
