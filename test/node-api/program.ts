// Programs that run in a process of their own.
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "../..");

/** Bundles `programs/<name>.ts` with our packages; npm's stay as they are. @returns the path of the bundle. */
export async function bundleProgram(name: string): Promise<string> {
  const outfile = join(root, "node_modules/.cache/node-api", `${name}.mjs`);
  await build({
    entryPoints: [join(import.meta.dirname, "programs", `${name}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["tesserae-source"],
    external: ["koffi", "express", "fastify", "hono", "@hono/node-server"],
    logLevel: "error",
  });
  return outfile;
}
