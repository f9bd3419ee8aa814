// Network namespaces for system tests: each with interfaces of its own, gone when the test is.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, closeSync, constants, openSync } from "node:fs";
import { loadCalls } from "@tesserae/tap/libc";
import { lackOf, skipping } from "../programs.ts";

const CLONE_NEWNET = 0x40000000;

/**
 * Why system tests that need these programs cannot run here, in words; `undefined` when they can.
 *
 * @throws Error in CI, where nothing is skipped for want of a program or a privilege; and everywhere for a program that
 * a new machine would not get.
 */
export function unavailable(...programs: readonly string[]): string | undefined {
  return skipping(lack(programs));
}

function lack(programs: readonly string[]): string | undefined {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const lacking = lackOf(["ip", ...programs]);
  if (lacking !== undefined) return lacking;
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return "there is no /dev/net/tun to open: modprobe tun, or give the container the device";
  }
  const name = uniqueName();
  const made = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" });
  if (made.status !== 0) return `namespaces cannot be made here: ${made.stderr.trim()}`;
  spawnSync("ip", ["netns", "delete", name]);
  return undefined;
}

/** Why netem cannot be used here, in words; `undefined` when it can. Some kernels come without it. */
export function netemUnavailable(): string | undefined {
  const missing = unavailable("tc");
  if (missing !== undefined) return missing;
  const namespace = Namespace.create();
  try {
    namespace.netem("lo", { delay: 1 });
    return undefined;
  } catch (error) {
    return `this kernel has no netem (modprobe sch_netem): ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    namespace.destroy();
  }
}

function uniqueName(): string {
  return `tess-${randomBytes(4).toString("hex")}`;
}

/** What became of a command. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface NetemOptions {
  /** 0 to 1. */
  readonly loss?: number;
  /** Milliseconds. */
  readonly delay?: number;
  /** Milliseconds, with `delay`. */
  readonly jitter?: number;
  /** 0 to 1, with `delay`. */
  readonly reorder?: number;
  /** 0 to 1. */
  readonly duplicate?: number;
  /** 0 to 1. */
  readonly corrupt?: number;
  /** In tc's words: `100mbit`. */
  readonly rate?: string;
  /** Packets that it holds at most, those on their way included. Default 10,000. */
  readonly limit?: number;
}

/** One network namespace, with loopback up, and no IPv6 unless it is asked for. */
export class Namespace {
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  private constructor(name: string) {
    this.name = name;
  }

  /**
   * @param options whether the kernel's IPv6 is on there. Default false.
   * @throws Error when it cannot be made: ask {@link unavailable} first.
   */
  static create({ ipv6 = false }: { readonly ipv6?: boolean } = {}): Namespace {
    const name = uniqueName();
    check("ip", ["netns", "add", name], spawnSync("ip", ["netns", "add", name], { encoding: "utf8" }));
    const namespace = new Namespace(name);
    namespace.ip("link set dev lo up");
    // Else no router solicitations and neighbour discovery in the captures: what is under test is IPv4.
    const off = ipv6 ? "0" : "1";
    for (const scope of ["all", "default"]) {
      namespace.attempt("sysctl", ["-qw", `net.ipv6.conf.${scope}.disable_ipv6=${off}`]);
    }
    return namespace;
  }

  /** Runs a command to its end and gives what it wrote. @throws Error when its status is not 0. */
  run(program: string, args: readonly string[], options: { input?: string; timeout?: number } = {}): string {
    const ran = this.attempt(program, args, options);
    check(program, args, ran);
    return ran.stdout;
  }

  /** Runs a command to its end, whatever its status. The event loop stands still meanwhile. */
  attempt(program: string, args: readonly string[], options: { input?: string; timeout?: number } = {}): Ran {
    const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", this.name, program, ...args], {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
      timeout: options.timeout ?? 60_000,
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    return { status, stdout, stderr };
  }

  /** Starts a command; it is killed when the namespace is destroyed. */
  start(program: string, args: readonly string[]): ChildProcess {
    const child = spawn("ip", ["netns", "exec", this.name, program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }

  /** Runs a command while the event loop goes on. */
  async ran(program: string, args: readonly string[]): Promise<Ran> {
    const child = this.start(program, args);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    return { status, stdout, stderr };
  }

  /** As {@link Namespace.ran}. @throws Error (rejects) when the status is not 0. */
  async succeeds(program: string, args: readonly string[]): Promise<string> {
    const ran = await this.ran(program, args);
    check(program, args, ran);
    return ran.stdout;
  }

  /** `ip` with these words, separated by spaces. */
  ip(words: string): string {
    return this.run("ip", words.split(" "));
  }

  /** Impairs what an interface sends. Replaces the impairment before. */
  netem(device: string, options: NetemOptions): void {
    const percent = (share: number): string => `${String(share * 100)}%`;
    const { loss, delay, jitter, reorder, duplicate, corrupt, rate, limit = 10_000 } = options;
    this.run("tc", [
      ...["qdisc", "replace", "dev", device, "root", "netem", "limit", String(limit)],
      ...(delay === undefined ? [] : ["delay", `${String(delay)}ms`]),
      ...(delay === undefined || jitter === undefined ? [] : [`${String(jitter)}ms`]),
      ...(loss === undefined ? [] : ["loss", percent(loss)]),
      ...(reorder === undefined ? [] : ["reorder", percent(reorder)]),
      ...(duplicate === undefined ? [] : ["duplicate", percent(duplicate)]),
      ...(corrupt === undefined ? [] : ["corrupt", percent(corrupt)]),
      ...(rate === undefined ? [] : ["rate", rate]),
    ]);
  }

  /**
   * Calls `act` with the calling thread inside the namespace: what it opens (a tap device, a socket) belongs to it.
   * `act` must not await: other code would find itself inside too.
   */
  async inside<T>(act: () => T): Promise<T> {
    const leave = await this.enter();
    try {
      return act();
    } finally {
      leave();
    }
  }

  /**
   * Moves the calling thread into the namespace, to stay: every socket that it makes from now on is there. Give back
   * what is returned, by calling it.
   */
  async enter(): Promise<() => void> {
    const calls = await loadCalls();
    const own = openSync("/proc/thread-self/ns/net", "r");
    const there = openSync(`/run/netns/${this.name}`, "r");
    const status = calls.setns(there, CLONE_NEWNET);
    closeSync(there);
    if (status !== 0) {
      closeSync(own);
      throw new Error(`cannot enter namespace ${this.name}`);
    }
    return () => {
      // Nothing sensible can follow in the wrong namespace.
      if (calls.setns(own, CLONE_NEWNET) !== 0) process.abort();
      closeSync(own);
    };
  }

  /** Kills what was started here and removes the namespace with everything in it. Idempotent. */
  destroy(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.#children.clear();
    spawnSync("ip", ["netns", "delete", this.name]);
  }
}

function check(program: string, args: readonly string[], { status, stdout, stderr }: Ran): void {
  if (status === 0) return;
  const said = stderr.trim() === "" ? stdout.trim() : stderr.trim();
  throw new Error(`${program} ${args.join(" ")}: status ${String(status)}: ${said}`);
}
