import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { GuestMemory, memoryArguments } from "./guest-memory.ts";
import { buildProgram } from "./program-machine.ts";
import { patience, TestMachine, vmUnavailable } from "./test-machine.ts";

// The kernel sleeps by `sti; hlt`: no interrupt is taken between the two. Emulated processors that leave a guest for its
// hypervisor there forget it, and take the interrupt before hlt (QEMU's SVM: VMRUN does not load the interrupt shadow).

const reason = vmUnavailable();
const halt = 0xf4;
const times = 5;

describe.skipIf(reason !== undefined)(`an idle machine${reason === undefined ? "" : ` (${reason})`}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-idle-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test(
    "wakes up although the interrupt comes before hlt",
    async () => {
      const socket = path.join(folder, "gdb.sock");
      const app = await buildProgram(path.join(import.meta.dirname, "sleeps.c"));
      const options = { memory: 64, machine: "microvm", networks: [], more: memoryArguments(socket) } as const;
      const machine = await TestMachine.start(app, options);
      await machine.waitFor("sleeping");
      const guest = await GuestMemory.open(socket);
      guest.resume();
      for (let set = 0; set < times;) {
        await guest.whileStopped(async () => {
          const next = await guest.programCounter();
          if ((await guest.byteInProgram(next - 1n)) !== halt) return;
          // As it sleeps, so that it is woken here.
          await guest.setProgramCounter(next - 1n);
          set++;
        });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      guest.close();
      expect(await machine.exited, machine.output).toBe(0);
      expect(machine.output).toContain("awake");
    },
    patience,
  );
});
