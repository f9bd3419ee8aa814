// Where a name server is measured: two network namespaces joined by a link, the server on core 1, the generator on core 0,
// and the kernel's receive work of each side on that side's core.
//
// On a veth pair the kernel does the receiver's work in the sender's context, so without more a server would get its
// packets received for free by the generator's core, and the other way round. For sockets receive packet steering (RPS)
// sends the work to the receiver's core, as a network card's interrupt would. With XDP attached the receiving is in NAPI's
// polling, which is given a thread of its own (`threaded`), pinned to the receiver's core. A server's is one for
// batches (SCHED_BATCH): it runs when the server has nothing to do, and does not interrupt it for each packet, as a
// network card's polling does not that is set up for AF_XDP (`napi_defer_hard_irqs`, busy polling).
import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { descendants, killTree } from "../../test/dns/servers/running.ts";
import { Namespace } from "../../test/namespace/namespace.ts";
import type { Command } from "../../test/dns/servers/name-server.ts";
import { loadArguments, parseLoad, type Load, type LoadOptions } from "./generator.ts";

export const serverCore = 1;
export const generatorCore = 0;
export const serverAddress = "10.8.0.1";
export const generatorAddress = "10.8.0.2";
/** The interface's name in both namespaces. */
export const device = "dns0";
/**
 * On a machine that has other work: the `tasks` or `cgroup.procs` file of a control group with a large share of the
 * processor, which this process, what it starts, and the receiving threads join.
 */
const controlGroup = process.env["TESSERAE_BENCH_CGROUP"];
const serverMac = "02:00:00:00:08:01";
const generatorMac = "02:00:00:00:08:02";

export interface PlaceOptions {
  /**
   * `veth`: the server has an interface of its own, for sockets or AF_XDP. `tap`: the server opens `dns0` itself as a tap
   * device in the generator's namespace, and the generator uses the kernel's end.
   */
  readonly link: "veth" | "tap";
  /** Whether the server attaches XDP to its interface. */
  readonly xdp?: boolean;
}

/** How the time of one core went between two looks, as shares. */
export interface CoreUse {
  readonly user: number;
  readonly system: number;
  readonly softirq: number;
  readonly idle: number;
}

export class Place {
  readonly generator: Namespace;
  readonly server: Namespace;
  readonly #options: PlaceOptions;
  readonly #children: ChildProcess[] = [];
  /** The kernel's threads that receive. */
  readonly #threads: number[] = [];

  private constructor(generator: Namespace, server: Namespace, options: PlaceOptions) {
    this.generator = generator;
    this.server = server;
    this.#options = options;
  }

  static open(options: PlaceOptions): Place {
    joinControlGroup(process.pid);
    const generator = Namespace.create();
    if (options.link === "tap") return new Place(generator, generator, options);
    const server = Namespace.create();
    generator.ip(
      `link add name ${device} address ${generatorMac} type veth peer name ${device} address ${serverMac} netns ${server.name}`,
    );
    for (const [namespace, address, peer, peerMac] of [
      [generator, generatorAddress, serverAddress, serverMac],
      [server, serverAddress, generatorAddress, generatorMac],
    ] as const) {
      namespace.ip(`address add ${address}/24 dev ${device}`);
      namespace.ip(`link set dev ${device} up`);
      namespace.ip(`neighbour replace ${peer} lladdr ${peerMac} dev ${device} nud permanent`);
    }
    const place = new Place(generator, server, options);
    if (options.xdp === true) place.#threads.push(...threadedReceive(server, serverCore));
    else steerReceive(server, serverCore);
    return place;
  }

  /** Starts a server on its core. It is killed with the place. What it writes to stderr is shown, or left to be read. */
  start({ program, args, environment = {} }: Command, stderr: "inherit" | "pipe" = "inherit"): ChildProcess {
    const words = ["netns", "exec", this.server.name, ...onCore(serverCore), program, ...args];
    const child = spawn("ip", words, {
      stdio: ["ignore", "inherit", stderr],
      env: { ...process.env, ...environment },
    });
    this.#children.push(child);
    return child;
  }

  /** For the generator's end: prepares receiving on its core, after the device is there. */
  prepareGenerator(xdp: boolean): void {
    // XDP on a tap device runs where the frame is written, in the server's own system call.
    if (xdp && this.#options.link === "veth") {
      this.#threads.push(...threadedReceive(this.generator, generatorCore));
    } else steerReceive(this.generator, generatorCore);
  }

  /** Waits until the server answers for the zone. @throws Error when it does not within the time. */
  async answers(apex: string, port: number, milliseconds = 120_000): Promise<void> {
    const until = Date.now() + milliseconds;
    const asked = ["+tries=1", "+time=1", "+norec", `@${serverAddress}`, "-p", String(port), apex, "SOA"];
    for (;;) {
      const { stdout } = await this.generator.ran("dig", asked);
      // An echo has no records.
      if (/status: NOERROR/.test(stdout)) return;
      if (Date.now() > until) throw new Error(`no answer for ${apex} on port ${port}:\n${stdout}`);
    }
  }

  /** One measurement, with the generator through AF_XDP or sockets. */
  async load(program: string, options: LoadOptions & { readonly throughXdp?: boolean }): Promise<Load> {
    const { throughXdp = false, ...rest } = options;
    // Those that had not run when they were made could not be moved then.
    for (const pid of this.#threads) joinControlGroup(pid);
    this.#pinServers();
    const frames = throughXdp
      ? {
          xdp: device,
          source: generatorAddress,
          sourceMac: this.#mac(this.generator),
          serverMac: this.#options.link === "tap" ? this.#neighbour() : serverMac,
        }
      : {};
    const words = loadArguments({ ...rest, ...frames });
    const [first = "", ...others] = onCore(generatorCore);
    return parseLoad(await this.generator.succeeds(first, [...others, program, ...words]));
  }

  /** Servers choose cores for their threads themselves: Knot's first worker takes core 0, which is the generator's. */
  #pinServers(): void {
    for (const { pid } of this.#children) {
      if (pid === undefined) continue;
      for (const each of [pid, ...descendants(pid)]) {
        this.server.run("taskset", ["-acp", String(serverCore), String(each)]);
      }
    }
  }

  #mac(namespace: Namespace): string {
    return namespace.run("cat", [`/sys/class/net/${device}/address`]).trim();
  }

  #neighbour(): string {
    const line = this.generator.ip(`neighbour show ${serverAddress} dev ${device}`);
    const mac = /lladdr (\S+)/.exec(line)?.[1];
    if (mac === undefined) throw new Error(`${serverAddress} is no neighbour: ${line}`);
    return mac;
  }

  close(): void {
    for (const child of this.#children) killTree(child);
    if (this.server !== this.generator) this.server.destroy();
    this.generator.destroy();
  }
}

function joinControlGroup(pid: number): void {
  if (controlGroup === undefined) return;
  try {
    writeFileSync(controlGroup, String(pid));
  } catch {
    // A thread of the kernel that has not run yet cannot be moved.
  }
}

/** The words that run a program on a core. */
function onCore(core: number): string[] {
  return ["taskset", "-c", String(core)];
}

/** Bytes that the process and its descendants occupy, each page shared among them counted once. */
export function memoryOf(pid: number): number {
  let total = 0;
  for (const each of [pid, ...descendants(pid)]) {
    const rollup = readFileSync(`/proc/${each}/smaps_rollup`, "utf8");
    total += Number(/^Pss: +(\d+)/m.exec(rollup)?.[1] ?? 0) * 1024;
  }
  return total;
}

function steerReceive(namespace: Namespace, core: number): void {
  const mask = (1 << core).toString(16);
  namespace.run("sh", ["-c", `echo ${mask} > /sys/class/net/${device}/queues/rx-0/rps_cpus`]);
}

/** Gives the interface's NAPI a thread of its own, on this core: its id. GRO is what switches NAPI on for a veth. */
function threadedReceive(namespace: Namespace, core: number): number[] {
  const others = new Set(napiThreads());
  namespace.run("ethtool", ["-K", device, "gro", "on"]);
  namespace.run("sh", ["-c", `echo 1 > /sys/class/net/${device}/threaded`]);
  const own = napiThreads().filter((pid) => !others.has(pid));
  if (own.length === 0) throw new Error(`${device} receives without a thread: this kernel cannot pin it`);
  for (const pid of own) {
    namespace.run("taskset", ["-cp", String(core), String(pid)]);
    if (core === serverCore) namespace.run("chrt", ["--batch", "-p", "0", String(pid)]);
    joinControlGroup(pid);
  }
  return own;
}

function napiThreads(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, "utf8").startsWith(`napi/${device}`);
      } catch {
        return false;
      }
    });
}

/** @returns a function that says how each core's time went since */
export function watchCores(): () => CoreUse[] {
  const look = (): number[][] =>
    readFileSync("/proc/stat", "utf8")
      .split("\n")
      .filter((line) => /^cpu\d/.test(line))
      .map((line) => line.split(/ +/).slice(1).map(Number));
  const before = look();
  return () =>
    look().map((ticks, core) => {
      const spent = ticks.map((value, column) => value - (before[core]?.[column] ?? 0));
      const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, interrupt = 0, softirq = 0] = spent;
      const total = user + nice + system + idle + wait + interrupt + softirq || 1;
      return {
        user: (user + nice) / total,
        system: (system + interrupt) / total,
        softirq: softirq / total,
        idle: (idle + wait) / total,
      };
    });
}

/** A fresh folder for a server's files. */
export function serverFolder(name: string): string {
  const folder = path.resolve("out/bench-dns", name.replaceAll(/\W+/g, "-"));
  rmSync(folder, { recursive: true, force: true });
  return folder;
}
