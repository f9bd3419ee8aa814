import { execFile, execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { createLocalSockets } from "@tesserae/node/local-sockets";
import { createTimers } from "@tesserae/node/timers";
import { serveFlow } from "@tesserae/xenstore/serve";
import { XenstoreServer } from "@tesserae/xenstore/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planCleaning, planStorm } from "./plan.ts";
import { readSequence } from "./sequence.ts";

const reason = spawnSync("gcc", ["--version"]).status === 0 ? undefined : "gcc is not installed";

describe.skipIf(reason !== undefined)(
  `the client of storms in dom0${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), "tesserae-storm-"));
    const program = path.join(folder, "storm");
    const socket = path.join(folder, "socket");
    const server = new XenstoreServer({ timers: createTimers() });
    const domains = Array.from({ length: 5 }, (_, index) => ({
      domain: 1000 + index,
      words: [String(1000 + index), "7", "1"],
    }));
    let close: () => Promise<void>;

    beforeAll(async () => {
      const source = path.join(import.meta.dirname, "storm.c");
      execFileSync("gcc", [
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsanitize=address,undefined",
        "-o",
        program,
        source,
      ]);
      const listener = await createLocalSockets().listen(socket, (flow) => serveFlow(server, flow, { kind: "local" }));
      close = () => listener.close();
    });
    afterAll(async () => {
      await close();
      rmSync(folder, { recursive: true });
    });

    /** What it says of lives by a plan. */
    async function storm(plan: Uint8Array, count: number, warm: number): Promise<Record<string, unknown>> {
      const file = path.join(folder, "plan");
      writeFileSync(file, plan);
      const words = [file, socket, String(count), String(warm), "60", "0", "echo 1000000"];
      const { stdout } = await promisify(execFile)(program, words, { env: { ASAN_OPTIONS: "detect_leaks=0" } });
      const [begins, said = ""] = stdout.trimEnd().split("\n");
      expect(begins).toBe("the storm begins");
      return JSON.parse(said) as Record<string, unknown>;
    }

    test("lets machines live to their end, alone and at once, and removes what others left", async () => {
      const plan = planStorm(readSequence(path.resolve(".")), domains, false);
      expect(await storm(plan, 1, 0)).toMatchObject({
        lived: 1,
        requests: 859,
        transactions: 32,
        retries: 0,
        mostTries: 1,
      });
      expect(await storm(plan, 3, 2)).toMatchObject({ lived: 3, transactions: 96, domains: [0] });
      const ring = planStorm(readSequence(path.resolve(".")), domains, true);
      // Nobody resets its watches.
      expect(await storm(ring, 1, 0)).toMatchObject({ lived: 1, requests: 858, transactions: 32 });
      expect(await storm(planCleaning(domains), 5, 0)).toMatchObject({ lived: 5, requests: 25 });
    });
  },
);
