import { describe, expect, test } from "vitest";
import { Scheduler } from "./scheduler.ts";
import { runScope, type Scope } from "./scope.ts";
import { sleep } from "./sleep.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { runVirtual } from "./virtual-run.ts";

function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const run = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  return { clock, timers, run };
}

describe("runScope", () => {
  test("waits for every task, also those spawned by tasks", async () => {
    const { clock, timers, run } = setup();
    const order: string[] = [];
    const value = await run(
      runScope(async (scope) => {
        void scope.spawn(async () => {
          await sleep(timers, 10);
          order.push("child");
          void scope.spawn(async () => {
            await sleep(timers, 10);
            order.push("grandchild");
          });
        });
        order.push("body");
        return 42;
      }),
    );
    expect([value, clock.now(), order]).toEqual([42, 20, ["body", "child", "grandchild"]]);
  });

  test("an error cancels the siblings, waits for them, and is rethrown alone", async () => {
    const { clock, timers, run } = setup();
    let cleaned = 0;
    const failing = runScope(async (scope) => {
      void scope.spawn(async (signal) => {
        try {
          await sleep(timers, 1000, signal);
        } finally {
          await sleep(timers, 5);
          cleaned = clock.now();
        }
      });
      void scope.spawn(async () => {
        await sleep(timers, 10);
        throw new Error("first");
      });
      await sleep(timers, 1000, scope.signal);
    });
    await expect(run(failing)).rejects.toThrow("first");
    expect(cleaned).toBe(15);
    expect(timers.pending).toBe(0);
  });

  test("several errors make an AggregateError", async () => {
    const { timers, run } = setup();
    const failing = runScope(async (scope) => {
      for (const name of ["a", "b"]) {
        void scope.spawn(async (signal) => {
          await sleep(timers, 10, signal).catch(() => undefined);
          throw new Error(name);
        });
      }
    });
    const error: unknown = await run(failing).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AggregateError);
    expect((error as AggregateError).errors).toEqual([new Error("a"), new Error("b")]);
  });

  test("spawn gives the task's value, and a task that throws synchronously is a task that failed", async () => {
    expect(await runScope(async (scope) => scope.spawn(async () => 7))).toBe(7);
    const failing = runScope(async (scope) => {
      void scope.spawn(() => {
        throw new Error("at once");
      });
    });
    await expect(failing).rejects.toThrow("at once");
  });

  test("a scope nested in a task passes the abort inwards and the error outwards", async () => {
    const { timers, run } = setup();
    const seen: string[] = [];
    const failing = runScope(async (outer) => {
      void outer.spawn((signal) =>
        runScope(async (inner) => {
          await inner.spawn(async (innermost) => {
            await sleep(timers, 1000, innermost).catch((error: unknown) => {
              seen.push(String(error));
              throw error;
            });
          });
        }, signal),
      );
      await sleep(timers, 3);
      throw new Error("outer failed");
    });
    await expect(run(failing)).rejects.toThrow("outer failed");
    expect(seen).toEqual(["Error: outer failed"]);
  });

  test("an abort from outside ends the tasks and is the scope's error, unless all ended well", async () => {
    const { timers, run } = setup();
    const controller = new AbortController();
    void sleep(timers, 10).then(() => controller.abort(new Error("stop")));
    const ended = runScope(async (scope) => {
      void scope.spawn((signal) => sleep(timers, 1000, signal));
    }, controller.signal);
    const graceful = runScope(async (scope) => {
      await sleep(timers, 1000, scope.signal).catch(() => undefined);
      return "well";
    }, controller.signal);
    await expect(run(ended)).rejects.toThrow("stop");
    expect(await run(graceful)).toBe("well");
    await expect(runScope(async () => 1, controller.signal)).rejects.toThrow("stop");
  });

  test("cancel ends the tasks without an error", async () => {
    const { clock, timers, run } = setup();
    const value = runScope(async (scope) => {
      void scope.spawn((signal) => sleep(timers, 1000, signal));
      await sleep(timers, 10);
      scope.cancel();
      await expect(scope.spawn(async () => undefined)).rejects.toBe(scope.signal.reason);
      return "cancelled";
    });
    expect(await run(value)).toBe("cancelled");
    expect(clock.now()).toBe(10);
  });

  test("nothing can be spawned once the scope is over", async () => {
    let leaked: Scope | undefined;
    await runScope(async (scope) => {
      leaked = scope;
    });
    await expect(leaked!.spawn(async () => undefined)).rejects.toThrow(TypeError);
  });
});
