// The differential run by itself: starts the servers, asks, and prints what differs.
//   npm run soak:dns -- [--count N] [--seed N] [--subject NAME] [--rivals NAME,NAME]
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { bind } from "../servers/bind.ts";
import { knot } from "../servers/knot.ts";
import type { NameServer } from "../servers/name-server.ts";
import { nsd } from "../servers/nsd.ts";
import { startServer, type RunningServer } from "../servers/running.ts";
import { Asker } from "./exchange.ts";
import { describe, runDifferential } from "./run.ts";
import { makeZones } from "./zones.ts";

const known: readonly NameServer[] = [nsd, knot, bind];

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
  const servers: RunningServer[] = [];
  const askers: Asker[] = [];
  try {
    const zones = makeZones(folder);
    for (const name of [values.subject, ...values.rivals.split(",")]) {
      const server = known.find((each) => each.name === name);
      if (server === undefined)
        throw new RangeError(`no server is named "${name}": ${known.map((each) => each.name).join(", ")}`);
      servers.push(await startServer(server, zones, folder));
    }
    for (const server of servers) askers.push(await Asker.open(server));
    const started = performance.now();
    const [subject, ...rivals] = askers;
    // as: a subject is always given
    const report = await runDifferential(subject!, rivals, {
      ...{ seed: Number(values.seed), count: Number(values.count) },
      progress: (asked) => {
        if (asked % 50_000 === 0)
          console.error(`${asked} queries, ${Math.round((performance.now() - started) / 1000)} s`);
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
    for (const asker of askers) asker.close();
    for (const server of servers) await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(", ");
}
