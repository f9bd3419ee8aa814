// Bundles a program with every fuzz target, from the sources.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { fromSources, root } from "./source-bundle.mjs";

/**
 * Builds the program, and gives the URL of what was built. What it imports is relative to the root.
 *
 * @param {string} name of the file that is built
 * @param {(targets: string) => string[]} program its lines; `targets` is a list of all fuzz targets, as an expression
 * @param {import("esbuild").BuildOptions} options more of esbuild's
 */
export async function bundleWithTargets(name, program, options = {}) {
  const cache = path.join(root, "node_modules/.cache/soak");
  mkdirSync(cache, { recursive: true });
  const list = path.join(cache, `${name}-targets.mjs`);
  await build({
    ...fromSources,
    entryPoints: [path.join(root, "test/fuzz/targets.ts")],
    outfile: list,
    // What `import.meta.dirname` was in the sources.
    define: { "import.meta.dirname": JSON.stringify(path.join(root, "test/fuzz")) },
  });
  /** @type {{ fuzzFiles(): string[] }} */
  const { fuzzFiles } = await import(pathToFileURL(list).href);
  const imports = fuzzFiles().map((file, index) => `import { fuzz as target${index} } from "./${file}";`);
  const names = imports.map((_, index) => `target${index}`);
  const outfile = path.join(cache, `${name}.mjs`);
  await build({
    ...fromSources,
    ...options,
    stdin: {
      contents: [...imports, ...program(`[${names.join(", ")}]`)].join("\n"),
      resolveDir: root,
      sourcefile: `${name}-entry.mjs`,
    },
    outfile,
    define: { "import.meta.dirname": JSON.stringify(path.join(root, "test/fuzz")) },
  });
  return pathToFileURL(outfile).href;
}
