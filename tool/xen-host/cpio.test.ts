import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { writeCpio, type CpioEntry } from "./cpio.ts";
import { because, withoutPrograms } from "../../test/programs.ts";

const entries: readonly CpioEntry[] = [
  { kind: "directory", name: "bin" },
  { kind: "file", name: "bin/sh", bytes: Buffer.from("#!/bin/true\n"), executable: true },
  { kind: "file", name: "empty", bytes: new Uint8Array(0) },
  { kind: "link", name: "bin/ash", target: "sh" },
];

test("an archive has a magic number, hexadecimal fields, and ends at a multiple of four bytes", () => {
  const archive = Buffer.concat([...writeCpio(entries)]);
  expect(archive.toString("latin1", 0, 22)).toBe("0707010000000100" + "0041ed");
  expect(archive.length % 4).toBe(0);
  expect(archive.toString("latin1")).toContain("TRAILER!!!\0");
  expect(Buffer.concat([...writeCpio(entries)]).equals(archive)).toBe(true);
});

const withoutCpio = withoutPrograms("cpio");
test.skipIf(withoutCpio !== undefined)(`cpio unpacks it${because(withoutCpio)}`, () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-cpio-"));
  try {
    const { status } = spawnSync("cpio", ["-id", "--quiet"], {
      cwd: folder,
      input: Buffer.concat([...writeCpio(entries)]),
    });
    expect(status).toBe(0);
    expect(readFileSync(path.join(folder, "bin/sh"), "utf8")).toBe("#!/bin/true\n");
    expect(statSync(path.join(folder, "bin/sh")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(path.join(folder, "bin/ash"))).toBe("sh");
    expect(statSync(path.join(folder, "empty")).size).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("names are relative", () => {
  const file = { kind: "file", name: "/etc/passwd", bytes: new Uint8Array(0) } as const;
  expect(() => [...writeCpio([file])]).toThrow('"/etc/passwd" is no name for a cpio archive');
});
