import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { type AdvertiserTimes, RouterAdvertiser } from "./router-advertiser.ts";

function setup(times: AdvertiserTimes = {}, seed = 1) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const sent: number[] = [];
  let hasAddress = true;
  const advertiser = new RouterAdvertiser(times, timers, new SeededRandom(seed), () => {
    if (hasAddress) sent.push(clock.now());
    return hasAddress;
  });
  const advance = (to: number): void => {
    for (let next = timers.nextDeadline(); next <= to; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(to);
  };
  const gaps = (): number[] => sent.slice(1).map((each, index) => each - (sent[index] ?? 0));
  const setAddress = (has: boolean): void => void (hasAddress = has);
  return { advertiser, advance, sent, gaps, timers, setAddress };
}

describe("RFC 4861 §6.2.4: unsolicited advertisements", () => {
  test("the first three come within sixteen seconds of each other, the others at random times in between", () => {
    for (let seed = 0; seed < 20; seed++) {
      const { advertiser, advance, gaps, sent } = setup({}, seed);
      advertiser.start();
      advance(7_200_000);
      expect(sent[0]).toBe(0);
      const [first, second, ...others] = gaps();
      expect(Math.max(first ?? Infinity, second ?? Infinity)).toBeLessThanOrEqual(16_000);
      expect(Math.min(...others)).toBeGreaterThanOrEqual(200_000);
      expect(Math.max(...others)).toBeLessThanOrEqual(600_000);
      expect(new Set(others).size).toBe(others.length);
    }
  });

  test("without an address it is tried again; stopped, it is over", () => {
    const { advertiser, advance, sent, timers, setAddress } = setup();
    setAddress(false);
    advertiser.start();
    advance(2500);
    expect(sent).toEqual([]);
    setAddress(true);
    advance(3000);
    expect(sent).toEqual([3000]);
    advertiser.stop();
    expect(timers.pending).toBe(0);
  });

  test("intervals out of range are refused", () => {
    expect(() => setup({ mostInterval: 3999 })).toThrow("advertise.mostInterval: 3999 is not from 4000 to 1800000");
    expect(() => setup({ mostInterval: 10_000, leastInterval: 8000 })).toThrow("is not from 3000 to 7500");
    expect(() => setup({ mostInterval: 4000 })).not.toThrow();
  });
});

describe("RFC 4861 §6.2.6: solicited advertisements", () => {
  test("come within half a second, however many ask, and never more often than every three seconds", () => {
    const { advertiser, advance, sent, gaps } = setup();
    advertiser.start();
    advance(100_000);
    const before = sent.length;
    for (let ask = 0; ask < 100; ask++) advertiser.solicited();
    advance(100_500);
    expect(sent.length).toBe(before + 1);
    for (let at = 100_500; at < 160_500; at += 50) {
      advertiser.solicited();
      advance(at + 50);
    }
    expect(sent.length - before).toBeGreaterThan(15);
    expect(Math.min(...gaps().slice(before))).toBeGreaterThanOrEqual(3000);
  });
});
