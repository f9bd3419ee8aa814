import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Choices, formatChoices, parseChoices, type Decision } from "./choices.ts";
import { SeededRandom } from "./random.ts";
import { shrink, type Attempt } from "./shrink.ts";

type Program = (choices: Choices) => boolean;

/** Runs a program that says whether it fails. */
function run(program: Program, given?: string): Attempt {
  const choices = new Choices(
    new SeededRandom("x"),
    given === undefined ? undefined : (parseChoices(given) as ReadonlyMap<string, number>),
  );
  const failed = program(choices);
  return { failed, decisions: choices.decisions };
}

/** Faults that are there or not, each with a time; and how many writes. */
const faulty =
  (fails: (on: readonly number[], times: ReadonlyMap<number, number>, writes: number) => boolean): Program =>
  (choices) => {
    const times = new Map<number, number>();
    for (let index = 1; index <= 12; index++) {
      if (choices.chance(`fault.${index}`, 0.9)) times.set(index, choices.integer(`fault.${index}.at`, 0, 30_000));
    }
    return fails([...times.keys()], times, choices.integer("writes", 1, 500));
  };

describe("shrink", () => {
  test("leaves the faults that matter, and the least of what matters about them", async () => {
    const program = faulty((on, times, writes) => on.includes(3) && (times.get(7) ?? 0) >= 120 && writes >= 5);
    const first = run(program);
    expect(first.failed).toBe(true);
    const shrunk = await shrink(first.decisions, { attempt: async (text) => run(program, text) });
    expect(formatChoices(shrunk.decisions)).toBe("fault.3,fault.7,fault.7.at=120,writes=5");
    expect(shrunk.complete).toBe(true);
  });

  test("what fails whatever is decided shrinks to nothing, in few attempts", async () => {
    const program = faulty(() => true);
    const { decisions, attempts } = await shrink(run(program).decisions, {
      attempt: async (text) => run(program, text),
    });
    expect(formatChoices(decisions)).toBe("");
    expect(attempts).toBe(1);
  });

  test("stops after the attempts allowed, with the best so far, which still fails", async () => {
    const program = faulty((on) => on.length >= 3);
    const attempt = async (text: string): Promise<Attempt> => run(program, text);
    const { decisions, attempts, complete } = await shrink(run(program).decisions, { attempt, most: 6 });
    expect([attempts, complete]).toEqual([6, false]);
    expect(run(program, formatChoices(decisions)).failed).toBe(true);
  });

  test("finds the same, and no more than one can leave out, however many attempts run at once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }), async (needed) => {
        const program = faulty((on) => needed.every((each) => on.includes(each)));
        const all: Decision[] = Array.from({ length: 12 }, (_, index) => {
          return { name: `fault.${index + 1}`, value: 1, least: 0, most: 1 };
        });
        const attempt = async (text: string): Promise<Attempt> => run(program, text);
        const one = await shrink(all, { attempt });
        const three = await shrink(all, { attempt, parallel: 3 });
        const expected = needed.sort((a, b) => a - b).map((each) => `fault.${each}`);
        expect(formatChoices(one.decisions)).toBe(expected.join(","));
        expect(formatChoices(three.decisions)).toBe(expected.join(","));
      }),
      { numRuns: 40 },
    );
  });
});
