// `npm test`: installs what is missing, builds, and runs every suite that can run here.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { ensureBuilt, ensureNode, ensureNodeModules, ensureSystemPackages } from "./prerequisites.mjs";

process.chdir(path.resolve(import.meta.dirname, ".."));
ensureNode();
ensureNodeModules();
const complete = ensureSystemPackages();
if (process.env["CI"] === "true" && !complete) {
  console.error("in CI nothing is skipped: the packages above are missing");
  process.exit(1);
}
ensureBuilt();
const result = spawnSync(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)], {
  stdio: "inherit",
});
process.exit(result.status ?? 1);
