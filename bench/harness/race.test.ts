import { describe, expect, test } from "vitest";
import { loop } from "./loop.ts";
import { median, runRace, type Contender, type Figure } from "./race.ts";
import { formatMarkdown, formatRate, formatTable } from "./report.ts";

/** A contender with given results. */
function scripted(name: string, rates: number[], log: string[] = []): Contender {
  let turn = 0;
  return {
    name,
    measure() {
      log.push(name);
      return rates[turn++ % rates.length]!;
    },
  };
}

test("median", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

describe("a race", () => {
  test("compares what was measured in one round", async () => {
    // The machine becomes slower; the ratio does not change.
    const contenders = [scripted("old", [100, 50, 10]), scripted("new", [200, 100, 20])];
    const figures = await runRace({ name: "r", unit: "x/s", rival: "old", contenders }, 3, 0);
    expect(figures.map((figure) => figure.ratio)).toEqual([
      { median: 1, min: 1, max: 1 },
      { median: 2, min: 2, max: 2 },
    ]);
    expect(figures[1]).toMatchObject({ contender: "new", rival: "old", rounds: 3, rate: 100 });
  });

  test("takes turns, another one first each time, and does not count the warm-up", async () => {
    const log: string[] = [];
    const contenders = [scripted("a", [1], log), scripted("b", [9, 1, 1], log)];
    const figures = await runRace({ name: "r", unit: "x/s", rival: "a", contenders }, 2, 1);
    expect(log.join("")).toBe("abbaab");
    expect(figures[1]?.ratio.max).toBe(1);
  });

  test("refuses a rival that does not run, and names given twice", async () => {
    const race = { name: "r", unit: "x/s", rival: "c", contenders: [scripted("a", [1]), scripted("a", [1])] };
    await expect(runRace(race, 1)).rejects.toThrow('no contender is named "c"');
    await expect(runRace({ ...race, rival: "a" }, 1)).rejects.toThrow("one name");
  });
});

test("a loop counts what its calls do", async () => {
  let calls = 0;
  const contender = loop("count", 10, () => ++calls, 2);
  const rate = await contender.measure();
  expect(rate).toBeGreaterThan(0);
  expect(calls).toBeGreaterThan(1);
});

describe("reports", () => {
  const figure = (contender: string, value: number): Figure => ({
    race: "parse",
    unit: "packets/s",
    contender,
    rival: "old",
    ratio: { median: value, min: value - 0.5, max: value + 0.5 },
    rounds: 9,
    rate: value * 1e6,
  });
  const figures = [figure("old", 1), figure("a|b", 2.5)];

  test("a table for a terminal", () => {
    expect(formatTable(figures)).toBe(
      [
        "race   contender  against  ratio  min–max    rounds  rate",
        "parse  old                 1                         1.00 M packets/s",
        "parse  a|b        old      2.50   2.00–3.00  9       2.50 M packets/s",
      ].join("\n"),
    );
  });

  test("a Markdown table", () => {
    expect(formatMarkdown(figures).split("\n").at(-1)).toBe(
      "| parse | a\\|b | old | 2.50 | 2.00–3.00 | 9 | 2.50 M packets/s |",
    );
  });

  test("rates", () => {
    expect(formatRate(999, "x/s")).toBe("999 x/s");
    expect(formatRate(12_345, "x/s")).toBe("12.3 k x/s");
    expect(formatRate(2.5e9, "b/s")).toBe("2.50 G b/s");
  });
});
