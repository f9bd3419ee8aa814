import { fork, type ChildProcess } from "node:child_process";
import process from "node:process";
import type { SeedReport, SeedRequest } from "@tesserae/sim/seed-worker";
import { usage } from "./failure.ts";

export interface SeedPoolOptions {
  /** The image, built for the simulator. */
  readonly image: string;
  /** The flags of every run. */
  readonly argv: readonly string[];
  /** Processes. */
  readonly jobs: number;
  /** Real milliseconds that one run may take. */
  readonly patience: number;
}

/** Runs after which a process gives way to a fresh one: what a run leaves behind in memory is bounded. */
const runsAProcess = 200;

/** How a run that says nothing any more has failed. */
export const hangSignature = "hang";

/** Processes that run seeds, one world each at a time. */
export class SeedPool {
  readonly #options: SeedPoolOptions;
  readonly #idle: SeedProcess[] = [];
  readonly #all = new Set<SeedProcess>();
  readonly #waiting: ((worker: SeedProcess) => void)[] = [];
  #closed = false;

  constructor(options: SeedPoolOptions) {
    this.#options = options;
  }

  /**
   * Runs a seed once a process is free.
   *
   * @param fresh in a process that has run nothing before, so that no other run can have any influence
   * @throws Failure when the image refuses its flags; the message is what it wrote.
   */
  async run(request: SeedRequest, fresh = false): Promise<SeedReport> {
    let worker = await this.#take();
    if (fresh && worker.runs > 0) worker = this.#replace(worker);
    const report = await worker.run(request);
    if (worker.isOver || worker.runs >= runsAProcess) worker = this.#replace(worker);
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(worker);
    else next(worker);
    return report;
  }

  /** Ends all processes, whatever they are doing. */
  close(): void {
    this.#closed = true;
    for (const worker of this.#all) worker.kill();
    this.#all.clear();
  }

  async #take(): Promise<SeedProcess> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#all.size < this.#options.jobs) return this.#make();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #make(): SeedProcess {
    const worker = new SeedProcess(this.#options);
    this.#all.add(worker);
    if (this.#closed) worker.kill();
    return worker;
  }

  #replace(old: SeedProcess): SeedProcess {
    old.kill();
    this.#all.delete(old);
    return this.#make();
  }
}

class SeedProcess {
  readonly #child: ChildProcess;
  readonly #patience: number;
  /** What it wrote to standard error, the end of it. */
  #said = "";
  #over = false;
  runs = 0;

  constructor({ image, argv, patience }: SeedPoolOptions) {
    this.#patience = patience;
    this.#child = fork(image, ["--worker", ...argv], {
      execArgv: ["--enable-source-maps"],
      execPath: process.execPath,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child.once("exit", () => (this.#over = true));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-4000);
    });
  }

  get isOver(): boolean {
    return this.#over;
  }

  run(request: SeedRequest): Promise<SeedReport> {
    const first = this.runs++ === 0;
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#child.off("message", answered);
        this.#child.off("close", ended);
      };
      const answered = (message: unknown): void => {
        done();
        // as: the image is built from sources of this version, and this is what it sends
        resolve(message as SeedReport);
      };
      const ended = (code: number | null): void => {
        done();
        if (first && code === 2) reject(usage(this.#said.trim()));
        else resolve(failedReport(request, "crash", `the process ended with ${String(code)}:\n${this.#said.trim()}`));
      };
      const timer = setTimeout(() => {
        done();
        this.kill();
        const seconds = String(this.#patience / 1000);
        resolve(failedReport(request, hangSignature, `the run has not ended after ${seconds} s of real time`));
      }, this.#patience);
      this.#child.on("message", answered);
      this.#child.on("close", ended);
      this.#child.send(request, (error) => {
        // That the process has ended is told by its end.
        if (error !== null && this.#over) ended(this.#child.exitCode);
      });
    });
  }

  kill(): void {
    this.#over = true;
    this.#child.kill("SIGKILL");
  }
}

function failedReport({ seed }: SeedRequest, signature: string, text: string): SeedReport {
  const nothing = { decisions: [], time: 0, events: 0, frames: 0, hash: "", counters: {} };
  return { seed, failure: { signature, text }, ...nothing };
}
