// Every script of scripts/, played to the Linux kernel and to our own stack at the same time of day.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { unavailable } from "../namespace/namespace.ts";
import { createLinuxKernels } from "./linux-kernel.ts";
import { ownStack } from "./own-stack.ts";
import { loadScripts, type Outcome, run } from "./run.ts";
import type { SubjectMaker } from "./subject.ts";

const scripts = loadScripts(path.join(import.meta.dirname, "scripts"));
const reason = unavailable();
if (reason !== undefined) console.warn(`packet scripts are played to our own stack only: ${reason}`);

/** Scripts played at the same time. */
const lanes = 10;
const makers: SubjectMaker[] = [ownStack, ...(reason === undefined ? [createLinuxKernels()] : [])];
let outcomes: Map<string, Outcome>;

beforeAll(async () => {
  outcomes = new Map((await run(scripts, makers, lanes)).map((outcome) => [outcome.script.name, outcome]));
}, 240_000);
afterAll(async () => {
  for (const maker of makers) await maker.close();
});

describe("packet scripts", () => {
  test.each(scripts.map(({ name, title }) => [name, title]))("%s: %s", (name) => {
    const outcome = outcomes.get(name);
    if (outcome === undefined) throw new Error("it was not played");
    const { problems, report } = outcome;
    if (problems.length > 0) throw new Error(`${problems.join("\n")}\n${report}`);
  });

  test("each begins with a title", () => {
    expect(scripts.filter(({ title }) => title === "").map(({ name }) => name)).toEqual([]);
  });
});

describe("the differences from Linux that docs/tcp.md lists", () => {
  const listed = listedDifferences();
  const marked = new Map<string, Set<string>>();
  for (const { name, lines } of scripts) {
    for (const { only } of lines) {
      if (only === undefined) continue;
      marked.set(only.difference, (marked.get(only.difference) ?? new Set()).add(name));
    }
  }

  test("are those that the scripts mark, no more and no less", () => {
    expect([...listed.keys()].sort()).toEqual([...marked.keys()].sort());
  });

  test.each([...listed])("%s is in the scripts that it names", (difference, { where, why }) => {
    expect([...(marked.get(difference) ?? [])].sort()).toEqual([...where].sort());
    expect(why).not.toBe("");
  });
});

interface ListedDifference {
  readonly where: readonly string[];
  readonly why: string;
}

/** The rows of the table below the heading: `| id | what | why | scripts |`. */
function listedDifferences(): Map<string, ListedDifference> {
  const text = readFileSync(path.join(import.meta.dirname, "../../docs/tcp.md"), "utf8");
  const section = text.split(/^## /m).find((each) => each.startsWith("Differences from Linux")) ?? "";
  const differences = new Map<string, ListedDifference>();
  for (const row of section.split("\n").filter((line) => line.startsWith("| `"))) {
    const [, id = "", , why = "", where = ""] = row.split("|").map((cell) => cell.trim());
    differences.set(id.replaceAll("`", ""), { why, where: where.replaceAll("`", "").split(/,\s*/) });
  }
  return differences;
}
