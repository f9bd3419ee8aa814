import { describe, expect, test } from "vitest";
import { sleep } from "@tesserae/time/sleep";
import { createTimers } from "./timers.ts";

interface Fired {
  readonly order: string[];
  readonly fire: (name: string) => void;
  readonly done: Promise<string[]>;
}

/** Waits for `count` deadlines, and gives what `fire` was called with. */
function fired(count: number): Fired {
  const order: string[] = [];
  let resolve: (order: string[]) => void;
  const done = new Promise<string[]>((settle) => (resolve = settle));
  const fire = (name: string): void => {
    order.push(name);
    if (order.length === count) resolve(order);
  };
  return { order, fire, done };
}

describe("timers of a process", () => {
  test("fire in order of their deadlines, never early, whichever was set first", async () => {
    const timers = createTimers();
    const { fire, done } = fired(4);
    const start = timers.now();
    const late: number[] = [];
    for (const [name, delay] of [
      ["c", 30],
      ["a", 5],
      ["d", 30],
      ["b", 12.5],
    ] as const) {
      const timer = timers.timer(() => {
        late.push(timers.now() - start - delay);
        fire(name);
      });
      timer.set(start + delay);
      expect(timer.armed).toBe(true);
      expect(timer.deadline).toBe(start + delay);
    }
    expect(await done).toEqual(["a", "b", "c", "d"]);
    expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
    expect(timers.pending).toBe(0);
  });

  test("a deadline in the past fires, but not inside set", async () => {
    const timers = createTimers();
    const { fire, done, order } = fired(1);
    timers.timer(() => fire("past")).set(-1000);
    expect(order).toEqual([]);
    expect(await done).toEqual(["past"]);
  });

  test("a cancelled timer does not fire, and one moved fires once, at the new time", async () => {
    const timers = createTimers();
    const { fire, done, order } = fired(1);
    const cancelled = timers.timer(() => fire("cancelled"));
    const moved = timers.timer(() => fire("moved"));
    const start = timers.now();
    cancelled.set(start + 2);
    moved.set(start + 3);
    moved.set(start + 25);
    cancelled.cancel();
    await done;
    expect(timers.now() - start).toBeGreaterThanOrEqual(25);
    await sleep(timers, 10);
    expect(order).toEqual(["moved"]);
  });

  test("a timer set in a callback fires in its turn, one behind Infinity never", async () => {
    const timers = createTimers();
    const { fire, done } = fired(3);
    let rounds = 0;
    const again = timers.timer(() => {
      fire(String(++rounds));
      if (rounds < 3) again.set(timers.now() + 1);
    });
    again.set(timers.now());
    timers.timer(() => fire("never")).set(Infinity);
    expect(await done).toEqual(["1", "2", "3"]);
  });

  test("what a callback throws is reported and keeps nothing from firing", async () => {
    const thrown: unknown[] = [];
    const timers = createTimers({ onError: (error) => void thrown.push(error) });
    const { fire, done } = fired(1);
    const now = timers.now();
    timers
      .timer(() => {
        throw new Error("deliberate");
      })
      .set(now);
    timers.timer(() => fire("after")).set(now);
    await done;
    expect(thrown).toEqual([new Error("deliberate")]);
  });

  test("after close nothing fires", async () => {
    const timers = createTimers();
    let count = 0;
    const timer = timers.timer(() => count++);
    timer.set(timers.now() + 1);
    timers.close();
    timer.set(timers.now() + 2);
    await sleep(createTimers(), 20);
    expect(count).toBe(0);
  });

  test("wall is the time of day", () => {
    const timers = createTimers();
    expect(Math.abs(timers.wall() - Date.now())).toBeLessThan(60_000);
  });
});

test("a cancelled timer leaves nothing behind that keeps the process alive", () => {
  const timeouts = (): number => process.getActiveResourcesInfo().filter((each) => each === "Timeout").length;
  const before = timeouts();
  const timers = createTimers();
  const timer = timers.timer(() => undefined);
  timer.set(timers.now() + 600_000);
  expect(timeouts()).toBe(before + 1);
  timer.cancel();
  expect(timeouts()).toBe(before);
});
