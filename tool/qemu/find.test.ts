import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findQemu, parseVersion, type Surroundings } from "./find.ts";

const folder = mkdtempSync(path.join(tmpdir(), "tesserae-find-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A folder with a program of QEMU's name that says this. */
function installed(name: string, says: string, status = 0): string {
  const place = path.join(folder, name);
  mkdirSync(place, { recursive: true });
  const file = path.join(place, "qemu-system-x86_64");
  writeFileSync(file, `#!/bin/sh\necho '${says}'\nexit ${String(status)}\n`);
  chmodSync(file, 0o755);
  return place;
}

function around(more: Partial<Surroundings> & { path?: string; qemu?: string }): Surroundings {
  const environment = { PATH: more.path ?? "/nowhere", ...(more.qemu === undefined ? {} : { QEMU: more.qemu }) };
  return { platform: "linux", osRelease: "", ...more, environment };
}

describe("QEMU", () => {
  test("is found on the PATH, or where the variable says", () => {
    const one = installed("one", "QEMU emulator version 7.2.22 (Debian 1:7.2)");
    const other = path.join(installed("other", "QEMU emulator version 10.1.0"), "qemu-system-x86_64");
    expect(findQemu(around({ path: `/nowhere:${one}` }))).toEqual({
      path: path.join(one, "qemu-system-x86_64"),
      version: [7, 2],
    });
    expect(findQemu(around({ path: one, qemu: other }))).toEqual({ path: other, version: [10, 1] });
  });

  test.each([
    ['ID=debian\nVERSION_ID="12"', "run: sudo apt-get install qemu-system-x86"],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"', "run: sudo apt-get install qemu-system-x86"],
    ["ID=fedora", "run: sudo dnf install qemu-system-x86-core"],
    ["ID=alpine", "run: sudo apk add qemu-system-x86_64"],
    ["ID=other", "install the package that has qemu-system-x86_64"],
  ])("when it is missing, the package is named: %j", (osRelease, fix) => {
    expect(() => findQemu(around({ osRelease }))).toThrow(
      expect.objectContaining({ message: '"qemu-system-x86_64" is not installed', fix }),
    );
  });

  test("on macOS and Windows, too", () => {
    expect(() => findQemu(around({ platform: "darwin" }))).toThrow(
      expect.objectContaining({ fix: "run: brew install qemu" }),
    );
    expect(() => findQemu(around({ platform: "win32" }))).toThrow("Windows is not supported");
  });

  test("one that is too old, one that is none, one that does not run", () => {
    const old = installed("old", "QEMU emulator version 4.2.1");
    expect(() => findQemu(around({ path: old }))).toThrow("is version 4.2; 5.0 or later is needed");
    const none = installed("none", "hello");
    expect(() => findQemu(around({ path: none }))).toThrow("is no QEMU");
    const broken = installed("broken", "", 3);
    expect(() => findQemu(around({ path: broken }))).toThrow("does not run: it ended with status 3");
    expect(parseVersion("QEMU emulator version 99999.1")).toBeUndefined();
  });
});
