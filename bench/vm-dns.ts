// Answers a second of our name server in a virtual machine of its own, against NSD on Debian's cloud kernel, in QEMU side
// by side: one emulation, one generator, by turns. Needs root; skips in words without.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { nsd } from "../test/dns/servers/nsd.ts";
import { unavailable } from "../test/namespace/namespace.ts";
import { compileGenerator, loadArguments, parseLoad, wrongWith, type Load } from "./dns/generator.ts";
import { queryFile, zoneFile } from "./dns/zone.ts";
import { apex } from "./dns/zone-text.ts";
import { main } from "./harness/main.ts";
import type { Race } from "./harness/race.ts";
import { buildApplication, debianPlan, imagePlan } from "./vm/contenders.ts";
import { debianGuestPrograms, makeDebianGuest } from "./vm/debian-kernel.ts";
import { Guest, guestAddress } from "./vm/guest.ts";

const names = 10_000;
const folder = path.resolve("node_modules/.cache/bench/vm-dns");
const queries = path.resolve("out/bench-dns/queries");
const warmUpSeconds = 15;
/** How long a guest may take to answer first, in milliseconds. */
const bootBound = 120_000;

/** A file system with NSD, the libraries that it is linked with, and the zone. */
function nsdRoot(): string {
  const root = path.join(folder, "root");
  rmSync(root, { recursive: true, force: true });
  for (const each of ["etc", "zones/run", "usr/sbin"]) mkdirSync(path.join(root, each), { recursive: true });
  copyFileSync("/usr/sbin/nsd", path.join(root, "usr/sbin/nsd"));
  const linked = execFileSync("ldd", ["/usr/sbin/nsd"], { encoding: "utf8" });
  for (const [, library = ""] of linked.matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(path.join(root, path.dirname(library)), { recursive: true });
    copyFileSync(library, path.join(root, library));
  }
  copyFileSync(zoneFile(folder, names), path.join(root, "zones/bench.zone"));
  writeFileSync(path.join(root, "etc/passwd"), "root:x:0:0::/:/bin/false\n");
  // As everywhere else here, but for where it finds and writes things.
  const zones = [{ apex, file: "/zones/bench.zone" }];
  const { args } = nsd.configure({ address: "0.0.0.0", port: 53, zones, folder: root });
  const [file = ""] = args.slice(-1);
  const text = readFileSync(file, "utf8").replaceAll(`${root}/run`, "/tmp").replaceAll(root, "/zones");
  writeFileSync(path.join(root, "etc/nsd.conf"), text.replaceAll("provide-xfr: 0.0.0.0/8 NOKEY", ""));
  return root;
}

async function load(guest: Guest, program: string, seconds: number): Promise<Load> {
  const mix = { name: "existing names", existing: 1, dnssec: false };
  mkdirSync(queries, { recursive: true });
  const options = { server: guestAddress, port: 53, queries: queryFile(queries, names, mix), outstanding: 32, seconds };
  const printed = await guest.host.succeeds("taskset", ["-c", "1", program, ...loadArguments(options)]);
  return parseLoad(printed);
}

async function answering(guest: Guest, program: string): Promise<void> {
  for (const since = performance.now(); performance.now() - since < bootBound;) {
    if ((await load(guest, program, 1)).answered > 0) return;
    await pause(200);
  }
  throw new Error(`the guest gave no answer:\n${guest.console}`);
}

async function answers(guest: Guest, program: string): Promise<number> {
  const measured = await load(guest, program, 4);
  const wrong = wrongWith(measured);
  if (wrong !== undefined) throw new Error(wrong);
  return measured.rate;
}

async function races(): Promise<void> {
  const reason = unavailable("qemu-system-x86_64", "taskset", "gcc", "nsd", ...debianGuestPrograms);
  if (reason !== undefined) {
    console.log(`vm-dns skipped: ${reason}`);
    return;
  }
  const program = compileGenerator();
  const debian = makeDebianGuest(folder, nsdRoot(), `${guestAddress}/24`, "/usr/sbin/nsd -d -c /etc/nsd.conf");
  const rival = debianPlan(debian, "NSD on Debian's cloud kernel");
  const ours = imagePlan(buildApplication(path.resolve("bench/vm/name-server"), "vm"));
  const guests = [rival, ours].map((plan) => ({ name: plan.name, guest: Guest.start(plan, "q35", 512) }));
  try {
    for (const { guest } of guests) {
      await answering(guest, program);
      // An engine under emulation takes its time to compile what is hot.
      await load(guest, program, warmUpSeconds);
    }
    const race: Race = {
      name: `existing names, zone of ${names.toLocaleString("en")}`,
      unit: "answers/s",
      rival: rival.name,
      contenders: guests.map(({ name, guest }) => ({ name, measure: () => answers(guest, program) })),
    };
    await main([race], 5);
  } finally {
    for (const { guest } of guests) await guest.stop();
  }
}

await races();
