import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Pacing } from "./pacing.ts";
import { Transcript } from "./transcript.ts";

const mss = 1000;

/** Established over a round trip of 100 ms, with ten segments out and many more to go. */
async function open(options = {}, roundTrip = 100) {
  const t = new Transcript({ pacing: true, ...options });
  const flow = await t.established({ mss, sackPermitted: true, win: 65_535, roundTrip });
  void flow.write(new Uint8Array(200_000));
  const first = t.takeAll();
  return { t, first, info: () => t.tcp.connections()[0]! };
}

describe("RFC 9002 §7.7: pacing", () => {
  test("the initial window leaves at once", async () => {
    const { first } = await open();
    expect(first).toHaveLength(10);
  });

  test("what ACKs in a heap allow leaves over the round trip: twice the window in one, in slow start", async () => {
    const { t } = await open();
    await t.advance(100);
    for (let ack = 1001; ack <= 9001; ack += 1000) t.receive({ flags: "A", seq: 1, ack });
    expect(t.takeAll()).toHaveLength(2);
    const counts: number[] = [];
    for (let step = 0; step < 6; step++) {
      await t.advance(10);
      counts.push(t.takeAll().length);
    }
    // A window of nineteen segments: 0.38 a millisecond.
    expect(counts).toEqual([3, 4, 4, 4, 1, 0]);
  });

  test("the window counts as used while segments wait (§7.8)", async () => {
    const { t, info } = await open();
    await t.advance(100);
    for (let ack = 1001; ack <= 9001; ack += 1000) t.receive({ flags: "A", seq: 1, ack });
    t.takeAll();
    expect(info().congestionWindow).toBe(19_000);
    await t.advance(20);
    t.receive({ flags: "A", seq: 1, ack: 12_001 });
    t.takeAll();
    expect(info().congestionWindow).toBe(22_000);
    expect(info().pacingRate).toBeCloseTo((2 * 22_000) / info().roundTrip / 1e-3, 0);
  });

  test("without it, and over a round trip of a millisecond, everything leaves with the ACKs", async () => {
    for (const [options, roundTrip] of [
      [{ pacing: false }, 100],
      [{}, 1],
    ] as const) {
      const { t, info } = await open(options, roundTrip);
      await t.advance(roundTrip);
      for (let ack = 1001; ack <= 10_001; ack += 1000) t.receive({ flags: "A", seq: 1, ack });
      expect(t.takeAll()).toHaveLength(20);
      expect(info().pacingRate).toBe(0);
    }
  });

  test("a timer that comes late makes up for it", async () => {
    const { t } = await open();
    await t.advance(100);
    for (let ack = 1001; ack <= 9001; ack += 1000) t.receive({ flags: "A", seq: 1, ack });
    expect(t.takeAll()).toHaveLength(2);
    t.clock.advanceTo(t.clock.now() + 15);
    await t.advance(0);
    expect(t.takeAll()).toHaveLength(5);
  });

  test("its timer ends with the connection", async () => {
    const { t } = await open();
    await t.advance(100);
    t.receive({ flags: "A", seq: 1, ack: 10_001 });
    t.takeAll();
    t.receive({ flags: "R", seq: 1 });
    expect(t.scheduler.pending).toBe(0);
  });

  test("property: never more than a burst and what the rate brings, and never less than the rate for long", () => {
    const steps = fc.array(
      fc.record({ wait: fc.double({ min: 0, max: 50, noNaN: true }), window: fc.integer({ min: 1, max: 500 }) }),
      { minLength: 1, maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, fc.double({ min: 2.1, max: 500, noNaN: true }), (all, roundTrip) => {
        const pacing = new Pacing();
        pacing.refill(0, 10 * mss, roundTrip, false, true, mss);
        let now = 0;
        let sent = 0;
        let most = Math.max(10 * mss, pacing.rate * 2);
        while (pacing.credit >= mss) {
          pacing.sent(mss);
          sent += mss;
        }
        for (const { wait, window } of all) {
          now += wait;
          pacing.refill(now, window * mss, roundTrip, false, false, mss);
          most += wait * pacing.rate + Math.max(pacing.rate * 2, 2 * mss);
          let left = 0;
          while (pacing.credit >= mss) {
            pacing.sent(mss);
            left += mss;
          }
          sent += left;
          expect(sent).toBeLessThanOrEqual(most + mss);
          // One burst is never longer than what two milliseconds bring, two segments, or half of the window.
          expect(left).toBeLessThanOrEqual(Math.max(2 * mss, 2 * pacing.rate, (window * mss) / 2));
          // At its deadline the next one may leave.
          const due = pacing.deadline(mss);
          expect(due).toBeGreaterThanOrEqual(now + 1);
          pacing.refill(due + 1e-6, window * mss, roundTrip, false, false, mss);
          expect(pacing.credit).toBeGreaterThanOrEqual(mss - 0.01);
          now = due + 1e-6;
        }
      }),
    );
  });
});
