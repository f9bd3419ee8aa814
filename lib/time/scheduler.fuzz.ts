import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import type { Timer } from "@tesserae/device/clock";
import { Scheduler } from "./scheduler.ts";
import { VirtualClock } from "./virtual-clock.ts";

const timerCount = 64;
/** A delay is one of these times a byte: every level of the wheel, and beyond it. */
const scales = [0.125, 1, 16, 64, 1000, 65_536, 2 ** 22, 2 ** 30, 2 ** 34];

/** Reads the input as a program: set, cancel, look, advance, run; and holds the scheduler to a plain list. */
export const fuzz: FuzzTarget = {
  name: "scheduler",
  seeds: [
    Uint8Array.of(0, 1, 1, 10, 0, 2, 1, 10, 3, 1, 10, 4),
    Uint8Array.of(0, 1, 8, 200, 0, 2, 0, 3, 2, 3, 4, 9, 4, 1, 1, 2, 3, 8, 200, 4),
  ],
  run(input) {
    const clock = new VirtualClock();
    const scheduler = new Scheduler(clock, {
      onError: (error) => {
        throw error;
      },
    });
    let order = 0;
    const pending = new Map<number, { deadline: number; order: number }>();
    const fired: number[] = [];
    const timers: Timer[] = Array.from({ length: timerCount }, (_, id) => scheduler.timer(() => fired.push(id)));
    const first = (): number => Math.min(Infinity, ...[...pending.values()].map(({ deadline }) => deadline));
    let at = 0;
    const next = (): number => input[at++] ?? 0;
    while (at < input.length) {
      const step = next() % 6;
      if (step <= 1) {
        const id = next() % timerCount;
        if (step === 1 && next() % 4 === 0) {
          timers[id]!.cancel();
          pending.delete(id);
          continue;
        }
        const deadline = clock.now() + scales[next() % scales.length]! * (next() - 8);
        timers[id]!.set(deadline);
        pending.set(id, { deadline, order: order++ });
      } else if (step === 2) {
        check(scheduler.nextDeadline() === first(), "nextDeadline");
      } else if (step === 3) {
        const to = clock.now() + scales[next() % scales.length]! * next();
        if (to < 2 ** 52) clock.advanceTo(to);
      } else {
        if (step === 5 && pending.size > 0) clock.advanceTo(Math.max(clock.now(), Math.min(first(), 2 ** 52)));
        fired.length = 0;
        const count = scheduler.run();
        const due = [...pending].filter(([, { deadline }]) => deadline <= clock.now());
        due.sort(([, a], [, b]) => a.deadline - b.deadline || a.order - b.order);
        check(count === due.length && due.every(([id], index) => fired[index] === id), "what fired");
        for (const [id] of due) pending.delete(id);
      }
      check(scheduler.pending === pending.size, "pending");
    }
    check(scheduler.nextDeadline() === first(), "nextDeadline at the end");
  },
};

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`${what} differs from the plain list's`);
}
