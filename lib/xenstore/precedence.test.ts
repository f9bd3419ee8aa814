import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { describe, expect, test } from "vitest";
import { connectInMemory } from "./in-memory.ts";
import { XenstoreServer } from "./server.ts";

function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const server = new XenstoreServer({ timers });
  const dom0 = connectInMemory(server, { kind: "local" }).client;
  const advance = (ms: number): void => {
    clock.advanceTo(clock.now() + ms);
    timers.run();
  };
  return { server, dom0, advance };
}

/** Lets everything happen that waits for nothing but its turn. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("transactions", () => {
  test("of a client that fails again and again go before what would disturb them", async () => {
    const { server, dom0, advance } = setup();
    const other = connectInMemory(server, { kind: "local" }).client;
    await dom0.write("/counter", "0");
    await dom0.write("/beside", "0");
    let tries = 0;
    let waiting: Promise<void> = Promise.resolve();
    let isDone = false;
    await dom0.transaction(async (nodes) => {
      tries++;
      const value = Number(await nodes.readText("/counter"));
      isDone = false;
      waiting = other.write("/counter", String(100 * tries)).then(() => {
        isDone = true;
      });
      await settle();
      expect(isDone).toBe(tries <= 1);
      await nodes.write("/counter", String(value + 1));
    });
    expect(tries).toBe(2);
    await waiting;
    expect(server.statistics).toEqual({ commits: 1, conflicts: 1, waits: 1 });
    // One that never ends holds nobody up for ever.
    for (let round = 0; round < 3; round++) {
      let isFirst = true;
      await dom0.transaction(async (nodes) => {
        await nodes.readText("/counter");
        if (isFirst) await other.write("/counter", String(round));
        isFirst = false;
      });
    }
    advance(1000);
    expect(await other.readText("/counter")).toBe("2");
  });

  test("of many clients that all disturb each other take turns after their first failure", async () => {
    const { server, dom0 } = setup();
    await dom0.write("/counter", "0");
    let tries = 0;
    const clients = Array.from({ length: 100 }, () => connectInMemory(server, { kind: "local" }).client);
    await Promise.all(
      clients.map((client) =>
        client.transaction(async (nodes) => {
          tries++;
          const value = Number(await nodes.readText("/counter"));
          await nodes.write("/counter", String(value + 1));
        }),
      ),
    );
    expect(await dom0.readText("/counter")).toBe("100");
    expect(tries).toBe(199);
  });

  test("of a client that goes first and does nothing hold others up for a moment, once", async () => {
    const { server, dom0, advance } = setup();
    await dom0.write("/a", "0");
    const lazy = connectInMemory(server, { kind: "local" }).client;
    let tries = 0;
    const never = lazy.transaction(async (nodes) => {
      tries++;
      await nodes.readText("/a");
      if (tries === 1) await dom0.write("/a", "1");
      else await new Promise<void>(() => undefined);
    });
    void never;
    await settle();
    expect(tries).toBe(2);
    let isDone = false;
    const write = dom0.write("/a", "2").then(() => (isDone = true));
    await settle();
    expect(isDone).toBe(false);
    advance(300);
    await write;
    expect(isDone).toBe(true);
  });
});
