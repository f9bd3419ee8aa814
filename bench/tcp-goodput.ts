// The golden table: goodput of one TCP connection against loss, round trip and bandwidth. Ours to ours in the simulator,
// in virtual time; and through emulated paths in real time, Linux and ours in all four pairings, in the same run.
//   npm run bench -- tcp-goodput [--rounds N] [--only sim|path] [--cell TEXT] [--markdown FILE] [--svg FILE] [--json FILE]
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { unavailable } from "../test/namespace/namespace.ts";
import { capacity, cells, expectation, linkOf, nameOf, type Cell } from "../test/path/golden.ts";
import { PathNetwork } from "../test/path/path-network.ts";
import { playRole } from "../test/path/roles.ts";
import { ampleBuffers, simulateTransfer } from "../test/path/simulated-transfer.ts";
import type { TransferLimits } from "../test/path/transfer.ts";
import { formatRate, markdownTable, Samples, svg, type Grid } from "./tcp/goodput-table.ts";
import { pairingName, pairings, runRounds } from "./tcp/path-rounds.ts";

const paths = 48;
const duration = 10_000;
/** What one transfer moves at most, so that the fast ones end. */
const mostBytes = 268_435_456;
/** Above it the emulated path, or the machine, is what is measured. */
const emulatorCeiling = 1.2e9;

function limitsOf(): TransferLimits {
  return { bytes: mostBytes, milliseconds: duration };
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
      const { goodput } = await simulateTransfer({ link: linkOf(cell), seed, tcp: ampleBuffers, ...limitsOf() });
      samples.add(cell, goodput);
    }
    const took = ((performance.now() - start) / 1000).toFixed(1);
    process.stderr.write(
      `sim ${nameOf(cell)}: ${formatRate(samples.of(cell))}b/s, ` +
        `${(samples.of(cell) / expectation(cell)).toFixed(2)} of the expectation (${took} s)\n`,
    );
  }
  return samples;
}

async function emulated(chosen: readonly Cell[], rounds: number): Promise<ReadonlyMap<string, Samples>> {
  const network = await PathNetwork.open({ program: process.argv[1] ?? "", paths, buffers: 8_388_608 });
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
  if (values.only !== "path") {
    const samples = await simulated(chosen, rounds);
    note("simulator", samples);
    const text = (cell: Cell): string => formatRate(samples.of(cell));
    sections.push(`### Ours to ours in the simulator, bit/s\n\n${markdownTable(text)}`);
    const ratio = (cell: Cell): number => samples.of(cell) / expectation(cell);
    grids.push({ title: "Ours to ours in the simulator: bit/s; colour: against theory", ratio, text });
  }
  const reason = values.only === "sim" ? "not asked for" : unavailable("ip", "chrt");
  if (reason === undefined) {
    const carried = chosen.filter((cell) => Math.min(capacity(cell), 2 * expectation(cell)) < emulatorCeiling);
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
  } else console.log(`tcp-goodput: no emulated path: ${reason}`);
  console.log(sections.join("\n\n"));
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${sections.join("\n\n")}\n`);
  if (values.svg !== undefined) writeFileSync(values.svg, svg(grids));
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
}

if (!(await playRole())) await main();
