// A storm of starting and stopping machines: what xl, hotplug scripts, domain 0's kernel and the guest's own ask of
// xenstore while a machine is created, runs and is destroyed, as it was recorded (bench/xenstore/recorded.txt), for
// 1, 10, 100 and 1,000 machines at once. Against oxenstored and C xenstored, which run here without Xen
// (bench/xenstore/no-xen.c); the same client for all, in turns.
// Each storm of more than a hundred machines is run once, and ends after --seconds: what was done by then is told.
//   npm run bench -- xenstore [--rounds N] [--counts 1,10,100,1000] [--seconds N] [--servers NAME,…] [--markdown FILE]
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
    seconds: { type: "string", default: "60" },
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
  "CPU ms a machine: server",
  "clients",
  "requests a machine",
  "transactions",
  "begun anew for conflicts",
  "most tries of one",
];

function rowOf({ count, server, outcomes }: Cell, rival: Cell | undefined): string[] {
  const each = (pick: (outcome: Outcome) => number): number =>
    median(outcomes.map((outcome) => pick(outcome) / Math.max(1, outcome.lived)));
  const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: 0 });
  const cut = outcomes.find(({ lived }) => lived < count);
  const took =
    cut === undefined
      ? each((outcome) => outcome.milliseconds).toFixed(1)
      : `after ${(cut.milliseconds / 1000).toFixed(0)} s ${number(cut.lived)} of ${number(count)} were done`;
  const isWithin = outcomes.some(({ serverMilliseconds }) => serverMilliseconds === undefined);
  const of = (pick: (outcome: Outcome) => number): string => (cut?.lived === 0 ? "–" : each(pick).toFixed(1));
  return [
    number(count),
    server,
    took,
    ratio(count, outcomes, rival, server),
    isWithin ? "with the clients" : of((outcome) => outcome.serverMilliseconds ?? 0),
    of((outcome) => outcome.ownMilliseconds),
    cut === undefined ? each((outcome) => outcome.requests).toFixed(0) : `${number(cut.requests)} in all`,
    number(median(outcomes.map((outcome) => outcome.transactions))),
    number(median(outcomes.map((outcome) => outcome.retries))),
    number(Math.max(...outcomes.map((outcome) => outcome.mostTries))),
  ];
}

/** How many times as fast as the rival; where that one did not end, at least how many. */
function ratio(count: number, outcomes: readonly Outcome[], rival: Cell | undefined, server: string): string {
  if (rival === undefined || server === rival.server) return "1";
  if (outcomes.some(({ lived }) => lived < count)) return "–";
  const ratios = outcomes.map(({ milliseconds }, round) => (rival.outcomes[round]?.milliseconds ?? 0) / milliseconds);
  const isCut = rival.outcomes.some(({ lived }) => lived < count);
  return `${isCut ? "above " : ""}${median(ratios).toFixed(2)}`;
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
    const rounds = count > 100 ? 1 : Number(values.rounds);
    const row = names.map((server): Cell => ({ count, server, outcomes: [] }));
    cells.push(...row);
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < row.length; turn++) {
        const cell = row[(turn + round) % row.length]!;
        const start = startServer[cell.server];
        if (start === undefined)
          throw new RangeError(`no server "${cell.server}": ${Object.keys(startServer).join(", ")}`);
        const server = await start();
        try {
          // Warm: code that runs for the first time is slow anywhere.
          await replay(server, steps, 20_000, 5);
          cell.outcomes.push(await replay(server, steps, 1, count, Number(values.seconds) * 1000));
        } finally {
          await server.stop();
        }
        process.stderr.write(`${rowOf(cell, undefined).join("  ")}\n`);
      }
    }
  }
  console.log(values.json ? JSON.stringify(cells, undefined, 2) : markdown(cells));
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${markdown(cells)}\n`);
}

if (values.serve === undefined) await benchmark();
else await serve(values.serve);
