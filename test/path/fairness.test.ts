import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { jainIndex, simulateBottleneck } from "./fairness.ts";

describe("Jain's index", () => {
  test("is 1 for equal shares and 1/n for one that has everything", () => {
    expect(jainIndex([5, 5, 5])).toBeCloseTo(1);
    expect(jainIndex([7, 0, 0, 0])).toBeCloseTo(0.25);
    expect(jainIndex([1, 3])).toBeCloseTo(0.8);
  });

  test("property: between 1/n and 1, whatever the order and the unit", () => {
    const shares = fc.array(fc.double({ min: 0.001, max: 1e9, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(shares, fc.double({ min: 0.01, max: 100, noNaN: true }), (values, unit) => {
        const index = jainIndex(values);
        expect(index).toBeGreaterThan(1 / values.length - 1e-9);
        expect(index).toBeLessThan(1 + 1e-9);
        expect(jainIndex([...values].reverse().map((value) => value * unit))).toBeCloseTo(index);
      }),
    );
  });
});

describe("two of our flows at a bottleneck of 20 Mb/s with a queue of one bandwidth-delay product", () => {
  const bottleneck = { bandwidth: 2e7, queue: 100_000, seed: "fairness" };

  test("share it evenly from the start: 40 ms each, from 10 to 30 s", async () => {
    const shares = await simulateBottleneck({ ...bottleneck, roundTrips: [40, 40], from: 10_000, until: 30_000 });
    expect(jainIndex(shares)).toBeGreaterThanOrEqual(0.95);
    expect(shares.reduce((sum, share) => sum + share)).toBeGreaterThan(0.9 * 2e7 * (1448 / 1514));
  }, 120_000);

  test("the second gets its share when it comes 5 s later, from 20 to 60 s", async () => {
    const shares = await simulateBottleneck({
      ...bottleneck,
      roundTrips: [40, 40],
      starts: [0, 5000],
      from: 20_000,
      until: 60_000,
    });
    expect(jainIndex(shares)).toBeGreaterThanOrEqual(0.95);
  }, 120_000);
});
