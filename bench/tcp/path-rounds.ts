// The transfers of the golden table over emulated paths, in real time: many at once where they take little, one by one
// where the machine is the bottleneck.
import { setTimeout as pause } from "node:timers/promises";
import { capacity, expectation, linkOf, nameOf, type Cell } from "../../test/path/golden.ts";
import type { PathNetwork } from "../../test/path/path-network.ts";
import type { StackKind } from "../../test/path/roles.ts";
import { goodput, type TransferLimits } from "../../test/path/transfer.ts";
import { Samples } from "./goodput-table.ts";

export const pairings: readonly (readonly [from: StackKind, to: StackKind])[] = [
  ["kernel", "kernel"],
  ["own", "kernel"],
  ["kernel", "own"],
  ["own", "own"],
];

const names: Readonly<Record<StackKind, string>> = { kernel: "Linux", own: "ours" };

export function pairingName([from, to]: readonly [StackKind, StackKind]): string {
  return `${names[from]}→${names[to]}`;
}

/** Bits a second that all transfers under way may take together. */
const budget = 1.2e8;

interface Job {
  readonly cell: Cell;
  readonly pairing: readonly [StackKind, StackKind];
  readonly seed: string;
  /** Bits a second that it is expected to take. */
  readonly cost: number;
}

/**
 * Runs every cell with every pairing, `repeats(cell)` times. The pairings of a cell take turns, next to each other.
 *
 * @returns the samples, by {@link pairingName}
 */
export async function runRounds(
  network: PathNetwork,
  paths: number,
  cells: readonly Cell[],
  repeats: (cell: Cell) => number,
  limits: (cell: Cell) => TransferLimits,
  progress: (line: string) => void,
): Promise<ReadonlyMap<string, Samples>> {
  const samples = new Map(pairings.map((pairing) => [pairingName(pairing), new Samples()]));
  const jobs = jobsOf(cells, repeats);
  const free = Array.from({ length: paths }, (_, path) => paths - 1 - path);
  const under = new Set<Promise<void>>();
  let load = 0;
  for (const job of jobs) {
    while (free.length === 0 || (load > 0 && load + job.cost > budget)) await Promise.race(under);
    const path = free.pop() ?? 0;
    load += job.cost;
    const run = one(job, path).finally(() => {
      under.delete(run);
      free.push(path);
      load -= job.cost;
      if (under.size === 0) load = 0;
    });
    under.add(run);
  }
  await Promise.all(under);
  return samples;

  async function one({ cell, pairing, seed }: Job, path: number): Promise<void> {
    const [from, to] = pairing;
    const { bytes, milliseconds } = limits(cell);
    await network.configure(path, linkOf(cell), seed);
    const result = await network.transfer({ path, from, to, bytes, milliseconds });
    // The next one on this path is not to meet the last frames of this one.
    await pause(Math.min(300, cell.roundTrip) + 20);
    samples.get(pairingName(pairing))?.add(cell, goodput(result));
    progress(`${nameOf(cell)} ${pairingName(pairing)} ${(goodput(result) / 1e6).toFixed(3)} Mb/s`);
  }
}

function jobsOf(cells: readonly Cell[], repeats: (cell: Cell) => number): Job[] {
  const jobs: Job[] = [];
  const most = Math.max(...cells.map(repeats));
  for (let round = 0; round < most; round++) {
    for (const cell of cells) {
      if (round >= repeats(cell)) continue;
      const seed = `${nameOf(cell)} ${round}`;
      const cost = cell.loss === 0 ? capacity(cell) : Math.min(capacity(cell), 3 * expectation(cell));
      for (let turn = 0; turn < pairings.length; turn++) {
        const pairing = pairings[(turn + round) % pairings.length];
        if (pairing !== undefined) jobs.push({ cell, pairing, seed, cost });
      }
    }
  }
  // What runs alone comes last, and what takes least first: those that run together are alike.
  return jobs.sort((a, b) => Number(a.cost > budget / 2) - Number(b.cost > budget / 2));
}
