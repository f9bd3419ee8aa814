import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { sleep } from "@tesserae/time/sleep";
import { StuckError } from "./run-loop.ts";
import { createWorld } from "./world.ts";

describe("virtual time", () => {
  test("moves only when nothing else can be done", async () => {
    const world = createWorld();
    const order: string[] = [];
    const at = (name: string) => order.push(`${name} at ${world.now}`);
    world.task("one", async () => {
      await sleep(world.timers, 10);
      for (let round = 0; round < 50; round++) await Promise.resolve();
      at("one");
    });
    world.task("two", async () => {
      await sleep(world.timers, 10);
      at("two");
      await sleep(world.timers, 86_000_000);
      at("two");
    });
    const { time, end } = await world.run();
    expect(order).toEqual(["two at 10", "one at 10", "two at 86000010"]);
    expect(time).toBe(86_000_010);
    expect(end).toBe("done");
  });

  test("streams, responses and Blobs get done at one instant", async () => {
    const world = createWorld();
    const instants: number[] = [];
    world.task("response", async () => {
      const text = await new Response(new Blob(["a".repeat(200_000)])).text();
      expect(text.length).toBe(200_000);
      instants.push(world.now);
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      void writer.write(new Uint8Array(10)).then(() => writer.close());
      expect((await new Response(readable).bytes()).length).toBe(10);
      instants.push(world.now);
      const form = new FormData();
      form.set("file", new Blob(["content"]), "name");
      expect((await new Response(form).text()).includes("content")).toBe(true);
      instants.push(world.now);
      expect((await crypto.subtle.digest("SHA-256", new Uint8Array(1_000_000))).byteLength).toBe(32);
      instants.push(world.now);
    });
    world.task("ticking", async () => {
      for (let tick = 1; tick <= 20; tick++) await sleep(world.timers, 0.001);
    });
    await world.run();
    expect(instants).toEqual([0, 0, 0, 0]);
  });

  test("waits for work outside: no virtual time passes", async () => {
    const world = createWorld();
    world.task("reads a file", async () => {
      const text = await world.external(readFile(import.meta.filename, "utf8"));
      expect(text).toContain("no virtual time passes");
      expect(world.now).toBe(0);
      await expect(world.external(readFile("/no/such/file"))).rejects.toThrow("ENOENT");
      // Also what it was not told of, as long as nothing else is left to happen.
      await readFile(import.meta.filename);
    });
    world.task("ticks", () => sleep(world.timers, 5));
    await world.run();
    expect(world.now).toBe(5);
  });

  test("stops when nothing is left to happen, saying who waits", async () => {
    const world = createWorld();
    world.task("waits for ever", () => new Promise(() => undefined));
    world.task("ends", () => sleep(world.timers, 5));
    const error = await world.run().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StuckError);
    expect(String(error)).toContain("nothing is left to happen at 5 ms");
    expect((error as StuckError).waiting).toEqual(["waits for ever"]);
  });

  test("stops at the time limit, at the event limit, and where it is told to", async () => {
    const world = createWorld();
    world.task("for ever", async () => {
      for (;;) await sleep(world.timers, 1000);
    });
    expect(await world.run({ until: 1500 })).toMatchObject({ end: "until", time: 1500 });
    await expect(world.run({ timeLimit: 10_000 })).rejects.toThrow("the time limit is reached at 10000 ms");
    await expect(world.run({ eventLimit: 10 })).rejects.toThrow("the event limit is reached at 20000 ms");
  });

  test("fails with the first failing task, and with what a timer throws", async () => {
    const world = createWorld();
    world.task("bad", async () => {
      await sleep(world.timers, 1);
      throw new Error("first");
    });
    world.task("good", () => sleep(world.timers, 1000));
    await expect(world.run()).rejects.toThrow("first");
    expect(world.now).toBe(1);

    const other = createWorld();
    const host = other.host("a");
    host.timers
      .timer(() => {
        throw new Error("in a timer");
      })
      .set(3);
    host.run(() => sleep(host.timers, 10));
    await expect(other.run()).rejects.toThrow("in a timer");
  });

  test("two worlds do not run at the same time in one process", async () => {
    const world = createWorld();
    world.task("nested", () => createWorld().run());
    await expect(world.run()).rejects.toThrow("another simulation is running");
  });
});

describe("hosts", () => {
  test("a skewed clock runs at its own rate, and timers never fire early", async () => {
    const world = createWorld();
    const host = world.host("fast", { clock: { rate: 1.1, offset: 5000 } });
    host.run(async () => {
      for (const deadline of [1, 3.3, 7.7, 1000 / 3, 1e6 / 7]) {
        await new Promise<void>((fire) => host.timers.timer(fire).set(deadline));
        expect(host.timers.now()).toBeGreaterThanOrEqual(deadline);
        expect(host.timers.now()).toBeCloseTo(deadline, 6);
      }
      expect(world.now).toBeCloseTo(1e6 / 7 / 1.1, 6);
      expect(host.timers.wall()).toBeCloseTo(1_767_225_600_000 + 5000 + 1e6 / 7, 2);
    });
    await world.run();
  });

  test("names resolve to addresses", async () => {
    const world = createWorld();
    world.host("a");
    const b = world.host("b", { ipv4: "10.9.0.1/24" });
    b.run(async () => {
      expect(String(await b.resolver.resolve("a"))).toBe("fd00::1,10.0.0.1");
      expect(String(await b.resolver.resolve("b"))).toBe("10.9.0.1,fd00::2");
      expect(String(await b.resolver.resolve("192.0.2.7"))).toBe("192.0.2.7");
      await expect(b.resolver.resolve("c")).rejects.toMatchObject({ kind: "not-found", host: "c" });
      await expect(b.resolver.resolve("a", { signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: "aborted" });
    });
    await world.run();
  });

  test("a name is taken once, and is a host name", () => {
    const world = createWorld();
    world.host("a");
    expect(() => world.host("a")).toThrow(`there is a host "a" already`);
    expect(() => world.host("not a name")).toThrow(RangeError);
  });

  test("a console keeps what was written and reads what is typed", async () => {
    const world = createWorld();
    const { console } = world.host("a");
    console.writeLine("hello");
    expect(console.lines).toEqual(["hello"]);
    expect(await console.readLine()).toBeUndefined();
    console.type("one", "two");
    expect(await console.readLine()).toBe("one");
    expect(await console.readLine()).toBe("two");
    const abort = new AbortController();
    const waiting = console.readLine({ signal: abort.signal });
    abort.abort();
    await expect(waiting).rejects.toThrow("aborted");
    const last = console.readLine();
    console.type("three");
    expect(await last).toBe("three");
    const end = console.readLine();
    console.endInput();
    expect(await end).toBeUndefined();
  });
});
