import * as nodeCrypto from "node:crypto";
import * as nodeTimers from "node:timers";
import * as nodeTimersPromises from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { sleep } from "@tesserae/time/sleep";
import { createWorld } from "./world.ts";

/** Runs `body` in a world and hands out what it returned. */
async function inWorld<T>(body: (world: ReturnType<typeof createWorld>) => Promise<T> | T, seed = "0"): Promise<T> {
  const world = createWorld({ seed });
  const result = world.task("body", () => body(world));
  await world.run();
  return result;
}

describe("ambient time", () => {
  test("Date, performance.now and process.hrtime are virtual", async () => {
    await inWorld(async (world) => {
      const begin = process.hrtime.bigint();
      expect(Date.now()).toBe(Date.UTC(2026, 0, 1));
      expect(new Date().toISOString()).toBe("2026-01-01T00:00:00.000Z");
      expect(performance.now()).toBe(0);
      await sleep(world.timers, 1500.25);
      expect(new Date().toISOString()).toBe("2026-01-01T00:00:01.500Z");
      expect(new Date()).toBeInstanceOf(Date);
      expect(new Date(0).getTime()).toBe(0);
      expect(Date.UTC(2000, 1)).toBe(949_363_200_000);
      expect(performance.now()).toBe(1500.25);
      expect(process.hrtime.bigint() - begin).toBe(1_500_250_000n);
      expect(process.hrtime()).toEqual([1, 500_250_000]);
      class Later extends Date {}
      expect(new Later()).toBeInstanceOf(Later);
      expect(new Later().getTime()).toBe(Date.now());
    });
  });

  test("setTimeout, setInterval and setImmediate take virtual time and pass arguments", async () => {
    await inWorld(async (world) => {
      const seen: string[] = [];
      const note = (text: string) => seen.push(`${text} at ${world.now}`);
      setTimeout(note, 3_600_000, "an hour");
      setTimeout(note, 0, "nothing");
      setImmediate(note, "at once");
      const cancelled = setTimeout(note, 5, "never");
      clearTimeout(cancelled);
      const byNumber = +setTimeout(note, 5, "never");
      clearTimeout(byNumber);
      const ticks = setInterval(() => {
        note("tick");
        if (seen.length >= 5) clearInterval(ticks);
      }, 1000);
      await new Promise((done) => setTimeout(done, 4_000_000));
      expect(seen).toEqual([
        "at once at 0",
        "nothing at 1",
        "tick at 1000",
        "tick at 2000",
        "tick at 3000",
        "an hour at 3600000",
      ]);
      expect(cancelled.hasRef()).toBe(true);
    });
  });

  test("node:timers and its promises are the same ones", async () => {
    await inWorld(async (world) => {
      await new Promise<void>((done) => nodeTimers.setTimeout(done, 20));
      expect(world.now).toBe(20);
      expect(await nodeTimersPromises.setTimeout(30, "value")).toBe("value");
      expect(world.now).toBe(50);
      await promisify(setTimeout)(50);
      expect(world.now).toBe(100);
      await expect(nodeTimersPromises.setTimeout(30, "x", { signal: AbortSignal.timeout(10) })).rejects.toThrow();
      expect(world.now).toBe(110);
    });
  });

  test("unreferenced timers keep nothing going", async () => {
    const world = createWorld();
    world.task("ends", () => {
      setInterval(() => undefined, 1000).unref();
    });
    expect(await world.run()).toMatchObject({ end: "done", time: 0 });
    world.task("stuck", () => new Promise(() => undefined));
    await expect(world.run()).rejects.toThrow("nothing is left to happen at 0 ms");
  });

  test("what a callback throws fails the run", async () => {
    const world = createWorld();
    world.task("waits", () => {
      setTimeout(() => {
        throw new Error("from a callback");
      }, 10);
      return new Promise(() => undefined);
    });
    await expect(world.run()).rejects.toThrow("from a callback");
  });

  test("everything is put back afterwards, also when the run failed", async () => {
    const ambient = (): unknown[] => [
      Date,
      Object.getOwnPropertyDescriptor(Math, "random"),
      setTimeout,
      nodeTimers.setTimeout,
      nodeCrypto.randomBytes,
      Object.getOwnPropertyDescriptor(AbortSignal, "timeout"),
      Object.getOwnPropertyDescriptor(Blob.prototype, "stream"),
    ];
    const before = ambient();
    await inWorld(() => undefined);
    const world = createWorld();
    world.task("fails", () => {
      throw new Error("no");
    });
    await expect(world.run()).rejects.toThrow("no");
    expect(ambient()).toEqual(before);
    expect(Object.getOwnPropertyNames(crypto)).toEqual([]);
    expect(Math.abs(Date.now() - Date.UTC(2026, 0, 1))).toBeGreaterThan(0);
    expect(Object.hasOwn(performance, "now")).toBe(false);
  });
});

describe("ambient randomness", () => {
  const draw = () => ({
    math: [Math.random(), Math.random()],
    uuid: crypto.randomUUID(),
    values: Array.from(crypto.getRandomValues(new Uint16Array(5))),
    bytes: nodeCrypto.randomBytes(7).toString("hex"),
    integer: nodeCrypto.randomInt(10, 20),
    nodeUuid: nodeCrypto.randomUUID(),
  });

  test("follows the seed", async () => {
    const one = await inWorld(draw, "one");
    expect(await inWorld(draw, "one")).toEqual(one);
    const two = await inWorld(draw, "two");
    expect(two.uuid).not.toBe(one.uuid);
    expect(two.math).not.toEqual(one.math);
    expect(one.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(one.integer).toBeGreaterThanOrEqual(10);
    expect(one.integer).toBeLessThan(20);
  });

  test("randomBytes and randomInt call back at the same instant", async () => {
    await inWorld(async (world) => {
      const bytes = await promisify(nodeCrypto.randomBytes)(4);
      expect(bytes).toHaveLength(4);
      const integer = await new Promise<number>((done) => nodeCrypto.randomInt(5, (_error, value) => done(value)));
      expect(integer).toBeLessThan(5);
      expect(world.now).toBe(0);
    });
  });
});

describe("work outside the simulation", () => {
  test("results come in the order of the calls, and no virtual time passes", async () => {
    const run = () =>
      inWorld(async (world) => {
        const order: string[] = [];
        const digest = async (name: string, bytes: number) => {
          await crypto.subtle.digest("SHA-512", new Uint8Array(bytes));
          order.push(`${name} at ${world.now}`);
        };
        const ticking = (async () => {
          for (let tick = 0; tick < 5; tick++) await sleep(world.timers, 1);
          order.push(`ticked at ${world.now}`);
        })();
        await Promise.all([digest("large", 3_000_000), digest("small", 10), digest("middle", 300_000), ticking]);
        return order;
      });
    const order = await run();
    expect(order).toEqual(["large at 0", "small at 0", "middle at 0", "ticked at 5"]);
    expect(await run()).toEqual(order);
  });

  test("a failure is handed over too", async () => {
    await inWorld(async () => {
      await expect(crypto.subtle.digest("no such hash", new Uint8Array(1))).rejects.toThrow();
    });
  });
});
