// The golden table: goodput of one TCP connection against loss, round trip and bandwidth. Ours to ours in the simulator,
// in virtual time; and through emulated paths in real time, Linux and ours in all four pairings, in the same run.
//   npm run bench -- tcp-goodput [--rounds N] [--only sim|path|fairness] [--cell TEXT] [--ceiling BITS]
//     [--markdown FILE] [--svg FILE] [--json FILE]
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { unavailable } from "../test/namespace/namespace.ts";
import { capacity, cells, expectation, linkOf, nameOf, type Cell } from "../test/path/golden.ts";
import { PathNetwork } from "../test/path/path-network.ts";
import { playRole } from "../test/path/roles.ts";
import { ampleBuffers, simulateTransfer } from "../test/path/simulated-transfer.ts";
import { jainIndex } from "../test/path/fairness.ts";
import { goodput, type TransferLimits } from "../test/path/transfer.ts";
import { median } from "./harness/race.ts";
import { formatRate, markdownTable, Samples, svg, type Grid } from "./tcp/goodput-table.ts";
import { pairingName, pairings, runRounds } from "./tcp/path-rounds.ts";

const paths = 48;
/** What one transfer moves at most, so that the fast ones end. */
const mostBytes = 268_435_456;
/** Bits a second. Above it the emulated path, or the machine, is what is measured. */
const defaultCeiling = 1.2e9;

/** Long round trips need longer: what counts is how many there are. */
function limitsOf({ roundTrip }: Cell): TransferLimits {
  return { bytes: mostBytes, milliseconds: roundTrip >= 300 ? 30_000 : roundTrip >= 100 ? 15_000 : 10_000 };
}

/** Loss makes transfers differ: the more, the fewer losses there are in one. */
function repeatsOf(cell: Cell, rounds: number): number {
  return cell.loss > 0 && expectation(cell) < 3e7 ? rounds * 4 : rounds;
}

async function simulated(chosen: readonly Cell[], rounds: number): Promise<Samples> {
  const samples = new Samples();
  for (const cell of chosen) {
    const start = performance.now();
    for (let round = 0; round < (cell.loss === 0 ? 1 : repeatsOf(cell, rounds)); round++) {
      const seed = `${nameOf(cell)} ${round}`;
      const result = await simulateTransfer({ link: linkOf(cell), seed, tcp: ampleBuffers, ...limitsOf(cell) });
      samples.add(cell, result.goodput);
    }
    const took = ((performance.now() - start) / 1000).toFixed(1);
    process.stderr.write(
      `sim ${nameOf(cell)}: ${formatRate(samples.of(cell))}b/s, ` +
        `${(samples.of(cell) / expectation(cell)).toFixed(2)} of the expectation (${took} s)\n`,
    );
  }
  return samples;
}

async function openNetwork(): Promise<PathNetwork> {
  const network = await PathNetwork.open({ program: process.argv[1] ?? "", paths, buffers: 67_108_864 });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      network.close();
      process.exit(1);
    });
  }
  return network;
}

/** Two flows at one bottleneck, once they have found their shares. @returns a Markdown table */
async function fairness(): Promise<string> {
  const link = { bandwidth: 2e7, delay: 20, queue: 100_000 };
  const network = await openNetwork();
  try {
    const pairs = [
      ["kernel", "kernel"],
      ["own", "kernel"],
      ["own", "own"],
    ] as const;
    const rows: string[] = [];
    for (const pair of pairs) {
      const runs = await Promise.all(
        [0, 1, 2, 3].map(async (path) => {
          await network.configure(path, link, "fairness");
          const limits = { path, to: "kernel", bytes: 2 ** 40, skip: 30_000, milliseconds: 90_000 } as const;
          return (await Promise.all(pair.map((from) => network.transfer({ ...limits, from })))).map(goodput);
        }),
      );
      const index = median(runs.map(jainIndex));
      const means = pair.map((_, flow) => runs.reduce((sum, shares) => sum + (shares[flow] ?? 0), 0) / runs.length);
      const names = pair.map((kind) => (kind === "own" ? "ours" : "Linux"));
      rows.push(`| ${names.join(" and ")} | ${means.map(formatRate).join(" and ")} | ${index.toFixed(3)} |`);
    }
    return ["| flows | bit/s | Jain's index |", "| --- | --- | --- |", ...rows].join("\n");
  } finally {
    network.close();
  }
}

async function emulated(chosen: readonly Cell[], rounds: number): Promise<ReadonlyMap<string, Samples>> {
  const network = await openNetwork();
  try {
    const start = performance.now();
    const samples = await runRounds(
      network,
      paths,
      chosen,
      (cell) => repeatsOf(cell, rounds),
      limitsOf,
      (line) => process.stderr.write(`${((performance.now() - start) / 1000).toFixed(0).padStart(5)} s ${line}\n`),
    );
    const { lateness } = await network.emulator.ask("statistics", { path: 0 });
    process.stderr.write(
      `frames were late by ${lateness.mean.toFixed(3)} ms, at most ${lateness.worst.toFixed(1)} ms\n`,
    );
    return samples;
  } finally {
    network.close();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "2" },
      only: { type: "string", default: "" },
      cell: { type: "string", default: "" },
      ceiling: { type: "string", default: String(defaultCeiling) },
      markdown: { type: "string" },
      svg: { type: "string" },
      json: { type: "string" },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds} is not above 0`);
  const chosen = cells.filter((cell) => nameOf(cell).includes(values.cell));
  const sections: string[] = [];
  const grids: Grid[] = [];
  const figures: Record<string, Record<string, number>> = {};
  const note = (name: string, samples: Samples): void => {
    figures[name] = Object.fromEntries(chosen.map((cell) => [nameOf(cell), Math.round(samples.of(cell))]));
  };
  if (values.only === "" || values.only === "sim") {
    const samples = await simulated(chosen, rounds);
    note("simulator", samples);
    const text = (cell: Cell): string => formatRate(samples.of(cell));
    sections.push(`### Ours to ours in the simulator, bit/s\n\n${markdownTable(text)}`);
    const ratio = (cell: Cell): number => samples.of(cell) / expectation(cell);
    grids.push({ title: "Ours to ours in the simulator: bit/s; colour: against theory", ratio, text });
  }
  const reason = values.only === "sim" ? "not asked for" : unavailable("ip", "chrt");
  if (reason === undefined && values.only !== "path") {
    const what =
      "Two flows from one end to Linux at the other: 20 Mb/s, 40 ms, a queue of 100 kB; from 30 to 90 s; four runs, means and the median index.";
    sections.push(`### Fairness\n\n${what}\n\n${await fairness()}`);
  }
  if (reason === undefined && values.only !== "fairness") {
    const carried = chosen.filter((cell) => Math.min(capacity(cell), 2 * expectation(cell)) < Number(values.ceiling));
    const samples = await emulated(carried, rounds);
    const rival = samples.get(pairingName(["kernel", "kernel"])) ?? new Samples();
    for (const pairing of pairings) {
      const name = pairingName(pairing);
      const own = samples.get(name) ?? new Samples();
      note(name, own);
      const ratio = (cell: Cell): number => own.of(cell) / rival.of(cell);
      const isRival = own === rival;
      const text = (cell: Cell): string =>
        Number.isNaN(own.of(cell)) ? "–" : isRival ? formatRate(own.of(cell)) : ratio(cell).toFixed(2);
      const what = isRival ? "bit/s" : "times Linux→Linux";
      sections.push(`### ${name} over the emulated path, ${what}\n\n${markdownTable(text)}`);
      grids.push({ title: `${name} over the emulated path, ${what}`, ratio: isRival ? () => 1 : ratio, text });
    }
  }
  if (reason !== undefined) console.log(`tcp-goodput: no emulated path: ${reason}`);
  console.log(sections.join("\n\n"));
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${sections.join("\n\n")}\n`);
  if (values.svg !== undefined) writeFileSync(values.svg, svg(grids));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}

if (!(await playRole())) await main();
