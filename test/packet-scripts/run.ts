import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { pairDifferences, printObserved } from "./observed.ts";
import { parseScript } from "./parse.ts";
import { play, type Played } from "./player.ts";
import type { Script } from "./script.ts";
import type { Subject, SubjectMaker } from "./subject.ts";

/** How often a script is played again to a subject in real time, when this machine kept the player waiting. */
const attempts = 4;
/** The same for a script that is played alone, after all others. */
const attemptsAlone = 12;
/** From this wait on, milliseconds, a subject's answers say nothing: something was late. */
const disturbed = 8;

/** Every script of a folder and the folders in it, in order of name. */
export function loadScripts(folder: string): Script[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".packet"));
  return files.sort().map((file) => {
    const name = file.slice(0, -".packet".length).split(path.sep).join("/");
    return parseScript(name, readFileSync(path.join(folder, file), "utf8"));
  });
}

/** What became of one script. */
export interface Outcome {
  readonly script: Script;
  /** Empty when every subject does what the script says, and where it does not say, the same. */
  readonly problems: readonly string[];
  /** What happened, subject by subject. */
  readonly report: string;
}

/**
 * Plays scripts to every subject, and compares their answers with the script and with each other. One subject after the
 * other: what computes would keep those waiting that play in real time.
 *
 * @param lanes how many scripts are played at the same time: in real time they mostly wait
 */
export async function run(
  scripts: readonly Script[],
  makers: readonly SubjectMaker[],
  lanes: number,
): Promise<Outcome[]> {
  const played = new Map<Script, Map<string, Played>>(scripts.map((script) => [script, new Map()]));
  for (const maker of makers) {
    await inParallel(scripts, lanes, async (script) => {
      played.get(script)?.set(maker.name, await playCalmly(script, maker, attempts));
    });
    for (const [script, results] of played) {
      const result = results.get(maker.name);
      if (result !== undefined && isInconclusive(result)) {
        results.set(maker.name, await playCalmly(script, maker, attemptsAlone));
      }
    }
  }
  return [...played].map(([script, results]) => judge(script, results));
}

function judge(script: Script, played: ReadonlyMap<string, Played>): Outcome {
  const problems: string[] = [];
  const report: string[] = [];
  for (const [name, result] of played) {
    for (const problem of result.problems) problems.push(`${name}: ${script.name}.packet:${problem}`);
    report.push(`--- ${script.name} played to ${name}`, ...result.trace);
  }
  const linux = played.get("linux");
  const ours = played.get("ours");
  if (linux !== undefined && ours !== undefined && problems.length === 0) {
    problems.push(...comparePair(script, linux, ours));
  }
  return { script, problems, report: report.join("\n") };
}

function comparePair(script: Script, linux: Played, ours: Played): string[] {
  const problems: string[] = [];
  for (const line of script.lines) {
    const theirs = linux.answers.get(line);
    const own = ours.answers.get(line);
    if (theirs === undefined || own === undefined) continue;
    for (const difference of pairDifferences(theirs, own)) {
      problems.push(
        `${script.name}.packet:${line.line}: the subjects differ and the script does not say so: ${difference}\n` +
          `    linux > ${printObserved(theirs)}\n    ours  > ${printObserved(own)}`,
      );
    }
  }
  return problems;
}

/** A subject in real time is played to again when something went wrong while this machine was busy elsewhere. */
async function playCalmly(script: Script, maker: SubjectMaker, most: number): Promise<Played> {
  for (let attempt = 1; ; attempt++) {
    const subject = await maker.start(script.settings);
    const result = await playAndClose(script, subject);
    if (!isInconclusive(result) || attempt === most) return result;
  }
}

/** Something was not as the script has it, but something was late, too. */
function isInconclusive({ problems, disturbance }: Played): boolean {
  return problems.length > 0 && disturbance >= disturbed;
}

async function playAndClose(script: Script, subject: Subject): Promise<Played> {
  try {
    return await play(script, subject);
  } catch (error) {
    const problem = `0: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    return { problems: [problem], trace: [problem], answers: new Map(), disturbance: 0 };
  } finally {
    await subject.close();
  }
}

/** Runs `act` for each, so many at a time. */
async function inParallel<T>(all: readonly T[], lanes: number, act: (each: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await act(next);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
