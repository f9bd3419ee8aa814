import type { Timers } from "@tesserae/device/clock";
import { ensure, ensureEqual, ensureThrows } from "./assert.ts";
import { pause, until } from "./pause.ts";
import { defineCase, type Suite } from "./suite.ts";

/** The contract of `Clock`, `Timers` and `Timer`. */
export const timersSuite: Suite<Timers> = [
  defineCase("now never goes back, and goes on", async (timers) => {
    let last = timers.now();
    const first = last;
    for (let round = 0; round < 20; round++) {
      await pause(timers, 0.5);
      const now = timers.now();
      ensure(Number.isFinite(now) && now >= last, `${String(now)} after ${String(last)}`);
      last = now;
    }
    ensure(last > first, "time stands still");
  }),

  defineCase("wall is a time", (timers) => {
    ensure(Number.isFinite(timers.wall()), `wall() is ${String(timers.wall())}`);
  }),

  defineCase("a timer fires once, never before its deadline", async (timers) => {
    for (const delay of [0, 0.25, 1, 5.5, 20]) {
      const deadline = timers.now() + delay;
      const fired: number[] = [];
      const timer = timers.timer(() => fired.push(timers.now()));
      timer.set(deadline);
      await until(timers, () => fired.length > 0, `a timer of ${String(delay)} ms`);
      ensure((fired[0] ?? 0) >= deadline, `fired at ${String(fired[0])}, set for ${String(deadline)}`);
      await pause(timers, 5);
      ensureEqual(fired.length, 1, "how often it fired");
    }
  }),

  defineCase("armed and deadline tell the state", async (timers) => {
    let inside: boolean | undefined;
    const timer = timers.timer(() => {
      inside = timer.armed;
    });
    ensureEqual([timer.armed, timer.deadline], [false, Infinity], "a new timer");
    const deadline = timers.now() + 5;
    timer.set(deadline);
    ensureEqual([timer.armed, timer.deadline], [true, deadline], "set");
    await until(timers, () => inside !== undefined, "the timer");
    ensureEqual(inside, false, "armed in its callback");
    ensureEqual([timer.armed, timer.deadline], [false, Infinity], "fired");
  }),

  defineCase("a past deadline fires soon, and not inside set", async (timers) => {
    for (const deadline of [timers.now(), timers.now() - 1000, -1, -Infinity]) {
      let fired = 0;
      const timer = timers.timer(() => fired++);
      timer.set(deadline);
      ensureEqual(fired, 0, "inside set");
      await until(timers, () => fired > 0, `a deadline of ${String(deadline)}`);
    }
  }),

  defineCase("set replaces the deadline", async (timers) => {
    let fired = 0;
    const earlier = timers.timer(() => fired++);
    earlier.set(timers.now() + 1_000_000);
    earlier.set(timers.now() + 1);
    await until(timers, () => fired === 1, "the earlier deadline");
    const later = timers.timer(() => fired++);
    const deadline = timers.now() + 30;
    later.set(timers.now() + 2);
    later.set(deadline);
    await until(timers, () => fired === 2, "the later deadline");
    ensure(timers.now() >= deadline, "fired at the deadline replaced");
  }),

  defineCase("cancel disarms, as Infinity does, and is harmless twice", async (timers) => {
    let fired = 0;
    const timer = timers.timer(() => fired++);
    timer.cancel();
    timer.set(timers.now() + 2);
    timer.cancel();
    timer.cancel();
    ensureEqual(timer.armed, false, "armed after cancel");
    const other = timers.timer(() => fired++);
    other.set(timers.now() + 2);
    other.set(Infinity);
    ensureEqual([other.armed, other.deadline], [false, Infinity], "set to Infinity");
    await pause(timers, 10);
    ensureEqual(fired, 0, "how often they fired");
    timer.set(timers.now() + 1);
    await until(timers, () => fired === 1, "a timer set after cancel");
  }),

  defineCase("NaN throws RangeError and leaves the timer alone", (timers) => {
    const timer = timers.timer(() => undefined);
    timer.set(timers.now() + 100_000);
    const { deadline } = timer;
    ensureThrows(() => timer.set(Number.NaN), RangeError, "NaN");
    ensureEqual(timer.deadline, deadline, "the deadline");
    timer.cancel();
  }),

  defineCase("deadlines fire in order, equal ones in the order in which they were set", async (timers) => {
    const fired: number[] = [];
    const start = timers.now() + 10;
    const expected: { id: number; deadline: number }[] = [];
    for (let id = 0; id < 200; id++) {
      const deadline = start + ((id * 7) % 10) / 4;
      timers.timer(() => fired.push(id)).set(deadline);
      expected.push({ id, deadline });
    }
    expected.sort((one, other) => one.deadline - other.deadline || one.id - other.id);
    await until(timers, () => fired.length === 200, "200 timers");
    ensureEqual(
      fired,
      expected.map(({ id }) => id),
      "order",
    );
  }),

  defineCase("a callback that throws stops no other timer", async (timers) => {
    let fired = 0;
    const deadline = timers.now() + 2;
    timers.timer(() => fired++).set(deadline);
    timers
      .timer(() => {
        throw new Error("deliberately thrown by a conformance case");
      })
      .set(deadline);
    timers.timer(() => fired++).set(deadline);
    await until(timers, () => fired === 2, "the other timers");
  }),

  defineCase("a callback may set and cancel timers, its own too", async (timers) => {
    let rounds = 0;
    let cancelled = 0;
    const victim = timers.timer(() => cancelled++);
    const timer = timers.timer(() => {
      victim.cancel();
      rounds++;
      if (rounds < 10) timer.set(timers.now());
    });
    const deadline = timers.now() + 2;
    timer.set(deadline);
    victim.set(deadline);
    await until(timers, () => rounds === 10, "10 rounds");
    ensureEqual(cancelled, 0, "how often the cancelled timer fired");
  }),

  defineCase("a timer far away is no burden to those at hand", async (timers) => {
    let far = 0;
    const distant = [1e7, 1e9, 1e11, 1e13].map((delay) => {
      const timer = timers.timer(() => far++);
      timer.set(timers.now() + delay);
      return timer;
    });
    let near = 0;
    timers.timer(() => near++).set(timers.now() + 3);
    await until(timers, () => near === 1, "the near timer");
    ensureEqual(far, 0, "far timers that fired");
    for (const timer of distant) timer.cancel();
  }),
];
