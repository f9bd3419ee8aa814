import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ConsoleOutput } from "./console-output.ts";
import { findXl, RunningGuest } from "./xen-run.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-xl-"));
const xl = path.join(folder, "xl");
const calls = path.join(folder, "calls");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Stands for xl: what `create` does is given, and ends when `shutdown` or `destroy` was called. */
function fakeXl(create: string): void {
  const script = `#!/bin/sh
cd ${folder}
echo "$*" >> calls
case "$1" in
create) ${create} ;;
shutdown) echo down > signal ;;
destroy) echo gone > signal ;;
esac
`;
  writeFileSync(xl, script);
  chmodSync(xl, 0o755);
}

const untilAsked = "until [ -e signal ]; do sleep 0.05; done; read -r how < signal";

/** As the command has it, but collecting. */
function output(): { readonly shown: () => string; readonly sink: ConsoleOutput } {
  let text = "";
  const sink: Pick<ConsoleOutput, "take" | "end"> = { take: (more) => void (text += more), end: () => undefined };
  return { shown: () => text, sink: sink as ConsoleOutput };
}

beforeEach(() => {
  rmSync(path.join(folder, "signal"), { force: true });
  rmSync(calls, { force: true });
});

describe("a guest created by xl", () => {
  const guest = { name: "www-1", file: "/tmp/www.xl" };

  test("shows its console, is asked to shut down, and ends with its status", async () => {
    fakeXl(`echo serving; ${untilAsked}; echo "$how"; printf '[kernel] exit 7\\r\\n'`);
    const { shown, sink } = output();
    const running = new RunningGuest(xl, guest, sink);
    await vi.waitFor(() => expect(shown()).toBe("serving\n"));
    running.signal("SIGINT");
    expect(await running.ended).toBe(7);
    expect(shown()).toBe("serving\ndown\n[kernel] exit 7\n");
    expect(readFileSync(calls, "utf8")).toBe("create -c /tmp/www.xl\nshutdown www-1\n");
  });

  test("is destroyed by a second signal", async () => {
    fakeXl(`echo serving; until grep -q gone signal 2>/dev/null; do sleep 0.05; done`);
    const { shown, sink } = output();
    const running = new RunningGuest(xl, guest, sink);
    await vi.waitFor(() => expect(shown()).toBe("serving\n"));
    running.signal("SIGINT");
    await vi.waitFor(() => expect(readFileSync(calls, "utf8")).toContain("shutdown"));
    running.signal("SIGINT");
    expect(await running.ended).toBe(130);
    expect(readFileSync(calls, "utf8")).toContain("destroy www-1\n");
  });

  test("that xl refuses is an error with what xl said", async () => {
    fakeXl("echo 'Parsing config'; echo 'libxl: error: no memory' >&2; exit 3");
    await expect(new RunningGuest(xl, guest, output().sink).ended).rejects.toThrow("xl: libxl: error: no memory");
  });

  test("that ends without its last line has no status", async () => {
    fakeXl("exit 0");
    await expect(new RunningGuest(xl, guest, output().sink).ended).rejects.toThrow("the guest ended without a word");
  });
});

describe("where there is no xl, or none that may create guests, --emulate is named", () => {
  const capabilities = path.join(folder, "capabilities");

  test.each([
    ["no Xen", undefined, "this machine does not run on Xen"],
    ["a guest", "", "this is a guest of Xen's"],
    ["a host without xl", "control_d\n", 'no "xl"'],
  ])("%s", (_what, text, message) => {
    rmSync(capabilities, { force: true });
    if (text !== undefined) writeFileSync(capabilities, text);
    expect(() => findXl(capabilities, "/nowhere")).toThrow(message);
    expect(() => findXl(capabilities, "/nowhere")).toThrow("--emulate");
  });

  test("a host with xl", () => {
    fakeXl("exit 0");
    writeFileSync(capabilities, "control_d\n");
    expect(findXl(capabilities, `/nowhere:${folder}`)).toBe(xl);
  });
});
