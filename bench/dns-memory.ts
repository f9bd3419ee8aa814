// What a signed zone with many names takes in the memory of name servers, one after the other: each loads it, answers, and
// is looked at (the proportional share of its pages, with its children's).
//   npm run bench -- dns-memory [--names 1000000] [--servers NSD,Knot,…] [--markdown FILE]
// Needs root; skips in words without.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { describeVersion } from "../test/dns/servers/version.ts";
import { unavailable } from "../test/namespace/namespace.ts";
import { contenders, type DnsContender } from "./dns/contenders.ts";
import { seeminglySignedZoneFile } from "./dns/made-signatures.ts";
import { memoryOf, Place, serverAddress, serverFolder } from "./dns/place.ts";
import { apex } from "./dns/zone-text.ts";

const { values } = parseArgs({
  options: {
    names: { type: "string", default: "1000000" },
    servers: { type: "string", default: "NSD,Knot,BIND,ours node" },
    markdown: { type: "string" },
  },
});
const few = 100;
const many = Number(values.names);
const rival = "NSD";
const folder = path.resolve("out/bench-dns/zones");
const port = 53;

/** Bytes, once the zone is loaded and what loading it took has been given back. */
async function memoryWith(contender: DnsContender, names: number): Promise<number> {
  const place = Place.open(contender);
  try {
    const file = seeminglySignedZoneFile(folder, names);
    const serving = { address: serverAddress, port, zones: [{ apex, file }], folder: serverFolder(contender.name) };
    const child = place.start(contender.server.configure(serving));
    await place.answers(apex, port, 600_000);
    // It goes down for as long as garbage is found; what is left after two looks alike is what stays.
    let [before, now] = [Infinity, memoryOf(child.pid ?? 0)];
    for (let looks = 0; looks < 30 && now < before * 0.99; looks++) {
      await pause(2000);
      [before, now] = [now, memoryOf(child.pid ?? 0)];
    }
    return now;
  } finally {
    place.close();
  }
}

async function benchmark(): Promise<void> {
  const reason = unavailable("ethtool", "taskset", "dig", "nsd", "knotd", "named");
  if (reason !== undefined) {
    console.log(`dns-memory skipped: ${reason}`);
    return;
  }
  const wanted = values.servers.split(",");
  const chosen = contenders.filter(({ name }) => wanted.includes(name));
  const measured: (readonly [name: string, small: number, large: number])[] = [];
  for (const contender of chosen) {
    const small = await memoryWith(contender, few);
    measured.push([contender.name, small, await memoryWith(contender, many)]);
  }
  const compared = measured.find(([name]) => name === rival) ?? measured[0];
  const rows = measured.map(([name, small, large]) =>
    [
      name,
      ...[small, large].map((bytes) => (bytes / 2 ** 20).toFixed(1)),
      Math.round((large - small) / (many - few)),
      (large / (compared?.[2] ?? NaN)).toFixed(2),
    ].join(" | "),
  );
  const table = [
    `| server | MiB with ${few} names | MiB with ${many.toLocaleString("en")} | bytes a name | against ${compared?.[0] ?? rival} |`,
    "| --- | --- | --- | --- | --- |",
    ...rows.map((row) => `| ${row} |`),
  ].join("\n");
  console.log(table);
  const versions = [...new Set(chosen.map(({ server }) => describeVersion(server)))].join(", ");
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${versions}.\n\n${table}\n`);
}

await benchmark();
