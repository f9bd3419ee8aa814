import type { Random } from "@tesserae/device/random";
import { Scheduler } from "@tesserae/time/scheduler";
import { sleep } from "@tesserae/time/sleep";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { SimulatedMachine } from "./machine.ts";
import { Toolstack } from "./toolstack.ts";

/** A machine, in time that passes as fast as it can. */
export interface World {
  readonly machine: SimulatedMachine;
  readonly tools: Toolstack;
  readonly timers: Scheduler;
  readonly random: Random;
  wait(ms?: number): Promise<void>;
}

/**
 * Runs `body` with a new machine, whose events take up to a millisecond each.
 *
 * @param turn resolves when all promises that can go on have: on Node `() => new Promise(setImmediate)`
 * @throws what `body` rejects with; StuckError (rejects) when nothing is left to happen.
 */
export function inWorld<T>(random: Random, turn: () => Promise<void>, body: (world: World) => Promise<T>): Promise<T> {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const machine = new SimulatedMachine({ timers, random, latency: () => random.uint32() / 2 ** 32 });
  const wait = (ms = 100): Promise<void> => sleep(timers, ms);
  const world: World = { machine, tools: new Toolstack(machine), timers, random, wait };
  return runVirtual({ clock, schedulers: [timers], turn }, body(world));
}
