// Name servers on one core: answers a second from zones of three sizes and several mixes of queries, latency at half of
// that load, and memory for each name. Each server has a network namespace of its own and core 1; the load generator
// (bench/dns/load) has core 0, checks every answer, and is compared with dnsperf below dnsperf's saturation.
//   npm run bench -- dns-servers [--rounds N] [--only TEXT|TEXT…] [--servers NSD,Knot,…] [--seconds S] [--markdown FILE] [--svg FILE]
// On a quiet machine, in some eight minutes: --rounds 5 --only "zone of 10,000"
// Needs root; skips in words without.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { unavailable } from "../test/namespace/namespace.ts";
import { describeVersion } from "../test/dns/servers/version.ts";
import { contenders, type DnsContender } from "./dns/contenders.ts";
import { compileGenerator, wrongWith, type Load } from "./dns/generator.ts";
import { memoryOf, Place, serverAddress, serverFolder, watchCores, type CoreUse } from "./dns/place.ts";
import { chart } from "./dns/chart.ts";
import { queryFile, signedZoneFile, zoneFile, type QueryMix } from "./dns/zone.ts";
import { apex } from "./dns/zone-text.ts";
import { median, runRace, type Figure } from "./harness/race.ts";
import { formatMarkdown, formatTable } from "./harness/report.ts";

interface Setting {
  readonly names: number;
  readonly mix: QueryMix;
  /** Who takes part; default: all that are no echo. The first is the rival. */
  readonly only?: readonly string[];
}

const existing: QueryMix = { name: "existing names", existing: 1, dnssec: false };
const random: QueryMix = { name: "random names, NXDOMAIN", existing: 0, dnssec: false };
const mixed: QueryMix = { name: "DNSSEC, 3 in 10 NXDOMAIN", existing: 0.7, dnssec: true };

const settings: readonly Setting[] = [
  { names: 100, mix: existing },
  { names: 10_000, mix: existing },
  { names: 1_000_000, mix: existing },
  { names: 10_000, mix: random },
  { names: 1_000_000, mix: random },
  { names: 100, mix: mixed },
  { names: 10_000, mix: mixed },
  // How much of what a device can carry is left when answers are looked up.
  ...["node", "tap", "XDP"].map((device) => ({
    names: 10_000,
    mix: { ...existing, name: `beside an echo, ${device}`, anyAnswer: true },
    only: [`echo ${device}`, `ours ${device}`],
  })),
];

const port = 53;
/** So many fit into the receive buffers that servers have by default. */
const outstanding = 128;
const rival = "NSD";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1.5" },
    only: { type: "string", default: "" },
    servers: { type: "string" },
    markdown: { type: "string" },
    svg: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const seconds = Number(values.seconds);
const zones = path.resolve("out/bench-dns/zones");

interface Running {
  readonly contender: DnsContender;
  readonly place: Place;
  readonly pid: number;
  readonly loads: Load[];
  readonly cores: CoreUse[][];
}

function nameOf({ names, mix }: Setting): string {
  return `${mix.name}, zone of ${names.toLocaleString("en")}`;
}

async function start(contender: DnsContender, setting: Setting): Promise<Running> {
  const file = (setting.mix.dnssec ? signedZoneFile : zoneFile)(zones, setting.names);
  const place = Place.open(contender);
  try {
    const child = place.start(
      contender.server.configure({
        ...{ address: serverAddress, port, zones: [{ apex, file }], folder: serverFolder(contender.name) },
        ...(contender.xdp ? { xdp: "dns0" } : {}),
      }),
    );
    await place.answers(apex, port);
    place.prepareGenerator(contender.generator === "xdp");
    return { contender, place, pid: child.pid ?? 0, loads: [], cores: [] };
  } catch (error) {
    place.close();
    throw error;
  }
}

/** Measures again, a few times, when so many datagrams were lost that something else had the processor. */
async function fairly(measurement: () => Promise<Load>): Promise<Load> {
  let load = await measurement();
  for (let attempt = 0; attempt < 3 && load.timedOut > load.sent / 100; attempt++) load = await measurement();
  return load;
}

async function measure(running: Running, program: string, queries: string, rate?: number): Promise<Load> {
  const { place, contender } = running;
  return place.load(program, {
    ...{ server: serverAddress, port, queries, outstanding, seconds },
    throughXdp: contender.generator === "xdp",
    ...(rate === undefined ? {} : { rate, outstanding: 4096 }),
  });
}

/** Latencies at half of what each one reached, and what the cores did meanwhile. */
interface HalfLoad {
  readonly contender: string;
  readonly rate: number;
  readonly load: Load;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

interface SettingResult {
  readonly figures: Figure[];
  readonly half: HalfLoad[];
  readonly notes: string[];
  /** Bytes, by contender. */
  readonly memory: Map<string, number>;
}

async function run(setting: Setting, chosen: readonly DnsContender[], program: string): Promise<SettingResult> {
  const queries = queryFile(zones, setting.names, setting.mix);
  const all: Running[] = [];
  const notes: string[] = [];
  const memory = new Map<string, number>();
  let lost = 0;
  try {
    const { only } = setting;
    for (const contender of chosen) {
      if (only === undefined ? contender.name.startsWith("echo") : !only.includes(contender.name)) continue;
      const lack = contender.lack?.();
      if (lack !== undefined) notes.push(`${contender.name} is left out: ${lack}`);
      else all.push(await start(contender, setting));
    }
    const figures = await runRace(
      {
        name: nameOf(setting),
        unit: "answers/s",
        rival: rivalOf(setting, all),
        contenders: all.map((running) => ({
          name: running.contender.name,
          measure: async () => {
            const used = watchCores();
            const load = await fairly(() => measure(running, program, queries));
            running.cores.push(used());
            const wrong = wrongWith(load);
            if (wrong !== undefined) throw new Error(`${running.contender.name}, ${nameOf(setting)}: ${wrong}`);
            lost += load.timedOut;
            running.loads.push(load);
            return load.rate;
          },
        })),
      },
      Number(values.rounds),
      1,
    );
    const half: HalfLoad[] = [];
    for (const running of all) {
      const rate = Math.round(median(running.loads.map((load) => load.rate)) / 2);
      half.push({ contender: running.contender.name, rate, load: await measure(running, program, queries, rate) });
      memory.set(running.contender.name, memoryOf(running.pid));
      notes.push(coresOf(running));
    }
    if (lost > 0) notes.push(`${lost} queries of all were not answered in time`);
    return { figures, half, notes, memory };
  } finally {
    for (const { place } of all) place.close();
  }
}

function rivalOf({ only }: Setting, all: readonly Running[]): string {
  const wanted = only?.[0] ?? rival;
  return all.some(({ contender }) => contender.name === wanted) ? wanted : (all[0]?.contender.name ?? wanted);
}

function coresOf({ contender, loads, cores }: Running): string {
  const share = (core: number, key: keyof CoreUse): string => percent(median(cores.map((each) => each[core]![key])));
  const spare = median(loads.map((load) => load.idle));
  return (
    `${contender.name}: server's core ${share(1, "user")} user, ${share(1, "system")} system, ` +
    `${share(1, "softirq")} softirq, ${share(1, "idle")} idle; generator's core ${share(0, "softirq")} softirq, ` +
    `generator ${percent(spare)} without work`
  );
}

/** The generator beside dnsperf, both at a rate that dnsperf manages. */
async function validate(program: string, chosen: readonly DnsContender[]): Promise<string | undefined> {
  const setting = settings[1]!;
  const contender = chosen.find((each) => each.name === "Knot") ?? chosen[0]!;
  const queries = queryFile(zones, setting.names, setting.mix);
  const text = path.join(zones, "dnsperf.txt");
  const lines = Array.from(
    { length: 40_000 },
    (_, index) => `r${String((index * 7919) % 10_000).padStart(7, "0")}.${apex} A`,
  );
  writeFileSync(text, `${lines.join("\n")}\n`);
  const running = await start(contender, setting);
  const rate = 10_000;
  const rounds: [ours: Load, rate: number, latency: number][] = [];
  try {
    for (let round = 0; round < 3; round++) {
      const words = [
        "-s",
        serverAddress,
        "-p",
        String(port),
        "-d",
        text,
        "-l",
        "2",
        "-Q",
        String(rate),
        "-q",
        "100",
        "-c",
        "1",
      ];
      const said = await running.place.generator.succeeds("taskset", ["-c", "0", "dnsperf", ...words]);
      const theirs = Number(/Queries per second: +([\d.]+)/.exec(said)?.[1]);
      const latency = Number(/Average Latency \(s\): +([\d.]+)/.exec(said)?.[1]) * 1e6;
      rounds.push([await measure(running, program, queries, rate), theirs, latency]);
    }
  } finally {
    running.place.close();
  }
  const ours = median(rounds.map(([load]) => load.rate));
  const theirs = median(rounds.map(([, each]) => each));
  return (
    `Told to ask ${contender.name} ${rate.toLocaleString("en")} times a second, dnsperf got ${Math.round(theirs).toLocaleString("en")} ` +
    `answers a second (average latency ${Math.round(median(rounds.map(([, , latency]) => latency)))} µs), the generator ` +
    `${Math.round(ours).toLocaleString("en")} (median ${Math.round(median(rounds.map(([load]) => load.latencyUs.p50)))} µs): ` +
    `${((ours / theirs) * 100).toFixed(1)} % of dnsperf's.`
  );
}

function latencyTable(halves: readonly (readonly [string, HalfLoad])[]): string {
  const rows = halves.map(([race, { contender, rate, load }]) => {
    const { p50, p90, p99, p999 } = load.latencyUs;
    const lost = load.timedOut === 0 ? "" : `, ${load.timedOut} unanswered`;
    return `| ${race} | ${contender} | ${(rate / 1000).toFixed(1)} k${lost} | ${[p50, p90, p99, p999].map(Math.round).join(" | ")} |`;
  });
  return [
    "| race | server | queries/s | p50, µs | p90 | p99 | p99.9 |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** Small zone against large, from the races that all take part in. */
function memoryTable(results: readonly (readonly [Setting, SettingResult])[]): string | undefined {
  const find = (names: number): Map<string, number> | undefined =>
    results.find(([setting]) => setting.names === names && setting.mix === existing)?.[1].memory;
  const small = find(100);
  const large = find(1_000_000);
  if (small === undefined || large === undefined) return undefined;
  const perName = (name: string): number => ((large.get(name) ?? NaN) - (small.get(name) ?? NaN)) / (1_000_000 - 100);
  const rows = [...large.keys()].map(
    (name) =>
      `| ${name} | ${(small.get(name)! / 2 ** 20).toFixed(1)} | ${(large.get(name)! / 2 ** 20).toFixed(1)} | ${Math.round(perName(name))} | ${(perName(name) / perName(rival)).toFixed(2)} |`,
  );
  return [
    `| server | MiB with 100 names | MiB with 1,000,000 | bytes a name | against ${rival} |`,
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

async function benchmark(): Promise<void> {
  const programs = ["ethtool", "taskset", "chrt", "dig", "gcc", "dnsperf", "nsd", "knotd", "named", "dnssec-signzone"];
  const reason = unavailable(...programs);
  if (reason !== undefined) {
    console.log(`dns-servers skipped: ${reason}`);
    return;
  }
  const wanted = values.servers?.split(",");
  const chosen = contenders.filter(({ name }) => wanted === undefined || wanted.includes(name));
  const program = compileGenerator();
  const results: [Setting, SettingResult][] = [];
  const validation = await validate(program, chosen);
  console.log(validation);
  for (const setting of settings.filter((each) => values.only.split("|").some((text) => nameOf(each).includes(text)))) {
    const result = await run(setting, chosen, program);
    results.push([setting, result]);
    console.log(`\n${formatTable(result.figures)}`);
    console.log(result.notes.join("\n"));
  }
  const figures = results.flatMap(([, result]) => result.figures);
  const halves = results.flatMap(([setting, { half }]) => half.map((each) => [nameOf(setting), each] as const));
  const memory = memoryTable(results);
  const notes = results.flatMap(([setting, result]) => result.notes.map((note) => `- ${nameOf(setting)}: ${note}`));
  const versions = [...new Set(chosen.map(({ server }) => describeVersion(server)))].join(", ");
  const document = [
    `${versions}. ${validation ?? ""}`,
    formatMarkdown(figures),
    "### Latency at half of each server's load",
    latencyTable(halves),
    ...(memory === undefined ? [] : ["### Memory", memory]),
    "### Where the time went",
    notes.join("\n"),
  ].join("\n\n");
  console.log(`\n${latencyTable(halves)}\n\n${memory ?? ""}`);
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${document}\n`);
  if (values.svg !== undefined) writeFileSync(values.svg, chart("DNS answers a second on one core", figures));
  if (values.json) console.log(JSON.stringify({ figures, halves }, undefined, 2));
}

await benchmark();
