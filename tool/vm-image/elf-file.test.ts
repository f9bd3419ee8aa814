import { describe, expect, test } from "vitest";
import { sampleElf } from "./elf-file.fuzz.ts";
import { ElfFile } from "./elf-file.ts";
import { strip } from "./strip.ts";

const sample = sampleElf({
  interpreter: "/lib64/ld.so",
  needed: ["libm.so.6", "libc.so.6"],
  runPath: "/opt/lib:/usr/lib",
  needs: [
    ["libc.so.6", "GLIBC_2.28"],
    ["libm.so.6", "GLIBC_2.29"],
  ],
  defines: ["LIBX_1.0", "LIBX_1.1"],
  symbols: { main: 64, start: 128 },
});

describe("an ELF file", () => {
  const elf = new ElfFile(sample);

  test("names its loader, its libraries and where to look for them", () => {
    expect(elf.interpreter).toBe("/lib64/ld.so");
    expect(elf.needed()).toEqual(["libm.so.6", "libc.so.6"]);
    expect(elf.runPath()).toEqual(["/opt/lib", "/usr/lib"]);
  });

  test("says which versions it wants and has", () => {
    expect(elf.neededVersions()).toEqual([
      { library: "libc.so.6", version: "GLIBC_2.28" },
      { library: "libm.so.6", version: "GLIBC_2.29" },
    ]);
    expect(elf.definedVersions()).toEqual(["LIBX_1.0", "LIBX_1.1"]);
  });

  test("gives its symbols by name", () => {
    const functions = elf.symbols().filter(({ isFunction }) => isFunction);
    expect(functions.map(({ name, value }) => [name, value])).toEqual([
      ["main", 64n],
      ["start", 128n],
    ]);
  });

  test.each<[string, (bytes: Buffer) => unknown, string]>([
    ["another file", (bytes) => bytes.fill(0, 0, 4), "this is no ELF file"],
    ["a 32-bit one", (bytes) => (bytes[4] = 1), "not a 64-bit one"],
    ["a big-endian one", (bytes) => (bytes[5] = 2), "not little-endian"],
    ["program headers outside", (bytes) => bytes.fill(0xff, 32, 40), "outside the file"],
    ["a segment outside", (bytes) => bytes.fill(0xff, 64 + 32, 64 + 40), "outside the file"],
  ])("is refused when it is %s", (_, damage, why) => {
    const bytes = Buffer.from(sample);
    damage(bytes);
    expect(() => new ElfFile(bytes)).toThrow(why);
  });
});

describe("a stripped file", () => {
  test("has no symbols and sections, and all of its segments", () => {
    const stripped = strip(Buffer.from(sample));
    const elf = new ElfFile(stripped);
    expect(stripped.length).toBeLessThan(sample.length);
    expect(elf.sections()).toEqual([]);
    expect(elf.symbols()).toEqual([]);
    expect(elf.needed()).toEqual(["libm.so.6", "libc.so.6"]);
    const [load] = elf.segments;
    expect(Buffer.compare(stripped.subarray(64, load!.fileSize), sample.subarray(64, load!.fileSize))).toBe(0);
  });
});
