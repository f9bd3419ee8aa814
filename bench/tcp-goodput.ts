// The golden table: goodput of one TCP connection against loss, round trip and bandwidth. Ours to ours in the simulator,
// in virtual time; and through emulated paths in real time, Linux and ours in all four pairings, in the same run.
//   npm run bench -- tcp-goodput [--only sim,path,fairness,ceiling,none] [--cells REGEXP] [--rounds N] [--few N]
//     [--pace FACTOR] [--resume] [--store FILE] [--markdown FILE] [--svg FILE] [--netem]
// What is measured goes to the store at once; what is not keeps its place in the tables. --resume measures only the rounds
// that the store lacks. --rounds is for lossy paths, --few for those where chance has little to say, --pace shortens all
// transfers. --only none prints the tables again.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { unavailable } from "../test/namespace/namespace.ts";
import { cells, expectation, linkOf, nameOf, type Cell } from "../test/path/golden.ts";
import { PathNetwork } from "../test/path/path-network.ts";
import { playRole } from "../test/path/roles.ts";
import { ampleBuffers, simulateTransfer } from "../test/path/simulated-transfer.ts";
import { measureCeiling } from "./tcp/ceiling.ts";
import { fairnessAgainstLinux, fairnessInSimulator } from "./tcp/fairness.ts";
import { GoodputStore } from "./tcp/goodput-store.ts";
import { formatRate, markdownTable, svg, type Grid } from "./tcp/goodput-table.ts";
import {
  expectedSeconds,
  limitsOf,
  pairingName,
  pairings,
  roundsOf,
  runRounds,
  type RoundPlan,
} from "./tcp/path-rounds.ts";

const paths = 96;
const parts: readonly string[] = ["sim", "path", "fairness", "ceiling", "none"];
const simulator = "simulator";
const rival = pairingName(["kernel", "kernel"]);

async function simulate(chosen: readonly Cell[], plan: RoundPlan, store: GoodputStore): Promise<void> {
  for (const cell of chosen) {
    const start = performance.now();
    // Without loss it is always the same.
    for (let round = store.done(simulator, cell); round < (cell.loss === 0 ? 1 : roundsOf(cell, plan)); round++) {
      const seed = `${nameOf(cell)} ${round}`;
      const limits = limitsOf(cell, plan.pace);
      const result = await simulateTransfer({ link: linkOf(cell), seed, tcp: ampleBuffers, ...limits });
      store.add(simulator, cell, result.goodput);
    }
    const rate = store.of(simulator, cell);
    const took = ((performance.now() - start) / 1000).toFixed(1);
    const share = (rate / expectation(cell)).toFixed(2);
    process.stderr.write(`sim ${nameOf(cell)}: ${formatRate(rate)}b/s, ${share} of the expectation (${took} s)\n`);
  }
}

async function openNetwork(emulator: "tap" | "netem"): Promise<PathNetwork> {
  const program = process.argv[1] ?? "";
  const network = await PathNetwork.open({ program, paths, buffers: 67_108_864, emulator });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      network.close();
      process.exit(1);
    });
  }
  return network;
}

async function emulate(chosen: readonly Cell[], network: PathNetwork, plan: RoundPlan, store: GoodputStore) {
  const start = performance.now();
  const seconds = expectedSeconds(paths, chosen, plan, store);
  process.stderr.write(`${chosen.length} cells over the emulated paths, about ${(seconds / 60).toFixed(0)} minutes\n`);
  await runRounds(network, paths, chosen, plan, store, (line) => {
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(0).padStart(5)} s ${line}\n`);
  });
  const lateness = await network.lateness();
  if (lateness === undefined) return;
  const late = `${lateness.mean.toFixed(3)} ms on average, ${lateness.worst.toFixed(1)} ms at most`;
  store.setText("lateness", `Frames left late by ${late}.`);
}

/** The chapter of the documentation, and the picture, of all that the store has. */
function render(store: GoodputStore): readonly [markdown: string, picture: string] {
  const sections: string[] = [];
  const grids: Grid[] = [];
  const simulated = (cell: Cell): string => formatRate(store.of(simulator, cell));
  sections.push(`### Ours to ours in the simulator, bit/s\n\n${markdownTable(simulated)}`);
  const expected = (cell: Cell): number => store.of(simulator, cell) / expectation(cell);
  const title = "Ours to ours in the simulator: bit/s; colour: against theory";
  grids.push({ title, ratio: expected, text: simulated });
  for (const pairing of pairings) {
    const name = pairingName(pairing);
    const isRival = name === rival;
    const ratio = (cell: Cell): number => (isRival ? 1 : store.against(name, rival, cell)[0]);
    const text = (cell: Cell): string => {
      if (store.count(name, cell) === 0) return "–";
      if (isRival) return formatRate(store.of(name, cell));
      const [factor, error] = store.against(name, rival, cell);
      return Number.isNaN(error) ? factor.toFixed(2) : `${factor.toFixed(2)} ± ${error.toFixed(2)}`;
    };
    const what = isRival ? "bit/s" : "times Linux→Linux";
    sections.push(`### ${name} over the emulated path, ${what}\n\n${markdownTable(text)}`);
    if (!isRival) sections.push(summary(store, name));
    grids.push({ title: `${name} over the emulated path, ${what}`, ratio, text });
  }
  const limits = [store.text("ceiling"), store.text("lateness")].filter((text) => text !== undefined);
  if (limits.length > 0) sections.push(`### The emulated path's own limits\n\n${limits.join(" ")}`);
  const shares = [store.text("fairness"), store.text("fairness in the simulator")].filter((text) => text !== undefined);
  if (shares.length > 0) sections.push(`### Fairness\n\n${shares.join("\n\n")}`);
  return [sections.join("\n\n"), svg(grids)];
}

/** In words: how many cells are where. */
function summary(store: GoodputStore, name: string): string {
  const measured = cells.filter((cell) => store.count(name, cell) > 0);
  const below: string[] = [];
  let above = 0;
  for (const cell of measured) {
    const [ratio, error] = store.against(name, rival, cell);
    if (ratio >= 0.9) above++;
    else {
      const isSure = ratio * (1 + 2 * error) < 0.9;
      below.push(`${nameOf(cell)} (${ratio.toFixed(2)}${isSure ? "" : ", within chance"})`);
    }
  }
  const rest = below.length === 0 ? "." : `; below it: ${below.join("; ")}.`;
  return `${above} of ${measured.length} cells measured are at 0.9 or above${rest}`;
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`--${name} ${text} is not above 0`);
  return value;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "sim,path,fairness,ceiling" },
      cells: { type: "string", default: "" },
      rounds: { type: "string", default: "8" },
      few: { type: "string", default: "2" },
      pace: { type: "string", default: "1" },
      resume: { type: "boolean", default: false },
      netem: { type: "boolean", default: false },
      store: { type: "string", default: "docs/tcp-goodput.json" },
      markdown: { type: "string" },
      svg: { type: "string" },
    },
  });
  const only = values.only.split(",");
  const stranger = only.find((part) => !parts.includes(part));
  if (stranger !== undefined) throw new RangeError(`--only ${stranger} is none of ${parts.join(", ")}`);
  const plan: RoundPlan = {
    rounds: number("rounds", values.rounds),
    fewRounds: Math.min(number("few", values.few), number("rounds", values.rounds)),
    pace: number("pace", values.pace),
  };
  const pattern = new RegExp(values.cells);
  const chosen = cells.filter((cell) => pattern.test(nameOf(cell)));
  if (chosen.length === 0)
    throw new RangeError(`--cells ${values.cells} matches none, such as ${nameOf(cells[30] ?? cells[0]!)}`);
  const store = new GoodputStore(values.store, values.resume);
  const reason = unavailable("ip", "chrt");
  const isReal = only.includes("path") || only.includes("fairness") || only.includes("ceiling");
  if (isReal && reason !== undefined) console.log(`tcp-goodput: no emulated path: ${reason}`);
  if (isReal && reason === undefined) {
    const network = await openNetwork(values.netem ? "netem" : "tap");
    try {
      if (only.includes("ceiling")) {
        const { bits, frames } = await measureCeiling(network, 3);
        const text = `One connection of Linux over an emulated path without limit and loss: ${formatRate(bits)}bit/s, ${Math.round(frames / 1000)} k frames/s.`;
        store.setText("ceiling", text);
        process.stderr.write(`${text}\n`);
      }
      if (only.includes("fairness")) store.setText("fairness", await fairnessAgainstLinux(network, plan.pace));
      if (only.includes("path")) await emulate(chosen, network, plan, store);
    } finally {
      network.close();
    }
  }
  if (only.includes("fairness")) store.setText("fairness in the simulator", await fairnessInSimulator());
  if (only.includes("sim")) await simulate(chosen, plan, store);
  const [markdown, picture] = render(store);
  console.log(markdown);
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${markdown}\n`);
  if (values.svg !== undefined) writeFileSync(values.svg, picture);
}

if (!(await playRole())) await main();
