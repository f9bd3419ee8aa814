import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { findCompiler, type Compiler } from "./compiler.ts";
import { ElfFile, type ElfSymbol } from "./elf-file.ts";
import { ImageFailure, ofFile } from "./image-failure.ts";
import { inParallel, runProgram } from "./run-program.ts";
import { replaceFile } from "./replace-file.ts";

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
  ...["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-fno-pie", "-mno-red-zone"],
  ...["-mgeneral-regs-only", "-mcmodel=kernel", "-fno-asynchronous-unwind-tables", "-fno-strict-aliasing"],
  ...["-fcf-protection=none", "-fno-tree-loop-distribute-patterns", "-fno-omit-frame-pointer"],
  ...["-fstack-protector-strong", "-mstack-protector-guard=global", "-g0"],
];
/** For flags above that only gcc has. */
const clangFlags = ["-Wno-ignored-optimization-argument", "-Wno-unused-command-line-argument"];
const linkFlags = ["-nostdlib", "-static", "-no-pie", "-Wl,-T,link.ld,-z,max-page-size=4096,-z,noexecstack"];
const kernelStart = "kernel_start";
const generated = "symbols.c";

/** The folder of the kernel's sources in `@tesserae/vm`. */
export function kernelSources(): string {
  const found = createRequire(import.meta.url).resolve("@tesserae/vm/package.json");
  return path.join(path.dirname(found), "kernel");
}

/**
 * Compiles and links the boot kernel: a pure function of the sources and the compiler, wherever they lie.
 *
 * It is linked twice. The names of functions, for traces, come out of the first result as `symbols.c`; they lie behind
 * the code, so that nothing that they name moves.
 *
 * @throws ImageFailure with the compiler's own words when it refuses.
 */
export async function buildKernel(request: KernelRequest): Promise<BuiltKernel> {
  const folder = request.sources ?? kernelSources();
  const compiler = await findCompiler(request.compiler);
  const sources = readSources(folder);
  const hash = hashSources(sources);
  const key = createHash("sha256").update(JSON.stringify([hash, compiler, flags, clangFlags, linkFlags, 1]));
  const kept = request.cache === undefined ? undefined : path.join(request.cache, `kernel-${key.digest("hex")}.elf`);
  mkdirSync(path.dirname(request.output), { recursive: true });
  const cached = kept !== undefined && existsSync(kept);
  if (cached) {
    copyFileSync(kept, request.output);
  } else {
    const bytes = await compile(sources, folder, compiler, request.onProgress ?? (() => undefined));
    writeFileSync(request.output, bytes);
    if (kept !== undefined) replaceFile(kept, bytes);
  }
  const bytes = readFileSync(request.output);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { file: request.output, size: bytes.length, sha256, sources: hash, compiler: compiler.version, cached };
}

interface SourceFile {
  readonly name: string;
  readonly content: Uint8Array;
}

function readSources(folder: string): readonly SourceFile[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const wanted = names.filter((name) => /\.([chS]|ld)$/.test(name) && name !== generated).sort();
  if (!wanted.includes("link.ld")) throw new ImageFailure(`there is no kernel in ${folder}: link.ld is missing`);
  return wanted.map((name) => ({ name, content: readFileSync(path.join(folder, name)) }));
}

function hashSources(sources: readonly SourceFile[]): string {
  const hash = createHash("sha256");
  for (const { name, content } of sources) hash.update(`${name}\0${String(content.length)}\0`).update(content);
  return hash.digest("hex");
}

async function compile(
  sources: readonly SourceFile[],
  folder: string,
  compiler: Compiler,
  progress: (text: string) => void,
): Promise<Uint8Array> {
  const work = mkdtempSync(path.join(tmpdir(), "tesserae-kernel-"));
  try {
    // Relative names only: neither messages nor objects depend on where the folder lies.
    for (const { name, content } of sources) writeFileSync(path.join(work, name), content);
    writeFileSync(path.join(work, generated), symbolTable([]));
    const units = [...sources.map(({ name }) => name).filter((name) => /\.[cS]$/.test(name)), generated];
    const objects = units.map((name) => `${name}.o`);
    const extra = [...(compiler.family === "clang" ? clangFlags : []), `-ffile-prefix-map=${work}=.`];
    const compileUnit = (name: string): Promise<void> =>
      runCompiler(compiler, [...flags, ...extra, "-c", "-o", `${name}.o`, name], work, folder);
    const link = (output: string): Promise<void> =>
      runCompiler(compiler, [...linkFlags, "-Wl,--build-id=none", "-o", output, ...objects], work, folder);
    let done = 0;
    await inParallel(units, availableParallelism(), async (name) => {
      await compileUnit(name);
      progress(`compiling the kernel: ${String(++done)} of ${String(units.length)} files`);
    });
    await link("first.elf");
    const first = functionsOf(readFileSync(path.join(work, "first.elf")));
    writeFileSync(path.join(work, generated), symbolTable(first));
    await compileUnit(generated);
    await link("kernel.elf");
    const bytes = readFileSync(path.join(work, "kernel.elf"));
    if (symbolTable(functionsOf(bytes)) !== symbolTable(first)) {
      throw new ImageFailure("link.ld puts the table of symbols before the code that it names");
    }
    return bytes;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function runCompiler(compiler: Compiler, argv: readonly string[], work: string, folder: string): Promise<void> {
  const [program = "", ...first] = compiler.command;
  const ran = await runProgram(program, [...first, ...argv], { folder: work, environment: { LC_ALL: "C" } });
  if (ran.status === 0) return;
  const said = ran.stderr.trim() === "" ? (ran.refused ?? `status ${String(ran.status)}`) : ran.stderr.trim();
  throw new ImageFailure(`the kernel in ${folder} does not compile with ${compiler.version}:\n${said}`);
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
