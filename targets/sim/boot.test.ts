import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { build } from "esbuild";
import { readPcapng } from "@tesserae/wire/pcapng-reader";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** An image as `tesserae build` writes it: a server, and a scenario in which a client downloads from it. */
const image = `
import { boot } from "@tesserae/sim/boot";
import { createStack } from "@tesserae/tcpip/stack/stack";

const bytes = 200_000;

async function main({ stack, console, keys, signal }) {
  await stack.tcp.listen({ port: keys.port }, async (flow) => {
    await flow.write(new Uint8Array(bytes).map((_, at) => at * 7));
    await flow.end();
    await flow.close();
  });
  console.writeLine("listening on " + keys.port + ", " + new Date().toISOString());
  if (!signal.aborted) await new Promise((done) => signal.addEventListener("abort", done));
  console.writeLine("stopped");
}

async function scenario(world) {
  const server = world.image("server");
  const client = world.host("client");
  await client.run(async ({ stack, resolver, console }) => {
    await server.ready;
    const [address] = await resolver.resolve("server");
    await new Promise((done) => setTimeout(done, 5 + Math.random()));
    const flow = await stack.tcp.connect({ address, port: 8080 });
    const buffer = new Uint8Array(10_000);
    let got = 0;
    for (let read = await flow.read(buffer); read > 0; read = await flow.read(buffer)) got += read;
    await flow.close();
    console.writeLine("got " + got + " bytes, " + crypto.randomUUID());
    if (world.seed === "bad") throw new Error("as the seed wants it");
    if (world.seed === "forgotten") {
      void Promise.reject(new Error("nobody caught this"));
      await new Promise((done) => setTimeout(done, 1e6));
    }
  });
}

await boot({
  name: "download",
  target: "sim",
  keys: [
    { name: "port", type: { kind: "port" }, default: "8080", doc: "port to listen on" },
    { name: "ipv4", type: { kind: "interface4" }, default: "192.0.2.2/24", doc: "our address" },
  ],
  constants: {},
  devices: [
    ...["netif", "timers", "random", "console"].map((kind) => ({ id: kind, kind, base: true })),
    {
      id: "stack",
      kind: "stack",
      implementation: "tcpip",
      create: createStack,
      needs: { netif: "netif", timers: "timers", random: "random" },
      options: { ipv4: { key: "ipv4" } },
    },
  ],
  bindings: { stack: "stack", console: "console" },
  main,
  ...(ALONE ? {} : { scenario: { scenario } }),
});
`;

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "tesserae-sim-"));
  for (const alone of [false, true]) {
    await build({
      stdin: { contents: image, resolveDir: import.meta.dirname, loader: "ts" },
      define: { ALONE: String(alone) },
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      conditions: ["tesserae-source"],
      outfile: path.join(folder, alone ? "alone.mjs" : "image.mjs"),
      logLevel: "error",
    });
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function run(name: string, ...args: string[]): Promise<Ended> {
  return runWith({}, name, ...args);
}

function runWith(environment: Readonly<Record<string, string>>, name: string, ...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { maxBuffer: 2 ** 28, env: { ...process.env, ...environment } };
    execFile(process.execPath, [path.join(folder, name), ...args], options, (error, out, err) => {
      resolve({ status: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });
}

const faults = ["--loss", "6%", "--delay", "20ms", "--jitter", "2", "--duplicate", "0.01", "--reorder", "1%"];

describe("a run is a function of its seed", () => {
  test("two processes give the same trace, byte for byte; another seed gives another", async () => {
    const args = (seed: string) => ["image.mjs", "--seed", seed, "--trace", "-", ...faults] as const;
    const elsewhere = { TZ: "Asia/Tokyo", LANG: "tr_TR.UTF-8" };
    const [one, same, other] = await Promise.all([
      run(...args("a")),
      runWith(elsewhere, ...args("a")),
      run(...args("b")),
    ]);
    expect(one.err).toContain("download: seed a, ");
    expect(one.status).toBe(0);
    expect(one.out.split("\n").length).toBeGreaterThan(200);
    expect(one.out).toContain("(lost)");
    expect(one.out).toContain("client | got 200000 bytes");
    expect(same).toEqual(one);
    expect(other.out).toContain("got 200000 bytes");
    expect(other.out).not.toBe(one.out);
    expect(other.err.replace("seed b", "seed a")).not.toBe(one.err);
  });
});

describe("boot", () => {
  test("prints the hosts' lines with virtual time, and stops the images at the end", async () => {
    const { out, err, status } = await run("image.mjs", "--bandwidth", "10M");
    expect(out).toMatch(/^ +0\.000 server \| listening on 8080, 2026-01-01T00:00:00\.000Z\n/);
    expect(out).toMatch(/\d client \| got 200000 bytes, [0-9a-f-]{36}\n.* server \| stopped\n$/);
    expect(err).toMatch(
      /^download: seed 0, \d+\.\d{6} ms of virtual time, \d+ events, \d+ frames, trace [0-9a-f]{16}\n$/,
    );
    expect(status).toBe(0);
  });

  test("an application alone is done when nothing more happens, or when its time is up", async () => {
    const idle = await run("alone.mjs");
    expect(idle.out).toMatch(/listening on 8080.*\n.*stopped\n$/);
    expect(idle.err).toContain("then nothing was left to happen");
    expect(idle.status).toBe(0);
    const until = await run("alone.mjs", "--until", "10s");
    expect(until.status).toBe(0);
  });

  test("a failure gives status 1 and says how to replay it", async () => {
    const { err, status } = await run("image.mjs", "--seed=bad", "--loss", "1%", "--port", "8080");
    expect(status).toBe(1);
    expect(err).toContain("Error: as the seed wants it");
    expect(err).toMatch(/to replay: --seed bad --loss 1% --port 8080\n$/);
  });

  test("a rejection that nobody handles ends the run with status 1", async () => {
    const { err, status } = await run("image.mjs", "--seed", "forgotten");
    expect(status).toBe(1);
    expect(err).toContain("Error: nobody caught this");
    expect(err).toContain("to replay: --seed forgotten");
  });

  test("a pcapng file has what every host sent and received, at virtual times", async () => {
    const file = path.join(folder, "run.pcapng");
    const { status } = await run("image.mjs", "--pcap", file, "--timeline");
    expect(status).toBe(0);
    let packets = 0;
    for (const item of readPcapng(new Uint8Array(await readFile(file)))) {
      if (item.kind === "error") throw new Error(JSON.stringify(item));
      if (item.kind === "packet") packets++;
    }
    expect(packets).toBeGreaterThan(300);
  });

  test("draws the timeline", async () => {
    const { out } = await run("image.mjs", "--timeline", "--delay", "10");
    expect(out).toMatch(/ms {2}client +server\n/);
    expect(out).toMatch(/\|--- \[S\] seq=0 .*>\| +\d+\.000\n/);
  });

  test.each([
    [["--loss", "150%"], `--loss: "150%" is not a share such as 0.05 or 5%`],
    [["--delay", "soon"], `--delay: "soon" is not a duration`],
    [["--bandwidth", "fast"], `--bandwidth: "fast" is not a rate`],
    [["--queue", "long"], `--queue: "long" is not a number of bytes, red, codel or fq-codel`],
    [["--burst", "8"], `--burst: wants a --loss below 100%`],
    [["--sede", "1"], "unknown flag"],
    [["--port", "70000"], "--port"],
    [["word"], `"word" is no flag`],
    [["--seed"], "--seed needs a value"],
  ])("refuses %j with status 2", async (args, message) => {
    const { err, out, status } = await run("image.mjs", ...args);
    expect(err).toContain(message);
    expect(out).toBe("");
    expect(status).toBe(2);
  });

  test("--help lists keys and flags", async () => {
    const { out, status } = await run("image.mjs", "--help");
    expect(out).toContain("--port");
    expect(out).toContain("--bandwidth RATE");
    expect(status).toBe(0);
  });

  test("a file that cannot be written is said, with status 1", async () => {
    const { err, status } = await run("image.mjs", "--pcap", path.join(folder, "none", "x.pcapng"));
    expect(err).toContain("ENOENT");
    expect(status).toBe(1);
  });
});
