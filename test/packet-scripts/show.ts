// Plays scripts and shows what happened: the program behind scripts/packet-scripts.mjs.
import process from "node:process";
import { unavailable } from "../namespace/namespace.ts";
import { createLinuxKernels } from "./linux-kernel.ts";
import { ownStack } from "./own-stack.ts";
import { loadScripts, run } from "./run.ts";

/** @returns the exit status: 0, 1 when a script fails, 2 when there is none of that name */
export async function show(folder: string, args: readonly string[]): Promise<number> {
  const isQuiet = args.includes("--quiet");
  const names = args.filter((arg) => !arg.startsWith("--"));
  const scripts = loadScripts(folder).filter(
    ({ name }) => names.length === 0 || names.some((each) => name.includes(each)),
  );
  if (scripts.length === 0) {
    console.error(`no script's name contains ${names.map((name) => `"${name}"`).join(" or ")}`);
    return 2;
  }
  const reason = args.includes("--ours") ? "not asked for" : unavailable();
  if (reason !== undefined) console.error(`not played to Linux: ${reason}`);
  const linux = reason === undefined ? [createLinuxKernels()] : [];
  const makers = [ownStack, ...linux];
  const began = performance.now();
  const outcomes = await run(scripts, makers, 8);
  for (const { report, problems, script } of outcomes) {
    if (!isQuiet || problems.length > 0) console.log(isQuiet ? `--- ${script.name}` : report);
    for (const problem of problems) console.log(`FAILED ${problem}`);
  }
  const failed = outcomes.filter(({ problems }) => problems.length > 0);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${scripts.length} scripts, ${failed.length} failed, ${seconds} s`);
  for (const { script } of failed) console.log(`  ${script.name}`);
  for (const maker of makers) await maker.close();
  process.exitCode = failed.length > 0 ? 1 : 0;
  return process.exitCode;
}
