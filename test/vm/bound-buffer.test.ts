import path from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { buildProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// A runtime that ends frees its buffers, and its allocator goes on: in memory that devices know, that would be fatal.

const reason = vmUnavailable();
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

describe.skipIf(reason !== undefined)(`a bound buffer${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "becomes ordinary memory when it is given back, and the device's memory is left alone",
    async () => {
      const app = await buildProgram(path.join(import.meta.dirname, "bound-buffer.c"));
      machine = await TestMachine.start(app, { commandLine: "kernel.quiet", memory: 64, networks: [] });
      expect(await machine.exited, machine.output).toBe(0);
      expect(machine.output.replaceAll("\r", "").split("\n")).toEqual([
        "bound: 1",
        "length 16384, first byte 0",
        "in front 1",
        "given back: 0",
        "in front 1, first byte 0",
        "read: 4096",
        "the device's first byte 2",
        "unmapped: 0",
        "too short: -1",
        "[kernel] exit 0",
        "",
      ]);
    },
    patience,
  );
});
