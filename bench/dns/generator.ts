// Compiles the load generator (bench/dns/load) and reads what it prints.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";

export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What the generator counted; see bench/dns/load/load.c. */
export interface Load {
  readonly seconds: number;
  readonly sent: number;
  readonly answered: number;
  /** Right answers a second. */
  readonly rate: number;
  readonly wrong: number;
  readonly timedOut: number;
  readonly late: number;
  readonly unexpected: number;
  readonly looseSent: number;
  readonly looseAnswered: number;
  readonly refusedToSend: number;
  /** Of one core, 0 to 1. */
  readonly cpu: number;
  /** The share of the time in which the generator found nothing to do: what is left of its core. */
  readonly idle: number;
  /** In microseconds. */
  readonly latencyUs: Latency;
}

export interface LoadOptions {
  readonly server: string;
  readonly queries: string;
  readonly port?: number;
  readonly outstanding?: number;
  readonly seconds?: number;
  readonly warmUp?: number;
  /** Queries a second; without it as fast as answers come. */
  readonly rate?: number;
  readonly timeoutMs?: number;
  readonly batch?: number;
  readonly sources?: number;
  readonly xdp?: string;
  readonly source?: string;
  readonly sourceMac?: string;
  readonly serverMac?: string;
}

/** @returns the path of the program, compiled anew */
export function compileGenerator(): string {
  const folder = path.resolve("bench/dns/load");
  const program = path.resolve("out/bench-dns-load");
  mkdirSync(path.dirname(program), { recursive: true });
  const sources = readdirSync(folder)
    .filter((name) => name.endsWith(".c"))
    .map((name) => path.join(folder, name));
  execFileSync("gcc", ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, ...sources]);
  return program;
}

/** The command line of a measurement. */
export function loadArguments(options: LoadOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === undefined ? [] : [flag, String(value)];
  });
}

/** @throws SyntaxError when it printed something else */
export function parseLoad(printed: string): Load {
  // as: load.c prints these fields
  return JSON.parse(printed) as Load;
}

/** What was wrong with the answers, in words; `undefined` when nothing was. Lost datagrams are no answers, not wrong ones. */
export function wrongWith(load: Load): string | undefined {
  if (load.wrong > 0) return `${load.wrong} wrong answers`;
  if (load.unexpected > 0) return `${load.unexpected} answers that nobody asked for`;
  return undefined;
}
