import { describe, expect, test } from "vitest";
import { HyStart } from "./hystart.ts";

const mss = 1000;

/** One round: a window acknowledged segment by segment, with that round trip. Returns the window after it. */
function round(start: HyStart, window: number, roundTrip: number): number {
  let grown = window;
  for (let left = window; left > 0; left -= mss) grown += start.acknowledged(mss, mss, grown, roundTrip);
  return grown;
}

describe("RFC 9406 §4.2", () => {
  test("while round trips stay, the window doubles", () => {
    const start = new HyStart();
    let window = 10 * mss;
    for (const roundTrip of [50, 51, 52, 50, 53]) window = round(start, window, roundTrip);
    expect(window).toBe(320 * mss);
    expect(start.conservative).toBe(false);
  });

  test("round trips longer by an eighth (at least 4 ms, at most 16) begin conservative slow start: a quarter as fast", () => {
    for (const [base, grown, expected] of [
      [20, 23, false],
      [20, 25, true],
      [80, 89, false],
      [80, 91, true],
      [400, 415, false],
      [400, 417, true],
    ] as const) {
      const start = new HyStart();
      let window = round(start, 10 * mss, base);
      window = round(start, window, base);
      window = round(start, window, grown);
      expect(start.conservative).toBe(expected);
      if (!expected) continue;
      const after = round(start, window, grown);
      expect((after - window) / window).toBeCloseTo(0.25, 1);
    }
  });

  test("five conservative rounds end slow start", () => {
    const start = new HyStart();
    let window = round(start, 10 * mss, 50);
    let rounds = 0;
    for (; !start.finished && rounds < 20; rounds++) window = round(start, window, 80);
    // The round in which it was noticed counts as the first.
    expect(rounds).toBeLessThanOrEqual(6);
    expect(rounds).toBeGreaterThanOrEqual(5);
    expect(window).toBeLessThan(20 * mss * 1.25 ** 6);
  });

  test("round trips that fall again were a false alarm", () => {
    const start = new HyStart();
    let window = round(start, 20 * mss, 50);
    window = round(start, window, 80);
    expect(start.conservative).toBe(true);
    round(start, window, 60);
    expect(start.conservative).toBe(false);
    expect(start.finished).toBe(false);
  });

  test("fewer than eight samples in a round say nothing", () => {
    const start = new HyStart();
    let window = 7 * mss;
    for (const roundTrip of [10, 100, 1000]) {
      round(start, window, roundTrip);
      window = 7 * mss;
    }
    expect(start.conservative).toBe(false);
  });

  test("one ACK opens the window by eight segments at most", () => {
    expect(new HyStart().acknowledged(64 * mss, mss, 100 * mss, 10)).toBe(8 * mss);
  });
});
