import path from "node:path";
import process from "node:process";
import { afterEach, describe, expect, test } from "vitest";
import { buildProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// A program that makes random system calls, in a machine of its own: whatever it does, the kernel has to live. More of
// them, and other ones: KERNEL_FUZZ_CALLS=1000000 KERNEL_FUZZ_SEED=7 npx vitest run test/vm/kernel-fuzz.test.ts

const folder = path.resolve(import.meta.dirname, "../../targets/vm/kernel/fuzz");
const source = path.join(folder, "fuzz.c");
const others = ["arguments.c", "call.c", "careful-calls.c", "instructions.c", "thread.c", "window.c"];
/** The program starts without a library, and lies where no small number points. */
const flags = [
  ...others.map((each) => path.join(folder, each)),
  ...["-O2", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns"],
  ...["-fpie", "-no-pie", "-mgeneral-regs-only", "-fcf-protection=none", "-fno-asynchronous-unwind-tables"],
  "-Wl,-Ttext-segment=0x3a5500000000,-z,noexecstack,--build-id=none",
];
const calls = Number(process.env["KERNEL_FUZZ_CALLS"] ?? 50_000);
const seed = Number(process.env["KERNEL_FUZZ_SEED"] ?? 1);
const reason = vmUnavailable();
let machine: TestMachine | undefined;
afterEach(() => machine?.kill());

describe.skipIf(reason !== undefined)(`the kernel${reason === undefined ? "" : ` (${reason})`}`, () => {
  test.each([
    { threads: 1, type: "q35" },
    { threads: 4, type: "microvm" },
  ] as const)(
    `survives ${String(calls)} random system calls of $threads threads on $type, seed ${String(seed)}`,
    async ({ threads, type }) => {
      const app = await buildProgram(source, flags);
      const words = { seed, calls, threads };
      const commandLine = Object.entries(words).map(([key, value]) => `fuzz.${key}=${String(value)}`);
      machine = await TestMachine.start(app, {
        commandLine: `kernel.quiet ${commandLine.join(" ")}`,
        machine: type,
        networks: [],
      });
      expect(await machine.exited, machine.output).toBe(0);
      const alive = /^fuzz: (\d+) calls, kernel alive\r?$/m.exec(machine.output);
      expect(Number(alive?.[1]), machine.output).toBeGreaterThanOrEqual(calls);
    },
    Math.max(patience, calls),
  );
});
