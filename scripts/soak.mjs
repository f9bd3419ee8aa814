// Fuzzes for minutes with new seeds, or replays one input.
//   node scripts/soak.mjs [name…] [--minutes N] [--seed N]
//   node scripts/soak.mjs name --input HEX
import process from "node:process";
import { bundleWithTargets } from "./fuzz-bundle.mjs";

const url = await bundleWithTargets("soak", (targets) => [
  'import process from "node:process";',
  'import { soak } from "./test/fuzz/soak.ts";',
  `process.exitCode = await soak(${targets}, process.argv.slice(2));`,
]);
process.setSourceMapsEnabled(true);
await import(url);
