import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadAddon, type Addon } from "./addon.ts";
import { SystemCalls } from "./system-calls.ts";
import { skipping } from "../../../test/programs.ts";

const outcome = loadAddon();
const reason = skipping(outcome.ok ? undefined : outcome.why);
// as: skipped when there is none.
const addon = (outcome.ok ? outcome.addon : undefined) as Addon;
const EBADF = 9;

/** A datagram socket pair in memory: what is written to one end is read from the other, whole. */
function pair(calls: SystemCalls): [number, number] {
  const ends = calls.memory(8);
  const number = process.arch === "x64" ? 53 : 199;
  expect(calls.native.call(number, 1, 2 | 0o4000, 0, ends.address)).toBe(0);
  return [ends.view.getInt32(0, true), ends.view.getInt32(4, true)];
}

describe.skipIf(reason !== undefined)(`the native piece${reason === undefined ? "" : ` (${reason})`}`, () => {
  test("a call gives the kernel's answer, and errors as −errno", () => {
    const getpid = process.arch === "x64" ? 39 : 172;
    expect(addon.call(getpid)).toBe(process.pid);
    expect(new SystemCalls(addon).write(-1, 0, 0)).toBe(-EBADF);
  });

  test("memory of the kernel's is fresh, writable, and where addressOf says", () => {
    const memory = addon.map(-1, 8192, 0);
    expect(memory).toBeInstanceOf(ArrayBuffer);
    const bytes = new Uint8Array(memory as ArrayBuffer);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    bytes.set([1, 2, 3], 4000);
    const calls = new SystemCalls(addon);
    const [near, far] = pair(calls);
    expect(calls.write(near, calls.addressOf(bytes) + 4000, 3)).toBe(3);
    expect(calls.read(far, calls.addressOf(bytes), 100)).toBe(3);
    expect([...bytes.subarray(0, 4)]).toEqual([1, 2, 3, 0]);
    expect(addon.map(12345, 4096, 0)).toBe(-EBADF);
    for (const fd of [near, far]) closeSync(fd);
  });

  test("memory is aligned as asked", () => {
    for (const alignment of [16, 64, 4096]) {
      const { address, bytes } = new SystemCalls(addon).memory(100, alignment);
      expect(address % alignment).toBe(0);
      expect(bytes.length).toBe(100);
    }
  });

  test("many messages are written and read in one call each, in order and packed", () => {
    const calls = new SystemCalls(addon);
    const [near, far] = pair(calls);
    const memory = calls.memory(4096, 64);
    const slotMemory = calls.memory(8 * 8);
    const slots = new Int32Array(slotMemory.bytes.buffer, slotMemory.bytes.byteOffset, 16);
    for (let index = 0; index < 5; index++) {
      memory.bytes.fill(index + 1, index * 100, index * 100 + 70);
      slots.set([index * 100, 10 + index * 15], 2 * index);
    }
    expect(addon.writeMany(near, memory.address, slotMemory.address, 5)).toBe(5);
    memory.bytes.fill(0);
    // Room for 256 bytes and one of the largest, each on a multiple of 64 behind the lead.
    expect(addon.readMany(far, memory.address, 4096, 128, 3, 2, slotMemory.address)).toBe(3);
    expect([...slots.subarray(0, 6)]).toEqual([2, 10, 66, 25, 130, 40]);
    expect([...memory.bytes.subarray(64, 95)]).toEqual([0, 0, ...new Array<number>(25).fill(2), 0, 0, 0, 0]);
    expect(addon.readMany(far, memory.address, 200, 128, 8, 2, slotMemory.address)).toBe(2);
    expect(addon.readMany(far, memory.address, 4096, 128, 8, 2, slotMemory.address)).toBe(-11);
    slots.set([0, 8, 0, 1 << 30, 0, 9]);
    expect(addon.writeMany(near, memory.address, slotMemory.address, 3)).toBe(2);
    expect([slots[1], slots[3]! < 0, slots[5]]).toEqual([8, true, 9]);
    for (const fd of [near, far]) closeSync(fd);
  });

  test("a watch calls back while there is something, lets promises go on, and stops", async () => {
    const calls = new SystemCalls(addon);
    const [near, far] = pair(calls);
    const into = calls.memory(16);
    let times = 0;
    const got = new Promise<number>((resolve) => {
      const handle = addon.watch(far, () => {
        times++;
        if (times < 3) return;
        addon.unwatch(handle);
        resolve(calls.read(far, into.address, 16));
      });
      expect(handle).toBeGreaterThan(0);
    });
    writeSync(near, "hello");
    expect(await got).toBe(5);
    writeSync(near, "more");
    await new Promise((resolve) => void setTimeout(resolve, 20));
    expect(times).toBe(3);
    for (const fd of [near, far]) closeSync(fd);
    expect(addon.watch(12345, () => undefined)).toBe(-EBADF);
  });
});

describe.skipIf(reason !== undefined)("the native piece in a program of its own", () => {
  let folder: string;
  let program: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tesserae-native-"));
    program = join(folder, "program.mjs");
    await build({
      stdin: {
        contents: `
          import { loadAddon } from "./addon.ts";
          import { Worker, isMainThread } from "node:worker_threads";
          const outcome = loadAddon();
          if (!outcome.ok) console.log("none: " + outcome.why);
          else if (process.argv[2] === "throw") {
            process.on("uncaughtException", (error) => { console.log("caught " + error.message); process.exit(0); });
            const { addon } = outcome;
            const handle = addon.watch(0, () => { addon.unwatch(handle); throw new Error("from a callback"); });
          } else if (isMainThread && process.argv[2] === "worker") {
            const worker = new Worker(new URL(import.meta.url));
            worker.once("message", async (text) => { console.log(text, await worker.terminate()); });
          } else if (!isMainThread) {
            const { parentPort } = await import("node:worker_threads");
            outcome.addon.watch(0, () => parentPort.postMessage("the worker's loop called back, and it ended with"));
          } else console.log("loaded");`,
        resolveDir: fileURLToPath(new URL(".", import.meta.url)),
        loader: "ts",
      },
      bundle: true,
      platform: "node",
      format: "esm",
      outfile: program,
      logLevel: "error",
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(argument: string, env: Record<string, string>, input = ""): string {
    const ran = spawnSync(process.execPath, [program, argument], {
      encoding: "utf8",
      env: { ...process.env, ...env },
      input,
      timeout: 20_000,
    });
    expect(ran.stderr).toBe("");
    return ran.stdout.trim();
  }

  test("is built once, for its user alone, and left out where that is said or there is no compiler", () => {
    const cache = join(folder, "cache");
    expect(run("", { XDG_CACHE_HOME: cache })).toBe("loaded");
    const files = readdirSync(join(cache, "tesserae"));
    expect(files).toHaveLength(1);
    expect(statSync(join(cache, "tesserae", files[0]!)).mode & 0o777).toBe(0o700);
    expect(run("", { XDG_CACHE_HOME: cache, CC: "/nonexistent" })).toBe("loaded");
    const other = join(folder, "other");
    expect(run("", { XDG_CACHE_HOME: other, CC: "/nonexistent" })).toContain(
      'none: there is no C compiler "/nonexistent": apt-get install gcc',
    );
    expect(readdirSync(join(other, "tesserae"))).toEqual([]);
    expect(run("", { XDG_CACHE_HOME: cache, TESSERAE_NATIVE: "off" })).toBe('none: TESSERAE_NATIVE is "off"');
    spawnSync("chmod", ["0777", join(cache, "tesserae")]);
    expect(run("", { XDG_CACHE_HOME: cache })).toContain("others may write to it");
  });

  test("what a callback throws is an uncaught exception", () => {
    expect(run("throw", {}, "x")).toBe("caught from a callback");
  });

  test("a worker thread watches from its own loop, and can be ended meanwhile", () => {
    expect(run("worker", {}, "x")).toBe("the worker's loop called back, and it ended with 1");
  });
});
