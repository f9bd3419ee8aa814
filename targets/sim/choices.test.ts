import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Choices, formatChoices, parseChoices, type Decision } from "./choices.ts";
import { SeededRandom } from "./random.ts";

const fresh = (seed = "a", given?: ReadonlyMap<string, number>): Choices => new Choices(new SeededRandom(seed), given);

describe("choices", () => {
  test("follow from the seed and the name, whatever else is chosen", () => {
    const one = fresh();
    const other = fresh();
    other.integer("another", 0, 9);
    expect([one.integer("n", 0, 1000), one.size("s", 1, 2 ** 20), one.chance("c", 0.5)]).toEqual([
      other.integer("n", 0, 1000),
      other.size("s", 1, 2 ** 20),
      other.chance("c", 0.5),
    ]);
    expect(fresh("b").integer("n", 0, 1000)).not.toBe(fresh().integer("n", 0, 1000));
  });

  test("are recorded under names of their own, also when one is used again", () => {
    const choices = fresh();
    for (let round = 0; round < 3; round++) choices.integer("pause", 5, 10);
    choices.pick("who", ["x", "y"]);
    expect(choices.decisions.map(({ name, least, most }) => [name, least, most])).toEqual([
      ["pause", 5, 10],
      ["pause:2", 5, 10],
      ["pause:3", 5, 10],
      ["who", 0, 1],
    ]);
  });

  test("of an earlier run are taken again; what is not named is the least; what is out of range is brought in", () => {
    const choices = fresh("a", new Map([["n", 7], ["far", 99]])); // prettier-ignore
    expect([choices.integer("n", 0, 9), choices.integer("far", 0, 9), choices.integer("other", 3, 9)]).toEqual([
      7, 9, 3,
    ]);
    expect(choices.chance("c", 1)).toBe(false);
  });

  test("sizes of every magnitude come up about as often, from the least to near the most", () => {
    const seen = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 1000; seed++) {
      const magnitude = Math.floor(Math.log2(1 + fresh(String(seed)).size("s", 0, 1022)));
      seen[magnitude] = (seen[magnitude] ?? 0) + 1;
    }
    expect(Math.min(...seen)).toBeGreaterThan(25);
    expect(fresh().size("one", 4, 4)).toBe(4);
  });

  test.each([
    [(choices: Choices) => choices.integer("two words", 0, 1), `"two words" is no name`],
    [(choices: Choices) => choices.integer("n", 2, 1), "n: 2 to 1 is no range"],
    [(choices: Choices) => choices.integer("n", 0, 2 ** 32), "is no range"],
    [(choices: Choices) => choices.chance("n", 1.5), "1.5 is not a probability"],
    [(choices: Choices) => choices.pick("n", []), "n: there is nothing to pick from"],
  ])("a mistake is named: %#", (use, message) => {
    expect(() => use(fresh())).toThrow(message);
  });
});

describe("choices as text", () => {
  test("name what is not the least", () => {
    const decisions: Decision[] = [
      { name: "crash.1", value: 1, least: 0, most: 1 },
      { name: "crash.1.at", value: 1200, least: 0, most: 30_000 },
      { name: "writes", value: 3, least: 3, most: 9 },
      { name: "offset", value: -4, least: -9, most: 9 },
    ];
    expect(formatChoices(decisions)).toBe("crash.1,crash.1.at=1200,offset=-4");
    expect(parseChoices("crash.1,crash.1.at=1200 offset=-4\n")).toEqual(
      new Map([["crash.1", 1], ["crash.1.at", 1200], ["offset", -4]]), // prettier-ignore
    );
  });

  test.each(["=3", "a=b", "a=1.5", "a==1", "1a", "a=99999999999999999"])("%s is refused", (text) => {
    expect(parseChoices(text)).toBe(`"${text}" is not NAME or NAME=INTEGER`);
  });

  test("a run told its own choices takes them all again", () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,9}$/);
    const wish = fc.record({ name, least: fc.integer({ min: -50, max: 50 }), reach: fc.integer({ min: 0, max: 99 }) });
    fc.assert(
      fc.property(fc.string(), fc.array(wish), (seed, wishes) => {
        const run = (given?: ReadonlyMap<string, number>): readonly Decision[] => {
          const choices = fresh(seed, given);
          for (const { name, least, reach } of wishes) choices.integer(name, least, least + reach);
          return choices.decisions;
        };
        const first = run();
        expect(run(parseChoices(formatChoices(first)) as ReadonlyMap<string, number>)).toEqual(first);
      }),
    );
  });
});
