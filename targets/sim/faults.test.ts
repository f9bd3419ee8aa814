import { describe, expect, test } from "vitest";
import { sleep } from "@tesserae/time/sleep";
import { parseChoices } from "./choices.ts";
import type { FaultOptions, FaultSchedule } from "./faults.ts";
import type { Host } from "./host.ts";
import { createWorld, type World } from "./world.ts";

interface Run {
  readonly world: World;
  readonly hosts: readonly Host[];
  readonly schedule: FaultSchedule;
  /** What began and ended, with its time. */
  readonly conditions: readonly string[];
}

/** Three hosts on a LAN for as long as the faults last, and a second more. */
async function run(seed: string, options: FaultOptions = {}, choices?: string): Promise<Run> {
  const given = choices === undefined ? {} : { choices: parseChoices(choices) as ReadonlyMap<string, number> };
  const world = createWorld({ seed, link: { delay: 3 }, ...given });
  const conditions: string[] = [];
  world.observe({ condition: (time, text, on) => void conditions.push(`${time} ${on ? "+" : "-"} ${text}`) });
  const hosts = ["a", "b", "c"].map((name) => world.host(name));
  const drawn: FaultSchedule[] = [];
  await Promise.all([
    world.task("scenario", async () => {
      for (const host of hosts) await host.ready;
      const schedule = world.faults(options);
      drawn.push(schedule);
      await schedule.over;
      expect(world.now).toBe(schedule.end);
      await sleep(world.timers, 1000);
    }),
    world.run(),
  ]);
  return { world, hosts, schedule: drawn[0]!, conditions };
}

describe("faults drawn from the seed", () => {
  test("are the same for the same seed, and others for another", async () => {
    const texts = async (seed: string): Promise<readonly string[]> =>
      (await run(seed)).schedule.faults.map(({ begins, ends, text }) => `${begins} ${ends} ${text}`);
    const one = await texts("a");
    expect(one.length).toBeGreaterThan(3);
    expect(await texts("a")).toEqual(one);
    expect(await texts("b")).not.toEqual(one);
  });

  test("lie within the time given, last no longer than allowed, and are only of the kinds named", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const { schedule } = await run(String(seed), { crashes: 3, delays: 3, from: 100, until: 900, longest: 300 });
      for (const { kind, begins, ends } of schedule.faults) {
        expect(["crash", "delay"]).toContain(kind);
        expect(begins).toBeGreaterThanOrEqual(100);
        expect(ends).toBeLessThanOrEqual(900);
        expect(ends - begins).toBeLessThanOrEqual(300);
      }
    }
  });

  test("leave everything as it was when they are over, however they overlap", async () => {
    for (let seed = 0; seed < 25; seed++) {
      const { world, hosts, conditions } = await run(String(seed), { until: 3000 });
      for (const host of hosts) {
        expect([host.up, host.timers.paused]).toEqual([true, false]);
        for (const { forward, backward } of world.linksOf(host)) {
          expect([forward.up, backward.up]).toEqual([true, true]);
          expect(forward.settings).toMatchObject({ delay: 3, loss: 0, duplicate: 0, corrupt: 0, reorder: 0 });
          expect(backward.settings).toMatchObject({ delay: 0, loss: 0, duplicate: 0, corrupt: 0, reorder: 0 });
        }
      }
      const began = conditions.filter((each) => each.includes(" + ")).length;
      expect(conditions.length).toBe(2 * began);
    }
  });

  test("a run told what to decide has these faults and no others", async () => {
    const text = "crash.1,crash.1.at=40,crash.1.for=25,crash.1.host=2,partition.2,partition.2.side=2,partition.2.for=9";
    const { conditions } = await run("a", {}, text);
    expect(conditions).toEqual(["0 + partition a c | b", "9 - partition a c | b", "40 + c is down", "65 - c is down"]);
    expect((await run("a", {}, "")).schedule.faults).toEqual([]);
  });

  test("a partition cuts off what it says, a loss loses", async () => {
    const world = createWorld({
      choices: parseChoices("loss.1,loss.1.for=500,loss.1.by=50") as ReadonlyMap<string, number>,
    });
    const [a, b] = ["a", "b"].map((name) => world.host(name)) as [Host, Host];
    world.task("scenario", async () => {
      await b.ready;
      const { over } = world.faults({ losses: 1 });
      expect(world.linksOf(a)[0]?.forward.settings.loss).toBe(0);
      await sleep(world.timers, 1);
      expect(world.linksOf(a)[0]?.forward.settings.loss).toBe(0.5);
      await over;
      expect(world.linksOf(a)[0]?.forward.settings.loss).toBe(0);
    });
    await world.run();
  });

  test.each([
    [{ from: 10, until: 5 }, "faults from 10 until 5 ms"],
    [{ crashes: -1 }, "crashes -1 is no integer"],
    [{ longest: 0 }, "longest 0 is below 1 ms"],
  ])("refuses %j", (options, message) => {
    expect(() => createWorld().faults(options)).toThrow(message);
  });
});
