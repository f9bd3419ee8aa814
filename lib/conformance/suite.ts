/**
 * What a suite is: a list of cases, each a function of a subject, and no test runner.
 *
 * So the same suite runs under any runner, inside a simulation and inside a virtual machine. With vitest:
 *
 *     for (const each of clockSuite) test(each.name, async () => each.run(await makeSubject()));
 *
 * Every case gets a subject of its own. A subject on virtual time is driven from outside, around `run`.
 */
export interface Case<Subject> {
  /** The sentence of the contract that the case holds the subject to. */
  readonly name: string;
  /** Rejects with {@link ConformanceError} when the subject breaks the contract, {@link Skipped} when it cannot tell. */
  readonly run: (subject: Subject) => Promise<void>;
}

export type Suite<Subject> = readonly Case<Subject>[];

/** Makes one case. */
export function defineCase<Subject>(name: string, run: (subject: Subject) => void | Promise<void>): Case<Subject> {
  return {
    name,
    run: async (subject) => {
      await run(subject);
    },
  };
}

/** Makes the cases of one suite run on another's subjects. */
export function adapt<Inner, Outer>(
  suite: Suite<Inner>,
  prefix: string,
  subjectOf: (outer: Outer) => Inner,
): Suite<Outer> {
  return suite.map((each) => defineCase(prefix + each.name, (outer: Outer) => each.run(subjectOf(outer))));
}

/** Thrown by a case that the subject gives no means to run. */
export class Skipped extends Error {
  override readonly name = "Skipped";
}

/** A broken contract. */
export class ConformanceError extends Error {
  override readonly name = "ConformanceError";
}

/** What became of one case. */
export interface Outcome {
  readonly name: string;
  readonly status: "passed" | "failed" | "skipped";
  /** What the case threw, when it did not pass. */
  readonly error?: unknown;
}

/**
 * Runs a suite where there is no test runner.
 *
 * @param make makes the subject of one case
 * @param drive wraps each run, to move virtual time or to limit real time
 */
export async function runSuite<Subject>(
  suite: Suite<Subject>,
  make: () => Promise<Subject>,
  drive: (run: Promise<void>) => Promise<void> = (run) => run,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, run } of suite) {
    try {
      await drive(make().then(run));
      outcomes.push({ name, status: "passed" });
    } catch (error) {
      outcomes.push({ name, status: error instanceof Skipped ? "skipped" : "failed", error });
    }
  }
  return outcomes;
}
