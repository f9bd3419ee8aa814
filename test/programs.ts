// Programs of Debian's that tests need: those in scripts/prerequisites.mjs, which a new machine gets.
import process from "node:process";
import { onPath, prerequisites } from "../scripts/prerequisites.mjs";

/**
 * Why tests that need these programs cannot run here, in words; `undefined` when they can.
 *
 * @throws Error in CI, where nothing is skipped for want of a program; and everywhere for a program that a new machine
 * would not get.
 */
export function withoutPrograms(...programs: readonly string[]): string | undefined {
  return skipping(lackOf(programs));
}

/** The first of the programs that is not installed, in words. @throws Error for one that a new machine would not get */
export function lackOf(programs: readonly string[]): string | undefined {
  for (const program of programs) {
    const known = prerequisites.find(({ command }) => command === program);
    if (known === undefined) throw new Error(`"${program}" is not in scripts/prerequisites.mjs`);
    if (!onPath(program)) return `"${program}" is not installed: apt-get install ${known.debian}`;
  }
  return undefined;
}

/** Gives the reason back. @throws Error in CI, where there must be none */
export function skipping(reason: string | undefined, cause?: unknown): string | undefined {
  if (reason !== undefined && process.env["CI"] === "true")
    throw new Error(`in CI nothing is skipped: ${reason}`, { cause });
  return reason;
}

/** What the name of a test ends in when it is skipped. */
export function because(reason: string | undefined): string {
  return reason === undefined ? "" : ` (${reason})`;
}
