import path from "node:path";
import process from "node:process";
import { runProgram } from "@tesserae/vm-image/run-program";
import { afterEach, describe, expect, test } from "vitest";
import { buildProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// Linux is the specification of the calls that the kernel has: one program runs on both, and has to print the same.

const reason = vmUnavailable() ?? (process.platform === "linux" ? undefined : "it takes Linux to compare with");
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

describe.skipIf(reason !== undefined)(`system calls${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each([
    ["linux-calls.c", "pipes, eventfd, epoll, descriptors, files, sleeping calls"],
    ["linux-memory.c", "memory, signals, faults, futexes, threads, time"],
  ])(
    "of %s answer as Linux's do: %s",
    async (source) => {
      const app = await buildProgram(path.join(import.meta.dirname, source), ["-pthread"]);
      const linux = await runProgram(app.program, []);
      expect(linux.status).toBe(0);
      machine = await TestMachine.start(app, { commandLine: "kernel.quiet", memory: 64, networks: [] });
      expect(await machine.exited, machine.output).toBe(0);
      const lines = machine.output.replaceAll("\r", "").replace(/^\[kernel\] exit 0\n/m, "");
      expect(lines.split("\n")).toEqual(linux.stdout.split("\n"));
      expect(lines).toContain("-- end\n");
    },
    patience,
  );
});
