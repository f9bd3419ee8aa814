import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Cubic } from "./cubic.ts";

const mss = 1000;
const roundTrip = 100;

/** Acknowledges a window's worth in every round trip, as a greedy sender sees it. */
class Greedy {
  readonly control: Cubic;
  readonly roundTrip: number;
  now = 0;

  constructor(control: Cubic, roundTripTime = roundTrip) {
    this.control = control;
    this.roundTrip = roundTripTime;
  }

  round(): void {
    const { control } = this;
    // One ACK for each segment, of very large windows for several.
    const acks = Math.min(1000, Math.max(1, Math.floor(control.window / mss)));
    const bytes = Math.floor(control.window / acks / mss) * mss;
    for (let ack = 0; ack < acks; ack++) {
      this.now += this.roundTrip / acks;
      control.acknowledged(bytes, true, this.now, this.roundTrip);
    }
  }

  loss(): void {
    this.control.reduce(this.control.window, this.now, "loss");
    this.control.recovered(this.control.window);
  }

  /** Slow start up to `segments`, then a loss; leaves the window at 0.7 of that. */
  static afterLossAt(segments: number, roundTripTime = roundTrip): Greedy {
    const greedy = new Greedy(new Cubic(mss), roundTripTime);
    greedy.control.window = segments * mss;
    greedy.loss();
    return greedy;
  }
}

describe("RFC 9438 §4.2: the window follows W(t) = C(t − K)³ + W_max", () => {
  test("concave up to W_max, convex beyond it, within a percent of the closed formula", () => {
    const most = 1000;
    const greedy = Greedy.afterLossAt(most);
    expect(greedy.control.window).toBe(700 * mss);
    const inflection = Math.cbrt((most * 0.3) / 0.4);
    const growth: number[] = [];
    // From the first ACK of the epoch on: until 6 s behind the inflection, at 9.08 s.
    for (let round = 1; round <= 150; round++) {
      const before = greedy.control.window;
      greedy.round();
      growth.push(greedy.control.window - before);
      const elapsed = (greedy.now - greedy.roundTrip / 700) / 1000;
      const expected = (0.4 * (elapsed - inflection) ** 3 + most) * mss;
      expect(greedy.control.window / expected).toBeGreaterThan(0.99);
      expect(greedy.control.window / expected).toBeLessThan(1.01);
    }
    const plateau = Math.round((inflection * 1000) / roundTrip);
    // Steepest at both ends, flat in the middle.
    expect(growth[1]).toBeGreaterThan(growth[40]!);
    expect(growth[40]).toBeGreaterThan(growth[plateau]!);
    expect(growth[140]).toBeGreaterThan(growth[plateau]!);
  });

  test("§4.4: no faster than by half in a round trip", () => {
    const greedy = Greedy.afterLossAt(20);
    for (let round = 0; round < 400; round++) {
      const before = greedy.control.window;
      greedy.round();
      expect(greedy.control.window).toBeLessThanOrEqual(before * 1.5 + mss);
    }
  });

  test("a long fat path: 10 Gb/s and 100 ms are full again within 60 s of a loss, where Reno needs over an hour", () => {
    const full = 125_000;
    const greedy = Greedy.afterLossAt(full);
    while (greedy.control.window < full * mss) greedy.round();
    // K = ∛(0.3 × 125,000 / 0.4).
    expect(greedy.now / 1000).toBeLessThan(46);
    expect(greedy.now / 1000).toBeGreaterThan(40);
  });
});

describe("RFC 9438 §4.3: the Reno-friendly region", () => {
  test("on a short path the window grows by α segments a round trip, and by one when the loss is made good", () => {
    const greedy = Greedy.afterLossAt(100, 10);
    const alpha = (3 * 0.3) / 1.7;
    for (let round = 1; round <= 50; round++) {
      greedy.round();
      expect(Math.abs(greedy.control.window / mss - (70 + alpha * round))).toBeLessThan(1);
    }
    while (greedy.control.window < 100 * mss) greedy.round();
    const before = greedy.control.window;
    for (let round = 0; round < 10; round++) greedy.round();
    expect(Math.abs((greedy.control.window - before) / mss - 10)).toBeLessThan(0.6);
  });
});

describe("RFC 9438 §4.6 and §4.7: a loss", () => {
  test("multiplies the window by 0.7, at least two segments", () => {
    expect(Greedy.afterLossAt(1000).control.threshold).toBe(700 * mss);
    expect(Greedy.afterLossAt(2).control.threshold).toBe(2 * mss);
  });

  test("before the window is back makes the next plateau lower (fast convergence)", () => {
    // Where growth is slowest is where the plateau is.
    const plateau = (greedy: Greedy): number => {
      let least = Infinity;
      let at = 0;
      for (let round = 0; round < 200; round++) {
        const before = greedy.control.window;
        greedy.round();
        if (greedy.control.window - before < least) {
          least = greedy.control.window - before;
          at = greedy.control.window / mss;
        }
      }
      return at;
    };
    expect(plateau(Greedy.afterLossAt(1000)) / 1000).toBeCloseTo(1, 1);
    const twice = Greedy.afterLossAt(1000);
    twice.loss();
    expect(plateau(twice) / ((700 * 1.7) / 2)).toBeCloseTo(1, 1);
  });

  test("a mark counts as a loss, or for less where that was asked for (RFC 8511)", () => {
    for (const [marksCountLess, segments] of [
      [false, 700],
      [true, 850],
    ] as const) {
      const control = new Cubic(mss, marksCountLess);
      control.window = 1000 * mss;
      control.acknowledged(0, true, 0, roundTrip);
      control.reduce(1000 * mss, 0, "ecn");
      expect(control.threshold).toBe(segments * mss);
    }
  });

  test("of a window that the application did not use counts from what was in flight", () => {
    const control = new Cubic(mss);
    control.window = 1000 * mss;
    control.acknowledged(mss, false, 0, roundTrip);
    control.reduce(100 * mss, 0, "loss");
    expect(control.threshold).toBe(70 * mss);
  });
});

describe("RFC 9438 §4.8: a timeout", () => {
  test("one segment, slow start to 0.7 of the window, and the curve from there", () => {
    const greedy = Greedy.afterLossAt(1000);
    for (let round = 0; round < 10; round++) greedy.round();
    const { window } = greedy.control;
    greedy.control.timeout(window, true);
    expect(greedy.control.window).toBe(mss);
    const threshold = greedy.control.threshold;
    expect(threshold).toBe(Math.floor(window * 0.7));
    greedy.control.timeout(window, false);
    expect(greedy.control.threshold).toBe(threshold);
    let rounds = 0;
    for (; greedy.control.window < threshold; rounds++) greedy.round();
    expect(rounds).toBe(Math.ceil(Math.log2(threshold / mss)));
    const start = greedy.now;
    const base = greedy.control.window;
    while (greedy.now < start + 8000) greedy.round();
    // K = 0 and W_max = the window in the beginning: convex at once.
    const growth = (greedy.control.window - base) / mss;
    expect(growth).toBeGreaterThan(0.4 * 8 ** 3);
    expect(growth).toBeLessThan(0.4 * 8.3 ** 3);
  });
});

describe("RFC 9438 §4.9: what was for nothing is taken back", () => {
  test.each(["loss", "timeout"] as const)("a %s: window, threshold and the place on the curve", (cause) => {
    const undone = Greedy.afterLossAt(1000);
    const plain = Greedy.afterLossAt(1000);
    for (let round = 0; round < 30; round++) {
      undone.round();
      plain.round();
    }
    const { window, threshold } = undone.control;
    if (cause === "loss") undone.loss();
    else {
      undone.control.timeout(window, true);
      undone.control.timeout(window, false);
    }
    expect(undone.control.window).toBeLessThan(window);
    undone.control.undo();
    expect(undone.control).toMatchObject({ window, threshold });
    for (let round = 0; round < 100; round++) {
      undone.round();
      plain.round();
    }
    expect(undone.control.window / plain.control.window).toBeCloseTo(1, 2);
  });

  test("happens once a reduction, and not without one", () => {
    const control = new Cubic(mss);
    control.window = 100 * mss;
    control.undo();
    expect(control.window).toBe(100 * mss);
    control.reduce(100 * mss, 0, "loss");
    control.recovered(100 * mss);
    control.undo();
    control.window = 10 * mss;
    control.undo();
    expect(control.window).toBe(10 * mss);
  });
});

describe("RFC 9438 §5.8: the application has nothing to send", () => {
  test("the window does not grow, and the time does not count", () => {
    const greedy = Greedy.afterLossAt(1000);
    for (let round = 0; round < 20; round++) greedy.round();
    const { window } = greedy.control;
    const other = Greedy.afterLossAt(1000);
    for (let round = 0; round < 20; round++) other.round();
    for (let second = 0; second < 60; second++) {
      greedy.now += 1000;
      greedy.control.acknowledged(mss, false, greedy.now, roundTrip);
    }
    expect(greedy.control.window).toBe(window);
    for (let round = 0; round < 20; round++) {
      greedy.round();
      other.round();
    }
    expect(greedy.control.window / other.control.window).toBeCloseTo(1, 2);
  });

  test("silence halves the window for each timeout, down to the initial one; slow start leads back", () => {
    const greedy = Greedy.afterLossAt(1000);
    for (let round = 0; round < 10; round++) greedy.round();
    const { window } = greedy.control;
    greedy.control.idle(650, 300, greedy.now + 650);
    expect(greedy.control.window).toBe(Math.floor(window / 4));
    greedy.control.idle(1e6, 300, greedy.now + 1e6);
    expect(greedy.control.window).toBe(10 * mss);
    expect(greedy.control.threshold).toBe(700 * mss);
    greedy.now += 1e6;
    for (let round = 0; round < 200; round++) greedy.round();
    expect(greedy.control.window).toBeGreaterThan(window);
  });
});

test("slow start doubles the window every round trip up to the threshold, whatever the timeouts before", () => {
  const control = new Cubic(mss);
  const greedy = new Greedy(control);
  expect(control.window).toBe(10 * mss);
  for (let round = 0; round < 5; round++) greedy.round();
  expect(control.window).toBe(320 * mss);
});

test("a smaller segment leaves as many segments in the window; a larger one no fewer bytes, at least one segment", () => {
  const control = new Cubic(mss);
  control.setSegmentSize(500);
  expect(control.window).toBe(5000);
  control.setSegmentSize(9000);
  expect(control.window).toBe(9000);
});

type Step =
  | { readonly kind: "ack"; readonly bytes: number; readonly limited: boolean; readonly roundTrip: number }
  | { readonly kind: "reduce"; readonly cause: "loss" | "ecn" }
  | { readonly kind: "timeout"; readonly first: boolean }
  | { readonly kind: "undo" | "recovered" }
  | { readonly kind: "idle"; readonly ms: number }
  | { readonly kind: "size"; readonly mss: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("ack" as const),
      bytes: fc.integer({ min: 1, max: 200_000 }),
      limited: fc.boolean(),
      roundTrip: fc.oneof(fc.constant(-1), fc.double({ min: 0, max: 5000, noNaN: true })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reduce" as const), cause: fc.constantFrom("loss", "ecn") }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("timeout" as const), first: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("undo" as const, "recovered" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("idle" as const), ms: fc.integer({ min: 1, max: 1e7 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("size" as const), mss: fc.integer({ min: 88, max: 9000 }) }) },
);

test("whatever happens: whole bytes, at least a segment, a threshold of two, no growth by more than was acknowledged", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(step, fc.double({ min: 0, max: 2000, noNaN: true })), { maxLength: 200 }),
      (steps) => {
        const control = new Cubic(mss, true);
        let size = mss;
        let now = 0;
        for (const [each, wait] of steps) {
          now += wait;
          const before = control.window;
          switch (each.kind) {
            case "ack":
              control.acknowledged(each.bytes, each.limited, now, each.roundTrip);
              expect(control.window).toBeGreaterThanOrEqual(before);
              expect(control.window - before).toBeLessThanOrEqual(each.limited ? each.bytes + size : 0);
              break;
            case "reduce":
              control.reduce(before, now, each.cause);
              expect(control.threshold).toBeGreaterThanOrEqual(2 * size);
              expect(control.threshold).toBeLessThanOrEqual(Math.max(before, 2 * size));
              control.recovered(before);
              break;
            case "timeout":
              control.timeout(before, each.first);
              expect(control.window).toBe(size);
              break;
            case "undo":
              control.undo();
              expect(control.window).toBeGreaterThanOrEqual(before);
              break;
            case "recovered":
              break;
            case "idle":
              control.idle(each.ms, 200, now);
              expect(control.window).toBeLessThanOrEqual(before);
              break;
            case "size":
              size = each.mss;
              control.setSegmentSize(size);
              break;
          }
          expect(Number.isInteger(control.window)).toBe(true);
          expect(control.window).toBeGreaterThanOrEqual(size);
          expect(control.window).toBeLessThanOrEqual(2 ** 31);
        }
      },
    ),
  );
});
