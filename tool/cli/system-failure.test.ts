import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { relative } from "./project.ts";
import { systemFailure } from "./system-failure.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-test-"));
/** As messages give it: from where the tests run. */
const shown = relative(folder);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// The tests may run as root, whom nothing is refused: the errors are made as the system makes them.
function said(code: string, syscall: string, file: string): string | undefined {
  return systemFailure(Object.assign(new Error(`${code}: ${syscall} '${file}'`), { code, syscall, path: file }))
    ?.message;
}

test("a folder that may not be written to is named, with what to do", () => {
  for (const [syscall, name] of [
    ["mkdir", ".tesserae/node"],
    ["mkdtemp", ".app-x1y2z3"],
    ["open", ".app.mjs.map.17.tmp"],
    ["rename", "app.mjs"],
  ] as const) {
    const message = said("EACCES", syscall, path.join(folder, name));
    expect(message).toBe(`error: no permission to write in the folder ${shown}\n  run: chmod u+w ${shown}`);
  }
  // /proc belongs to root; for root it is a folder of its own.
  const other = said("EACCES", "mkdir", "/proc/tesserae");
  expect(other).toContain("no permission to write in the folder /proc\n");
  expect(other).toContain(process.getuid?.() === 0 ? "chmod u+w /proc" : "work in a folder of your own");
});

test.runIf(process.getuid?.() === 0)("what another user built may be taken over, nothing else of theirs", () => {
  const built = path.join(folder, "app/.tesserae/node");
  mkdirSync(built, { recursive: true });
  for (const each of [built, path.dirname(built), path.join(folder, "app")]) chownSync(each, 4321, 4321);
  const fix = `run: sudo chown -R "$(id -un)" ${relative(path.dirname(built))}`;
  expect(said("EACCES", "open", path.join(built, ".app.mjs.17.tmp"))).toContain(fix);
  expect(said("EACCES", "mkdir", path.join(folder, "app/.tesserae/sim"))).toContain(fix);
  expect(said("EACCES", "mkdtemp", path.join(folder, "app/.x-1"))).not.toContain("chown");
});

test("a file that may not be read is named", () => {
  const file = path.join(folder, "main.ts");
  expect(said("EACCES", "open", file)).toContain(`no permission to read ${relative(file)}\n`);
});

test("a full disk and one that cannot be written to are told apart", () => {
  const file = path.join(folder, ".app.mjs.17.tmp");
  expect(said("ENOSPC", "open", file)).toContain(`no space is left for files in the folder ${shown}`);
  expect(said("EROFS", "open", file)).toContain(`the folder ${shown} cannot be written to`);
});

test("other refusals keep the system's words; what is not about a file is left to others", () => {
  try {
    readFileSync(path.join(folder, "absent"));
    expect.unreachable();
  } catch (error) {
    expect(systemFailure(error)?.message).toContain("no such file or directory");
  }
  expect(systemFailure(new Error("something else"))).toBeUndefined();
  expect(systemFailure(Object.assign(new Error("in use"), { code: "EADDRINUSE" }))).toBeUndefined();
  expect(systemFailure(Object.assign(new Error("odd"), { code: "ERR_ODD", path: "x" }))).toBeUndefined();
});
