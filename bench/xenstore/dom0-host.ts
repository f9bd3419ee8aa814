import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { buildImage } from "@tesserae/cli/build";
import { openProject } from "@tesserae/cli/project";
import { ElfFile } from "@tesserae/vm-image/elf-file";
import { obtainNode } from "@tesserae/vm-image/node-runtime";
import { sharedLibraries } from "@tesserae/vm-image/shared-libraries";
import { XenHost, type Store, type StoreDomain } from "@tesserae/xen-host/host";
import { planCleaning, planStorm, type Introduction } from "./plan.ts";
import { processorTimeOf } from "./processor-time.ts";
import { readSequence } from "./sequence.ts";

const libraries = ["libxenctrl.so.4.17", "libxenguest.so.4.17"].map((name) => `/usr/lib/x86_64-linux-gnu/${name}`);
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-bench-dom0-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** In dom0. */
const place = "/root/storm";
export const ourSocket = "/run/tesserae-xenstored.socket";
/** Linux's way for programs to the ring that its kernel shares with the server. */
export const xenbus = "/dev/xen/xenbus";
/** Machines that live before time is taken, the first time and later: code that runs for the first time is slow anywhere. */
const firstWarm = 25;
const usualWarm = 5;
/** Domains are numbered from here on. */
const firstDomain = 1000;
const minute = 60_000;

/** Why programs for dom0 cannot be compiled here, in words; undefined when they can. */
export function lackOfPrograms(): string | undefined {
  if (!libraries.every((file) => existsSync(file))) return "libxenmisc4.17 is not installed";
  return spawnSync("gcc", ["--version"]).status === 0 ? undefined : "gcc is not installed";
}

/** A server, and how it is reached. */
export interface Target {
  /** A path in dom0. */
  readonly by: string;
  readonly kind: "dom0's" | "our process" | "store domain";
}

/** What storm.c says. */
interface Said {
  readonly milliseconds: number;
  /** Guests that lived to their end. */
  readonly lived: number;
  readonly serverMilliseconds: number;
  readonly requests: number;
  readonly transactions: number;
  readonly retries: number;
  readonly mostTries: number;
  /** What dom0 and the store domain ran. */
  readonly domains: readonly number[];
}

/** What a storm took. Milliseconds are of the emulated clock, which runs also while others have the processor, but for: */
export interface StormOutcome extends Said {
  /** Of QEMU's processor time, for everything. */
  readonly emulatorMilliseconds: number;
  /** The server's part of it, by the clock of Xen and of dom0's kernel: from 0 to 1. */
  readonly serverPart: number;
}

/** Real Xen with a dom0 that has Node.js, domains in which nothing runs, and what storms are made of. */
export class StormHost {
  readonly #host: XenHost;
  readonly #emulator: number;
  readonly #warmed = new Set<string>();
  #next = firstDomain;
  #ours: string | undefined;

  private constructor(host: XenHost, emulator: number) {
    this.#host = host;
    this.#emulator = emulator;
  }

  /** @throws XenHostError, ImageFailure (rejects) */
  static async start(store: Store): Promise<StormHost> {
    const { bytes } = await obtainNode();
    const nodeFile = path.join(folder, "node");
    writeFileSync(nodeFile, bytes);
    const files = { "/root/node-disk": nodeFile };
    const host = await XenHost.start({ memory: 2048, dom0Memory: 1152, store, files, timeout: 10 * minute });
    try {
      // The console daemon would look at the domains, too.
      await host.sh("kill $(cat /run/xenconsoled.pid)");
      await installNode(host, bytes);
      await host.put(compile("domains.c", libraries), `${place}/domains`);
      await host.put(compile("storm.c", []), `${place}/storm`);
      return new StormHost(host, emulatorProcess());
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  /** Lets a storm loose. @throws XenHostError (rejects) with what it wrote when it fails. */
  async storm({ by, kind }: Target, count: number, seconds: number): Promise<StormOutcome> {
    if (kind === "our process") this.#ours ??= (await this.#startOurs()).trim();
    const pid = { "dom0's": "$(pidof xenstored oxenstored)", "our process": this.#ours ?? "", "store domain": "0" }[
      kind
    ];
    const domains = kind === "store domain" ? "0 $(xenstore-read /tool/xenstored/domid)" : "0";
    const name = `${kind} ${by}`;
    const warm = this.#warmed.has(name) ? usualWarm : firstWarm;
    this.#warmed.add(name);
    const made = await this.#makeDomains(warm + count, kind === "store domain");
    await this.#host.put(planStorm(readSequence(path.resolve(".")), made, by === xenbus), `${place}/plan`);
    const script = `cd ${place}; ./storm plan ${by} ${count} ${warm} ${seconds} ${pid} "./domains time ${domains}"`;
    let began = 0;
    const onOutput = (bytes: Buffer): void => {
      if (bytes.includes("the storm begins")) began = processorTimeOf(this.#emulator);
    };
    const output = await this.#host.sh(script, { timeout: (2 * seconds + 900) * 1000, onOutput });
    const emulatorMilliseconds = processorTimeOf(this.#emulator) - began;
    // as: it is what storm.c writes.
    const said = JSON.parse(output.trimEnd().split("\n").at(-1) ?? "") as Said;
    if (said.lived < count) await this.#clean(by, made);
    await this.#host.sh(`${place}/domains destroy ${String(made[0]?.domain)} ${String(made.length)}`);
    const [dom0 = 0, store = 0] = said.domains;
    const server = kind === "store domain" ? store : said.serverMilliseconds;
    return { ...said, emulatorMilliseconds, serverPart: server / (dom0 + store) };
  }

  close(): Promise<void> {
    return this.#host.close();
  }

  /** Domains of new numbers: oxenstored refuses those that it knew before. */
  async #makeDomains(count: number, isForDomain: boolean): Promise<readonly Introduction[]> {
    const first = this.#next;
    this.#next += count;
    const store = isForDomain ? "$(xenstore-read /tool/xenstored/domid)" : "0";
    const make = `${place}/domains make ${String(first)} ${String(count)} ${store}`;
    const lines = (await this.#host.sh(make, { timeout: 5 * minute })).trimEnd().split("\n");
    return lines.map((line, index) => ({ domain: first + index, words: line.split(" ") }));
  }

  /** Removes what a storm that was cut off has left. */
  async #clean(by: string, domains: readonly Introduction[]): Promise<void> {
    await this.#host.put(planCleaning(domains), `${place}/cleaning`);
    const script = `cd ${place}; ./storm cleaning ${by} ${String(domains.length)} 0 600 0 true`;
    await this.#host.sh(script, { timeout: 15 * minute });
  }

  /** examples/xenstored as a process of dom0. @returns its number */
  async #startOurs(): Promise<string> {
    const { image } = await buildXenstored("node");
    await this.#host.put(image, `${place}/xenstored.mjs`);
    return this.#host.sh(
      [
        `cd ${place}; node xenstored.mjs --socket ${ourSocket} </dev/null >/var/log/ours.log 2>&1 &`,
        `tries=0; until [ -S ${ourSocket} ]; do tries=$((tries + 1))`,
        "[ $tries -lt 120 ] || { cat /var/log/ours.log; exit 1; }; sleep 1; done; echo $!",
      ].join("\n"),
      { timeout: 3 * minute },
    );
  }
}

/** QEMU, the only such process that this one has started. */
function emulatorProcess(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim().split(" ");
  const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("qemu"));
  if (found === undefined) throw new Error("QEMU is no process of this one");
  return Number(found);
}

/** The program that images have, beside the libraries that it has here. */
async function installNode(host: XenHost, bytes: Buffer): Promise<void> {
  const own = "/root/node";
  let loader = "";
  for (const library of sharedLibraries(new ElfFile(bytes))) {
    const name = path.posix.basename(library.name);
    if (library.loader) loader = `${own}/${name}`;
    await host.put(library.bytes, `${own}/${name}`);
  }
  const start = `#!/bin/sh\nexec ${loader} --library-path ${own} ${own}/node "$@"\n`;
  await host.put(Buffer.from(start), "/bin/node");
  const copy = `head -c ${String(bytes.length)} /root/node-disk > ${own}/node && chmod 755 ${own}/node && node --version`;
  await host.sh(copy, { timeout: 5 * minute });
}

function compile(name: string, more: readonly string[]): string {
  const program = path.join(folder, path.parse(name).name);
  execFileSync("gcc", ["-O2", "-Wall", "-Werror", "-o", program, path.resolve("bench/xenstore", name), ...more]);
  return program;
}

/** examples/xenstored, for a process or for a domain. */
async function buildXenstored(target: "node" | "vm"): ReturnType<typeof buildImage> {
  return buildImage({
    ...{ project: openProject(path.resolve("examples/xenstored")), target, release: false, check: false, image: [] },
    ...{ strict: true, progress: () => undefined },
    ...(target === "vm"
      ? { machine: { formats: ["direct"], node: undefined, sysroot: undefined, icu: undefined } }
      : {}),
  });
}

/** Ours in a domain of its own. */
export async function storeDomain(): Promise<StoreDomain> {
  const { machine } = await buildXenstored("vm");
  if (machine === undefined) throw new Error("no machine was made of examples/xenstored");
  return { kernel: machine.kernel, ramdisk: machine.image, memory: 320 };
}
