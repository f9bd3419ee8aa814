import { Page } from "@tesserae/device/page";
import { sleep } from "@tesserae/time/sleep";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Parcel } from "./parcel.ts";
import { checkQueue, makeQueue, type Queue, type QueueSettings } from "./queue.ts";
import { SeededRandom } from "./random.ts";
import { createWorld } from "./world.ts";

/** A queue with what it says to its link. */
function setup(settings: number | QueueSettings) {
  const dropped: Parcel[] = [];
  const marked: Parcel[] = [];
  const owner = {
    dropParcel: (parcel: Parcel) => void dropped.push(parcel),
    // The byte of IPv4's type of service: ECT(0) can be marked.
    markParcel: (parcel: Parcel) => parcel.page?.bytes[15] === 2 && marked.push(parcel) > 0,
  };
  return { queue: makeQueue(settings, owner, new SeededRandom("queue")), dropped, marked };
}

let numbers = 0;

/** A frame of UDP from a port, of that length. */
function parcel(length: number, port = 1000, ect = false): Parcel {
  const page = new Page(new Uint8Array(64), 0);
  page.bytes.set([0x08, 0, 0x45, ect ? 2 : 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], 12);
  page.bytes.set([port >>> 8, port & 0xff, 0, 9], 34);
  return Object.assign(new Parcel(), { page, length, frame: ++numbers });
}

/** Serves the queue at 1 Mbit/s while frames of 1000 bytes come in at `load` Mbit/s. @returns the delays of those served */
function serve(queue: Queue, load: number, until: number, ect = false, from = 0): { at: number; delay: number }[] {
  const served: { at: number; delay: number }[] = [];
  let arrival = from;
  for (let now = from; now < until; now += 8) {
    for (; arrival <= now; arrival += 8 / load) {
      const each = parcel(1000, 1000, ect);
      each.queued = arrival;
      queue.enqueue(each, arrival);
    }
    const next = queue.dequeue(now);
    if (next !== undefined) served.push({ at: now, delay: now - next.queued });
  }
  return served;
}

describe("drop-tail", () => {
  test("is bounded by bytes, or by packets", () => {
    const { queue, dropped } = setup(2500);
    expect([1, 2, 3].map(() => queue.enqueue(parcel(1000), 0))).toEqual([true, true, false]);
    expect(queue.enqueue(parcel(500), 0)).toBe(true);
    expect(dropped).toHaveLength(1);
    const packets = setup({ kind: "drop-tail", packets: 2 }).queue;
    expect([60, 9000, 60].map((length) => packets.enqueue(parcel(length), 0))).toEqual([true, true, false]);
  });
});

describe("CoDel (RFC 8289)", () => {
  test("drops nothing while the queue is below its target, however long", () => {
    const { queue, dropped } = setup({ kind: "codel" });
    serve(queue, 1, 10_000);
    expect(dropped).toEqual([]);
  });

  test("§5: the first drop after an interval above the target, the next ones by the control law", () => {
    const { queue, dropped } = setup({ kind: "codel" });
    const times: number[] = [];
    let before = 0;
    for (let now = 0; now < 1000; now += 1) {
      // A queue that always has something older than the target.
      for (const age of [0, 1]) {
        const each = parcel(1000);
        queue.enqueue(each, now);
        each.queued = now - 50 - age;
      }
      queue.dequeue(now);
      if (dropped.length > before) times.push(now);
      before = dropped.length;
    }
    // The first frame leaves nothing in the queue that could be above the target: 1 ms. Then interval / sqrt(count).
    let next = 1 + 100;
    const expected = [Math.ceil(next)];
    for (let count = 1; expected.length < 20; count++) {
      next += 100 / Math.sqrt(count);
      expected.push(Math.ceil(next));
    }
    expect(times.slice(0, expected.length)).toEqual(expected.filter((time) => time < 1000));
  });

  test("§3: marks those that can carry a mark, and drops nobody", () => {
    const { queue, dropped, marked } = setup({ kind: "codel", ecn: true });
    serve(queue, 1.2, 5000, true);
    expect(marked.length).toBeGreaterThan(20);
    expect(dropped).toEqual([]);
    serve(queue, 1.2, 6000, false, 5000);
    expect(dropped.length).toBeGreaterThan(0);
  });

  test("is bounded by packets", () => {
    const { queue, dropped } = setup({ kind: "codel", packets: 10 });
    for (let count = 0; count < 15; count++) queue.enqueue(parcel(1000), 0);
    expect(dropped).toHaveLength(5);
    expect(queue.packets).toBe(10);
    expect(queue.bytes).toBe(10_000);
  });
});

describe("FQ-CoDel (RFC 8290)", () => {
  test("gives flows equal shares in bytes, and a new flow its turn at once", () => {
    const { queue } = setup({ kind: "fq-codel" });
    for (let count = 0; count < 60; count++) {
      queue.enqueue(parcel(1500, 1), 0);
      if (count < 20) queue.enqueue(parcel(500, 2), 0);
    }
    const ports = (): string => {
      const next = queue.dequeue(0);
      return next === undefined ? "-" : String(next.page?.bytes[35]);
    };
    const first = Array.from({ length: 20 }, ports);
    const bytes = (port: string) => first.filter((each) => each === port).length * (port === "1" ? 1500 : 500);
    expect(Math.abs(bytes("1") - bytes("2"))).toBeLessThanOrEqual(3000);
    queue.enqueue(parcel(100, 3), 0);
    expect(ports()).toBe("3");
  });

  test("a flow that stops and starts does not jump the queue", () => {
    const { queue } = setup({ kind: "fq-codel", quantum: 1500 });
    for (let count = 0; count < 100; count++) queue.enqueue(parcel(1500, 1), 0);
    let sparse = 0;
    for (let turn = 0; turn < 60; turn++) {
      // As much as may be sent in one turn, again as soon as it is gone.
      if (sparse === 0) {
        queue.enqueue(parcel(1500, 2), 0);
        sparse = 1;
      }
      if (queue.dequeue(0)?.page?.bytes[35] === 2) sparse = 0;
    }
    // Half of what left was the other flow's.
    expect(100 - (queue.packets - sparse)).toBeGreaterThanOrEqual(29);
  });

  test("§4.1.2: when it is full, the longest flow pays", () => {
    const { queue, dropped } = setup({ kind: "fq-codel", packets: 100 });
    for (let count = 0; count < 95; count++) queue.enqueue(parcel(1500, 1), 0);
    for (let count = 0; count < 20; count++) queue.enqueue(parcel(60, 2), 0);
    expect(queue.packets).toBe(100);
    expect(dropped.map((each) => each.page?.bytes[35])).toEqual(new Array(15).fill(1));
  });
});

describe("RED", () => {
  test("drops early, more of them the longer the queue is on average, and keeps it short", () => {
    const settings = { kind: "red", minimum: 5000, maximum: 15_000, probability: 0.1, bytes: 60_000 } as const;
    const { queue, dropped } = setup(settings);
    serve(queue, 1, 4000);
    expect(dropped).toHaveLength(0);
    serve(queue, 1.05, 40_000, false, 4000);
    const some = dropped.length;
    expect(some / (36_000 / 8)).toBeGreaterThan(0.03);
    expect(queue.bytes).toBeLessThan(30_000);
    serve(queue, 2, 80_000, false, 40_000);
    expect((dropped.length - some) / (40_000 / 4)).toBeGreaterThan(0.45);
  });

  test("forgets while it is idle", () => {
    const { queue } = setup({ kind: "red", minimum: 5000, maximum: 15_000 });
    serve(queue, 1.5, 20_000);
    while (queue.dequeue(20_000) !== undefined);
    const { average } = queue as unknown as { average: number };
    expect(average).toBeGreaterThan(5000);
    queue.enqueue(parcel(1000), 60_000);
    expect((queue as unknown as { average: number }).average).toBeLessThan(100);
  });
});

describe("every discipline", () => {
  const kinds: readonly (number | QueueSettings)[] = [
    20_000,
    { kind: "drop-tail", packets: 20 },
    { kind: "red", minimum: 3000, maximum: 9000, weight: 0.1, bytes: 20_000, ecn: true },
    { kind: "codel", packets: 20, ecn: true },
    { kind: "fq-codel", packets: 20, flows: 4 },
  ];

  test.each(kinds)("%o: what comes in goes out, is dropped, or waits", (settings) => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 50 }),
      length: fc.integer({ min: 60, max: 1514 }),
      port: fc.integer({ min: 1, max: 6 }),
      ect: fc.boolean(),
      serve: fc.integer({ min: 0, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { queue, dropped } = setup(settings);
        const out: Parcel[] = [];
        const last = new Map<number, number>();
        let now = 0;
        let sent = 0;
        for (const { wait, length, port, ect, serve: turns } of steps) {
          now += wait;
          const before = dropped.length;
          const each = parcel(length, port, ect);
          sent++;
          const taken = queue.enqueue(each, now);
          expect(taken).toBe(!dropped.slice(before).includes(each));
          for (let turn = 0; turn < turns; turn++) {
            const next = queue.dequeue(now);
            if (next === undefined) continue;
            out.push(next);
            // Within a flow order is kept.
            const from = next.page?.bytes[35] ?? 0;
            expect(next.frame).toBeGreaterThan(last.get(from) ?? 0);
            last.set(from, next.frame);
          }
          expect(out.length + dropped.length + queue.packets).toBe(sent);
        }
        for (let next = queue.take(); next !== undefined; next = queue.take()) out.push(next);
        expect(queue.packets).toBe(0);
        expect(queue.bytes).toBe(0);
        expect(out.length + dropped.length).toBe(sent);
        expect(new Set([...out, ...dropped]).size).toBe(sent);
      }),
      { numRuns: 50 },
    );
  });

  test.each<[QueueSettings | number, string]>([
    [-1, "queue -1"],
    [{ kind: "drop-tail", packets: -1 }, "queue.packets -1"],
    [{ kind: "red", minimum: 10, maximum: 5 }, "queue.maximum 5 is not 11 or more"],
    [{ kind: "codel", target: 0 }, "queue.target 0"],
    [{ kind: "fq-codel", flows: 0 }, "queue.flows 0 is not from 1 to 65536"],
  ])("refuses %o", (settings, message) => {
    expect(() => checkQueue(settings)).toThrow(message);
  });
});

describe("a bulk transfer through 10 Mbit/s", () => {
  /** @returns how long a ping takes meanwhile, and the mean delay of the queue, in milliseconds, and Mbit/s. */
  async function bloat(queue: number | QueueSettings) {
    const world = createWorld({ seed: "bloat" });
    const server = world.host("server");
    const client = world.host("client");
    const link = world.link(server, client, { bandwidth: 10_000_000, delay: 10, queue });
    let sum = 0;
    let samples = 0;
    let pings = 0;
    let pinged = 0;
    let received = 0;
    client.run(async ({ stack, ownStack, timers }) => {
      await server.ready;
      void server.stack.tcp.listen({ port: 7 }, async (flow) => {
        const bytes = new Uint8Array(65_536);
        for (;;) await flow.write(bytes);
      });
      const flow = await stack.tcp.connect({ address: server.address, port: 7 });
      const buffer = new Uint8Array(65_536);
      const read = async (): Promise<void> => {
        for (;;) received += await flow.read(buffer);
      };
      read().catch(() => undefined);
      await sleep(timers, 5000);
      const start = received;
      for (let turn = 0; turn < 100; turn++) {
        await sleep(timers, 40);
        sum += (link.forward.queue.bytes * 8000) / 10_000_000;
        samples++;
        if (turn % 10 !== 0) continue;
        const took = await ownStack.icmp.ping(server.address, { timeout: 10_000 }).catch(() => undefined);
        if (took === undefined) continue;
        pinged += took;
        pings++;
      }
      received -= start;
    });
    const { time } = await world.run({ until: 60_000 });
    const delay = sum / samples;
    return { delay, ping: pinged / pings, rate: (received * 8) / 1000 / (time - 5000) };
  }

  test("drop-tail bloats", async () => {
    const { delay, ping, rate } = await bloat({ kind: "drop-tail", bytes: 250_000 });
    expect(delay).toBeGreaterThan(60);
    expect(ping).toBeGreaterThan(80);
    expect(rate).toBeGreaterThan(8);
  });

  test("CoDel keeps the delay near its target, for everybody", async () => {
    const { delay, ping, rate } = await bloat({ kind: "codel" });
    expect(delay).toBeLessThan(20);
    expect(ping).toBeLessThan(45);
    expect(rate).toBeGreaterThan(6);
  });

  test("FQ-CoDel lets a ping pass the transfer by", async () => {
    const { ping, rate } = await bloat({ kind: "fq-codel" });
    expect(ping).toBeLessThan(23);
    expect(rate).toBeGreaterThan(6);
  });
});
