// Recursive resolvers on one core: answers a second from what is known, and for names that have to be asked for, with
// DNSSEC validation and without. Each resolver has a network namespace of its own and core 1; the load generator
// (bench/dns/load) and the authoritative servers (NSD, three of them) have core 0.
//   npm run bench -- dns-resolver [--rounds N] [--seconds S] [--only TEXT] [--resolvers unbound,…] [--markdown FILE]
// Needs root; skips in words without.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Command, configuration } from "../test/dns/servers/name-server.ts";
import { nsd } from "../test/dns/servers/nsd.ts";
import { unbound } from "../test/dns/servers/unbound.ts";
import { describeVersion } from "../test/dns/servers/version.ts";
import { unavailable } from "../test/namespace/namespace.ts";
import { compileGenerator, wrongWith, type Load } from "./dns/generator.ts";
import {
  generatorAddress,
  generatorCore,
  memoryOf,
  Place,
  type PlaceOptions,
  serverAddress,
  serverFolder,
  watchCores,
} from "./dns/place.ts";
import { addressQuery, type ExpectedAnswer, nameError, randomName, writeQueries } from "./dns/query-file.ts";
import { fleetingNames, lastingNames, leafCount, leafName, makeTree, places, type ZoneTree } from "./dns/tree.ts";
import { pseudoRandom } from "./dns/zone.ts";
import { runRace, type Figure } from "./harness/race.ts";
import { formatMarkdown, formatTable } from "./harness/report.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    only: { type: "string", default: "" },
    resolvers: { type: "string" },
    markdown: { type: "string" },
  },
});
const seconds = Number(values.seconds);
const folder = path.resolve("out/bench-dns-resolver");
const port = 53;
const outstanding = 128;
/** Of what was learnt. unbound divides it between its two caches. */
const cacheBytes = 96 * 2 ** 20;

interface Contender extends PlaceOptions {
  readonly name: string;
  command(tree: ZoneTree, validating: boolean): Command;
}

const contenders: readonly Contender[] = [
  { name: "unbound", link: "veth", command: unboundCommand },
  { name: "ours node", link: "veth", command: (tree, validating) => imageCommand("node", [], tree, validating) },
  {
    name: "ours tap",
    link: "tap",
    command: (tree, validating) =>
      imageCommand("tap", ["--tap", "dns0", "--host-address", `${generatorAddress}/24`], tree, validating),
  },
  {
    name: "ours XDP",
    link: "veth",
    xdp: true,
    command: (tree, validating) => imageCommand("tap", ["--xdp", "dns0"], tree, validating),
  },
];

function unboundCommand({ anchor }: ZoneTree, validating: boolean): Command {
  const own = serverFolder("resolver-unbound");
  const serving = { address: serverAddress, port, zones: [], folder: own };
  const hints = configuration(serving, "hints", `. 3600 NS ns.\nns. 3600 A ${places.root}\n`);
  const anchors = configuration(serving, "anchor", `${anchor}\n`);
  const lines = [
    'root-hints: "' + hints + '"',
    ...["access-control: 10.0.0.0/8 allow", "msg-cache-size: 32m", `rrset-cache-size: ${cacheBytes / 2 ** 20 - 32}m`],
    ...(validating ? [`trust-anchor-file: "${anchors}"`] : ['module-config: "iterator"']),
  ];
  const extra = { unbound: lines.map((line) => `  ${line}`).join("\n") };
  return unbound.configure({ ...serving, extra });
}

const built = new Set<string>();

function imageCommand(target: "node" | "tap", flags: readonly string[], tree: ZoneTree, validating: boolean): Command {
  if (!built.has(target)) {
    const tool = path.resolve("tool/cli/bin/tesserae.js");
    execFileSync(process.execPath, [tool, "build", "examples/resolver", "--target", target, "--no-check"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    built.add(target);
  }
  const at = target === "node" ? [] : ["--ipv4", `${serverAddress}/24`, "--gateway", generatorAddress];
  return {
    program: process.execPath,
    args: [
      path.resolve(`examples/resolver/.tesserae/${target}/resolver.mjs`),
      ...[...flags, ...at, "--port", String(port), "--roots", `ns=${places.root}`],
      ...["--anchors", validating ? tree.anchor : "off", "--cache", String(cacheBytes), "--no-follow"],
    ],
  };
}

interface Setting {
  readonly name: string;
  readonly validating: boolean;
  readonly queries: string;
}

interface Running {
  readonly contender: Contender;
  readonly place: Place;
  readonly pid: number;
  readonly loads: Load[];
  readonly notes: string[];
}

/** The files of queries, by what they show. */
function queryFiles(): readonly (readonly [string, string])[] {
  const random = pseudoRandom(7);
  const shuffled = (names: string[]): string[] => {
    for (let at = names.length - 1; at > 0; at--) {
      const other = random() % (at + 1);
      [names[at], names[other]] = [names[other]!, names[at]!];
    }
    return names;
  };
  const asked = (name: string): Omit<ExpectedAnswer, "rcode" | "answers"> => addressQuery(name, { recursive: true });
  const existing = (names: string[]): ExpectedAnswer[] =>
    shuffled(names).map((name) => ({ ...asked(name), rcode: 0, answers: 1 }));
  const made = Array.from({ length: leafCount }, (_, index) => ({
    ...asked(randomName(leafName(index))),
    ...{ randomLabel: true, rcode: nameError, answers: 0 },
  }));
  const files: readonly (readonly [string, readonly ExpectedAnswer[]])[] = [
    ["known names", existing(lastingNames())],
    ["names to be asked for", existing(fleetingNames())],
    ["made-up names", made],
  ];
  return files.map(([name, queries]) => {
    const file = path.join(folder, `${name.replaceAll(" ", "-")}.queries`);
    writeQueries(file, queries);
    return [name, file];
  });
}

/** The servers that know, in the generator's namespace: behind its address for whoever asks. */
function startAuthorities(place: Place, tree: ZoneTree, contender: string): void {
  const { generator, server } = place;
  for (const [name, address] of Object.entries(places)) {
    generator.ip(`address add ${address}/32 dev lo`);
    // as: the entries of `places`
    const zones = tree.zones[name as keyof typeof places];
    const own = serverFolder(`${contender} ${name}`);
    const { program, args } = nsd.configure({ address, port, zones, folder: own });
    generator.start("taskset", ["-c", String(generatorCore), program, ...args]);
  }
  if (server !== generator) server.ip(`route add 10.9.0.0/24 via ${generatorAddress}`);
}

async function start(contender: Contender, tree: ZoneTree, validating: boolean): Promise<Running> {
  const place = Place.open(contender);
  try {
    startAuthorities(place, tree, contender.name);
    const child = place.start(contender.command(tree, validating));
    await resolves(place, contender.name, validating);
    place.prepareGenerator(false);
    return { contender, place, pid: child.pid ?? 0, loads: [], notes: [] };
  } catch (error) {
    place.close();
    throw error;
  }
}

/** Waits until it finds a name, and says rightly whether the answer is validated. */
async function resolves(place: Place, name: string, validating: boolean): Promise<void> {
  const until = Date.now() + 60_000;
  for (;;) {
    const asked = [`@${serverAddress}`, "+tries=1", "+time=2", "+adflag", lastingNames()[0]!, "A"];
    const { stdout } = await place.generator.ran("dig", asked);
    if (/status: NOERROR/.test(stdout) && /flags:[^;]* ad[ ;]/.test(stdout) === validating) return;
    if (Date.now() > until) throw new Error(`${name} does not resolve, or does not validate as told:\n${stdout}`);
    await pause(200);
  }
}

async function run(setting: Setting, all: readonly Running[], program: string): Promise<Figure[]> {
  const { queries } = setting;
  const options = { server: serverAddress, port, queries, outstanding, timeoutMs: 2000 };
  for (const { place } of all) await place.load(program, { ...options, seconds: 3 });
  const results = await runRace(
    {
      name: setting.name,
      unit: "answers/s",
      rival: all[0]!.contender.name,
      contenders: all.map((running) => ({
        name: running.contender.name,
        measure: async () => {
          const used = watchCores();
          const load = await running.place.load(program, { ...options, seconds });
          const [generator, server] = used();
          const wrong = wrongWith(load);
          if (wrong !== undefined) throw new Error(`${running.contender.name}, ${setting.name}: ${wrong}`);
          running.loads.push(load);
          running.notes.push(
            `${setting.name}, ${running.contender.name}: ${load.timedOut} unanswered, idle ${percent(server!.idle)} of its core, ` +
              `${percent(generator!.idle)} of the others', p50 ${Math.round(load.latencyUs.p50)} µs, p99 ${Math.round(load.latencyUs.p99)} µs`,
          );
          return load.rate;
        },
      })),
    },
    Number(values.rounds),
    1,
  );
  return results;
}

const percent = (share: number): string => `${Math.round(share * 100)} %`;

async function benchmark(): Promise<void> {
  const reason = unavailable("ethtool", "taskset", "dig", "gcc", "nsd", "unbound");
  if (reason !== undefined) {
    console.log(`dns-resolver skipped: ${reason}`);
    return;
  }
  mkdirSync(folder, { recursive: true });
  const wanted = values.resolvers?.split(",");
  const chosen = contenders.filter(({ name }) => wanted === undefined || wanted.includes(name));
  const program = compileGenerator();
  const tree = makeTree(path.join(folder, "zones"));
  const files = queryFiles();
  const figures: Figure[] = [];
  const notes: string[] = [];
  for (const validating of [false, true]) {
    const settings = files
      .map(([name, queries]) => ({
        name: `${name}, ${validating ? "validated" : "not validated"}`,
        validating,
        queries,
      }))
      .filter(({ name }) => name.includes(values.only));
    if (settings.length === 0) continue;
    const all: Running[] = [];
    try {
      for (const contender of chosen) all.push(await start(contender, tree, validating));
      for (const setting of settings) {
        const results = await run(setting, all, program);
        figures.push(...results);
        console.log(`\n${formatTable(results)}`);
        for (const { notes: each } of all) {
          // The last round's, of each.
          const last = each.at(-1);
          if (last !== undefined) notes.push(last);
        }
      }
      for (const { contender, pid } of all) {
        notes.push(
          `${contender.name}, ${validating ? "validating" : "not validating"}: ${(memoryOf(pid) / 2 ** 20).toFixed(0)} MiB in the end`,
        );
      }
    } finally {
      for (const { place } of all) place.close();
    }
  }
  console.log(`\n${notes.join("\n")}`);
  if (values.markdown === undefined) return;
  const versions = `${describeVersion(unbound)}, authoritative servers ${describeVersion(nsd)}.`;
  const list = notes.map((note) => `- ${note}`).join("\n");
  writeFileSync(
    values.markdown,
    `${versions}\n\n${formatMarkdown(figures)}\n\n### The last round of each\n\n${list}\n`,
  );
}

await benchmark();
