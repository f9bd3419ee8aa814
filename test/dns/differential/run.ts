// Asks every server the same queries and sorts what they do differently by the names that docs/dns.md explains.
import { differences, nothing, type Aspect, type Seen } from "./answer.ts";
import type { Respondent } from "./exchange.ts";
import { Draws, drawBroken, drawQuery } from "./queries.ts";
import { explain } from "./rules.ts";
import { shapeOf, type QueryShape } from "./shape.ts";

export interface RunOptions {
  readonly seed: number;
  readonly count: number;
  /** The share of broken messages. Default 0.3. */
  readonly broken?: number;
  /** Called after each batch with how many queries were asked. */
  readonly progress?: (asked: number) => void;
}

/** One aspect in which the subject and a rival behaved differently. */
export interface Difference {
  readonly query: Buffer;
  readonly shape: QueryShape;
  readonly aspect: Aspect;
  readonly rival: string;
  readonly ours: Seen;
  readonly theirs: Seen;
}

export interface Report {
  readonly asked: number;
  /** How often each server answered. */
  readonly answered: ReadonlyMap<string, number>;
  /** How often each explained difference was seen. */
  readonly explained: ReadonlyMap<string, number>;
  /** The first of each kind that no rule explains, and how many there were of the kind. */
  readonly unexplained: readonly { readonly first: Difference; readonly count: number }[];
  /** Octets of the longest answer for each octet asked, over UDP, is in the table of limits; here: how many codes. */
  readonly codes: ReadonlyMap<string, number>;
}

const batch = 100;

/** @param subject the server that the rivals are compared with */
export async function runDifferential(
  subject: Respondent,
  rivals: readonly Respondent[],
  options: RunOptions,
): Promise<Report> {
  const draws = new Draws(options.seed);
  const everyone = [subject, ...rivals];
  const answered = new Map<string, number>(everyone.map(({ name }) => [name, 0]));
  const explained = new Map<string, number>();
  const codes = new Map<string, number>();
  const unexplained = new Map<string, { first: Difference; count: number }>();
  for (let asked = 0; asked < options.count; asked += batch) {
    const queries = Array.from({ length: Math.min(batch, options.count - asked) }, () =>
      draws.chance(options.broken ?? 0.3) ? drawBroken(draws) : drawQuery(draws),
    );
    let seen = await askAll(everyone, queries);
    // A datagram that was lost is no difference: silence is asked again, alone.
    const silent = queries.flatMap((_, index) => {
      const of = seen.map((each) => each[index]!.answered);
      return of.includes("no") && of.some((each) => each !== "no") ? [index] : [];
    });
    if (silent.length > 0) {
      const again = await askAll(
        everyone,
        silent.map((index) => queries[index]!),
      );
      seen = seen.map((each, server) => {
        const merged = [...each];
        for (const [place, index] of silent.entries()) {
          if (merged[index]!.answered === "no") merged[index] = again[server]![place]!;
        }
        return merged;
      });
    }
    for (const [index, query] of queries.entries()) {
      for (const [server, each] of everyone.entries()) {
        if (seen[server]![index]!.answered !== "no") count(answered, each.name);
      }
      const ours = seen[0]![index]!;
      count(codes, ours.answered === "yes" ? `rcode ${ours.rcode}` : ours.answered.slice(0, 10));
      for (const [place, rival] of rivals.entries()) {
        const theirs = seen[place + 1]![index] ?? nothing;
        for (const aspect of differences(ours, theirs)) {
          const difference = { query, shape: shapeOf(query), aspect, rival: rival.name, ours, theirs };
          const why = explain(difference);
          if (why !== undefined) count(explained, why);
          else note(unexplained, difference);
        }
      }
    }
    options.progress?.(asked + queries.length);
  }
  return { asked: options.count, answered, explained, unexplained: [...unexplained.values()], codes };
}

async function askAll(askers: readonly Respondent[], queries: readonly Buffer[]): Promise<Seen[][]> {
  return Promise.all(askers.map(async (each) => each.ask(queries)));
}

function count(into: Map<string, number>, key: string): void {
  into.set(key, (into.get(key) ?? 0) + 1);
}

/** Sections are long: their differences are kinds by rival and aspect only; short aspects by their values too. */
function note(into: Map<string, { first: Difference; count: number }>, difference: Difference): void {
  const { aspect, rival, ours, theirs, shape } = difference;
  const long = aspect === "answer" || aspect === "authority" || aspect === "additional" || aspect === "question";
  const values = long ? "" : `${ours[aspect].slice(0, 40)} / ${theirs[aspect].slice(0, 40)}`;
  const key = `${rival} ${aspect} ${values} ${shape.broken} opcode ${shape.opcode} class ${shape.class}`;
  const known = into.get(key);
  if (known === undefined) into.set(key, { first: difference, count: 1 });
  else known.count++;
}

/** A difference in words, with the query that shows it. */
export function describe({ query, shape, aspect, rival, ours, theirs }: Difference): string {
  const opt = shape.edns === undefined ? "" : ` edns ${JSON.stringify(shape.edns)}`;
  const code = (seen: Seen): string => (seen.answered === "yes" ? ` (rcode ${seen.rcode})` : "");
  return [
    `${aspect}: ${shape.broken}, opcode ${shape.opcode}, flags ${shape.flags.toString(16)}, ${shape.questions} questions, ` +
      `${JSON.stringify(shape.name)} type ${shape.type} class ${shape.class}, counts ${shape.counts.join(" ")}${opt}`,
    `  query ${query.toString("hex")}`,
    `  ours${code(ours)}: ${only(ours[aspect], theirs[aspect])}`,
    `  ${rival}${code(theirs)}: ${only(theirs[aspect], ours[aspect])}`,
  ].join("\n");
}

/** The records of a section that the other section lacks; of another aspect all. */
function only(section: string, other: string): string {
  const others = other.split("\n");
  const own = section.split("\n").filter((line) => !others.includes(line));
  return own.map((line) => (line.length > 200 ? `${line.slice(0, 200)}…` : line)).join(" | ");
}
