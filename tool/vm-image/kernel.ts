import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { inWorkshop, readSources, vmFolder, type CSources } from "./c-sources.ts";
import { findCompiler, type Compiler } from "./compiler.ts";
import { ElfFile, type ElfSymbol } from "./elf-file.ts";
import { ImageFailure, ofFile } from "./image-failure.ts";
import { KeptFiles } from "./kept-files.ts";
import { inParallel } from "./run-program.ts";
import { replaceFile } from "./replace-file.ts";

/** Kernels and loaders kept in one folder at most. */
export const mostKept = 64;

/** How to build the boot kernel. */
export interface KernelRequest {
  /** The folder with its C and assembly. Default: the one of `@tesserae/vm`. */
  readonly sources?: string;
  /** The C compiler to take: a program, with arguments if need be. Default: found by {@link findCompiler}. */
  readonly compiler?: string;
  /** The ELF file to write. */
  readonly output: string;
  /** A folder in which kernels are kept by the hash of what they were made from. Default: none is kept. */
  readonly cache?: string;
  readonly onProgress?: (text: string) => void;
}

/** A kernel, and all that it is a function of. */
export interface BuiltKernel {
  readonly file: string;
  /** In bytes. */
  readonly size: number;
  /** Of the ELF file, in hex. */
  readonly sha256: string;
  /** Of names and contents of its sources, in hex. */
  readonly sources: string;
  readonly compiler: string;
  readonly cached: boolean;
}

const flags = [
  ...["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-ffreestanding", "-fno-pic"],
  ...["-fno-pie", "-mno-red-zone"],
  ...["-mgeneral-regs-only", "-mcmodel=kernel", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"],
  ...["-fcf-protection=none", "-fno-omit-frame-pointer"],
  ...["-fstack-protector-strong", "-mstack-protector-guard=global", "-g0"],
];
const familyFlags: Readonly<Record<Compiler["family"], readonly string[]>> = {
  // Else memset's own loop becomes a call of memset; clang knows from -ffreestanding.
  gcc: ["-fno-tree-loop-distribute-patterns"],
  clang: ["-Wno-unused-command-line-argument"],
};
const linkFlags = ["-nostdlib", "-static", "-no-pie", "-Wl,-T,link.ld,-z,max-page-size=4096,-z,noexecstack"];
const kernelStart = "kernel_start";
const generated = "symbols.c";

/**
 * Compiles and links the boot kernel: a pure function of the sources and the compiler, wherever they lie.
 *
 * It is linked twice. The names of functions, for traces, come out of the first result as `symbols.c`; they lie behind
 * the code, so that nothing that they name moves.
 *
 * @throws ImageFailure with the compiler's own words when it refuses.
 */
export async function buildKernel(request: KernelRequest): Promise<BuiltKernel> {
  const compiler = await findCompiler(request.compiler);
  const sources = readSources(request.sources ?? vmFolder("kernel"), "link.ld", generated);
  const key = createHash("sha256").update(JSON.stringify([sources.hash, compiler, flags, familyFlags, linkFlags, 1]));
  const name = `kernel-${key.digest("hex")}.elf`;
  const kept = request.cache === undefined ? undefined : new KeptFiles(request.cache, mostKept);
  const found = kept?.get(name);
  const bytes = found ?? (await compile(sources, compiler, request.onProgress ?? (() => undefined)));
  if (found === undefined) kept?.put(name, [bytes]);
  replaceFile(request.output, bytes);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return {
    file: request.output,
    size: bytes.length,
    sha256,
    sources: sources.hash,
    compiler: compiler.version,
    cached: found !== undefined,
  };
}

async function compile(sources: CSources, compiler: Compiler, progress: (text: string) => void): Promise<Uint8Array> {
  return inWorkshop(sources, compiler, async (workshop) => {
    const inside = (name: string): string => path.join(workshop.folder, name);
    writeFileSync(inside(generated), symbolTable([]));
    const units = [...sources.files.map(({ name }) => name).filter((name) => /\.[cS]$/.test(name)), generated];
    const objects = units.map((name) => `${name}.o`);
    const extra = [...familyFlags[compiler.family], `-ffile-prefix-map=${workshop.folder}=.`];
    const compileUnit = (name: string): Promise<void> =>
      workshop.compile([...flags, ...extra, "-c", "-o", `${name}.o`, name]);
    const link = (output: string): Promise<void> =>
      workshop.compile([...linkFlags, "-Wl,--build-id=none", "-o", output, ...objects]);
    let done = 0;
    await inParallel(units, availableParallelism(), async (name) => {
      await compileUnit(name);
      progress(`compiling the kernel: ${String(++done)} of ${String(units.length)} files`);
    });
    await link("first.elf");
    const first = functionsOf(readFileSync(inside("first.elf")));
    writeFileSync(inside(generated), symbolTable(first));
    await compileUnit(generated);
    await link("kernel.elf");
    const bytes = readFileSync(inside("kernel.elf"));
    if (symbolTable(functionsOf(bytes)) !== symbolTable(first)) {
      throw new ImageFailure("link.ld puts the table of symbols before the code that it names");
    }
    return bytes;
  });
}

interface KernelFunction {
  readonly name: string;
  /** From kernel_start, in bytes. */
  readonly offset: number;
}

function functionsOf(bytes: Uint8Array): readonly KernelFunction[] {
  const symbols = ofFile("kernel.elf", () => new ElfFile(bytes).symbols());
  const start = symbols.find(({ name }) => name === kernelStart)?.value;
  if (start === undefined) throw new ImageFailure(`link.ld does not define ${kernelStart}`);
  const functions = new Map<number, string>();
  for (const { name, value, isFunction } of symbols.filter(inKernel(start))) {
    const offset = Number(value - start);
    const before = functions.get(offset);
    if (isFunction && (before === undefined || name < before)) functions.set(offset, name);
  }
  return [...functions].map(([offset, name]) => ({ offset, name })).sort((a, b) => a.offset - b.offset);
}

function inKernel(start: bigint): (symbol: ElfSymbol) => boolean {
  return ({ defined, value }) => defined && value >= start && value - start < 0x8000_0000n;
}

/** The C source of the table that traces are symbolised with; kernel.h declares it. */
function symbolTable(functions: readonly KernelFunction[]): string {
  const lines = functions.map(({ offset, name }) => `\t{ ${String(offset)}u, "${name}" },`);
  const table = lines.length > 0 ? lines : [`\t{ 0, "" },`];
  return [
    `#include "kernel.h"`,
    "",
    "const struct symbol kernel_symbols[] = {",
    ...table,
    "};",
    `const u32 kernel_symbol_count = ${String(functions.length)};`,
    "",
  ].join("\n");
}
