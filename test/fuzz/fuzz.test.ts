// Every fuzz target: the inputs kept in corpus/, then others for a moment, always the same; `node scripts/soak.mjs` takes minutes and new ones.
import { performance } from "node:perf_hooks";
import process from "node:process";
import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { afterAll, describe, expect, test } from "vitest";
import { readCorpus } from "./corpus.ts";
import { fuzz } from "./fuzzer.ts";
import { describeFailure } from "./report.ts";
import { fuzzFiles } from "./targets.ts";
import { startWatchdog } from "./watchdog.ts";

const seconds = Number(process.env["FUZZ_SECONDS"] ?? "0.5");
const seed = Number(process.env["FUZZ_SEED"] ?? "1");

describe(`fuzz, seed ${seed}`, () => {
  const watchdog = startWatchdog(20_000);
  afterAll(() => watchdog.close());
  const names = new Map<string, string>();
  test.each(fuzzFiles())(
    "%s",
    async (file) => {
      const module = (await import(/* @vite-ignore */ `../../${file}`)) as { fuzz?: FuzzTarget };
      const target = module.fuzz;
      if (target === undefined) throw new Error(`${file} does not export "fuzz"`);
      expect(names.get(target.name), `the name "${target.name}" is taken`).toBeUndefined();
      names.set(target.name, file);
      const end = performance.now() + seconds * 1000;
      const kept = readCorpus(target.name);
      const all = { ...target, seeds: [...target.seeds, ...kept] };
      const { failure, runs } = await fuzz(all, { seed, watchdog, expired: () => performance.now() >= end });
      if (failure !== undefined) throw new Error(describeFailure(target.name, seed, failure));
      expect(runs).toBeGreaterThan(all.seeds.length);
    },
    // The inputs that are kept come first, however long they take.
    (seconds + 300) * 1000,
  );
});
