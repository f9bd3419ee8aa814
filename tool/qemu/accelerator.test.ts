import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, describe, expect, test } from "vitest";
import { probe, probeFirmware } from "./accelerator.ts";
import { findQemu, type Qemu } from "./find.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-accelerator-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program that behaves as QEMU does where the processor cannot run the guest. */
function qemuThat(script: string): Qemu {
  const file = path.join(folder, `qemu-${String(script.length)}`);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return { path: file, version: [7, 2] };
}

function here(): Qemu | undefined {
  try {
    return findQemu();
  } catch (error) {
    if (process.env["CI"] === "true") throw error;
    return undefined;
  }
}

describe("whether an accelerator works", () => {
  test("a guest that ends as it should says so", async () => {
    expect(await probe(qemuThat("exit 33"), "kvm")).toBeUndefined();
  });

  test.each([
    ["exec sleep 60", "a guest under KVM is made, but gets nowhere"],
    [
      "echo 'qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69' >&2; kill -ABRT $$",
      "a guest under KVM does not run: failed to set MSR 0x10a to 0x69",
    ],
    ["exit 0", "a guest under KVM does not run: QEMU ended with 0"],
  ])("one that does not, %s", async (script, reason) => {
    expect(await probe(qemuThat(script), "kvm")).toBe(reason);
  });

  const qemu = here();
  test.skipIf(qemu === undefined)(
    `the guest runs under emulation${qemu === undefined ? " (no QEMU)" : ""}`,
    async () => {
      expect(probeFirmware()).toHaveLength(65_536);
      // A busy host may need more than the bound: one of several tries does.
      const outcomes: (string | undefined)[] = [];
      while (qemu !== undefined && outcomes.length < 5 && !outcomes.includes(undefined)) {
        outcomes.push(await probe(qemu, "tcg"));
      }
      expect(outcomes).toContain(undefined);
    },
  );
});
