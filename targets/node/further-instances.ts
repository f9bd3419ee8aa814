import { Worker } from "node:worker_threads";
import { type InstanceAssignment, type InstanceReport, stopMessage } from "./instance.ts";

/** How long a worker may take to end once it is told to, in milliseconds. */
const stopBound = 5000;

/**
 * The other instances of an image: workers that run the same file with the same arguments. When one of them dies, all
 * are told to stop.
 */
export class FurtherInstances {
  readonly #workers: Worker[] = [];
  readonly #ends: Promise<void>[] = [];
  readonly #reports: InstanceReport[] = [];
  #stopping = false;

  /**
   * @param shared what each of them is given: see `Instance.shared`
   * @param fail gets what ended one of them, once for each
   */
  start(count: number, shared: unknown, fail: (error: unknown) => void): void {
    const [, file = ""] = process.argv;
    for (let index = 1; index < count; index++) {
      const workerData: InstanceAssignment = { tesseraeInstance: { index, count, shared } };
      // Descriptors pass between the threads: whoever opened one need not be who closes it.
      const worker = new Worker(file, { argv: process.argv.slice(2), workerData, trackUnmanagedFds: false });
      const name = `instance ${index} of ${count}`;
      let failed = false;
      worker.on("message", (report: InstanceReport) => this.#reports.push(report));
      worker.on("error", (error) => {
        failed = true;
        fail(
          error instanceof Error ? Object.assign(error, { stack: `${name}: ${error.stack ?? error.message}` }) : error,
        );
      });
      this.#workers.push(worker);
      this.#ends.push(
        new Promise((resolve) => {
          worker.once("exit", (status) => {
            // What it said itself is on stderr.
            if (status !== 0 && !failed && !this.#stopping) fail(`${name} ended with status ${status}`);
            resolve();
          });
        }),
      );
    }
  }

  /** Resolves when each of them has ended by itself. */
  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }

  /** Tells them to stop, and ends those that do not. */
  async stop(): Promise<void> {
    for (const worker of this.#workers) worker.postMessage(stopMessage);
    const timer = setTimeout(() => {
      this.#stopping = true;
      for (const worker of this.#workers) void worker.terminate();
    }, stopBound);
    await this.ended();
    clearTimeout(timer);
  }

  /** What those that have ended had counted. */
  get reports(): readonly InstanceReport[] {
    return this.#reports;
  }
}
