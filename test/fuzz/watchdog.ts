import process from "node:process";
import { Worker } from "node:worker_threads";

/** The worker's program: plain text, because it must run without the main thread, which may hang. */
const program = `
const { workerData } = require("node:worker_threads");
const { writeSync } = require("node:fs");
const { state, input, limit } = workerData;
let last = -1;
let since = Date.now();
setInterval(() => {
  const count = Atomics.load(state, 0);
  if (count !== last || count === 0) {
    last = count;
    since = Date.now();
  } else if (Date.now() - since > limit) {
    const bytes = Buffer.from(input.subarray(0, Atomics.load(state, 1))).toString("hex");
    const name = Buffer.from(input.subarray(65536, 65536 + Atomics.load(state, 2))).toString();
    const word = name.includes(" ") ? JSON.stringify(name) : name;
    const replay = "node scripts/soak.mjs " + word + " --input " + (bytes || '""');
    writeSync(2, "fuzz target \\"" + name + "\\" hangs on:\\n  " + bytes + "\\nreplay: " + replay + "\\n");
    process.kill(workerData.pid, "SIGKILL");
  }
}, 200);
`;

/** Ends the process, and says which input it was, when a target does not come back from one. */
export interface Watchdog {
  /** To be called before each run. */
  watch(name: string, input: Uint8Array): void;
  /** Nothing runs now. */
  rest(): void;
  close(): Promise<void>;
}

/** @param limit milliseconds that one input may take */
export function startWatchdog(limit: number): Watchdog {
  const state = new Int32Array(new SharedArrayBuffer(12));
  const shared = new Uint8Array(new SharedArrayBuffer(65536 + 256));
  const encoder = new TextEncoder();
  const worker = new Worker(program, { eval: true, workerData: { state, input: shared, limit, pid: process.pid } });
  worker.unref();
  let count = 0;
  let named = "";
  return {
    watch(name, input) {
      if (name !== named) {
        named = name;
        const bytes = encoder.encode(name).subarray(0, 256);
        shared.set(bytes, 65536);
        Atomics.store(state, 2, bytes.length);
      }
      shared.set(input.subarray(0, 65536));
      Atomics.store(state, 1, Math.min(input.length, 65536));
      count = (count % 0x3fffffff) + 1;
      Atomics.store(state, 0, count);
    },
    rest() {
      Atomics.store(state, 0, 0);
    },
    async close() {
      await worker.terminate();
    },
  };
}
