import { describe, expect, test } from "vitest";
import { patience } from "./duration.ts";
import { LaunchedImage } from "./launched-image.ts";

// Seeds explored as a user does it. The long version: npm run soak:connections.

function swarm(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  // How long a run really takes is the machine's affair: a busy one must not make it a failure.
  return LaunchedImage.run(["sim", "swarm", "--no-check", "--jobs", "2", "--timeout", "3600", ...args]);
}

describe("examples/replicas", () => {
  let line = "";

  test(
    "the planted bug is found within a hundred seeds, and shrunk to one partition and a write on either side",
    () => {
      const { status, stdout, stderr } = swarm("examples/replicas", "--seeds", "1..100");
      expect(status, stdout + stderr).toBe(1);
      expect(stdout).toContain("Error: the replicas do not agree");
      line = /replay it: tesserae (run examples\/replicas .*)\n/.exec(stdout)?.[1] ?? "";
      const choices = /--choices (\S+)/.exec(line)?.[1]?.split(",") ?? [];
      expect(choices.filter((each) => /^partition\.\d+$/.test(each))).toHaveLength(1);
      expect(choices.filter((each) => /^write\.\d+$/.test(each))).toHaveLength(2);
    },
    patience,
  );

  test(
    "the line that was printed replays it, to the byte; with the bug mended the same run is well",
    () => {
      const replay = (...more: string[]): ReturnType<typeof swarm> => {
        const { status, stdout, stderr } = LaunchedImage.run([...line.split(" "), "--no-check", ...more]);
        return { status, stdout, stderr };
      };
      const one = replay();
      expect([one.status, one.stderr]).toEqual([1, expect.stringContaining("Error: the replicas do not agree")]);
      expect(replay()).toEqual(one);
      expect(replay("--bug=false").status).toBe(0);
    },
    patience,
  );

  test(
    "with the bug mended the seeds find nothing",
    () => {
      const { status, stdout } = swarm("examples/replicas", "--seeds", "1..60", "--bug=false");
      expect(stdout).toMatch(/^replicas: 60 seeds in .*; 0 failed\n$/);
      expect(status).toBe(0);
    },
    patience,
  );
});

test(
  "connections through random faults end well or with an error, and leave nothing: short version",
  () => {
    const { status, stdout, stderr } = swarm("test/soak/connections", "--seeds", "1..25");
    expect(status, stdout + stderr).toBe(0);
    const connections = Number(/([\d,]+) connections/.exec(stdout)?.[1]?.replaceAll(",", ""));
    expect(connections).toBeGreaterThan(300);
  },
  patience,
);
