import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Where the inputs are kept that reach what others do not: one file for each target. */
export const corpusFolder = path.join(import.meta.dirname, "corpus");

/** The inputs kept for a target, in order of length; none when there is no file. */
export function readCorpus(name: string, folder: string = corpusFolder): Uint8Array[] {
  const file = path.join(folder, `${fileName(name)}.txt`);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => Uint8Array.from(Buffer.from(line, "base64")));
}

/** Replaces the inputs kept for a target. `note` says how they were found. */
export function writeCorpus(name: string, inputs: readonly Uint8Array[], note: string, folder = corpusFolder): void {
  mkdirSync(folder, { recursive: true });
  const lines = [...inputs]
    .sort((a, b) => a.length - b.length || Buffer.compare(a, b))
    .map((input) => Buffer.from(input).toString("base64"));
  writeFileSync(path.join(folder, `${fileName(name)}.txt`), `# ${note}\n${lines.join("\n")}\n`);
}

function fileName(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9-]+/g, "-");
}
