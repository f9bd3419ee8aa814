import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { ElfFile } from "./elf-file.ts";
import { ImageFailure } from "./image-failure.ts";
import { runProgram } from "./run-program.ts";

/** A C compiler that makes x86-64 ELF files. */
export interface Compiler {
  /** The program and the arguments that come before all others. */
  readonly command: readonly string[];
  readonly family: "gcc" | "clang";
  /** The first line of `--version`. */
  readonly version: string;
}

const machineX64 = 62;

/** What the kernel asks of a compiler, in a few bytes: freestanding code, linked at a fixed address. */
const probe = "unsigned long probe;\nvoid _start(void) { for (;;) probe++; }\n";

const foundBefore = new Map<string, Promise<Compiler>>();

/**
 * Finds the C compiler: the one named, else `$CC`, gcc, clang, and cross compilers by their usual names.
 *
 * @throws ImageFailure that says which package has one.
 */
export function findCompiler(named?: string, environment: NodeJS.ProcessEnv = process.env): Promise<Compiler> {
  const asked = named ?? environment["CC"];
  const key = `${asked ?? ""}\0${environment["PATH"] ?? ""}`;
  const before = foundBefore.get(key);
  if (before !== undefined) return before;
  const search = searchCompiler(asked, environment);
  foundBefore.set(key, search);
  search.catch(() => foundBefore.delete(key));
  return search;
}

async function searchCompiler(asked: string | undefined, environment: NodeJS.ProcessEnv): Promise<Compiler> {
  const candidates = asked !== undefined && asked !== "" ? [asked.split(/\s+/)] : usual();
  const reasons: string[] = [];
  for (const command of candidates) {
    const result = await tryCompiler(command, environment);
    if (typeof result !== "string") return result;
    reasons.push(`${command[0] ?? ""}: ${result}`);
  }
  const listed = reasons.filter((each) => !each.endsWith(notFound));
  const why = listed.length > 0 ? ` (${listed.join("; ")})` : "";
  if (asked !== undefined && asked !== "") {
    throw new ImageFailure(`the C compiler "${asked}" cannot make the boot kernel: ${reasons.join("; ")}`, advice());
  }
  throw new ImageFailure(`there is no C compiler that makes x86-64 ELF files${why}`, advice());
}

const notFound = "not found";

function usual(): string[][] {
  const native = process.platform === "linux" && process.arch === "x64";
  const clang = ["clang", "--target=x86_64-unknown-linux-gnu", "-fuse-ld=lld"];
  const cross = [["x86_64-linux-gnu-gcc"], ["x86_64-elf-gcc"], ["x86_64-unknown-linux-gnu-gcc"]];
  return native ? [["gcc"], ["clang"], clang, ...cross] : [...cross, clang];
}

/** How to get one, for the machine that this runs on. */
function advice(): string {
  if (process.platform === "darwin") return "run: brew install x86_64-elf-gcc (or: brew install llvm lld)";
  if (process.arch === "x64") return "run: apt-get install gcc (or your system's package of gcc or clang)";
  return "run: apt-get install gcc-x86-64-linux-gnu (or your system's package of it)";
}

async function tryCompiler(command: readonly string[], environment: NodeJS.ProcessEnv): Promise<Compiler | string> {
  const [program = "", ...first] = command;
  const path_ = environment["PATH"];
  const options = path_ === undefined ? {} : { environment: { PATH: path_ } };
  const asked = await runProgram(program, [...first, "--version"], options);
  if (asked.refused === "ENOENT") return notFound;
  if (asked.status !== 0) return `"--version" ended with ${asked.refused ?? `status ${String(asked.status)}`}`;
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-cc-"));
  try {
    const source = path.join(folder, "probe.c");
    const output = path.join(folder, "probe.elf");
    writeFileSync(source, probe);
    const flags = [
      "-ffreestanding",
      "-mno-red-zone",
      "-mcmodel=kernel",
      "-fno-pic",
      "-fno-pie",
      "-nostdlib",
      "-static",
    ];
    const made = await runProgram(program, [...first, ...flags, "-Wl,--build-id=none", "-o", output, source], options);
    if (made.status !== 0) return `it cannot link a program (${firstLine(made.stderr) || made.stdout.trim()})`;
    let elf: ElfFile;
    try {
      elf = new ElfFile(readFileSync(output));
    } catch (error) {
      return `it does not make ELF files (${error instanceof Error ? error.message : String(error)})`;
    }
    if (elf.machine !== machineX64) return `it makes code for machine ${String(elf.machine)}, not x86-64`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    command,
    family: /\bclang\b/i.test(asked.stdout) ? "clang" : "gcc",
    version: firstLine(asked.stdout),
  };
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
