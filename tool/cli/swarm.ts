import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { formatChoices } from "@tesserae/sim/choices";
import type { SeedReport } from "@tesserae/sim/seed-worker";
import { shrink } from "@tesserae/sim/shrink";
import type { Built } from "./build.ts";
import { grouped } from "./cost.ts";
import { failure, usage } from "./failure.ts";
import { relative, type Project } from "./project.ts";
import { SeedPool } from "./seed-pool.ts";
import type { Terminal } from "./terminal.ts";

/** What `tesserae sim swarm` was asked for. */
export interface SwarmRequest {
  readonly jobs: number;
  /** Real milliseconds for finding failures. */
  readonly budget: number;
  /** The seeds to run; absent: fresh random ones until the time is up. */
  readonly seeds: { readonly from: number; readonly to: number } | undefined;
  /** Stop when a counter of the scenario has come to this. */
  readonly enough: { readonly name: string; readonly count: number } | undefined;
  /** Go on after a failure, and collect one of each kind. */
  readonly keepGoing: boolean;
  /** Real milliseconds that one run may take. */
  readonly patience: number;
}

/** A failing seed as it is kept, and replayed from. */
export interface SeedRecord {
  readonly seed: string;
  /** The choices of the shrunk run, as `--choices` takes them; absent: what the seed decides. */
  readonly choices?: string;
  /** The flags of the runs, beside the seed and the choices. */
  readonly flags: readonly string[];
  readonly failure: string;
  /** The trace hash of the shrunk run. */
  readonly hash: string;
  /** The one line that replays it. */
  readonly command: string;
}

/** Attempts at making one failing run simpler. */
const shrinkAttempts = 400;
/** Failures of different kinds that are shrunk and kept. */
const mostKinds = 20;

/**
 * Reads the flags of `tesserae sim swarm`.
 *
 * @throws Failure with status 2 naming the flag.
 */
export function readSwarmFlags(flags: Readonly<Record<string, string>>, processors: number): SwarmRequest {
  const { minutes, jobs, seeds, enough, timeout } = flags;
  const range = seeds === undefined ? undefined : /^(\d{1,15})\.\.(\d{1,15})$/.exec(seeds);
  if (range === null) throw usage(`--seeds: "${seeds ?? ""}" is not FROM..TO, such as 1..1000`);
  const from = Number(range?.[1]);
  const to = Number(range?.[2]);
  if (range !== undefined && from > to) throw usage(`--seeds: ${seeds ?? ""} is empty`);
  const count = enough === undefined ? undefined : /^([^=]+)=(\d{1,15})$/.exec(enough);
  if (count === null) throw usage(`--enough: "${enough ?? ""}" is not COUNTER=NUMBER`);
  const open = range !== undefined || count !== undefined;
  return {
    jobs: jobs === undefined ? processors : number("jobs", jobs, 1, 256, true),
    budget: minutes === undefined ? (open ? Infinity : 60_000) : number("minutes", minutes, 0.001, 100_000) * 60_000,
    seeds: range === undefined ? undefined : { from, to },
    enough: count === undefined ? undefined : { name: count[1] ?? "", count: Number(count[2]) },
    keepGoing: "keep-going" in flags,
    patience: timeout === undefined ? 120_000 : number("timeout", timeout, 0.1, 100_000) * 1000,
  };
}

function number(flag: string, text: string, least: number, most: number, whole = false): number {
  const value = Number(text);
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  throw usage(`--${flag}: "${text}" is not ${whole ? "an integer" : "a number"} from ${least} to ${most}`);
}

/** Runs seed after seed in processes of their own, shrinks what fails, and says how to replay it. @returns the status */
export async function swarm(
  built: Built,
  project: Project,
  request: SwarmRequest,
  terminal: Terminal,
): Promise<number> {
  const search = new SeedSearch(built, project, request, terminal);
  const stop = (): void => search.stop();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    return await search.run();
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}

class SeedSearch {
  readonly #built: Built;
  readonly #project: Project;
  readonly #request: SwarmRequest;
  readonly #terminal: Terminal;
  readonly #pool: SeedPool;
  readonly #counters = new Map<string, number>();
  /** The first report of each kind of failure. */
  readonly #failures = new Map<string, SeedReport>();
  readonly #started = performance.now();
  #searched = 0;
  #seeds = 0;
  #failed = 0;
  #events = 0;
  #virtual = 0;
  #stopped = false;

  constructor(built: Built, project: Project, request: SwarmRequest, terminal: Terminal) {
    this.#built = built;
    this.#project = project;
    this.#request = request;
    this.#terminal = terminal;
    const { jobs, patience } = request;
    this.#pool = new SeedPool({ image: built.image, argv: built.rest, jobs, patience });
  }

  stop(): void {
    this.#stopped = true;
    this.#pool.close();
  }

  async run(): Promise<number> {
    try {
      await this.#find();
      this.#report();
      for (const report of this.#failures.values()) {
        if (this.#stopped) break;
        await this.#explain(report);
      }
    } finally {
      this.#pool.close();
    }
    return this.#failed > 0 ? 1 : 0;
  }

  async #find(): Promise<void> {
    const seeds = this.#seedTexts();
    const loop = async (): Promise<void> => {
      while (!this.#isEnough()) {
        const next = seeds.next();
        if (next.done === true) return;
        const report = await this.#pool.run({ seed: next.value });
        if (this.#stopped) return;
        this.#take(report);
      }
    };
    const timer = setInterval(() => this.#terminal.progress(this.#line()), 250);
    try {
      await Promise.all(Array.from({ length: this.#request.jobs }, loop));
    } finally {
      clearInterval(timer);
      this.#searched = performance.now() - this.#started;
    }
  }

  *#seedTexts(): Generator<string, void, undefined> {
    const { seeds } = this.#request;
    if (seeds !== undefined) {
      for (let seed = seeds.from; seed <= seeds.to; seed++) yield String(seed);
      return;
    }
    const prefix = randomBytes(4).toString("hex");
    for (let index = 1; ; index++) yield `${prefix}-${index}`;
  }

  #isEnough(): boolean {
    const { budget, enough, keepGoing } = this.#request;
    if (this.#stopped || performance.now() - this.#started >= budget) return true;
    if (enough !== undefined && (this.#counters.get(enough.name) ?? 0) >= enough.count) return true;
    return this.#failed > 0 && (!keepGoing || this.#failures.size >= mostKinds);
  }

  #take(report: SeedReport): void {
    this.#seeds++;
    this.#events += report.events;
    this.#virtual += report.time;
    for (const [name, count] of Object.entries(report.counters)) {
      this.#counters.set(name, (this.#counters.get(name) ?? 0) + count);
    }
    if (report.failure === undefined) return;
    this.#failed++;
    const { signature } = report.failure;
    if (this.#failures.size < mostKinds && !this.#failures.has(signature)) this.#failures.set(signature, report);
  }

  #line(): string {
    const seconds = (this.#searched === 0 ? performance.now() - this.#started : this.#searched) / 1000;
    const aMinute = grouped(Math.round((this.#seeds / seconds) * 60));
    const counters = [...this.#counters].map(([name, count]) => `, ${grouped(count)} ${name}`).join("");
    const many = this.#seeds === 1 ? "seed" : "seeds";
    return (
      `${this.#built.name}: ${grouped(this.#seeds)} ${many} in ${seconds.toFixed(1)} s (${aMinute} a minute), ` +
      `${grouped(this.#events)} events${counters}; ${grouped(this.#failed)} failed`
    );
  }

  #report(): void {
    this.#terminal.out(this.#line());
    const hours = this.#virtual / 3_600_000;
    this.#terminal.note(`${hours.toFixed(1)} hours of virtual time`);
  }

  /** Shows a failure, makes it as simple as can be, and writes its record. */
  async #explain(found: SeedReport): Promise<void> {
    const terminal = this.#terminal;
    const { seed } = found;
    const signature = found.failure?.signature ?? "";
    terminal.out("");
    terminal.out(`seed ${seed} fails: ${indented(found.failure?.text ?? "")}`);
    const again = await this.#pool.run({ seed }, true);
    if (again.failure?.signature !== signature) {
      const instead = again.failure === undefined ? "it ends well" : `it fails otherwise: ${again.failure.signature}`;
      terminal.out(`in a process of its own ${instead}: something outlives a run, a variable of a module perhaps`);
      await this.#write({ seed, hash: again.hash, failure: signature });
      return;
    }
    const best: { hash: string; choices?: string } = { hash: again.hash };
    let attempts = 0;
    const before = again.decisions.filter((each) => each.value !== each.least).length;
    const shrunk = await shrink(again.decisions, {
      most: shrinkAttempts,
      parallel: this.#request.jobs,
      enough: () => this.#stopped,
      attempt: async (choices) => {
        const report = await this.#pool.run({ seed, choices });
        terminal.progress(`making it simpler: ${String(++attempts)} runs`);
        return { failed: report.failure?.signature === signature, decisions: report.decisions };
      },
    });
    const choices = formatChoices(shrunk.decisions);
    // Once more alone: what is printed has to fail wherever it is run.
    const last = await this.#pool.run({ seed, choices }, true);
    if (last.failure?.signature === signature && again.decisions.length > 0)
      Object.assign(best, { hash: last.hash, choices });
    const after = shrunk.decisions.filter((each) => each.value !== each.least);
    if (best.choices !== undefined && before > 0) {
      terminal.out(
        `shrunk in ${grouped(shrunk.attempts)} runs: ${grouped(before)} decisions to ${grouped(after.length)}` +
          `${shrunk.complete ? "" : " (stopped early)"}${after.length === 0 ? "" : ":"}`,
      );
      for (const { name, value } of after) terminal.out(`  ${name}=${String(value)}`);
    }
    const text = last.failure?.text ?? "";
    if (best.choices !== undefined && text !== found.failure?.text) {
      terminal.out(`it fails then: ${indented(text.split("\n")[0] ?? "")}`);
    }
    const { hash } = best;
    await this.#write({
      seed,
      ...(best.choices === undefined ? {} : { choices: best.choices }),
      hash,
      failure: signature,
    });
  }

  async #write(found: Omit<SeedRecord, "flags" | "command">): Promise<void> {
    const flags = this.#built.rest;
    const directory = relative(this.#project.folder);
    const words = [
      "tesserae",
      "run",
      ...(directory === "." ? [] : [directory]),
      "--target",
      "sim",
      "--seed",
      found.seed,
    ];
    if (found.choices !== undefined) words.push("--choices", found.choices);
    const command = [...words, ...flags].map(quoted).join(" ");
    const record: SeedRecord = { ...found, flags, command };
    const folder = path.join(this.#project.folder, ".tesserae", "seeds");
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, recordName(found.seed)), `${JSON.stringify(record, undefined, 2)}\n`);
    this.#terminal.out(`replay it: ${command}`);
    this.#terminal.out(`   or in the folder of the application: tesserae sim replay ${quoted(found.seed)}`);
  }
}

/**
 * The flags that replay a seed: from its record when a search has left one, else the seed alone.
 *
 * @throws Failure when the record cannot be read.
 */
export async function replayFlags(project: Project, seed: string): Promise<readonly string[]> {
  const file = path.join(project.folder, ".tesserae", "seeds", recordName(seed));
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return ["--seed", seed];
  let record: Partial<SeedRecord>;
  try {
    // as: checked below
    record = JSON.parse(text) as Partial<SeedRecord>;
  } catch (error) {
    throw failure(`${relative(file)}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { choices, flags } = record;
  const isGood = (choices === undefined || typeof choices === "string") && Array.isArray(flags);
  if (!isGood) throw failure(`${relative(file)}: this is no record of a seed`);
  return ["--seed", seed, ...(choices === undefined ? [] : ["--choices", choices]), ...flags.map(String)];
}

function recordName(seed: string): string {
  return `${encodeURIComponent(seed).replaceAll("*", "%2A").slice(0, 200)}.json`;
}

function indented(text: string): string {
  return text.trim().replaceAll("\n", "\n  ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
