import { describe, expect, test } from "vitest";
import { Scheduler } from "./scheduler.ts";
import { sleep, TimeoutError, withTimeout } from "./sleep.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { runVirtual, StuckError } from "./virtual-run.ts";

function setup() {
  const clock = new VirtualClock();
  const scheduler = new Scheduler(clock);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const run = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [scheduler], turn }, promise);
  return { clock, scheduler, run };
}

describe("sleep", () => {
  test("resolves after exactly its time", async () => {
    const { clock, scheduler, run } = setup();
    await run(sleep(scheduler, 1500.5));
    expect(clock.now()).toBe(1500.5);
  });

  test("rejects with the signal's reason and leaves no timer behind", async () => {
    const { scheduler, run } = setup();
    const controller = new AbortController();
    const reason = new Error("enough");
    void sleep(scheduler, 10).then(() => controller.abort(reason));
    await expect(run(sleep(scheduler, 1000, controller.signal))).rejects.toBe(reason);
    expect(scheduler.pending).toBe(0);
    await expect(sleep(scheduler, 1, controller.signal)).rejects.toBe(reason);
    expect(scheduler.pending).toBe(0);
  });

  test("refuses a negative time and NaN", async () => {
    const { scheduler } = setup();
    await expect(sleep(scheduler, -1)).rejects.toThrow(RangeError);
    await expect(sleep(scheduler, Number.NaN)).rejects.toThrow(RangeError);
  });
});

describe("withTimeout", () => {
  test("passes on what the task resolves to or rejects with, and frees the timer", async () => {
    const { scheduler, run } = setup();
    expect(await run(withTimeout(scheduler, 100, async () => "done"))).toBe("done");
    await expect(run(withTimeout(scheduler, 100, async () => Promise.reject(new Error("no"))))).rejects.toThrow("no");
    const throwing = (): Promise<void> => {
      throw new Error("at once");
    };
    await expect(run(withTimeout(scheduler, 100, throwing))).rejects.toThrow("at once");
    expect(scheduler.pending).toBe(0);
  });

  test("aborts the task's signal and rejects when the time is up, even when the task goes on", async () => {
    const { clock, scheduler, run } = setup();
    let seen: unknown;
    const task = (signal: AbortSignal): Promise<never> => {
      signal.addEventListener("abort", () => {
        seen = signal.reason;
      });
      return new Promise(() => undefined);
    };
    const error: unknown = await run(withTimeout(scheduler, 250, task)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(seen).toBe(error);
    expect(clock.now()).toBe(250);
  });

  test("an outer abort reaches the task and wins", async () => {
    const { clock, scheduler, run } = setup();
    const controller = new AbortController();
    void sleep(scheduler, 20).then(() => controller.abort(new Error("outer")));
    const inner = withTimeout(scheduler, 250, (signal) => sleep(scheduler, 1000, signal), controller.signal);
    await expect(run(inner)).rejects.toThrow("outer");
    expect(clock.now()).toBe(20);
    expect(scheduler.pending).toBe(0);
  });
});

describe("runVirtual", () => {
  test("says when nothing is left to happen, and when the limit is reached", async () => {
    const { clock, scheduler, run } = setup();
    await expect(run(new Promise(() => undefined))).rejects.toThrow(StuckError);
    await expect(run(sleep(scheduler, 86_400_001))).rejects.toThrow(StuckError);
    expect(clock.now()).toBe(0);
  });

  test("a virtual clock goes only forward", () => {
    const clock = new VirtualClock({ origin: 1_000_000 });
    clock.advanceTo(5);
    expect([clock.now(), clock.wall()]).toEqual([5, 1_000_005]);
    expect(() => clock.advanceTo(4)).toThrow(RangeError);
    expect(() => clock.advanceTo(Infinity)).toThrow(RangeError);
  });
});
