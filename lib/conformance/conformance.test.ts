import { IpAddress } from "@tesserae/device/address";
import type { Block } from "@tesserae/device/block";
import type { Timer, Timers } from "@tesserae/device/clock";
import { type Flow, FlowError } from "@tesserae/device/flow";
import type { Kv } from "@tesserae/device/kv";
import type { Netif } from "@tesserae/device/netif";
import type { Random } from "@tesserae/device/random";
import type { Stack } from "@tesserae/device/stack";
import { createMemoryBlock } from "@tesserae/block/memory";
import { createMemoryKv } from "@tesserae/kv/memory";
import { NetifMiddleware } from "@tesserae/netif/middleware";
import { createLink } from "@tesserae/netif/link";
import { createKernelStack } from "@tesserae/node/kernel-stack";
import { createTimers } from "@tesserae/node/timers";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { blockSuite } from "./block.ts";
import { kvSuite } from "./kv.ts";
import { netifSuite } from "./netif.ts";
import { randomSuite } from "./random.ts";
import { SeededRandom } from "./seeded-random.ts";
import { ConformanceError, defineCase, runSuite, Skipped, type Suite } from "./suite.ts";
import { type StackPair, tcpSuite } from "./tcp.ts";
import { timersSuite } from "./timers.ts";

/** The names of the cases that fail. */
async function failures<S>(
  suite: Suite<S>,
  make: () => S | Promise<S>,
  drive?: (run: Promise<void>) => Promise<void>,
): Promise<readonly string[]> {
  const outcomes = await runSuite(suite, async () => make(), drive);
  return outcomes.filter(({ status }) => status === "failed").map(({ name }) => name);
}

describe("runSuite", () => {
  test("tells what passed, failed and was skipped, and goes on", async () => {
    const outcomes = await runSuite(
      [
        defineCase("good", () => undefined),
        defineCase("bad", () => {
          throw new ConformanceError("broken");
        }),
        defineCase("absent", async () => Promise.reject(new Skipped("no device"))),
        defineCase("good again", async (subject: number) => expect(subject).toBe(4)),
      ],
      (() => {
        let made = 0;
        return async () => ++made;
      })(),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(["passed", "failed", "skipped", "passed"]);
    expect(outcomes[1]?.error).toEqual(new ConformanceError("broken"));
  });
});

// What follows breaks a contract on purpose, and expects its suite to notice.

describe("the suite of Random notices", () => {
  const mutants: Record<string, Partial<Random>> = {
    "a constant": { uint32: () => 7 },
    "signed integers": { uint32: () => new SeededRandom(1).uint32() | 0x80000000 },
    "a fill that leaves the last byte": {
      fill: (bytes) => new SeededRandom(1).fill(bytes.subarray(0, Math.max(0, bytes.length - 1))),
    },
    "a fill beyond the view": { fill: (bytes) => new SeededRandom(1).fill(new Uint8Array(bytes.buffer)) },
  };
  test("nothing, of a good one", async () => {
    expect(await failures<Random>(randomSuite, () => new SeededRandom(5))).toEqual([]);
  });
  test.each(Object.entries(mutants))("%s", async (_name, broken) => {
    const good = new SeededRandom(5);
    const random = { uint32: () => good.uint32(), fill: (bytes: Uint8Array) => good.fill(bytes), ...broken };
    expect((await failures(randomSuite, () => random)).length).toBeGreaterThan(0);
  });
});

describe("the suite of Timers notices", () => {
  function world(wrap: (timers: Scheduler) => Timers) {
    const clock = new VirtualClock();
    const scheduler = new Scheduler(clock, { onError: () => undefined });
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    return {
      timers: wrap(scheduler),
      drive: (run: Promise<void>) => runVirtual({ clock, schedulers: [scheduler], turn, limit: 60_000 }, run),
    };
  }
  const withTimer = (scheduler: Scheduler, timer: Timers["timer"]): Timers => ({
    now: () => scheduler.now(),
    wall: () => scheduler.wall(),
    timer,
  });
  const setting = (change: (timer: Timer, deadline: number, scheduler: Scheduler) => void) => (scheduler: Scheduler) =>
    withTimer(scheduler, (callback) => {
      const timer = scheduler.timer(callback);
      return {
        get armed() {
          return timer.armed;
        },
        get deadline() {
          return timer.deadline;
        },
        set: (deadline) => change(timer, deadline, scheduler),
        cancel: () => timer.cancel(),
      };
    });
  const mutants: Record<string, (scheduler: Scheduler) => Timers> = {
    "early timers": setting((timer, deadline) => timer.set(deadline - 0.2)),
    "rounded deadlines": setting((timer, deadline) => timer.set(Math.round(deadline))),
    "NaN that disarms": setting((timer, deadline) => timer.set(Number.isNaN(deadline) ? Infinity : deadline)),
    "a first deadline that stays": setting((timer, deadline) => {
      if (!timer.armed) timer.set(deadline);
    }),
    "a callback inside set": (scheduler) =>
      withTimer(scheduler, (callback) => {
        const timer = scheduler.timer(callback);
        return Object.assign(Object.create(timer) as Timer, {
          set: (deadline: number) => (deadline <= scheduler.now() ? callback() : timer.set(deadline)),
          cancel: () => timer.cancel(),
          armed: false,
          deadline: Infinity,
        });
      }),
  };
  test.each(Object.entries(mutants))("%s", async (_name, wrap) => {
    let count = 0;
    for (const each of timersSuite) {
      const { timers, drive } = world(wrap);
      await drive(each.run(timers)).catch(() => count++);
    }
    expect(count).toBeGreaterThan(0);
  });
});

describe("the suite of Block notices", () => {
  const mutants: Record<string, (inner: Block) => Partial<Block>> = {
    "a write that keeps the caller's bytes": (inner) => {
      let kept: [number, Uint8Array] | undefined;
      return {
        write: async (sector, bytes) => {
          if (kept !== undefined) await inner.write(...kept);
          kept = [sector, bytes];
        },
        read: async (sector, into) => {
          if (kept !== undefined) await inner.write(...kept);
          await inner.read(sector, into);
        },
      };
    },
    "a write one sector off": (inner) => ({
      write: (sector, bytes) => inner.write(sector === 3 ? 4 : sector, bytes),
    }),
    "no bounds": (inner) => ({ read: (sector, into) => inner.read(sector, into).catch(() => undefined) }),
    "a close that is not one": () => ({ close: () => Promise.resolve() }),
  };
  test.each(Object.entries(mutants))("%s", async (_name, mutate) => {
    const make = () => {
      const inner = createMemoryBlock({ sectors: 64 });
      const block: Block = {
        sectorSize: inner.sectorSize,
        sectors: inner.sectors,
        readOnly: false,
        read: (sector, into) => inner.read(sector, into),
        write: (sector, bytes) => inner.write(sector, bytes),
        flush: () => inner.flush(),
        close: () => inner.close(),
        ...mutate(inner),
      };
      return { block };
    };
    expect((await failures(blockSuite, make)).length).toBeGreaterThan(0);
  });
});

describe("the suite of Kv notices", () => {
  const mutants: Record<string, (inner: Kv) => Partial<Kv>> = {
    "a prefix taken as a string": (inner) => ({
      list: async (prefix = "") => (await inner.list()).filter((key) => key.startsWith(prefix)),
    }),
    "keys in the order of UTF-16": (inner) => ({ list: async (prefix) => [...(await inner.list(prefix))].sort() }),
    "an offset that is ignored": (inner) => ({ get: (key, _offset, length) => inner.get(key, 0, length) }),
    "keys that are not checked": (inner) => ({ get: (key) => inner.get(key).catch(() => undefined) }),
    "one digest for all": (inner) => ({
      stat: async (key) => {
        const entry = await inner.stat(key);
        return entry && { ...entry, digest: "same" };
      },
    }),
  };
  test.each(Object.entries(mutants))("%s", async (_name, mutate) => {
    const make = () => ({
      make: async (files: Readonly<Record<string, Uint8Array>>) => {
        const inner = createMemoryKv();
        for (const [key, bytes] of Object.entries(files)) await inner.set(key, bytes);
        const kv: Kv = {
          stat: (key) => inner.stat(key),
          get: (key, offset, length) => inner.get(key, offset, length),
          list: (prefix) => inner.list(prefix),
          close: () => inner.close(),
          ...mutate(inner),
        };
        return kv;
      },
    });
    expect((await failures(kvSuite, make)).length).toBeGreaterThan(0);
  });
});

describe("the suite of Netif notices", () => {
  class LeakyNetif extends NetifMiddleware {
    override transmit(page: Parameters<Netif["transmit"]>[0], offset: number, length: number): boolean {
      return length > this.mtu + 14 ? false : super.transmit(page, offset, length);
    }
  }
  class NestingNetif extends NetifMiddleware {
    static readonly all = new Map<Netif, NestingNetif>();
    handler: Parameters<Netif["listen"]>[0] | undefined;
    peer: NestingNetif | undefined;
    override listen(handler: Parameters<Netif["listen"]>[0]): void {
      this.handler = handler;
    }
    override transmit(page: Parameters<Netif["transmit"]>[0], offset: number, length: number): boolean {
      this.peer?.handler?.(page, offset, length);
      this.release(page);
      return true;
    }
  }
  class FlippingNetif extends NetifMiddleware {
    override transmit(page: Parameters<Netif["transmit"]>[0], offset: number, length: number): boolean {
      page.bytes[offset + length - 1]! ^= 1;
      return super.transmit(page, offset, length);
    }
  }
  const mutants: Record<string, (a: Netif, b: Netif) => readonly [Netif, Netif]> = {
    "a page lost with a frame refused": (a, b) => [new LeakyNetif(a), b],
    "a flipped bit": (a, b) => [new FlippingNetif(a), b],
    "delivery inside transmit": (a, b) => {
      const [one, other] = [new NestingNetif(a), new NestingNetif(b)];
      one.peer = other;
      other.peer = one;
      return [one, other];
    },
  };
  test.each(Object.entries(mutants))("%s", async (_name, mutate) => {
    let count = 0;
    for (const each of netifSuite) {
      const clock = new VirtualClock();
      const timers = new Scheduler(clock);
      const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
      const link = createLink({ timers, queue: 64 });
      const [a, b] = mutate(link.a, link.b);
      const run = each.run({ a, b, timers });
      await runVirtual({ clock, schedulers: [timers], turn }, run).catch(() => count++);
    }
    expect(count).toBeGreaterThan(0);
  });
});

describe("the suite of Tcp and Flow notices", () => {
  /** Each flow of the stack, with some methods replaced. */
  function withFlows(stack: Stack, mutate: (flow: Flow) => Partial<Flow>): Stack {
    const wrap = (inner: Flow): Flow => ({
      local: inner.local,
      remote: inner.remote,
      read: (into) => inner.read(into),
      write: (bytes, more) => inner.write(bytes, more),
      end: () => inner.end(),
      close: () => inner.close(),
      abort: () => inner.abort(),
      ...mutate(inner),
    });
    return {
      udp: stack.udp,
      addresses: stack.addresses,
      close: () => stack.close(),
      tcp: {
        connect: async (options) => wrap(await stack.tcp.connect(options)),
        listen: (options, accept) => stack.tcp.listen(options, (flow) => accept(wrap(flow))),
      },
    };
  }

  const mutants: Record<string, [string, (flow: Flow) => Partial<Flow>]> = {
    "an empty read that resolves": [
      "a read into nothing rejects",
      (flow) => ({ read: (into) => (into.length === 0 ? Promise.resolve(0) : flow.read(into)) }),
    ],
    "a write after the end that resolves": [
      "end is idempotent",
      (flow) => ({ write: (bytes, more) => flow.write(bytes, more).catch(() => undefined) }),
    ],
    "an end that ends both directions": [
      "ending one direction",
      (flow) => ({
        end: async () => {
          await flow.end();
          void flow.close();
        },
      }),
    ],
    "another error each time": [
      "an abort resets the peer",
      (flow) => ({
        read: (into) =>
          flow.read(into).catch((error: unknown) => {
            throw error instanceof FlowError ? new FlowError(error.kind, error.message) : error;
          }),
      }),
    ],
    "a write that takes everything": [
      "a peer that does not read",
      (flow) => ({
        write: (bytes, more) => {
          void flow.write(bytes.slice(), more).catch(() => undefined);
          return Promise.resolve();
        },
      }),
    ],
  };
  test.each(Object.entries(mutants))("%s", async (_name, [caseName, mutate]) => {
    const found = tcpSuite.find(({ name }) => name.startsWith(`flow: ${caseName}`));
    expect(found).toBeDefined();
    const stack = createKernelStack();
    const timers = createTimers();
    const pair = (wrapped: Stack): StackPair => ({
      a: wrapped,
      b: wrapped,
      addressOfB: IpAddress.loopback4,
      timers,
    });
    await found!.run(pair(stack));
    await expect(found!.run(pair(withFlows(stack, mutate)))).rejects.toThrow();
    await stack.close();
  });
});
