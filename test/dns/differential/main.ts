// The differential run by itself: starts the servers, asks, and prints what differs.
//   npm run soak:dns -- [--count N] [--seed N] [--subject NAME] [--rivals NAME,NAME]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openContest } from "./contest.ts";
import { describe, runDifferential } from "./run.ts";

/** @returns the exit status: 1 when something is not explained */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      subject: { type: "string", default: "ours" },
      rivals: { type: "string", default: "NSD,Knot,BIND" },
    },
  });
  const folder = mkdtempSync(path.join(tmpdir(), "dns-differential-"));
  const started = performance.now();
  const contest = await openContest(folder, values.subject, values.rivals.split(","));
  try {
    const report = await runDifferential(contest.subject, contest.rivals, {
      ...{ seed: Number(values.seed), count: Number(values.count) },
      progress: (asked) => {
        const seconds = Math.round((performance.now() - started) / 1000);
        if (asked % 50_000 === 0) console.error(`${asked} queries, ${seconds} s`);
      },
    });
    for (const { first, count } of report.unexplained) console.log(`${count} × ${describe(first)}\n`);
    console.log(`${report.asked} queries; answered: ${list(report.answered)}`);
    console.log(`explained: ${list(report.explained)}`);
    console.log(`${values.subject}'s answers: ${list(report.codes)}`);
    const kinds = report.unexplained.length;
    console.log(kinds === 0 ? "every difference is explained" : `${kinds} kinds of differences are not explained`);
    return kinds === 0 ? 0 : 1;
  } finally {
    await contest.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}
