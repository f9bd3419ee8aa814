import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { runRace, type Figure, type Race } from "./race.ts";
import { formatMarkdown, formatTable } from "./report.ts";

/**
 * The main program of a benchmark: runs the races and prints a table.
 *
 * `--json` prints the figures as JSON instead, `--markdown FILE` also writes a table to a file, `--rounds N` sets the
 * number of rounds (default 15), `--only TEXT` runs the races whose names contain the text.
 */
export async function main(races: readonly Race[], defaultRounds = 15): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      markdown: { type: "string" },
      rounds: { type: "string", default: String(defaultRounds) },
      only: { type: "string", default: "" },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds ${values.rounds} is not above 0`);
  const chosen = races.filter((race) => race.name.includes(values.only));
  if (chosen.length === 0) {
    throw new RangeError(`no race matches "${values.only}": ${races.map((race) => race.name).join(", ")}`);
  }
  const figures: Figure[] = [];
  for (const race of chosen) {
    if (process.stderr.isTTY) process.stderr.write(`${race.name} …\n`);
    figures.push(...(await runRace(race, rounds)));
  }
  console.log(values.json ? JSON.stringify(figures, undefined, 2) : formatTable(figures));
  if (values.markdown !== undefined) writeFileSync(values.markdown, `${formatMarkdown(figures)}\n`);
}
