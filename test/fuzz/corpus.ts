import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Where the inputs are kept that reach what others do not: one file for each target. */
export const corpusFolder = path.join(import.meta.dirname, "corpus");

/** The inputs kept for a target, in order of length; none when there is no file. */
export function readCorpus(name: string, folder: string = corpusFolder): Uint8Array[] {
  const file = corpusFile(name, folder);
  if (!existsSync(file)) return [];
  const inputs = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => Uint8Array.from(Buffer.from(line, "base64")));
  return inSequence(inputs);
}

/** Adds an input to those kept for a target, at once: whatever ends the process later, it is there. */
export function appendCorpus(name: string, input: Uint8Array, folder: string = corpusFolder): void {
  mkdirSync(folder, { recursive: true });
  appendFileSync(corpusFile(name, folder), `${Buffer.from(input).toString("base64")}\n`);
}

/** Replaces the inputs kept for a target, all of them or none. `note` says how they were found. */
export function writeCorpus(name: string, inputs: readonly Uint8Array[], note: string, folder = corpusFolder): void {
  mkdirSync(folder, { recursive: true });
  const lines = inSequence(inputs).map((input) => Buffer.from(input).toString("base64"));
  const file = corpusFile(name, folder);
  writeFileSync(`${file}.new`, `# ${note}\n${lines.join("\n")}\n`);
  renameSync(`${file}.new`, file);
}

function inSequence(inputs: readonly Uint8Array[]): Uint8Array[] {
  return [...inputs].sort((a, b) => a.length - b.length || Buffer.compare(a, b));
}

function corpusFile(name: string, folder: string): string {
  return path.join(folder, `${name.replaceAll(/[^A-Za-z0-9-]+/g, "-")}.txt`);
}
