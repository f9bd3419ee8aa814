import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { phaseBody, phaseHandler, phaseHead, phaseIdle, PhaseTimer, phaseWrite } from "./phase-timer.ts";

function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const expired: { phase: number; at: number }[] = [];
  const begin = clock.now();
  const phases: PhaseTimer = new PhaseTimer(timers, { head: 30, body: 20, idle: 60, write: Infinity }, () =>
    expired.push({ phase: phases.phase, at: clock.now() - begin }),
  );
  const advance = (milliseconds: number): void => {
    for (const end = clock.now() + milliseconds; clock.now() < end;) {
      clock.advanceTo(Math.min(end, timers.nextDeadline()));
      timers.run();
    }
  };
  return { phases, expired, advance, timers };
}

describe("a phase", () => {
  test("that takes longer than its timeout expires, when it does and not before", () => {
    const { phases, expired, advance } = setup();
    phases.enter(phaseIdle);
    advance(10);
    phases.enter(phaseHead);
    advance(29);
    expect(expired).toEqual([]);
    advance(1);
    expect(expired).toEqual([{ phase: phaseHead, at: 40 }]);
  });

  test("that is entered again has all its time again", () => {
    const { phases, expired, advance } = setup();
    for (let piece = 0; piece < 10; piece++) {
      phases.enter(phaseBody);
      advance(19);
    }
    expect(expired).toEqual([]);
    advance(1);
    expect(expired).toEqual([{ phase: phaseBody, at: 191 }]);
  });

  test("may be without a timeout, as that of the handler always is", () => {
    const { phases, expired, advance, timers } = setup();
    for (const phase of [phaseWrite, phaseHandler] as const) {
      phases.enter(phaseBody);
      phases.enter(phase);
      advance(1000);
    }
    phases.enter(phaseBody);
    phases.cancel();
    expect(timers.pending).toBe(0);
    expect(expired).toEqual([]);
  });
});
