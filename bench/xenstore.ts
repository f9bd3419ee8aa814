// A storm of starting and stopping machines: what xl, hotplug scripts, domain 0's kernel and the guest's own ask of
// xenstore while a machine is created, runs and is destroyed, as it was recorded (bench/xenstore/recorded.txt), for
// 1, 10, 100 and 1,000 machines at once. Against oxenstored and C xenstored, which run here without Xen
// (bench/xenstore/no-xen.c); the same client for all, in turns.
//   npm run bench -- xenstore [--rounds N] [--counts 1,10,100,1000] [--servers NAME,…] [--markdown FILE] [--json]
import { writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { createLocalSockets } from "@tesserae/node/local-sockets";
import { createTimers } from "@tesserae/node/timers";
import { serveFlow } from "@tesserae/xenstore/serve";
import { XenstoreServer } from "@tesserae/xenstore/server";
import { median } from "./harness/race.ts";
import { replay, type Outcome } from "./xenstore/replay.ts";
import { readSequence } from "./xenstore/sequence.ts";
import { lackOfRivals, startServer } from "./xenstore/servers.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    counts: { type: "string", default: "1,10,100,1000" },
    servers: { type: "string", default: "C xenstored,oxenstored,ours,ours in process" },
    markdown: { type: "string" },
    json: { type: "boolean", default: false },
    /** Not for people: serves at this path. */
    serve: { type: "string" },
  },
});

async function serve(socket: string): Promise<void> {
  const server = new XenstoreServer({ timers: createTimers() });
  await createLocalSockets().listen(socket, (flow) => serveFlow(server, flow, { kind: "local" }));
}

interface Cell {
  readonly count: number;
  readonly server: string;
  readonly outcomes: Outcome[];
}

const head = [
  "machines at once",
  "server",
  "ms a machine",
  "against",
  "server's CPU ms a machine",
  "requests a machine",
  "transactions",
  "begun anew",
  "most tries of one",
];

function rowOf({ count, server, outcomes }: Cell, rival: Cell | undefined): string[] {
  const each = (pick: (outcome: Outcome) => number): number => median(outcomes.map(pick)) / count;
  const ratios = outcomes.map(
    (outcome, round) => (rival?.outcomes[round]?.milliseconds ?? Number.NaN) / outcome.milliseconds,
  );
  const cpu = outcomes.every((outcome) => outcome.serverMilliseconds === undefined)
    ? "the same process"
    : each((outcome) => outcome.serverMilliseconds ?? 0).toFixed(1);
  return [
    count.toLocaleString("en"),
    server,
    each((outcome) => outcome.milliseconds).toFixed(2),
    server === rival?.server ? "1" : median(ratios).toFixed(2),
    cpu,
    each((outcome) => outcome.requests).toFixed(0),
    median(outcomes.map((outcome) => outcome.transactions)).toLocaleString("en"),
    median(outcomes.map((outcome) => outcome.retries)).toLocaleString("en"),
    String(Math.max(...outcomes.map((outcome) => outcome.mostTries))),
  ];
}

function markdown(cells: readonly Cell[]): string {
  const rows = cells.map((cell) =>
    rowOf(
      cell,
      cells.find((each) => each.count === cell.count),
    ),
  );
  return [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

async function benchmark(): Promise<void> {
  const lack = lackOfRivals();
  const names = values.servers.split(",").filter((name) => lack === undefined || name.startsWith("ours"));
  if (lack !== undefined) console.log(`Xen's own servers are left out: ${lack}`);
  const steps = readSequence(path.resolve("."));
  const cells: Cell[] = [];
  for (const count of values.counts.split(",").map(Number)) {
    const row = names.map((server): Cell => ({ count, server, outcomes: [] }));
    cells.push(...row);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (let turn = 0; turn < row.length; turn++) {
        const cell = row[(turn + round) % row.length]!;
        const start = startServer[cell.server];
        if (start === undefined)
          throw new RangeError(`no server "${cell.server}": ${Object.keys(startServer).join(", ")}`);
        const server = await start();
        try {
          // Warm: code that runs for the first time is slow anywhere.
          await replay(server, steps, 20_000, 5);
          cell.outcomes.push(await replay(server, steps, 1, count));
        } finally {
          await server.stop();
        }
        if (process.stderr.isTTY) process.stderr.write(`${rowOf(cell, undefined).join("  ")}\n`);
      }
    }
  }
  console.log(values.json ? JSON.stringify(cells, undefined, 2) : markdown(cells));
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${markdown(cells)}\n`);
}

if (values.serve === undefined) await benchmark();
else await serve(values.serve);
