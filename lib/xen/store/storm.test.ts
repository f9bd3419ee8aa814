import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Scheduler } from "@tesserae/time/scheduler";
import { runVirtual } from "@tesserae/time/virtual-run";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { XenstoreError } from "@tesserae/xenstore/client";
import { expect, test } from "vitest";
import type { SimulatedDomain } from "../simulation/domain.ts";
import { SimulatedMachine } from "../simulation/machine.ts";
import { xenstoreReference } from "./rings.ts";

// A thousand guests at once, each with its own ring to one xenstore, that boot, work and die at any moment, beside some
// that want to harm: what is left in the end is what was there before.

const honest = 1000;
const random = new SeededRandom(7);
const upTo = (bound: number): number => random.uint32() % bound;

const pause = (domain: SimulatedDomain, ms: number): Promise<void> =>
  new Promise((resolve) => {
    domain.timers.timer(resolve).set(domain.timers.now() + ms);
  });

/** What a guest does; it may be destroyed anywhere in it, and what it waits for never comes then. */
async function work(domain: SimulatedDomain, done: () => void): Promise<void> {
  const { xenstore } = domain;
  let heard = 0;
  await xenstore.watch("data", () => heard++);
  await xenstore.watch("control/shutdown", () => undefined);
  for (let round = 0; round < 3; round++) {
    await pause(domain, upTo(200));
    await xenstore.transaction(async (nodes) => {
      const before = Number((await nodes.readIfThere("data/count")) ?? "0");
      await nodes.write("data/count", String(before + 1));
      await nodes.write(`data/round/${round}`, "x".repeat(upTo(1500)));
    });
    await xenstore.list("data");
  }
  expect(await xenstore.readText("data/count")).toBe("3");
  expect(heard).toBeGreaterThan(0);
  done();
}

/** Asks until it is refused. @returns how often it was not */
async function untilRefused(ask: (index: number) => Promise<unknown>, most: number): Promise<number> {
  for (let index = 0; index < most; index++) {
    try {
      await ask(index);
    } catch (error) {
      if (!(error instanceof XenstoreError)) throw error;
      expect(error.code).toBe("ENOSPC");
      return index;
    }
  }
  return most;
}

type Attack = (domain: SimulatedDomain, machine: SimulatedMachine) => Promise<number>;

/** How often each gets through, and what it is that is refused then. */
const attacks: Readonly<Record<string, readonly [expected: number, attack: Attack]>> = {
  watches: [128, ({ xenstore }) => untilRefused((index) => xenstore.watch(`data/${index}`, () => undefined), 5000)],
  transactions: [
    10,
    async ({ xenstore }) => {
      let open = 0;
      const never = new Promise<void>(() => undefined);
      return untilRefused((index) => {
        const started = new Promise<void>((resolve, reject) => {
          xenstore.transaction(() => (resolve(), never)).catch(reject);
        });
        return started.then(() => (open = Math.max(open, index)));
      }, 5000);
    },
  ],
  "a huge directory": [
    // Its node data is its own already, and so is control/shutdown.
    998,
    ({ xenstore }) => untilRefused((index) => xenstore.write(`data/${"n".repeat(200)}-${index}`, ""), 5000),
  ],
  "a large node": [0, ({ xenstore }) => untilRefused(() => xenstore.write("data/large", "x".repeat(2048)), 5000)],
  "a ring whose indices make no sense": [
    0,
    async (domain, machine) => {
      const ring = machine.control.foreign.map(domain.id, [xenstoreReference], "read-write");
      new Int32Array(ring.bytes.buffer, ring.bytes.byteOffset, 1024)[513] = 0x7fff_0000;
      ring.unmap();
      domain.xenstore.read("data").catch(() => undefined);
      await pause(domain, 100);
      return 0;
    },
  ],
  "a ring full of noise": [
    0,
    async (domain, machine) => {
      const ring = machine.control.foreign.map(domain.id, [xenstoreReference], "read-write");
      for (let index = 0; index < 2048; index++) ring.bytes[index] = upTo(256);
      const words = new Int32Array(ring.bytes.buffer, ring.bytes.byteOffset, 1024);
      words[513] = words[512]! + 1024;
      ring.unmap();
      domain.xenstore.read("data").catch(() => undefined);
      await pause(domain, 100);
      return 0;
    },
  ],
};

async function storm(machine: SimulatedMachine): Promise<void> {
  const { control } = machine;
  await control.xenstore.make("/local/domain");
  await control.xenstore.watch("/local/domain", () => undefined);
  const before = machine.server.census;
  let finished = 0;
  let killed = 0;
  const live = async (index: number): Promise<void> => {
    await pause(control, upTo(1000));
    const domain = await machine.createDomain();
    const state = { isDone: false };
    const working = work(domain, () => {
      state.isDone = true;
      finished++;
    });
    // One in three dies in the middle of something.
    if (index % 3 === 0) {
      await pause(control, upTo(500));
      if (!state.isDone) killed++;
    } else await working;
    machine.destroy(domain);
    await control.xenstore.remove(`/local/domain/${domain.id}`);
  };
  const attack = async (name: string): Promise<void> => {
    const [expected, act] = attacks[name] ?? [0, () => Promise.resolve(0)];
    const domain = await machine.createDomain();
    expect([name, await act(domain, machine)]).toEqual([name, expected]);
    await pause(control, 1500);
    machine.destroy(domain);
    await control.xenstore.remove(`/local/domain/${domain.id}`);
  };
  await Promise.all([
    ...Array.from({ length: honest }, (_, index) => live(index)),
    ...Object.keys(attacks).map((name) => attack(name)),
  ]);
  await pause(control, 1000);
  expect(killed).toBeGreaterThan(100);
  expect(finished).toBeGreaterThanOrEqual(Math.floor((honest * 2) / 3));
  expect(machine.server.census).toEqual(before);
  expect(machine.server.check()).toEqual([]);
  expect(machine.audit).toMatchObject({ domains: 1, zombies: 0, grants: 0, mappings: 0, mistakes: 0 });
  // Of domain 0: the one that tells of deaths.
  expect(machine.audit.channels).toBe(1);
}

test("of a thousand guests that come and die, and of some that want to harm, nothing is left", async () => {
  const clock = new VirtualClock();
  const scheduler = new Scheduler(clock);
  const machine = new SimulatedMachine({ timers: scheduler, random, latency: () => random.uint32() / 2 ** 32 });
  await runVirtual({ clock, schedulers: [scheduler], turn: () => new Promise(setImmediate) }, storm(machine));
}, 120_000);
