import path from "node:path";
import { describe, expect, test } from "vitest";
import { buildProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// A fault of the kernel itself, made on request: one line that says what, the calls that led there by name, status 101.

const reason = vmUnavailable();
/** The kernel's status for a panic. */
const panicked = 101;

const faults: readonly {
  readonly kind: string;
  readonly words: RegExp;
  /** A function that the trace names. */
  readonly called: string;
  /** The trace is cut short: what it would follow is damaged. */
  readonly short?: true;
}[] = [
  { kind: "panic", words: /panic: requested on the command line$/m, called: "inject_fault" },
  { kind: "page", words: /panic: page fault \(vector 14, error 0, address 10\)$/m, called: "inject_fault" },
  { kind: "stack", words: /panic: .*stack.* \(vector \d+, .*\)$/m, called: "overflow_stack" },
  { kind: "canary", words: /panic: a stack frame was overwritten$/m, called: "overrun_frame", short: true },
  { kind: "wx", words: /panic: page fault \(vector 14, error 3, address \w+\)$/m, called: "inject_fault" },
  { kind: "nx", words: /panic: page fault \(vector 14, error 11, address \w+\)$/m, called: "start" },
  { kind: "divide", words: /panic: division error \(vector 0, error 0, .*\)$/m, called: "inject_fault" },
  { kind: "assert", words: /panic: .*\bzero == 1/m, called: "inject_fault" },
  { kind: "nonsense", words: /panic: kernel\.fault=nonsense is unknown; there are panic page /m, called: "start" },
];

const title = `a fault of the kernel${reason === undefined ? "" : ` (${reason})`}`;
describe.skipIf(reason !== undefined)(title, () => {
  test.each(faults)(
    "$kind: one line, and a trace that names $called",
    async ({ kind, words, called, short = false }) => {
      const app = await buildProgram(path.join(import.meta.dirname, "end.c"));
      const { status, output } = await TestMachine.run(app, {
        commandLine: `kernel.quiet kernel.fault=${kind}`,
        memory: 64,
        machine: "microvm",
        networks: [],
      });
      expect(status, output).toBe(panicked);
      expect(output).toMatch(words);
      expect(output.match(/panic: /g), output).toHaveLength(1);
      const trace = [...output.matchAll(/^\[kernel\] {3}at [0-9a-f]{16} (\w+)\+[0-9a-f]+$/gm)].map(([, name]) => name);
      expect(trace).toContain(called);
      // It leads back to how the kernel starts.
      if (!short) expect(trace.at(-1), output).toBe("kmain");
      expect(output).toMatch(/\n\[kernel\] exit 101\n$/);
    },
    patience,
  );
});
