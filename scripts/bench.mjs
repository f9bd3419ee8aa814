// Bundles one benchmark with the TypeScript sources of the packages it uses, and runs it.
//   node scripts/bench.mjs wire [--json] [--markdown FILE] [--rounds N] [--only TEXT]
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
const folder = path.join(root, "bench");
const [name, ...rest] = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map((file) => file.slice(0, -3));

if (name === undefined || !existsSync(path.join(folder, `${name}.ts`))) {
  console.error(
    `usage: node scripts/bench.mjs <${names.join(" | ")}> [--json] [--markdown FILE] [--rounds N] [--only TEXT]`,
  );
  process.exit(2);
}

const cache = path.join(root, "node_modules/.cache/bench");
mkdirSync(cache, { recursive: true });
/** @satisfies {import("esbuild").BuildOptions} */
const common = /** @type {const} */ ({
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  logLevel: "warning",
});

// Benchmarks run the code that an image runs: bundled, with the constants that the bundler took away given back.
const tool = path.join(cache, "top-level-constants.mjs");
await build({
  ...common,
  entryPoints: [path.join(root, "tool/cli/top-level-constants.ts")],
  outfile: tool,
  packages: "external",
});
const { restoreConstants } = await import(pathToFileURL(tool).href);

/**
 * In a bundle all modules are one file, elsewhere: those that look for files beside them find them where they are.
 *
 * @type {import("esbuild").Plugin}
 */
const ownPlaces = {
  name: "own-places",
  setup: (bundler) =>
    bundler.onLoad({ filter: /\.ts$/ }, ({ path: file }) => {
      const places = { dirname: path.dirname(file), filename: file, url: pathToFileURL(file).href };
      const contents = readFileSync(file, "utf8").replace(
        /(?<!")\bimport\.meta\.(dirname|filename|url)\b/g,
        (_, /** @type {keyof typeof places} */ word) => JSON.stringify(places[word]),
      );
      return { contents, loader: "ts" };
    }),
};

const outfile = path.join(cache, `${name}.mjs`);
const bundle = await build({
  ...common,
  entryPoints: [path.join(folder, `${name}.ts`)],
  outfile,
  write: false,
  sourcemap: "inline",
  conditions: ["tesserae-source"],
  plugins: [ownPlaces],
  // Packages with native parts, and those that a benchmark starts as rivals.
  external: ["koffi", "esbuild", "typescript"],
});
writeFileSync(outfile, restoreConstants(bundle.outputFiles[0]?.text ?? ""));
const child = spawn(process.execPath, ["--enable-source-maps", "--expose-gc", outfile, ...rest], { stdio: "inherit" });
child.on("exit", (status, signal) => {
  process.exitCode = signal === null ? (status ?? 1) : 1;
});
