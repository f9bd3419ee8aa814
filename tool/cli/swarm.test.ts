import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyApp, prepareTool, scratchFolder, type Outcome, type Tool } from "./fixtures/tool.ts";

let tool: Tool;
const scratch = scratchFolder();
const app = path.join(scratch.folder, "flaky");
const slow = 120_000;

beforeAll(async () => {
  tool = await prepareTool();
  copyApp("flaky", app);
}, slow);

afterAll(() => {
  tool.remove();
  scratch.remove();
});

function swarm(...flags: string[]): Promise<Outcome> {
  return tool.run(["sim", "swarm", "--no-check", "--jobs", "2", ...flags], { cwd: app });
}

describe("tesserae sim swarm", () => {
  test(
    "finds a failing seed, shrinks it, and prints the line that replays it",
    async () => {
      const { status, stdout } = await swarm("--seeds", "1..200");
      expect(status, stdout).toBe(1);
      expect(stdout).toMatch(
        /^flaky: \d+ seeds in [\d.]+ s \([\d,]+ a minute\), [\d,]+ events, \d+ runs; \d+ failed\n/,
      );
      expect(stdout).toMatch(/seed \d+ fails: Error: part 2 and part 5 with \d+/);
      expect(stdout).toMatch(/shrunk in \d+ runs: \d+ decisions to 3:\n {2}part\.2=1\n {2}part\.5=1\n {2}amount=37\n/);
      const [, seed = "", choices = ""] =
        /replay it: tesserae run --target sim --seed (\d+) --choices (\S+)\n/.exec(stdout) ?? [];
      expect(choices).toBe("part.2,part.5,amount=37");
      const line = await tool.run(["run", "--no-check", "--target", "sim", "--seed", seed, "--choices", choices], {
        cwd: app,
      });
      const again = await tool.run(["sim", "replay", seed, "--no-check"], { cwd: app });
      expect(line.stderr).toContain("part 2 and part 5 with 37");
      // The same run, to the hash of its trace, which the record has too.
      expect(again).toEqual(line);
      const record = readFileSync(path.join(app, ".tesserae/seeds", `${seed}.json`), "utf8");
      const { hash } = JSON.parse(record) as { hash: string };
      expect(line.stderr).toContain(`trace ${hash}`);
    },
    slow,
  );

  test(
    "runs random seeds until the time is up, or a counter is high enough, when all is well",
    async () => {
      const timed = await swarm("--minutes", "0.02", "--how", "fine");
      expect([timed.status, timed.stderr]).toEqual([0, ""]);
      expect(timed.stdout).toMatch(/ runs; 0 failed\n$/);
      const counted = await swarm("--enough", "runs=5", "--how", "fine");
      expect(counted.stdout).toMatch(/: [5-7] seeds in .*, [5-7] runs; 0 failed\n$/);
    },
    slow,
  );

  test(
    "a run that hangs, one that ends the process, and one that another run has spoilt, are told apart",
    async () => {
      const hang = await swarm("--how", "hang", "--timeout", "1", "--seeds", "1..2");
      expect([hang.status, hang.stdout]).toEqual([1, expect.stringContaining("the run has not ended after 1 s")]);
      const exit = await swarm("--how", "exit", "--seeds", "1..2");
      expect([exit.status, exit.stdout]).toEqual([1, expect.stringContaining("the process ended with 3")]);
      const state = await swarm("--how", "state", "--seeds", "1..40");
      expect(state.stdout).toContain("in a process of its own it ends well: something outlives a run");
    },
    slow,
  );

  test.each([
    [["--seeds", "5"], '--seeds: "5" is not FROM..TO'],
    [["--seeds", "5..4"], "--seeds: 5..4 is empty"],
    [["--minutes", "soon"], '--minutes: "soon" is not a number'],
    [["--jobs", "0"], '--jobs: "0" is not an integer from 1 to 256'],
    [["--enough", "many"], '--enough: "many" is not COUNTER=NUMBER'],
  ])("refuses %j", async (flags, message) => {
    const { status, stderr } = await swarm(...flags);
    expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  test(
    "says what is wrong with the flags of the image",
    async () => {
      const { status, stderr } = await swarm("--loss", "lots");
      expect([status, stderr]).toEqual([2, expect.stringContaining('--loss: "lots" is not a share')]);
    },
    slow,
  );

  test("sim alone, or with another word, is no command", async () => {
    for (const argv of [["sim"], ["sim", "swrm"]]) {
      const { status, stderr } = await tool.run(argv);
      expect([status, stderr]).toEqual([2, expect.stringContaining("commands: sim swarm, sim replay")]);
    }
  });
});
