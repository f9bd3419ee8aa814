import { performance } from "node:perf_hooks";
import process from "node:process";
import { parseArgs } from "node:util";
import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { attempt, fuzz } from "./fuzzer.ts";
import { describeFailure, hex } from "./report.ts";
import { startWatchdog } from "./watchdog.ts";

const usage = "usage: node scripts/soak.mjs [name…] [--minutes N] [--seed N] | name --input HEX";

/**
 * Runs fuzz targets for long: all, or those named, sharing the time evenly, each with a new seed every round. The main
 * program behind `scripts/soak.mjs`.
 *
 * @returns the exit status: 0, 1 when a target failed, 2 when the arguments are wrong
 */
export async function soak(targets: readonly FuzzTarget[], args: readonly string[]): Promise<number> {
  const options = {
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    input: { type: "string" },
  } as const;
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  const unknown = positionals.find((name) => !targets.some((target) => target.name === name));
  if (unknown !== undefined) {
    return refuse(`no fuzz target "${unknown}"; there are: ${targets.map((target) => target.name).join(", ")}`);
  }
  const chosen = targets.filter((target) => positionals.length === 0 || positionals.includes(target.name));
  if (values.input !== undefined) return replay(chosen, values.input);
  const minutes = Number(values.minutes);
  if (!(minutes > 0)) return refuse(`--minutes ${values.minutes} is not above 0`);
  const firstSeed = values.seed === undefined ? Date.now() & 0x7fffffff : Number(values.seed);
  if (!Number.isInteger(firstSeed)) return refuse(`--seed ${String(values.seed)} is not an integer`);

  const watchdog = startWatchdog(20_000);
  const rounds = Math.max(1, Math.ceil(minutes / 2));
  const share = (minutes * 60_000) / (rounds * chosen.length);
  const total = new Map<string, number>();
  console.log(`${chosen.length} targets, ${minutes} minutes, first seed ${firstSeed}`);
  for (let round = 0; round < rounds; round++) {
    const seed = firstSeed + round;
    for (const target of chosen) {
      const end = performance.now() + share;
      const { runs, failure } = await fuzz(target, { seed, watchdog, expired: () => performance.now() >= end });
      if (failure !== undefined) {
        console.error(describeFailure(target.name, seed, failure));
        return 1;
      }
      total.set(target.name, (total.get(target.name) ?? 0) + runs);
    }
    console.log(`round ${round + 1} of ${rounds}: no failure`);
  }
  for (const [name, runs] of total) console.log(`${name}: ${runs} inputs`);
  return 0;
}

async function replay(chosen: readonly FuzzTarget[], text: string): Promise<number> {
  const target = chosen.length === 1 ? chosen[0] : undefined;
  if (target === undefined) return refuse("--input needs the name of one target");
  if (!/^([0-9a-f]{2})*$/i.test(text)) return refuse(`--input is not pairs of hex digits`);
  const input = Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const failed = await attempt(target, input);
  if (failed === undefined) {
    console.log(`"${target.name}" takes ${input.length} bytes: ${hex(input)}`);
    return 0;
  }
  console.error(failed.error);
  return 1;
}

function refuse(problem: string): number {
  process.stderr.write(`${problem}\n${usage}\n`);
  return 2;
}
