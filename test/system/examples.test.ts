import { spawn, spawnSync } from "node:child_process";
import { Resolver } from "node:dns/promises";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Namespace, unavailable } from "../namespace/namespace.ts";
import { patience } from "./duration.ts";
import { LaunchedImage, pause } from "./launched-image.ts";

// Each example on each target. examples/www has suites of its own for node and tap.

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-examples-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Sends text to HOST PORT over TCP and UDP and prints the two answers. */
const echoClient = path.join(import.meta.dirname, "echo-client.mjs");

function answers(stdout: string): unknown {
  return JSON.parse(stdout);
}

describe("on the node target", () => {
  test("hello", () => {
    const { status, stdout } = LaunchedImage.run([
      "run",
      "--no-check",
      "examples/hello",
      "--name",
      "you",
      "--times",
      "2",
    ]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "hello, you (1 of 2)\nhello, you (2 of 2)\n" });
  });

  test("echo", async () => {
    const image = await LaunchedImage.start(["examples/echo", "--port", "17007"], "echoing");
    const { stdout } = await collect(process.execPath, [echoClient, "127.0.0.1", "17007"]);
    expect(answers(stdout)).toEqual({ tcp: "over TCP", udp: "over UDP" });
    expect(await image.stop()).toBe(0);
  });

  test("nameserver", async () => {
    const image = await LaunchedImage.start(["examples/nameserver", "--port", "15300"], "answering");
    const resolver = new Resolver();
    resolver.setServers(["127.0.0.1:15300"]);
    expect(await resolver.resolve4("some.pages.example.org")).toEqual(["192.0.2.80"]);
    expect(await resolver.reverse("192.0.2.25")).toEqual(["mail.example.org"]);
    await expect(resolver.resolve4("nobody.example.org")).rejects.toThrow("ENOTFOUND");
    expect(await image.stop()).toBe(0);
  });

  test("nameserver: one has its zone from another, signed, and says which key is wrong", async () => {
    const tsig = ["--tsig", "transfer.example:c2VjcmV0IHNlY3JldA=="];
    const primary = await LaunchedImage.start(["examples/nameserver", "--port", "15301", ...tsig], "answering");
    const others = ["--secondary", "example.org=127.0.0.1:15301", "--port", "15302"];
    const secondary = await LaunchedImage.start(["examples/nameserver", ...others, ...tsig], "answering");
    const resolver = new Resolver();
    resolver.setServers(["127.0.0.1:15302"]);
    for (let tries = 0; tries < 100 && !secondary.output.includes("transferred"); tries++) await pause(100);
    expect(await resolver.resolve4("some.pages.example.org"), secondary.output).toEqual(["192.0.2.80"]);
    expect(await secondary.stop()).toBe(0);
    expect(await primary.stop()).toBe(0);
    const wrong = LaunchedImage.run(["run", "--no-check", "examples/nameserver", "--secondary", "example.org"]);
    expect({ status: wrong.status, stderr: wrong.stderr }).toEqual({
      status: 2,
      stderr: 'nameserver: key "secondary": "example.org" is not ZONE=ADDRESS\n',
    });
  }, 120_000);

  test("two-hosts", () => {
    const { status, stdout } = LaunchedImage.run(["run", "--no-check", "examples/two-hosts", "--port", "19009"]);
    expect(status, stdout).toBe(0);
    expect(stdout).toContain("verdict=1000000");
  });
});

const reason = unavailable();
describe.skipIf(reason !== undefined)(`on the tap target${reason === undefined ? "" : ` (${reason})`}`, () => {
  const flags = ["--target", "tap", "--tap", "tap0", "--host-address", "10.0.0.1/24"];

  async function inNamespace(body: (namespace: Namespace) => Promise<void> | void): Promise<void> {
    const namespace = Namespace.create();
    try {
      await body(namespace);
    } finally {
      namespace.destroy();
    }
  }

  test(
    "hello",
    () =>
      inNamespace(({ name }) => {
        const { status, stdout } = LaunchedImage.run(
          ["run", "--no-check", "examples/hello", ...flags, "--times", "1"],
          name,
        );
        expect({ status, stdout }).toEqual({ status: 0, stdout: "hello, world (1 of 1)\n" });
      }),
    patience,
  );

  test(
    "echo",
    () =>
      inNamespace(async (namespace) => {
        const image = await LaunchedImage.start(["examples/echo", ...flags], "echoing", namespace.name);
        const stdout = await namespace.succeeds(process.execPath, [echoClient, "10.0.0.2", "7007"]);
        expect(answers(stdout)).toEqual({ tcp: "over TCP", udp: "over UDP" });
        expect(await image.stop()).toBe(0);
      }),
    patience,
  );

  test(
    "two-hosts, both of them on our stack's loopback",
    () =>
      inNamespace(({ name }) => {
        const { status, stdout, stderr } = LaunchedImage.run(
          ["run", "--no-check", "examples/two-hosts", ...flags],
          name,
        );
        expect(status, stdout + stderr).toBe(0);
        expect(stdout).toContain("verdict=1000000");
      }),
    patience,
  );
});

describe("in the simulator", () => {
  const examples = ["hello", "echo", "www", "two-hosts", "router", "nameserver", "resolver"];

  function simulate(example: string, seed: string): { trace: string; summary: string; stdout: string } {
    const file = path.join(folder, `${example}-${seed}.trace`);
    const run = LaunchedImage.run([
      "run",
      "--no-check",
      `examples/${example}`,
      "--target",
      "sim",
      "--seed",
      seed,
      "--trace",
      file,
    ]);
    expect(run.status, run.stdout + run.stderr).toBe(0);
    return { trace: readFileSync(file, "utf8"), summary: run.stderr, stdout: run.stdout };
  }

  const runs = new Map<string, ReturnType<typeof simulate>>();
  /** The same, run once for all tests. */
  function simulated(example: string, seed: string): ReturnType<typeof simulate> {
    const key = `${example} ${seed}`;
    const run = runs.get(key) ?? simulate(example, seed);
    runs.set(key, run);
    return run;
  }

  test.each(examples)(
    "%s: the same seed gives the same trace, byte for byte",
    (example) => {
      const first = simulated(example, "1");
      expect(simulate(example, "1").trace).toBe(first.trace);
      // The hash that every machine gets. A change of protocol behaviour changes it: update it with `vitest -u`.
      expect(/trace ([0-9a-f]+)/.exec(first.summary)?.[1]).toMatchSnapshot();
    },
    patience,
  );

  test("two-hosts: another seed loses other frames", () => {
    const one = simulated("two-hosts", "1");
    const other = simulated("two-hosts", "2");
    expect(other.trace).not.toBe(one.trace);
    for (const { stdout } of [one, other]) {
      expect(stdout).toContain("verdict=100000");
      // The timeline is part of what the example prints.
      expect(stdout).toMatch(/lost -+X/);
    }
  });

  test.skipIf(unavailable("tshark") !== undefined)("www: tshark reads the capture and finds nothing wrong", () => {
    const file = path.join(folder, "www.pcapng");
    const run = LaunchedImage.run(["run", "--no-check", "examples/www", "--target", "sim", "--pcap", file]);
    expect(run.status, run.stderr).toBe(0);
    const checks = ["-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];
    const count = (filter: string): number =>
      spawnSync("tshark", ["-r", file, ...checks, "-Y", filter], { encoding: "utf8" }).stdout.split("\n").length - 1;
    expect(count("_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0")).toBe(0);
    expect(count("http.request.method == GET")).toBe(27);
  });
});

function collect(program: string, args: readonly string[]): Promise<{ stdout: string }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.once("close", () => resolve({ stdout }));
  });
}
