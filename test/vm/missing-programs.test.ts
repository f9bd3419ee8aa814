import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { prepareTool, type Tool } from "../../tool/cli/fixtures/tool.ts";
import { patience } from "./test-machine.ts";

// The vm target needs two programs of the system. Who lacks one reads which, and how to get it.

let tool: Tool;
const folder = mkdtempSync(path.join(tmpdir(), "tesserae-no-programs-"));

/** An environment where no program is found but those of this one that are wanted, nor where variables say. */
function surroundings(name: string, isWanted: (program: string) => boolean): NodeJS.ProcessEnv {
  const place = path.join(folder, name);
  mkdirSync(place);
  for (const from of (process.env["PATH"] ?? "").split(path.delimiter)) {
    if (!path.isAbsolute(from) || !existsSync(from)) continue;
    for (const program of readdirSync(from).filter(isWanted)) {
      const link = path.join(place, program);
      if (!existsSync(link)) symlinkSync(path.join(from, program), link);
    }
  }
  return { PATH: place, CC: undefined, QEMU: undefined };
}

beforeAll(async () => {
  tool = await prepareTool();
}, patience);
afterAll(() => {
  tool.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(process.platform === "win32")("without its programs, the vm target", () => {
  test(
    "does not build: no C compiler, or one that makes nothing",
    async () => {
      const argv = ["build", "examples/hello", "--target", "vm", "--no-check"];
      const none = await tool.run(argv, { env: surroundings("nothing", () => false) });
      expect(none.status, none.stderr).toBeGreaterThan(0);
      expect(none.stderr).toMatch(/^error: there is no C compiler that makes x86-64 ELF files\n {2}run: .*\n$/);
      const env = surroundings("idle", () => false);
      symlinkSync("/bin/true", path.join(env["PATH"] ?? "", "gcc"));
      const idle = await tool.run(argv, { env });
      expect(idle.status, idle.stderr).toBeGreaterThan(0);
      expect(idle.stderr).toMatch(/^error: there is no C compiler that makes x86-64 ELF files \(gcc: .*\)\n {2}run: /);
    },
    patience,
  );

  test(
    "does not run: no QEMU",
    async () => {
      const env = surroundings("without-qemu", (program) => !program.startsWith("qemu"));
      const { status, stderr } = await tool.run(["run", "examples/hello", "--target", "vm", "--no-check"], { env });
      expect(status, stderr).toBeGreaterThan(0);
      expect(stderr).toMatch(/^error: "qemu-system-x86_64" is not installed\n {2}(run: .*qemu|install ).*\n$/m);
    },
    patience,
  );
});
