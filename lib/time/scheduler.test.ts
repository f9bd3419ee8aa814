import type { Timer } from "@tesserae/device/clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Scheduler } from "./scheduler.ts";
import { VirtualClock } from "./virtual-clock.ts";

function setup(): { clock: VirtualClock; scheduler: Scheduler; errors: unknown[] } {
  const clock = new VirtualClock();
  const errors: unknown[] = [];
  return { clock, errors, scheduler: new Scheduler(clock, { onError: (error) => errors.push(error) }) };
}

describe("Scheduler", () => {
  test("fires at the exact fraction of a millisecond, not before", () => {
    const { clock, scheduler } = setup();
    const fired: number[] = [];
    scheduler.timer(() => fired.push(clock.now())).set(10.25);
    clock.advanceTo(10.2);
    expect(scheduler.run()).toBe(0);
    expect(scheduler.nextDeadline()).toBe(10.25);
    clock.advanceTo(10.25);
    expect(scheduler.run()).toBe(1);
    expect(fired).toEqual([10.25]);
    expect(scheduler.nextDeadline()).toBe(Infinity);
  });

  test("a past deadline fires in run(), never inside set()", () => {
    const { clock, scheduler } = setup();
    clock.advanceTo(100);
    let fired = 0;
    const timer = scheduler.timer(() => fired++);
    timer.set(-50);
    expect([fired, timer.armed, timer.deadline, scheduler.pending]).toEqual([0, true, -50, 1]);
    scheduler.run();
    expect([fired, timer.armed, timer.deadline, scheduler.pending]).toEqual([1, false, Infinity, 0]);
  });

  test("Infinity cancels and NaN is refused without disturbing the deadline", () => {
    const { scheduler } = setup();
    const timer = scheduler.timer(() => undefined);
    timer.set(5);
    expect(() => timer.set(Number.NaN)).toThrow(RangeError);
    expect(timer.deadline).toBe(5);
    timer.set(Infinity);
    expect(timer.armed).toBe(false);
    timer.cancel();
    expect(scheduler.pending).toBe(0);
  });

  test("equal deadlines fire in the order in which they were set, re-arming counts anew", () => {
    const { clock, scheduler } = setup();
    const fired: string[] = [];
    const [a, b, c] = ["a", "b", "c"].map((name) => scheduler.timer(() => fired.push(name)));
    a!.set(5000);
    b!.set(5000);
    c!.set(5000);
    a!.set(5000);
    clock.advanceTo(5000);
    scheduler.run();
    expect(fired).toEqual(["b", "c", "a"]);
  });

  test("a callback that throws is reported and stops nothing", () => {
    const { clock, scheduler, errors } = setup();
    let fired = 0;
    scheduler
      .timer(() => {
        throw new Error("bad");
      })
      .set(1);
    scheduler.timer(() => fired++).set(1);
    clock.advanceTo(1);
    expect(scheduler.run()).toBe(2);
    expect(fired).toBe(1);
    expect(errors).toEqual([new Error("bad")]);
  });

  test("a callback may cancel, move and set the others that are due", () => {
    const { clock, scheduler } = setup();
    const fired: string[] = [];
    const cancelled = scheduler.timer(() => fired.push("cancelled"));
    const moved = scheduler.timer(() => fired.push("moved"));
    const again = scheduler.timer(() => fired.push("again"));
    scheduler
      .timer(() => {
        fired.push("first");
        cancelled.cancel();
        moved.set(20);
        again.set(0);
      })
      .set(1);
    for (const timer of [cancelled, moved, again]) timer.set(2);
    clock.advanceTo(10);
    expect(scheduler.run()).toBe(1);
    expect(fired).toEqual(["first"]);
    expect(scheduler.run()).toBe(1);
    expect(fired).toEqual(["first", "again"]);
    clock.advanceTo(20);
    scheduler.run();
    expect(fired).toEqual(["first", "again", "moved"]);
  });

  test("a timer that re-arms itself for the past does not keep run() from ending", () => {
    const { scheduler } = setup();
    let fired = 0;
    const timer: Timer = scheduler.timer(() => {
      fired++;
      timer.set(0);
    });
    timer.set(0);
    scheduler.run();
    scheduler.run();
    expect(fired).toBe(2);
  });

  test("run() from a callback is refused", () => {
    const { scheduler, errors } = setup();
    scheduler.timer(() => scheduler.run()).set(0);
    scheduler.run();
    expect(errors).toEqual([new TypeError("run() was called from a timer's callback")]);
  });

  test("without onError the engine reports what a callback threw", async () => {
    const clock = new VirtualClock();
    const scheduler = new Scheduler(clock);
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    try {
      const reported = new Promise((resolve) => process.once("uncaughtException", resolve));
      scheduler
        .timer(() => {
          throw new Error("unheard");
        })
        .set(0);
      scheduler.run();
      expect(await reported).toEqual(new Error("unheard"));
    } finally {
      for (const listener of listeners) process.on("uncaughtException", listener);
    }
  });

  test("a hundred thousand timers at one instant fire in order, and cancelling every other one takes them out", () => {
    const { clock, scheduler } = setup();
    const fired: number[] = [];
    const count = 100_000;
    const timers = Array.from({ length: count }, (_, index) => scheduler.timer(() => fired.push(index)));
    for (const timer of timers) timer.set(7_200_000.5);
    for (let index = 0; index < count; index += 2) timers[index]!.cancel();
    expect(scheduler.pending).toBe(count / 2);
    expect(scheduler.nextDeadline()).toBe(7_200_000.5);
    clock.advanceTo(7_200_000.5);
    expect(scheduler.run()).toBe(count / 2);
    expect(fired.every((value, index) => value === index * 2 + 1)).toBe(true);
  });
});

/** The contract, done plainly: an array, sorted. */
class NaiveTimers {
  readonly armed: { index: number; deadline: number; sequence: number }[] = [];
  #sequence = 0;

  set(index: number, deadline: number): void {
    this.cancel(index);
    if (deadline !== Infinity) this.armed.push({ index, deadline, sequence: this.#sequence++ });
    this.armed.sort((a, b) => a.deadline - b.deadline || a.sequence - b.sequence);
  }

  cancel(index: number): void {
    const at = this.armed.findIndex((each) => each.index === index);
    if (at >= 0) this.armed.splice(at, 1);
  }

  /** Calls `fire` for each timer due at `now`. One cancelled or set by a `fire` before its turn is out of this run. */
  run(now: number, fire: (index: number) => void): void {
    const due = this.armed.filter((each) => each.deadline <= now);
    const isOut = new Set(due);
    for (const each of due) {
      if (!isOut.has(each) || !this.armed.includes(each)) continue;
      this.armed.splice(this.armed.indexOf(each), 1);
      fire(each.index);
    }
  }
}

const timerCount = 150;
const day = 86_400_000;
const anyDelay = fc.oneof(
  fc.integer({ min: -3, max: 200 }),
  fc.double({ min: -1, max: 5000, noNaN: true }),
  fc.integer({ min: 0, max: 100 * day }),
  fc.constantFrom(0, 63, 64, 4095, 4096, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 53, 1e300, -1e300, Infinity),
);
const anyIndex = fc.nat(timerCount - 1);
const anyStep = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("set" as const), index: anyIndex, delay: anyDelay }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), index: anyIndex }) },
  // Many at once, so that slots grow past the length that next() searches.
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("fill" as const), delay: fc.integer({ min: 0, max: 40 * day }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("look" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("advance" as const), ms: anyDelay }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("jump" as const) }) },
);

test("property: the scheduler does what a sorted array does", () => {
  fc.assert(
    fc.property(
      fc.array(anyStep, { minLength: 1, maxLength: 60, size: "max" }),
      fc.infiniteStream(fc.tuple(fc.boolean(), anyIndex, anyDelay)),
      (steps, reactions) => {
        const { clock, scheduler, errors } = setup();
        const naive = new NaiveTimers();
        const nextReaction = (): [boolean, number, number] => {
          const next = reactions.next();
          if (next.done === true) throw new Error("the stream ended");
          return next.value;
        };
        let real: number[] = [];
        // What a callback does next, the same for both.
        let plan: [boolean, number, number][] = [];
        let used = 0;
        const timers: Timer[] = Array.from({ length: timerCount }, (_, index) =>
          scheduler.timer(() => {
            real.push(index);
            const [acts, target, delay] = plan[used++]!;
            if (acts) timers[target]!.set(clock.now() + delay);
          }),
        );
        for (const step of steps) {
          if (step.kind === "set") {
            timers[step.index]!.set(clock.now() + step.delay);
            naive.set(step.index, clock.now() + step.delay);
          } else if (step.kind === "cancel") {
            timers[step.index]!.cancel();
            naive.cancel(step.index);
          } else if (step.kind === "fill") {
            for (let index = 0; index < timerCount; index++) {
              const deadline = clock.now() + step.delay + ((index * 37) % 100) / 8;
              timers[index]!.set(deadline);
              naive.set(index, deadline);
            }
          } else if (step.kind === "look") {
            expect(scheduler.nextDeadline()).toBe(naive.armed[0]?.deadline ?? Infinity);
          } else {
            const first = naive.armed[0]?.deadline ?? 0;
            const to = step.kind === "jump" ? first : clock.now() + step.ms;
            // Beyond 2^53 a millisecond is no longer a number of its own.
            if (to > clock.now() && to < 2 ** 52) clock.advanceTo(to);
            real = [];
            plan = Array.from({ length: timerCount }, () => nextReaction());
            used = 0;
            const fired = scheduler.run();
            const expected: number[] = [];
            naive.run(clock.now(), (index) => {
              const [acts, target, delay] = plan[expected.length]!;
              expected.push(index);
              if (acts) naive.set(target, clock.now() + delay);
            });
            expect(real).toEqual(expected);
            expect(fired).toBe(expected.length);
          }
          expect(scheduler.pending).toBe(naive.armed.length);
        }
        for (const { index, deadline } of naive.armed) expect(timers[index]!.deadline).toBe(deadline);
        expect(scheduler.nextDeadline()).toBe(naive.armed[0]?.deadline ?? Infinity);
        expect(errors).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});
