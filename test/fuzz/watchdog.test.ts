import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { build } from "esbuild";
import { expect, test } from "vitest";

test("an input that a target never comes back from is named, and the process ends", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "watchdog-"));
  try {
    const outfile = path.join(folder, "hang.mjs");
    const contents = `
      import { fuzz } from "./fuzzer.ts";
      import { startWatchdog } from "./watchdog.ts";
      const target = { name: "endless", seeds: [Uint8Array.of(0xab, 0xcd)], run(input) { while (input.length === 2); } };
      await fuzz(target, { seed: 1, runs: 2, watchdog: startWatchdog(500) });
    `;
    const stdin = { contents, resolveDir: import.meta.dirname };
    await build({ stdin, outfile, bundle: true, platform: "node", format: "esm", logLevel: "silent" });
    const { signal, stderr } = spawnSync(process.execPath, [outfile], { timeout: 60_000, encoding: "utf8" });
    expect(signal).toBe("SIGKILL");
    expect(stderr).toContain('"endless" hangs on:\n  abcd\n');
    expect(stderr).toContain("node scripts/soak.mjs endless --input abcd");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
