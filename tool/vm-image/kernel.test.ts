import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findCompiler } from "./compiler.ts";
import { ElfFile } from "./elf-file.ts";
import { vmFolder } from "./c-sources.ts";
import { buildKernel } from "./kernel.ts";
import { skipping } from "../../test/programs.ts";

const missing = await findCompiler().then(
  () => undefined,
  (error: unknown) => String(error),
);
if (skipping(missing) !== undefined) console.warn(`skipped: ${missing}`);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "tesserae-kernel-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A kernel of two functions. */
function sources(name: string, more: Readonly<Record<string, string>> = {}): string {
  const at = path.join(folder, name);
  mkdirSync(at, { recursive: true });
  const files = {
    "kernel.h": "typedef unsigned int u32;\nstruct symbol { u32 offset; const char *name; };\nint second(int);\n",
    "main.c": `#include "kernel.h"\nconst char *file = __FILE__;\nvoid start(void);\nvoid start(void) { for (;;) second(1); }\n`,
    "second.c": `#include "kernel.h"\nint second(int n) { return n + 1; }\n`,
    "link.ld": [
      "ENTRY(start)",
      "PHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }",
      "SECTIONS {",
      "  . = 0xffffffff80100000; kernel_start = .;",
      "  .text : { *(.text*) } :text",
      "  .rodata : { *(.rodata*) } :text",
      "  .data : { *(.data*) *(.bss*) } :data",
      "  /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) }",
      "}",
    ].join("\n"),
    ...more,
  };
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(at, file), text);
  return at;
}

/** The kernel's own table: names by offset. */
function table(file: string): Readonly<Record<string, number>> {
  const elf = new ElfFile(readFileSync(file));
  const place = (name: string): number => {
    const found = elf.symbols().find((symbol) => symbol.name === name)!;
    return elf.fileOffset(found.value, 4)!;
  };
  const count = elf.bytes.readUInt32LE(place("kernel_symbol_count"));
  const at = place("kernel_symbols");
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => {
      const name = elf.fileOffset(elf.bytes.readBigUInt64LE(at + index * 16 + 8), 1)!;
      return [elf.bytes.toString("latin1", name, elf.bytes.indexOf(0, name)), elf.bytes.readUInt32LE(at + index * 16)];
    }),
  );
}

describe.skipIf(missing !== undefined)("building a kernel", () => {
  test("puts the names of its functions into it, each where the function is", async () => {
    const { file } = await buildKernel({ sources: sources("a"), output: path.join(folder, "kernel.elf") });
    const names = table(file);
    expect(Object.keys(names).sort()).toEqual(["second", "start"]);
    const elf = new ElfFile(readFileSync(file));
    for (const symbol of elf.symbols().filter(({ isFunction }) => isFunction)) {
      expect(names[symbol.name]).toBe(Number(symbol.value - 0xffffffff80100000n));
    }
  });

  test("gives the same bytes from another folder", async () => {
    const one = await buildKernel({ sources: sources("a"), output: path.join(folder, "1.elf") });
    const other = await buildKernel({ sources: sources("deeper/b"), output: path.join(folder, "2.elf") });
    expect(readFileSync(other.file).equals(readFileSync(one.file))).toBe(true);
    expect(other.sources).toBe(one.sources);
    expect(readFileSync(one.file).includes(folder)).toBe(false);
  });

  test("keeps what was built, and builds again when a source changes", async () => {
    const request = { sources: sources("a"), output: path.join(folder, "k.elf"), cache: path.join(folder, "cache") };
    const first = await buildKernel(request);
    const second = await buildKernel(request);
    sources("a", { "second.c": `#include "kernel.h"\nint second(int n) { return n + 2; }\n` });
    const third = await buildKernel(request);
    expect([first.cached, second.cached, third.cached]).toEqual([false, true, false]);
    expect(second.sha256).toBe(first.sha256);
    expect(third.sha256).not.toBe(first.sha256);
  });

  test("shows what the compiler says, with names of the sources alone", async () => {
    const wrong = sources("a", { "second.c": "int second(int n) { return m; }\n" });
    const building = buildKernel({ sources: wrong, output: path.join(folder, "k.elf") });
    await expect(building).rejects.toThrow(/does not compile with .*:\nsecond\.c:/s);
  });

  test("wants a kernel", async () => {
    mkdirSync(path.join(folder, "empty"));
    const building = buildKernel({ sources: path.join(folder, "empty"), output: path.join(folder, "k.elf") });
    await expect(building).rejects.toThrow("link.ld is missing");
  });

  test("our own kernel is the same from another folder, and small", async () => {
    const copy = path.join(folder, "copy");
    cpSync(vmFolder("kernel"), copy, { recursive: true });
    const one = await buildKernel({ output: path.join(folder, "1.elf") });
    const other = await buildKernel({ sources: copy, output: path.join(folder, "2.elf") });
    expect(other.sha256).toBe(one.sha256);
    expect(one.size).toBeLessThan(300_000);
  }, 180_000);
});

describe("finding a compiler", () => {
  test("what CC names must make ELF files for x86-64", async () => {
    const script = path.join(folder, "cc");
    copyFileSync("/bin/sh", script);
    writeFileSync(script, "#!/bin/sh\ntest $1 = --version && echo fake 1.0 && exit 0\necho no target >&2; exit 1\n");
    await expect(findCompiler(script)).rejects.toThrow(`"${script}" cannot make the boot kernel`);
  });

  test("without any, the message says which package has one", async () => {
    const finding = findCompiler(undefined, { PATH: folder });
    await expect(finding).rejects.toMatchObject({
      message: "there is no C compiler that makes x86-64 ELF files",
      fix: expect.stringContaining("gcc") as string,
    });
  });
});
