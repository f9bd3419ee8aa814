// The golden table of goodput, as much of it as fits into CI: ours to ours in the simulator. A run is a function of its
// seed, so each figure is exact; `npm run bench -- tcp-goodput` has the whole table, against Linux.
import { describe, expect, test } from "vitest";
import { capacity, cells, expectation, linkOf, losslessExpectation, nameOf, type Cell } from "./golden.ts";
import { ampleBuffers, simulateTransfer, type SimulatedTransfer } from "./simulated-transfer.ts";

function run(cell: Cell, milliseconds: number, bytes: number, seed = "golden"): Promise<SimulatedTransfer> {
  return simulateTransfer({ link: linkOf(cell), seed, milliseconds, bytes, tcp: ampleBuffers });
}

test("the table is whole, and expects more of better paths", () => {
  expect(cells).toHaveLength(96);
  for (const cell of cells) {
    expect(expectation(cell)).toBeGreaterThan(0);
    expect(expectation(cell)).toBeLessThanOrEqual(capacity(cell));
    for (const worse of cells) {
      const isWorse = worse.loss >= cell.loss && worse.roundTrip >= cell.roundTrip && worse.bandwidth <= cell.bandwidth;
      if (isWorse) expect(expectation(worse), nameOf(worse)).toBeLessThanOrEqual(expectation(cell));
    }
  }
});

describe("goodput over a simulated path", () => {
  const lossless = cells.filter(({ loss, bandwidth }) => loss === 0 && bandwidth <= 1e8);
  test.each(lossless.map((cell) => [nameOf(cell), cell] as const))(
    "%s: nine tenths of what slow start and the link allow",
    async (_name, cell) => {
      const { goodput, timeouts } = await run(cell, 20_000, 10_000_000);
      expect(goodput).toBeGreaterThan(0.9 * losslessExpectation(cell, 10_000_000));
      expect(timeouts).toBe(0);
    },
    120_000,
  );

  const lossy = cells.filter(
    ({ loss, roundTrip, bandwidth }) =>
      loss > 0 && loss !== 0.05 && (roundTrip === 20 || roundTrip === 100) && bandwidth <= 1e8,
  );

  // Exact, as a run follows from its seed. When TCP changes on purpose, `vitest -u` writes them anew: look at each.
  test("under random loss: as before, and at least four fifths of what theory expects", async () => {
    const lines: string[] = [];
    for (const cell of lossy) {
      let sum = 0;
      for (const seed of ["a", "b", "c"]) sum += (await run(cell, 10_000, 100_000_000, seed)).goodput;
      const mean = sum / 3;
      lines.push(`${nameOf(cell)}: ${Math.round(mean / 1000)} kb/s`);
      expect(mean, nameOf(cell)).toBeGreaterThan(0.8 * expectation(cell));
    }
    expect(lines).toMatchSnapshot();
  }, 300_000);
});
