import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkDistribution, draw, exactExp, exactLog, type Distribution } from "./distribution.ts";
import { SeededRandom } from "./random.ts";

function sample(distribution: Distribution, count = 100_000) {
  const random = new SeededRandom("distribution");
  const values = Array.from({ length: count }, () => draw(distribution, random)).sort((a, b) => a - b);
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count);
  return { mean, deviation, median: values[count >> 1]!, least: values[0]!, p99: values[Math.floor(count * 0.99)]! };
}

describe("distributions", () => {
  test("uniform", () => {
    const { mean, least, deviation } = sample({ kind: "uniform", from: 10, to: 20 });
    expect(mean).toBeCloseTo(15, 1);
    expect(deviation).toBeCloseTo(10 / Math.sqrt(12), 1);
    expect(least).toBeGreaterThanOrEqual(10);
  });

  test("normal, cut off at 0", () => {
    const { mean, deviation, median } = sample({ kind: "normal", mean: 50, deviation: 10 });
    expect(mean).toBeCloseTo(50, 0);
    expect(deviation).toBeCloseTo(10, 0);
    expect(median).toBeCloseTo(50, 0);
    expect(sample({ kind: "normal", mean: 0, deviation: 10 }).least).toBe(0);
  });

  test("exponential", () => {
    const { mean, deviation, median } = sample({ kind: "exponential", mean: 10 });
    expect(mean).toBeCloseTo(10, 0);
    expect(deviation).toBeCloseTo(10, 0);
    expect(median).toBeCloseTo(10 * Math.LN2, 0);
  });

  test("pareto", () => {
    const { mean, least, p99 } = sample({ kind: "pareto", minimum: 10, shape: 3 });
    expect(least).toBeGreaterThanOrEqual(10);
    expect(mean).toBeCloseTo(15, 0);
    expect(p99 / (10 * 100 ** (1 / 3))).toBeCloseTo(1, 1);
  });

  test("a stream gives these values on every machine", () => {
    const random = new SeededRandom("exact");
    const kinds: readonly Distribution[] = [
      { kind: "uniform", from: 1, to: 2 },
      { kind: "normal", mean: 5, deviation: 1 },
      { kind: "exponential", mean: 1 },
      { kind: "pareto", minimum: 1, shape: 1.5 },
    ];
    expect(kinds.flatMap((kind) => [draw(kind, random), draw(kind, random)])).toMatchInlineSnapshot(`
      [
        1.2423385828733444,
        1.1528055928647518,
        5.459426914337087,
        6.210073690331088,
        1.3804740859856637,
        0.22581239167141107,
        1.2770655914467386,
        1.084201079280737,
      ]
    `);
  });

  test.each<[Distribution, string]>([
    [{ kind: "uniform", from: 2, to: 1 }, "jitter.to 1 is not from 2"],
    [{ kind: "normal", mean: -1, deviation: 0 }, "jitter.mean -1"],
    [{ kind: "normal", mean: 1, deviation: NaN }, "jitter.deviation NaN"],
    [{ kind: "exponential", mean: Infinity }, "jitter.mean Infinity"],
    [{ kind: "pareto", minimum: 1, shape: 0 }, "jitter.shape 0"],
  ])("refuses %o", (distribution, message) => {
    expect(() => checkDistribution("jitter", distribution)).toThrow(message);
  });
});

describe("exact functions", () => {
  test("agree with the engine's", () => {
    fc.assert(
      fc.property(fc.double({ min: 2 ** -60, max: 2 ** 60, noNaN: true }), (value) => {
        expect(Math.abs(exactLog(value) - Math.log(value))).toBeLessThan(
          1e-13 * Math.max(1, Math.abs(Math.log(value))),
        );
      }),
    );
    fc.assert(
      fc.property(fc.double({ min: 0, max: 700, noNaN: true }), (value) => {
        expect(Math.abs(exactExp(value) / Math.exp(value) - 1)).toBeLessThan(1e-12);
      }),
    );
  });
});
