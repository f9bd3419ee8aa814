import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Compiler } from "./compiler.ts";
import { ImageFailure } from "./image-failure.ts";
import { runProgram } from "./run-program.ts";

/** C, assembly and linker scripts in one folder, in memory. */
export interface CSources {
  readonly folder: string;
  /** By name. */
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[];
  /** SHA-256 of names and contents, in hex. */
  readonly hash: string;
}

/** A folder of `@tesserae/vm`: `kernel`, `loader`. */
export function vmFolder(name: string): string {
  const found = createRequire(import.meta.url).resolve("@tesserae/vm/package.json");
  return path.join(path.dirname(found), name);
}

/** Reads a folder, `except` aside. @throws ImageFailure when the file `wanted` is not in it. */
export function readSources(folder: string, wanted: string, except?: string): CSources {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const taken = names.filter((name) => /\.([chS]|ld)$/.test(name) && name !== except).sort();
  if (!taken.includes(wanted)) throw new ImageFailure(`there are no sources in ${folder}: ${wanted} is missing`);
  const files = taken.map((name) => ({ name, content: readFileSync(path.join(folder, name)) }));
  const hash = createHash("sha256");
  for (const { name, content } of files) hash.update(`${name}\0${String(content.length)}\0`).update(content);
  return { folder, files, hash: hash.digest("hex") };
}

/** A copy of sources in a folder of its own, where a compiler runs. Names are relative: no output depends on where. */
export interface Workshop {
  readonly folder: string;
  /** Runs the compiler. @throws ImageFailure with its own words when it refuses. */
  compile(argv: readonly string[]): Promise<void>;
}

/** Calls `work` with a copy of the sources, which is gone afterwards. */
export async function inWorkshop<T>(
  sources: CSources,
  compiler: Compiler,
  work: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(path.join(tmpdir(), "tesserae-cc-"));
  try {
    for (const { name, content } of sources.files) writeFileSync(path.join(folder, name), content);
    const [program = "", ...first] = compiler.command;
    return await work({
      folder,
      async compile(argv) {
        const options = { folder, environment: { LC_ALL: "C" } };
        const ran = await runProgram(program, [...first, ...argv], options);
        if (ran.status === 0) return;
        const said = ran.stderr.trim() === "" ? (ran.refused ?? `status ${String(ran.status)}`) : ran.stderr.trim();
        throw new ImageFailure(`${sources.folder} does not compile with ${compiler.version}:\n${said}`);
      },
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
