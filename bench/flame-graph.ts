// Where the time goes: processor profiles of the name server and of the web server on a tap device under full load, as
// flame graphs in docs/. Needs root; skips in words without.
//   npm run bench -- flame-graph
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { setTimeout as pause } from "node:timers/promises";
import type { Profiler } from "node:inspector";
import { createNameServer } from "@tesserae/dns/authoritative/name-server";
import { loadZone } from "@tesserae/dns/authoritative/zone-file";
import { Zones } from "@tesserae/dns/authoritative/zones";
import { nameFromText } from "@tesserae/dns/name-bytes";
import { LightResponse } from "@tesserae/http/light-response";
import { serve } from "@tesserae/http/server";
import { createRandom } from "@tesserae/node/random";
import { unavailable } from "../test/namespace/namespace.ts";
import { compileGenerator, loadArguments } from "./dns/generator.ts";
import { queryFile } from "./dns/zone.ts";
import { apex, zoneText } from "./dns/zone-text.ts";
import { flameGraph, sharesOf } from "./flame/picture.ts";
import { framesOf, profileOnSignal } from "./flame/profile.ts";
import { Path, role, serverAddress, serverPort, stackOfRole } from "./tap/path.ts";

const names = 10_000;
const seconds = 6;
const folder = path.resolve("out/flame-graph");
const profileFile = (name: string): string => path.join(folder, `${name}.json`);

async function webServer(): Promise<void> {
  const { stack, timers } = await stackOfRole();
  const page = new Uint8Array(1024).fill(0x61);
  await serve({ tcp: stack.tcp, timers, port: serverPort }, () => new LightResponse(page));
}

async function nameServer(): Promise<void> {
  const { stack, timers } = await stackOfRole();
  const zones = new Zones();
  const loaded = loadZone(nameFromText(apex), new TextEncoder().encode([...zoneText(names)].join("")), {
    source: "bench.zone",
  });
  if (!loaded.ok) throw new Error(loaded.errors.join("\n"));
  zones.replace(loaded.zone);
  const { udp, tcp } = stack;
  await createNameServer({ udp, tcp, timers, random: createRandom(), zones, port: serverPort, rateLimit: false });
}

interface Subject {
  readonly title: string;
  run(): Promise<void>;
  /** The generator's command, for so many seconds. */
  load(seconds: number): readonly string[];
}

const subjects: Readonly<Record<string, Subject>> = {
  "flame-dns-tap": {
    title: "The name server on a tap device: existing names, zone of 10,000",
    run: nameServer,
    load: (seconds) => {
      const mix = { name: "existing names", existing: 1, dnssec: false };
      const queries = queryFile(folder, names, mix);
      const options = { server: serverAddress, port: serverPort, queries, outstanding: 128, seconds };
      return [path.resolve("out/bench-dns-load"), ...loadArguments(options)];
    },
  },
  "flame-http-tap": {
    title: "The web server on a tap device: 1 KiB, 64 kept connections",
    run: webServer,
    load: (seconds) => ["wrk", "-t1", "-c64", `-d${seconds}s`, `http://${serverAddress}:${serverPort}/`],
  },
};

/** Draws one. @returns its rows of the table */
async function draw(name: string, subject: Subject): Promise<string> {
  rmSync(profileFile(name), { force: true });
  const server = await Path.open(name, { stack: "tap", mtu: 1500 });
  try {
    const load = (seconds: number): Promise<string> =>
      server.generator.succeeds("taskset", ["-c", "1", ...subject.load(seconds)]);
    await load(3);
    server.signal("SIGUSR2");
    await load(seconds);
    server.signal("SIGUSR2");
    while (!existsSync(profileFile(name))) await pause(50);
  } finally {
    server.close();
  }
  // as: the process that we started wrote it
  const profile = JSON.parse(readFileSync(profileFile(name), "utf8")) as Profiler.Profile;
  const file = path.resolve("docs", `${name}.svg`);
  const frames = framesOf(profile);
  writeFileSync(file, flameGraph(subject.title, frames));
  console.log(file);
  return sharesOf(frames)
    .filter(([, share]) => share >= 0.01)
    .map(([part, share]) => `| ${subject.title} | ${part} | ${(share * 100).toFixed(0)} % |\n`)
    .join("");
}

async function drawAll(): Promise<void> {
  const reason = unavailable("gcc", "taskset", "wrk");
  if (reason !== undefined) {
    console.log(`flame-graph skipped: ${reason}`);
    return;
  }
  mkdirSync(folder, { recursive: true });
  compileGenerator();
  let table = "| under load | time in | share |\n| --- | --- | --- |\n";
  for (const [name, subject] of Object.entries(subjects)) table += await draw(name, subject);
  const { values } = parseArgs({ options: { markdown: { type: "string" } }, strict: false });
  if (typeof values.markdown === "string") writeFileSync(values.markdown, table);
}

const own = role();
if (own === undefined) await drawAll();
else {
  await subjects[own]?.run();
  profileOnSignal((profile) => {
    // Written whole before it has its name.
    writeFileSync(`${profileFile(own)}.partial`, JSON.stringify(profile));
    renameSync(`${profileFile(own)}.partial`, profileFile(own));
  });
  console.log("listening");
}
