import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sampleElf, type SampleElf } from "./elf-file.fuzz.ts";
import { ElfFile } from "./elf-file.ts";
import { libraryFolder, sharedLibraries } from "./shared-libraries.ts";

let root = "";

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "tesserae-sysroot-"));
  put("/lib64/ld.so", {});
});
afterEach(() => rmSync(root, { recursive: true }));

function put(file: string, sample: SampleElf | string): void {
  mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(root, file), typeof sample === "string" ? sample : sampleElf(sample));
}

function found(sample: SampleElf): readonly (readonly [string, string])[] {
  const program = new ElfFile(sampleElf({ interpreter: "/lib64/ld.so", ...sample }));
  return sharedLibraries(program, root).map(({ name, file }) => [name, path.relative(root, file)]);
}

test("libraries of libraries are found, each once", () => {
  put("/usr/lib/x86_64-linux-gnu/liba.so", { needed: ["libc.so", "libb.so"] });
  put("/lib64/libb.so", { needed: ["libc.so", "liba.so"] });
  put("/lib/libc.so", { needed: ["ld.so"] });
  expect(found({ needed: ["liba.so"] })).toEqual([
    ["/lib64/ld.so", "lib64/ld.so"],
    ["liba.so", "usr/lib/x86_64-linux-gnu/liba.so"],
    ["libb.so", "lib64/libb.so"],
    ["libc.so", "lib/libc.so"],
  ]);
});

test("links are followed inside the file system that is looked in", () => {
  put("/usr/lib/real.so.1.2", {});
  symlinkSync("/usr/lib/real.so.1.2", path.join(root, "lib64/liba.so"));
  expect(found({ needed: ["liba.so"] })).toContainEqual(["liba.so", "usr/lib/real.so.1.2"]);
});

test("folders of /etc/ld.so.conf come before the usual ones", () => {
  put("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n");
  put("/etc/ld.so.conf.d/own.conf", "# own\n/opt/lib\n");
  put("/opt/lib/liba.so", {});
  put("/usr/lib/liba.so", {});
  expect(found({ needed: ["liba.so"] })).toContainEqual(["liba.so", "opt/lib/liba.so"]);
});

test("a library for another machine is passed over", () => {
  put("/lib64/liba.so", { machine: 183 });
  put("/usr/lib/liba.so", {});
  expect(found({ needed: ["liba.so"] })).toContainEqual(["liba.so", "usr/lib/liba.so"]);
});

test("a missing library is named with who needs it and its package", () => {
  put("/usr/lib/liba.so", { needed: ["libstdc++.so.6"] });
  expect(() => found({ needed: ["liba.so"] })).toThrow(
    expect.objectContaining({
      message: `liba.so needs the library libstdc++.so.6, which is not in ${root}`,
      fix: "run: apt-get install libstdc++6",
    }),
  );
});

test("a missing loader says that a glibc is needed", () => {
  rmSync(path.join(root, "lib64"), { recursive: true });
  expect(() => found({})).toThrow("Node.js needs a Linux with glibc");
});

test("a library that lacks a version is too old", () => {
  put("/usr/lib/libc.so", { defines: ["GLIBC_2.27"] });
  expect(found({ needed: ["libc.so"], needs: [["libc.so", "GLIBC_2.27"]] })).toHaveLength(2);
  expect(() => found({ needed: ["libc.so"], needs: [["libc.so", "GLIBC_2.28"]] })).toThrow(
    "/usr/lib/libc.so is too old: Node.js needs GLIBC_2.28 of it",
  );
});

test("a chain of links without an end is no library", () => {
  symlinkSync("/lib64/liba.so", path.join(root, "lib64/liba.so"));
  expect(() => found({ needed: ["liba.so"] })).toThrow("needs the library liba.so");
});

test("the folder for libraries is the one that the loader has built in", () => {
  expect(libraryFolder(Buffer.from("\0/lib/x86_64-linux-gnu/\0/lib64/\0"))).toBe("/lib/x86_64-linux-gnu");
  expect(libraryFolder(Buffer.from("\0/lib64/\0/usr/lib64/\0"))).toBe("/lib64");
});
