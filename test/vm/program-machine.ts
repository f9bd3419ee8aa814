// Machines that run a small C program in place of Node.js: for tests of the kernel alone.
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import path from "node:path";
import { buildKernel } from "@tesserae/vm-image/kernel";
import { findCompiler } from "@tesserae/vm-image/compiler";
import { fileContent, bytesContent } from "@tesserae/vm-image/content";
import { layOut } from "@tesserae/vm-image/image-layout";
import { runProgram } from "@tesserae/vm-image/run-program";
import { kernelCache, type BuiltMachine } from "./test-machine.ts";

const cache = path.resolve(import.meta.dirname, "../../node_modules/.cache/tesserae-program-machine");

/** A program for this host and for a machine. */
export interface BuiltProgram extends BuiltMachine {
  /** The program, an executable file of this host. */
  readonly program: string;
}

/**
 * Compiles a C program, and lays out an image that holds nothing else.
 *
 * @param source the C file, which the program is called after
 * @param flags for the compiler, besides those for a static program; and other C files
 * @param argv what the program finds after its name
 * @throws Error with the compiler's words.
 */
export async function buildProgram(
  source: string,
  flags: readonly string[] = [],
  argv: readonly string[] = [],
): Promise<BuiltProgram> {
  const name = path.basename(source, ".c");
  const folder = path.join(cache, name);
  mkdirSync(folder, { recursive: true });
  const program = path.join(folder, name);
  const { command } = await findCompiler();
  const [compiler = "", ...first] = command;
  const compiled = await runProgram(compiler, [...first, "-O1", "-static", "-w", "-o", program, source, ...flags]);
  if (compiled.status !== 0) throw new Error(`${source} does not compile: ${compiled.refused ?? compiled.stderr}`);
  const kernel = await buildKernel({ output: path.join(folder, "kernel.elf"), cache: kernelCache });
  const content = fileContent(program);
  const image = path.join(folder, "image.bin");
  const fd = openSync(image, "w");
  try {
    const words = [`/bin/${name}`, ...argv];
    const layout = layOut([
      { kind: "file", path: `/bin/${name}`, content, executable: true },
      {
        kind: "file",
        path: "/boot/argv",
        content: bytesContent(Buffer.from(words.map((word) => `${word}\0`).join(""))),
      },
      { kind: "file", path: "/boot/environ", content: bytesContent(new Uint8Array(0)) },
    ]);
    layout.write((bytes) => writeSync(fd, bytes));
  } finally {
    closeSync(fd);
    content.close();
  }
  return {
    name,
    program,
    files: { kernel: kernel.file, image, manifest: "", bytes: kernel.size, sizes: [], formats: {} },
  };
}
