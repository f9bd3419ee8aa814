import path from "node:path";
import process from "node:process";
import { runProgram } from "@tesserae/vm-image/run-program";
import { afterEach, describe, expect, test } from "vitest";
import { buildProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// V8 lives on what mmap, mprotect and madvise do exactly. Linux says what that is.

const reason = vmUnavailable() ?? (process.platform === "linux" ? undefined : "it takes Linux to compare with");
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

/** What the program prints on Linux, and in a machine. */
async function both(argv: readonly string[]): Promise<{ linux: string[]; kernel: string[] }> {
  const app = await buildProgram(path.join(import.meta.dirname, "memory-calls.c"), [], argv);
  const linux = await runProgram(app.program, argv);
  expect(linux.status, linux.stderr).toBe(0);
  machine = await TestMachine.start(app, { commandLine: "kernel.quiet", memory: 64, networks: [] });
  expect(await machine.exited, machine.output).toBe(0);
  const output = machine.output.replaceAll("\r", "").replace(/^\[kernel\] exit 0\n/m, "");
  expect(output).toContain("-- end\n");
  return { linux: linux.stdout.split("\n"), kernel: output.split("\n") };
}

describe.skipIf(reason !== undefined)(`calls on memory${reason === undefined ? "" : ` (${reason})`}`, () => {
  test(
    "answer as Linux's do: protection, holes, files, reservations, and what makes no sense",
    async () => {
      const { linux, kernel } = await both([]);
      expect(kernel).toEqual(linux);
    },
    patience,
  );

  test(
    "leave the same memory after any thousand of them",
    async () => {
      const { linux, kernel } = await both(["60", "1000"]);
      expect(kernel).toEqual(linux);
    },
    patience,
  );
});
