// How flows share a bottleneck: over emulated paths against Linux, and in the simulator with different round trips.
import { jainIndex, simulateBottleneck } from "../../test/path/fairness.ts";
import type { PathNetwork } from "../../test/path/path-network.ts";
import type { StackKind } from "../../test/path/roles.ts";
import { goodput } from "../../test/path/transfer.ts";
import { median } from "../harness/race.ts";
import { formatRate } from "./goodput-table.ts";

const link = { bandwidth: 2e7, delay: 20, queue: 100_000 };
/** What two frames take at the bottleneck, milliseconds. */
const twoFrames = 1.2;
const runs = 4;

const pairs: readonly (readonly [StackKind, StackKind])[] = [
  ["kernel", "kernel"],
  ["own", "kernel"],
  ["own", "own"],
];

/** @returns a Markdown section */
export async function fairnessAgainstLinux(network: PathNetwork, pace: number): Promise<string> {
  const from = Math.round(15_000 * pace);
  const until = Math.round(75_000 * pace);
  const rows: string[] = [];
  for (const jitter of [twoFrames, 0]) {
    // All at once: each on a path of its own.
    const shares = await Promise.all(
      pairs.map((pair, index) =>
        Promise.all(
          Array.from({ length: runs }, async (_, run) => {
            const path = index * runs + run;
            await network.configure(path, { ...link, jitter }, `fairness ${run}`);
            const limits = { path, to: "kernel", bytes: 2 ** 40, skip: from, milliseconds: until } as const;
            return (await Promise.all(pair.map((kind) => network.transfer({ ...limits, from: kind })))).map(goodput);
          }),
        ),
      ),
    );
    pairs.forEach((pair, index) => {
      const rates = shares[index] ?? [];
      const names = pair.map((kind) => (kind === "own" ? "ours" : "Linux")).join(" and ");
      const means = pair.map((_, flow) => rates.reduce((sum, both) => sum + (both[flow] ?? 0), 0) / rates.length);
      const late = jitter === 0 ? "none" : `up to ${jitter} ms`;
      rows.push(
        `| ${names} | ${late} | ${means.map(formatRate).join(" and ")} | ${median(rates.map(jainIndex)).toFixed(3)} |`,
      );
    });
  }
  return [
    `Two flows from one end to Linux at the other: 20 Mb/s, 40 ms, a queue of 100 kB that drops at its tail; from ` +
      `${from / 1000} to ${until / 1000} s; ${runs} runs, means and the median index. On a path that takes exactly as ` +
      `long for every frame, microseconds decide who finds the queue full, each time anew for the same flow (Floyd and ` +
      `Jacobson, On Traffic Phase Effects, 1992); so each frame takes up to two frames' time longer, and without that ` +
      `for comparison.`,
    ["| flows | frames late | bit/s | Jain's index |", "| --- | --- | --- | --- |", ...rows].join("\n"),
  ].join("\n\n");
}

const roundTrips: readonly (readonly [number, number])[] = [
  [40, 40],
  [40, 60],
  [40, 80],
  [40, 160],
];

/** @returns a Markdown section */
export async function fairnessInSimulator(): Promise<string> {
  const rows: string[] = [];
  for (const pair of roundTrips) {
    const shares: number[][] = [];
    for (const seed of ["a", "b", "c"]) {
      shares.push(
        await simulateBottleneck({ ...link, roundTrips: pair, from: 30_000, until: 90_000, seed: `fairness ${seed}` }),
      );
    }
    const means = pair.map((_, flow) => shares.reduce((sum, both) => sum + (both[flow] ?? 0), 0) / shares.length);
    const [fast = 0, slow = 0] = means;
    const ratio = (fast / slow).toFixed(2);
    rows.push(`| ${pair.join(" ms and ")} ms | ${means.map(formatRate).join(" and ")} | ${ratio} |`);
  }
  return [
    "Two of ours at the same bottleneck in the simulator, with different round trips (without the queue's share); from " +
      "30 to 90 s; three seeds. New Reno's shares would be as the square of the round trips, CUBIC's are to be nearer.",
    ["| round trips | bit/s | ratio |", "| --- | --- | --- |", ...rows].join("\n"),
  ].join("\n\n");
}
