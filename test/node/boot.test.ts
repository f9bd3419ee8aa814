import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle, Running, type Bundle } from "./process.ts";

/** One image, whose key says what its main does. */
const source = `
import { boot } from "@tesserae/node/boot";
import { sleep } from "@tesserae/time/sleep";

await boot({
  name: "sample",
  target: "node",
  keys: [
    { name: "act", type: { kind: "string" }, doc: "what to do" },
    { name: "count", type: { kind: "integer", min: 1, max: 9 }, default: "1", doc: "how often" },
  ],
  constants: {},
  devices: [
    { id: "timers", kind: "timers", base: true },
    { id: "console", kind: "console", base: true },
    {
      id: "probe",
      kind: "probe",
      implementation: "probe",
      create: () => ({ close: () => void process.stdout.write("probe closed\\n") }),
      needs: {},
      options: {},
    },
  ],
  bindings: { timers: "timers", console: "console" },
  async main({ timers, console, keys, signal }) {
    switch (keys.act) {
      case "greet":
        for (let round = 0; round < keys.count; round++) console.writeLine("hello");
        return;
      case "fail":
        throw new Error("deliberate");
      case "wait":
        console.writeLine("waiting");
        return await sleep(timers, 60_000, signal);
      case "linger":
        console.writeLine("waiting");
        return await sleep(timers, 60_000);
      case "stall":
        return await new Promise(() => undefined);
      case "leave-open":
        setInterval(() => undefined, 1000);
        return;
      case "echo":
        for (let line = await console.readLine(); line !== undefined; line = await console.readLine()) {
          console.writeLine("> " + line);
        }
    }
  },
});
`;

let image: Bundle;
beforeAll(async () => {
  image = await bundle(source);
});
afterAll(() => image.remove());

const run = (...args: string[]): Running => new Running([process.execPath, image.file, ...args]);

describe("an image as a process", () => {
  test("main runs with its keys, devices are closed, and the status is 0", async () => {
    const running = run("--act", "greet", "--count=2");
    expect(await running.ended()).toBe(0);
    expect(running.stdout).toBe("hello\nhello\nprobe closed\n");
    expect(running.stderr).toBe("");
  });

  test("what main throws is printed with its stack, and the status is 1", async () => {
    const running = run("--act", "fail");
    expect(await running.ended()).toBe(1);
    expect(running.stderr).toMatch(/^sample: Error: deliberate\n +at .*main/);
    expect(running.stdout).toBe("probe closed\n");
  });

  test.each([
    [[], 'key "act" has no value'],
    [["--act", "greet", "--count", "10"], '--count: "10" is not an integer from 1 to 9'],
    [["--cuont", "1"], 'unknown flag "--cuont" (did you mean "--count"?)'],
    [["surprise"], '"surprise" is no flag'],
  ])("a bad command line %j is one clear line, and status 2", async (args, text) => {
    const running = run(...args);
    expect(await running.ended()).toBe(2);
    expect(running.stderr).toContain(text);
    expect(running.stderr).not.toMatch(/\n +at /);
    expect(running.stdout).toBe("");
  });

  test("--help lists the keys", async () => {
    const running = run("--help");
    expect(await running.ended()).toBe(0);
    expect(running.stdout).toContain("--act STRING");
    expect(running.stdout).toContain("how often (an integer from 1 to 9; default 1)");
  });

  test.each(["SIGINT", "SIGTERM"] as const)("%s aborts the signal, and stopping so is no failure", async (signal) => {
    const running = run("--act", "wait");
    await running.says("waiting");
    running.child.kill(signal);
    expect(await running.ended()).toBe(0);
    expect(running.stdout).toBe("waiting\nprobe closed\n");
    expect(running.stderr).toBe("");
  });

  test("a second signal ends the process at once", async () => {
    const running = run("--act", "linger");
    await running.says("waiting");
    running.child.kill("SIGINT");
    await new Promise((resolve) => void setTimeout(resolve, 100));
    expect(running.child.exitCode).toBeNull();
    running.child.kill("SIGTERM");
    expect(await running.ended()).toBe(143);
  });

  test("a main that nothing can wake any more is told apart from one that ended", async () => {
    const running = run("--act", "stall");
    expect(await running.ended()).toBe(1);
    expect(running.stderr).toContain("main waits for something that can never happen");
  });

  test("what the application left open does not keep the process for ever", async () => {
    const running = run("--act", "leave-open");
    expect(await running.ended()).toBe(0);
  });

  test("the console reads lines until the end of input", async () => {
    const running = run("--act", "echo");
    running.child.stdin?.end("one\r\ntwo\nthree");
    expect(await running.ended()).toBe(0);
    expect(running.stdout).toBe("> one\n> two\n> three\nprobe closed\n");
  });
});
