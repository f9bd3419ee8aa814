import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { patience } from "../system/duration.ts";
import { leakExtent } from "./extent.ts";
import { buildForVm, TestMachine, vmUnavailable } from "./test-machine.ts";

// What many requests and connections leave behind: nothing that grows, in V8's heap or in the kernel.

const reason = vmUnavailable();
const loadClient = path.join(import.meta.dirname, "load-client.mjs");
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

/** Bytes, when all garbage is gone. `free` is the kernel's. */
interface Memory {
  readonly heapUsed: number;
  readonly external: number;
  readonly rss: number;
  readonly free: number;
}

describe.skipIf(reason !== undefined)(`memory of a machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each([
    ["@tesserae/http", 8001],
    ["node:http", 8002],
  ])(
    "is the same after many requests and connections to %s",
    async (server, port) => {
      const app = await buildForVm("test/fixtures/apps/gauge");
      machine = await TestMachine.start(app, { forward: [8001, 8002] });
      await machine.waitFor("both listen");
      const gauge = `http://127.0.0.1:${String(machine.port(8002))}/memory`;
      // as: what the fixture answers with.
      const memory = async (): Promise<Memory> => (await (await fetch(gauge)).json()) as Memory;
      const load = async (requests: number, connections: number): Promise<void> => {
        const args = [loadClient, machine?.port(port), requests, connections].map(String);
        const { stdout } = await promisify(execFile)(process.execPath, args);
        expect(JSON.parse(stdout)).toEqual({ good: requests + connections, errors: [] });
      };
      const { requests, connections } = leakExtent;
      const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
      // The first rounds fill caches and have functions compiled; what grows on in the last one would grow for ever.
      const rounds: Memory[] = [];
      for (const share of [1 / 4, 3 / 8, 3 / 8]) {
        await load(Math.round(requests * share), Math.round(connections * share));
        rounds.push(await memory());
      }
      const names = ["heapUsed", "external", "rss", "free"] as const;
      const list = names.map((name) => `${name} ${rounds.map((each) => mebibytes(each[name])).join(" → ")}`).join(", ");
      console.log(`${server}, ${String(requests)} requests and ${String(connections)} connections, MiB: ${list}`);
      const [, before, after] = rounds;
      if (before === undefined || after === undefined) throw new Error("no rounds");
      // A connection that stayed would hold some 10 KiB at the least.
      expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(2 * 2 ** 20);
      expect(before.free - after.free).toBeLessThan(12 * 2 ** 20);
      expect(await machine.powerOff(), machine.output).toBe(0);
    },
    patience,
  );
});
