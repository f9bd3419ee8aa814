// Looks for inputs of fuzz targets that reach what no kept input does, and keeps as few of them as do.
//   node scripts/fuzz-corpus.mjs name… [--minutes N] [--seed N]
import process from "node:process";
import { blockCounters, countersBanner } from "./block-counters.mjs";
import { bundleWithTargets } from "./fuzz-bundle.mjs";

const url = await bundleWithTargets(
  "fuzz-corpus",
  (targets) => [
    'import process from "node:process";',
    'import { growCorpus } from "./test/fuzz/grow-corpus.ts";',
    'import { corpusFolder } from "./test/fuzz/corpus.ts";',
    `process.exitCode = await growCorpus(${targets}, corpusFolder, process.argv.slice(2));`,
  ],
  { plugins: [blockCounters(/\/lib\/(?!conformance\/).*(?<!\.fuzz)\.ts$/)], banner: { js: countersBanner } },
);
process.setSourceMapsEnabled(true);
await import(url);
