// The transfers of the golden table over emulated paths, in real time: many at once where they take little, one by one
// where the machine is the bottleneck.
import { setTimeout as pause } from "node:timers/promises";
import { capacity, expectation, linkOf, nameOf, type Cell } from "../../test/path/golden.ts";
import type { PathNetwork } from "../../test/path/path-network.ts";
import type { StackKind } from "../../test/path/roles.ts";
import { goodput, type TransferLimits } from "../../test/path/transfer.ts";
import type { GoodputStore } from "./goodput-store.ts";

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

/** Bits a second that all transfers under way may take together: a part of what the emulated paths carry. */
const budget = 2e8;
/** What one transfer moves at most, so that the fast ones end. */
const mostBytes = 268_435_456;

/** What to measure of each cell. */
export interface RoundPlan {
  /** How many times, where loss makes transfers differ; the others take `fewRounds`. */
  readonly rounds: number;
  readonly fewRounds: number;
  /** What the times of transfers are multiplied by. */
  readonly pace: number;
}

/** Long round trips need longer: what counts is how many there are. A path without loss is at its end when it is full. */
export function limitsOf({ roundTrip, loss }: Cell, pace: number): TransferLimits {
  const lossy = roundTrip >= 300 ? 30_000 : roundTrip >= 100 ? 15_000 : 8000;
  const lossless = roundTrip >= 300 ? 12_000 : roundTrip >= 100 ? 6000 : 3000;
  return { bytes: mostBytes, milliseconds: Math.round((loss === 0 ? lossless : lossy) * pace) };
}

/** The more loss there is to a transfer, the less chance has to say: fast cells need few rounds, and cost most. */
export function roundsOf(cell: Cell, { rounds, fewRounds }: RoundPlan): number {
  return cell.loss === 0 || expectation(cell) > 3e7 ? fewRounds : rounds;
}

interface Job {
  readonly cell: Cell;
  readonly pairing: readonly [StackKind, StackKind];
  readonly seed: string;
  /** Bits a second that it is expected to take. */
  readonly cost: number;
  /** Milliseconds. */
  readonly time: number;
}

/**
 * Runs every cell with every pairing, {@link roundsOf} times. The pairings of a cell take turns, next to each other, with
 * the same seed. What comes out goes to `store` at once.
 */
export async function runRounds(
  network: PathNetwork,
  paths: number,
  cells: readonly Cell[],
  plan: RoundPlan,
  store: GoodputStore,
  progress: (line: string) => void,
): Promise<void> {
  const jobs = jobsOf(cells, plan, store);
  const free = Array.from({ length: paths }, (_, path) => paths - 1 - path);
  const under = new Set<Promise<void>>();
  let load = 0;
  let over = 0;
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

  async function one({ cell, pairing, seed, time }: Job, path: number): Promise<void> {
    const [from, to] = pairing;
    const { bytes } = limitsOf(cell, plan.pace);
    await network.configure(path, linkOf(cell), seed);
    const rate = goodput(await network.transfer({ path, from, to, bytes, milliseconds: time }));
    store.add(pairingName(pairing), cell, rate);
    over++;
    progress(`${over} of ${jobs.length}: ${nameOf(cell)} ${pairingName(pairing)} ${(rate / 1e6).toFixed(3)} Mb/s`);
    // The next one on this path is not to meet the last frames of this one.
    await pause(Math.min(300, cell.roundTrip) + 20);
  }
}

function jobsOf(cells: readonly Cell[], plan: RoundPlan, store: GoodputStore): Job[] {
  const jobs: Job[] = [];
  const most = Math.max(...cells.map((cell) => roundsOf(cell, plan)));
  for (let round = 0; round < most; round++) {
    for (const cell of cells) {
      if (round >= roundsOf(cell, plan)) continue;
      const seed = `${nameOf(cell)} ${round}`;
      const cost = cell.loss === 0 ? capacity(cell) : Math.min(capacity(cell), 3 * expectation(cell));
      const time = limitsOf(cell, plan.pace).milliseconds;
      for (let turn = 0; turn < pairings.length; turn++) {
        const pairing = pairings[(turn + round) % pairings.length];
        if (pairing === undefined || store.done(pairingName(pairing), cell) > round) continue;
        jobs.push({ cell, pairing, seed, cost, time });
      }
    }
  }
  // Round by round, what takes longest first: those that run together are alike, and none is left to itself at the end.
  // What runs alone comes last of all.
  const order = new Map(jobs.map((job, index) => [job, index]));
  const round = ({ seed }: Job): number => Number(seed.slice(seed.lastIndexOf(" ")));
  const isHeavy = ({ cost }: Job): number => Number(cost > budget / 2);
  return jobs.sort(
    (a, b) =>
      isHeavy(a) - isHeavy(b) || round(a) - round(b) || b.time - a.time || (order.get(a) ?? 0) - (order.get(b) ?? 0),
  );
}

/** How long that takes, in seconds, if paths and bits are shared out well. */
export function expectedSeconds(paths: number, cells: readonly Cell[], plan: RoundPlan, store: GoodputStore): number {
  let alone = 0;
  let pathSeconds = 0;
  let bits = 0;
  for (const { cost, time, cell } of jobsOf(cells, plan, store)) {
    const whole = Math.min(time, (mostBytes * 8000) / Math.min(cost, 1.5e9)) + Math.min(300, cell.roundTrip) + 20;
    if (cost > budget / 2) alone += whole / 1000;
    else {
      pathSeconds += whole / 1000;
      bits += (cost * whole) / 1000;
    }
  }
  return alone + Math.max(pathSeconds / paths, bits / budget);
}
