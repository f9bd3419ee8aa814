// Grows the kept inputs of fuzz targets by what they reach: the program behind scripts/fuzz-corpus.mjs.
import { performance } from "node:perf_hooks";
import process from "node:process";
import { parseArgs } from "node:util";
import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { appendCorpus, readCorpus, writeCorpus } from "./corpus.ts";
import { BlockCoverage } from "./coverage.ts";
import { shrink } from "./fuzzer.ts";
import { grow, minimise } from "./grow.ts";
import { describeFailure } from "./report.ts";
import { startWatchdog } from "./watchdog.ts";

const usage = "usage: node scripts/fuzz-corpus.mjs name… [--minutes N] [--seed N]";
/** Of the time, for minimising. */
const minimising = 0.2;

/**
 * What is found is kept at once, so that nothing is lost when a target hangs or the process is killed; in the end the
 * fewest and shortest of all take its place. A target that fails keeps what was found until then, and the next has its
 * turn.
 *
 * @param folder where the inputs are kept. @returns the exit status: 1 when a target failed
 */
export async function growCorpus(
  targets: readonly FuzzTarget[],
  folder: string,
  args: readonly string[],
): Promise<number> {
  const options = { minutes: { type: "string", default: "5" }, seed: { type: "string" } } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const chosen = targets.filter(({ name }) => positionals.includes(name));
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? Date.now() & 0x7fffffff : Number(values.seed);
  if (chosen.length === 0 || chosen.length < positionals.length || !(minutes > 0) || !Number.isInteger(seed)) {
    process.stderr.write(`${usage}\nthere are: ${targets.map(({ name }) => name).join(", ")}\n`);
    return 2;
  }
  const coverage = new BlockCoverage();
  const watchdog = startWatchdog(60_000);
  let status = 0;
  for (const target of chosen) {
    const share = (minutes * 60_000) / chosen.length;
    const start = performance.now();
    const common = { seed, coverage, watchdog };
    const { kept, runs, failure } = await grow(target, readCorpus(target.name, folder), {
      ...common,
      expired: () => performance.now() >= start + share * (1 - minimising),
      found: (found) => appendCorpus(target.name, found, folder),
    });
    if (failure !== undefined) {
      const input = await shrink(target, failure.input);
      console.error(describeFailure(target.name, seed, { error: failure.error, input, found: failure.input }));
      status = 1;
      continue;
    }
    const inputs = await minimise(target, kept, { ...common, expired: () => performance.now() >= start + share });
    const reached = new Set(kept.flatMap(({ features }) => [...features])).size;
    const bytes = inputs.reduce((total, { length }) => total + length, 0);
    const note = `${runs} inputs, ${minutes} minutes, seed ${seed}: ${inputs.length} reach ${reached} blocks`;
    writeCorpus(target.name, inputs, note, folder);
    console.log(`${target.name}: ${note}; ${kept.length} kept before minimising, ${bytes} bytes after`);
  }
  await watchdog.close();
  return status;
}
