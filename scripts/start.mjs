// `npm start`: installs what is missing, builds, and serves examples/www on this machine's kernel.
import { spawn } from "node:child_process";
import path from "node:path";
import { ensureBuilt, ensureNode, ensureNodeModules } from "./prerequisites.mjs";

process.chdir(path.resolve(import.meta.dirname, ".."));
ensureNode();
ensureNodeModules();
console.log("building");
ensureBuilt();
console.log(`
Serving examples/www at http://localhost:8080 (Ctrl-C ends it). What to try next:
  npx tesserae run examples/www --target sim      the same site, its network simulated: deterministic, with a trace
  npx tesserae run examples/www --target tap      the same site on our own TCP/IP stack (root, or a tap device of yours)
  npx tesserae run examples/two-hosts --target sim --loss 0.05 --timeline
  npx tesserae describe examples/www              what it is made of
  npx tesserae create my-site                     your own
`);
const child = spawn(
  process.execPath,
  ["tool/cli/bin/tesserae.js", "run", "examples/www", "--target", "node", ...process.argv.slice(2)],
  { stdio: "inherit" },
);
process.on("SIGTERM", () => child.kill("SIGTERM"));
// Ctrl-C reaches the child without our help: it is of the same process group.
process.on("SIGINT", () => undefined);
child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
