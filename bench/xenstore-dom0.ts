// The storm of bench/xenstore.ts inside of a real dom0: Xen in QEMU without KVM, where C xenstored and oxenstored are
// dom0's own store, ours is a process of dom0, and ours is dom0's store in a domain of its own. Clients are programs of
// dom0, by the server's socket or by Linux's device (/dev/xen/xenbus), behind which is the kernel's one ring: the only way
// to a store domain. Each row of a server is measured in one boot, which others share.
//   npm run bench -- xenstore-dom0 [--counts 1,10,30] [--seconds N] [--servers TEXT,…] [--markdown FILE] [--json]
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import type { Store } from "@tesserae/xen-host/host";
import { xenUnavailable } from "../test/xen/xen-host.ts";
import {
  lackOfPrograms,
  ourSocket,
  StormHost,
  storeDomain,
  xenbus,
  type StormOutcome,
  type Target,
} from "./xenstore/dom0-host.ts";

const { values } = parseArgs({
  options: {
    counts: { type: "string", default: "1,10,30" },
    /** After which a storm ends. */
    seconds: { type: "string", default: "600" },
    /** Those whose names contain one of the texts. */
    servers: { type: "string", default: "" },
    markdown: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

interface Contender extends Target {
  readonly name: string;
}

const socket = "/run/xenstored/socket";
/** By the store that dom0 boots with. */
const contenders: Readonly<Record<string, readonly Contender[]>> = {
  xenstored: [
    { name: "C xenstored by socket", by: socket, kind: "dom0's" },
    { name: "ours by socket", by: ourSocket, kind: "our process" },
    { name: "C xenstored by ring", by: xenbus, kind: "dom0's" },
  ],
  oxenstored: [
    { name: "oxenstored by socket", by: socket, kind: "dom0's" },
    { name: "oxenstored by ring", by: xenbus, kind: "dom0's" },
  ],
  "store domain": [{ name: "ours in a domain by ring", by: xenbus, kind: "store domain" }],
};
const order = ["socket", "ring"].flatMap((way) =>
  ["C xenstored", "oxenstored", "ours", "ours in a domain"].map((name) => `${name} by ${way}`),
);

interface Row {
  readonly name: string;
  readonly count: number;
  readonly outcome: StormOutcome;
}

const head = [
  ...["machines at once", "server", "server's CPU, ms a machine", "against", "all CPU, ms a machine", "ms a machine"],
  ...["requests a machine", "transactions", "begun anew", "most tries of one"],
];

const number = (value: number): string => value.toLocaleString("en", { maximumFractionDigits: 0 });

/** Milliseconds that the emulator spent for the server. */
function serverTime({ serverPart, emulatorMilliseconds }: StormOutcome): number {
  return serverPart * emulatorMilliseconds;
}

function rowOf({ name, count, outcome }: Row, rival: Row | undefined): string[] {
  const { lived, milliseconds, emulatorMilliseconds, requests } = outcome;
  const isDone = lived === count;
  const each = (value: number): string => (isDone ? number(value / count) : "–");
  const isWhole = isDone && rival?.outcome.lived === count;
  const took = isDone ? each(milliseconds) : `after ${number(milliseconds / 1000)} s ${lived} were done`;
  return [
    ...[number(count), name, each(serverTime(outcome))],
    ...[isWhole ? (serverTime(outcome) / serverTime(rival.outcome)).toFixed(2) : "–", each(emulatorMilliseconds), took],
    ...[each(requests), number(outcome.transactions), number(outcome.retries), number(outcome.mostTries)],
  ];
}

/** The one in C, reached the same way. */
function rivalOf(row: Row, rows: readonly Row[]): Row | undefined {
  const name = `C xenstored by ${row.name.split(" by ")[1] ?? ""}`;
  return rows.find((each) => each.count === row.count && each.name === name);
}

function markdown(rows: readonly Row[]): string {
  const sorted = rows.toSorted((a, b) => a.count - b.count || order.indexOf(a.name) - order.indexOf(b.name));
  const lines = [head, head.map(() => "---"), ...sorted.map((row) => rowOf(row, rivalOf(row, rows)))];
  return lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
}

async function stormsOn(store: Store, chosen: readonly Contender[], counts: readonly number[]): Promise<Row[]> {
  const rows: Row[] = [];
  const host = await StormHost.start(store);
  try {
    for (const count of counts) {
      for (const { name, ...target } of chosen) {
        const outcome = await host.storm(target, count, Number(values.seconds));
        rows.push({ name, count, outcome });
        process.stderr.write(`${rowOf(rows.at(-1)!, undefined).join("  ")}\n`);
      }
    }
  } finally {
    await host.close();
  }
  return rows;
}

async function benchmark(): Promise<void> {
  const reason = lackOfPrograms() ?? (await xenUnavailable());
  if (reason !== undefined) {
    console.log(`xenstore-dom0 skipped: ${reason}`);
    return;
  }
  const texts = values.servers.split(",");
  const counts = values.counts.split(",").map(Number);
  const rows: Row[] = [];
  for (const [store, all] of Object.entries(contenders)) {
    const chosen = all.filter(({ name }) => texts.some((text) => name.includes(text)));
    if (chosen.length === 0) continue;
    const booted = store === "xenstored" || store === "oxenstored" ? store : await storeDomain();
    rows.push(...(await stormsOn(booted, chosen, counts)));
  }
  console.log(values.json ? JSON.stringify(rows, undefined, 2) : markdown(rows));
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${markdown(rows)}\n`);
}

await benchmark();
