import { MacAddress } from "@tesserae/device/address";
import type { Counter, Metrics } from "@tesserae/device/metrics";
import type { Netif } from "@tesserae/device/netif";
import { headroom, needsChecksum } from "@tesserae/device/page";
import { type NetifPair, netifSuite } from "@tesserae/conformance/netif";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { checkRates, type FaultOptions, type FaultRates, faults } from "./faults.ts";
import { Lan } from "./lan.ts";
import { createLink, type LinkOptions } from "./link.ts";
import { measured } from "./metrics.ts";
import { pcap } from "./pcap.ts";
import { rateLimit } from "./rate-limit.ts";
import { trace } from "./trace.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function setup() {
  const clock = new VirtualClock({ origin: 1_700_000_000_000 });
  const errors: unknown[] = [];
  const timers = new Scheduler(clock, { onError: (error) => errors.push(error) });
  const drive = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  const advance = (ms: number): void => {
    const end = clock.now() + ms;
    for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(end);
  };
  return { clock, timers, errors, drive, advance };
}

type World = ReturnType<typeof setup>;

class NullCounter implements Counter {
  value = 0;
  add(amount = 1): void {
    this.value += amount;
  }
}

class CounterMetrics implements Metrics {
  readonly counters = new Map<string, NullCounter>();
  counter(name: string): Counter {
    const counter = this.counters.get(name) ?? new NullCounter();
    this.counters.set(name, counter);
    return counter;
  }
  gauge(): never {
    throw new Error("not used");
  }
  histogram(): never {
    throw new Error("not used");
  }
  expose(): string {
    return "";
  }
}

function link(world: World, options: Partial<LinkOptions> = {}) {
  return createLink({ timers: world.timers, queue: 64, ...options });
}

function wrapped(world: World, wrap: (netif: Netif) => Netif): NetifPair {
  const { a, b } = link(world);
  return { a: wrap(a), b: wrap(b), timers: world.timers };
}

const clean = (world: World, rates: FaultRates): FaultOptions => ({
  timers: world.timers,
  random: new SeededRandom(1),
  ...rates,
});

const subjects: Record<string, (world: World) => NetifPair> = {
  link: (world) => ({ ...link(world), timers: world.timers }),
  "link with delay and bandwidth": (world) => ({
    ...link(world, { delay: 3.5, bandwidth: 1e9 }),
    timers: world.timers,
  }),
  "jumbo link": (world) => ({ ...link(world, { mtu: 65_535 }), timers: world.timers }),
  lan: (world) => {
    const lan = new Lan({ timers: world.timers, queue: 64 });
    const a = lan.attach({ name: "a", mac: new MacAddress(0x0200, 1) });
    const b = lan.attach({ name: "b", mac: new MacAddress(0x0200, 2) });
    lan.attach({ name: "c", mac: new MacAddress(0x0200, 3) }).listen((page) => page.bytes.fill(0));
    return { a, b, timers: world.timers };
  },
  "faults, none": (world) => wrapped(world, (netif) => faults(netif, clean(world, {}))),
  "faults, delay": (world) => wrapped(world, (netif) => faults(netif, clean(world, { delay: 2.5 }))),
  "faults, delay in one direction": (world) =>
    wrapped(world, (netif) => faults(netif, { ...clean(world, { delay: 1 }), direction: "receive" })),
  "rate limit": (world) =>
    wrapped(world, (netif) => rateLimit(netif, { timers: world.timers, bitsPerSecond: 100e6, queue: 100 })),
  "rate limit without burst": (world) =>
    wrapped(world, (netif) => rateLimit(netif, { timers: world.timers, bitsPerSecond: 100e6, burst: 0 })),
  metrics: (world) => wrapped(world, (netif) => measured(netif, new CounterMetrics())),
  pcap: (world) =>
    wrapped(world, (netif) =>
      pcap(netif, { sink: { writePacket: () => undefined }, interfaceId: 0, clock: world.clock }),
    ),
  trace: (world) => wrapped(world, (netif) => trace(netif, { clock: world.clock, print: () => undefined })),
  "everything at once": (world) =>
    wrapped(world, (netif) =>
      trace(
        pcap(
          measured(
            rateLimit(faults(netif, clean(world, { delay: 1 })), { timers: world.timers, bitsPerSecond: 1e9 }),
            new CounterMetrics(),
          ),
          { sink: { writePacket: () => undefined }, interfaceId: 0, clock: world.clock },
        ),
        { clock: world.clock, print: () => undefined },
      ),
    ),
};

for (const [name, make] of Object.entries(subjects)) {
  describe(`conformance of ${name}`, () => {
    for (const each of netifSuite) {
      test(each.name, async () => {
        const world = setup();
        await world.drive(each.run(make(world)));
        expect(world.errors).toEqual([]);
      });
    }
  });
}

/** Sends a frame of `length` bytes whose payload starts with `index`. */
function send(from: Netif, to: MacAddress, index: number, length = 100): boolean {
  const page = from.allocate();
  if (page === undefined) return false;
  page.bytes.fill(0, headroom, headroom + length);
  to.write(page.bytes, headroom);
  from.mac.write(page.bytes, headroom + 6);
  page.bytes[headroom + 12] = 0x88;
  page.bytes[headroom + 13] = 0xb5;
  page.bytes[headroom + 14] = index >>> 8;
  page.bytes[headroom + 15] = index;
  return from.transmit(page, headroom, length);
}

interface Arrival {
  readonly index: number;
  readonly time: number;
  readonly bytes: Uint8Array;
}

function record(netif: Netif, world: World): Arrival[] {
  const arrivals: Arrival[] = [];
  netif.listen((page, offset, length) => {
    const bytes = page.bytes.slice(offset, offset + length);
    arrivals.push({ index: (bytes[14]! << 8) | bytes[15]!, time: world.clock.now(), bytes });
  });
  return arrivals;
}

describe("createLink", () => {
  test("delay and bandwidth decide when a frame arrives", () => {
    const world = setup();
    const { a, b } = link(world, { delay: 10, bandwidth: 8_000_000 });
    const arrivals = record(b, world);
    send(a, b.mac, 1, 1000);
    send(a, b.mac, 2, 500);
    world.advance(100);
    expect(arrivals.map(({ time }) => time)).toEqual([11, 11.5]);
  });

  test("a full queue drops, counts, and takes the page back", () => {
    const world = setup();
    const { a, b } = link(world, { queue: 4, pages: 8, delay: 1 });
    const arrivals = record(b, world);
    const sent = Array.from({ length: 6 }, (_, index) => send(a, b.mac, index));
    expect(sent).toEqual([true, true, true, true, false, false]);
    expect(a.statistics.droppedFrames).toBe(2);
    world.advance(10);
    expect(arrivals.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    expect(send(a, b.mac, 9)).toBe(true);
  });

  test("a handler that throws loses neither the page nor the frames behind", () => {
    const world = setup();
    const { a, b } = link(world, { queue: 4, pages: 4 });
    let calls = 0;
    b.listen(() => {
      calls++;
      throw new Error("bad handler");
    });
    for (let index = 0; index < 3; index++) send(a, b.mac, index);
    world.advance(1);
    expect([calls, world.errors.length]).toEqual([3, 3]);
    for (let index = 0; index < 4; index++) expect(send(a, b.mac, index)).toBe(true);
  });

  test.each([
    [{ delay: -1 }, "delay -1"],
    [{ bandwidth: 0 }, "bandwidth 0"],
    [{ queue: 0 }, "queue 0"],
    [{ mtu: 500 }, "mtu 500"],
  ])("refuses %j", (options, message) => {
    expect(() => link(setup(), options)).toThrow(message);
  });
});

describe("Lan", () => {
  test("floods what it has not learned, and sends the rest to one", () => {
    const world = setup();
    const lan = new Lan({ timers: world.timers });
    const [a, b, c] = [1, 2, 3].map((low) => lan.attach({ name: `n${String(low)}`, mac: new MacAddress(0x0200, low) }));
    const [atA, atB, atC] = [a!, b!, c!].map((netif) => record(netif, world));
    send(a!, b!.mac, 1);
    world.advance(1);
    expect([atA!.length, atB!.length, atC!.length]).toEqual([0, 1, 1]);
    send(b!, a!.mac, 2);
    send(a!, b!.mac, 3);
    world.advance(1);
    expect([atA!.length, atB!.length, atC!.length]).toEqual([1, 2, 1]);
    send(c!, MacAddress.broadcast, 4);
    world.advance(1);
    expect([atA!.length, atB!.length, atC!.length]).toEqual([2, 3, 1]);
  });

  test("forgets the address learned longest ago when the table is full, and floods to it", () => {
    const world = setup();
    const lan = new Lan({ timers: world.timers, addresses: 2 });
    const [a, b, c] = [1, 2, 3].map((low) => lan.attach({ name: `n${String(low)}`, mac: new MacAddress(0x0200, low) }));
    const atB = record(b!, world);
    const atC = record(c!, world);
    for (const netif of [a!, b!, c!]) send(netif, MacAddress.broadcast, 0);
    world.advance(1);
    atB.length = atC.length = 0;
    send(b!, a!.mac, 1);
    world.advance(1);
    expect(atC.length).toBe(1);
    send(a!, c!.mac, 2);
    world.advance(1);
    expect([atB.length, atC.length]).toEqual([0, 2]);
  });
});

describe("faults", () => {
  function run(rates: FaultRates & { direction?: "transmit" | "receive" }, seed: number, count = 2000) {
    const world = setup();
    const { a, b } = link(world, { queue: 4096 });
    const faulty = rates.direction === "receive" ? b : a;
    const bad = faults(faulty, { timers: world.timers, random: new SeededRandom(seed), limit: 4096, ...rates });
    const [sender, receiver] = faulty === a ? [bad, b] : [a, bad];
    const arrivals = record(receiver, world);
    for (let index = 0; index < count; index++) {
      send(sender, b.mac, index);
      world.advance(1);
    }
    world.advance(1000);
    return { arrivals, counts: bad.counts };
  }

  test("a frame that was left to the device to sum is summed before it is corrupted", () => {
    const world = setup();
    const { a, b } = link(world);
    const bad = faults(b, { timers: world.timers, random: new SeededRandom(5), corrupt: 1, direction: "receive" });
    const seen: { flags: number; sum: number }[] = [];
    bad.listen((page, offset, length) => {
      seen.push({ flags: page.flags, sum: checksum(page.bytes, offset + 34, length - 34) });
    });
    for (let round = 0; round < 50; round++) {
      const page = a.allocate()!;
      const at = headroom - 14;
      page.bytes.fill(0, at, at + 60);
      b.mac.write(page.bytes, at);
      page.bytes[at + 50] = round;
      // A device with receive offload marks what another host on this machine sent.
      page.flags = needsChecksum;
      page.checksumStart = 34;
      page.checksumOffset = 6;
      a.transmit(page, at, 60);
      world.advance(1);
    }
    expect(seen).toHaveLength(50);
    expect(seen.every(({ flags }) => flags === 0)).toBe(true);
    // Bits that flip ahead of what is summed, in the IP header, leave its checksum right.
    expect(seen.filter(({ sum }) => sum !== 0).length).toBeGreaterThan(15);
    expect(seen.filter(({ sum }) => sum === 0).length).toBeGreaterThan(10);
  });

  for (const direction of ["transmit", "receive"] as const) {
    describe(direction, () => {
      test("loss", () => {
        const { arrivals, counts } = run({ loss: 0.1, direction }, 1);
        expect(counts.lost).toBeGreaterThan(140);
        expect(counts.lost).toBeLessThan(260);
        expect(arrivals.length).toBe(2000 - counts.lost);
        expect(run({ loss: 1, direction }, 1).arrivals.length).toBe(0);
      });

      test("duplicate", () => {
        const { arrivals, counts } = run({ duplicate: 0.1, direction }, 2);
        expect(counts.duplicated).toBeGreaterThan(140);
        expect(arrivals.length).toBe(2000 + counts.duplicated);
        expect(new Set(arrivals.map(({ index }) => index)).size).toBe(2000);
        const late = run({ duplicate: 1, delay: 3, direction }, 2, 10);
        expect(late.arrivals.map(({ index }) => index)).toEqual(
          Array.from({ length: 20 }, (_, index) => Math.floor(index / 2)),
        );
      });

      test("corrupt flips one bit behind the Ethernet header", () => {
        const { arrivals, counts } = run({ corrupt: 0.2, direction }, 3, 1000);
        let bad = 0;
        for (const [expected, { bytes }] of arrivals.entries()) {
          let bits = 0;
          for (let at = 14; at < bytes.length; at++) {
            const clean = at === 14 ? expected >>> 8 : at === 15 ? expected & 255 : 0;
            for (let wrong = bytes[at]! ^ clean; wrong !== 0; wrong &= wrong - 1) bits++;
          }
          expect(bits).toBeLessThan(2);
          bad += bits;
        }
        expect(bad).toBe(counts.corrupted);
        expect(bad).toBeGreaterThan(140);
      });

      test("reorder lets later frames overtake, and loses none", () => {
        const { arrivals, counts } = run({ reorder: 0.1, reorderBy: 3.5, direction }, 4, 500);
        const order = arrivals.map(({ index }) => index);
        expect(counts.reordered).toBeGreaterThan(20);
        expect([...order].sort((one, other) => one - other)).toEqual(Array.from({ length: 500 }, (_, index) => index));
        expect(order.some((index, at) => at > 0 && index < order[at - 1]!)).toBe(true);
      });

      test("delay and jitter", () => {
        const { arrivals } = run({ delay: 20, jitter: 10, direction }, 5, 200);
        const lateness = arrivals.map(({ index, time }) => time - index);
        expect(Math.min(...lateness)).toBeGreaterThanOrEqual(20);
        expect(Math.max(...lateness)).toBeLessThan(31);
        expect(Math.max(...lateness) - Math.min(...lateness)).toBeGreaterThan(5);
      });

      test("the same seed gives the same faults, another does not", () => {
        const rates = { loss: 0.1, duplicate: 0.1, corrupt: 0.1, reorder: 0.1, delay: 5, jitter: 5, direction };
        const one = run(rates, 7, 300).arrivals;
        expect(run(rates, 7, 300).arrivals).toEqual(one);
        expect(run(rates, 8, 300).arrivals).not.toEqual(one);
      });
    });
  }

  test("frames beyond the limit are lost and counted", () => {
    const world = setup();
    const { a, b } = link(world);
    const bad = faults(a, { timers: world.timers, random: new SeededRandom(1), delay: 10, limit: 5 });
    const arrivals = record(b, world);
    for (let index = 0; index < 8; index++) send(bad, b.mac, index);
    world.advance(20);
    expect([arrivals.length, bad.counts.overflowed]).toEqual([5, 3]);
  });

  test("refuses rates that are none", () => {
    expect(() => checkRates({ loss: 1.5 })).toThrow("loss 1.5 is not a probability");
    expect(() => checkRates({ corrupt: Number.NaN })).toThrow("corrupt NaN");
    expect(() => checkRates({ delay: -1 })).toThrow("delay -1 is not 0 or more");
    expect(() => checkRates({ jitter: Infinity })).toThrow("jitter");
    expect(() => checkRates({ loss: 1, delay: 0 })).not.toThrow();
  });
});

describe("rateLimit", () => {
  test("sends a burst at once and the rest at the rate", () => {
    const world = setup();
    const { a, b } = link(world);
    const limited = rateLimit(a, { timers: world.timers, bitsPerSecond: 8_000_000, burst: 2000 });
    const arrivals = record(b, world);
    for (let index = 0; index < 6; index++) send(limited, b.mac, index, 1000);
    expect(limited.queuedFrames).toBe(4);
    world.advance(100);
    expect(arrivals.map(({ time }) => time)).toEqual([0, 0, 1, 2, 3, 4]);
    // The bucket has filled again, up to the burst and no further.
    for (let index = 0; index < 4; index++) send(limited, b.mac, index, 1000);
    world.advance(100);
    expect(arrivals.slice(6).map(({ time }) => time - 100)).toEqual([0, 0, 1, 2]);
  });

  test("a full queue refuses, and counts it", () => {
    const world = setup();
    const { a, b } = link(world);
    const limited = rateLimit(a, { timers: world.timers, bitsPerSecond: 8000, burst: 0, queue: 3 });
    const sent = Array.from({ length: 5 }, (_, index) => send(limited, b.mac, index));
    expect(sent).toEqual([true, true, true, false, false]);
    expect(limited.statistics.droppedFrames).toBe(2);
  });
});

test("measured counts frames, bytes and refusals", () => {
  const world = setup();
  const { a, b } = link(world, { queue: 2, pages: 2 });
  const metrics = new CounterMetrics();
  const counted = measured(a, metrics);
  counted.listen(() => undefined);
  for (let index = 0; index < 3; index++) send(counted, b.mac, index);
  send(b, a.mac, 1, 60);
  world.advance(1);
  const page = counted.allocate()!;
  expect(counted.transmit(page, 0, 5000)).toBe(false);
  expect(Object.fromEntries([...metrics.counters].map(([name, { value }]) => [name, value]))).toEqual({
    netif_sent_frames: 2,
    netif_sent_bytes: 200,
    netif_received_frames: 1,
    netif_received_bytes: 60,
    netif_refused_frames: 1,
    netif_page_shortages: 1,
  });
});

test("trace prints a line for each frame", () => {
  const world = setup();
  const { a, b } = link(world, { delay: 1.5 });
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(line);
  const traced = trace(a, { clock: world.clock, print });
  trace(b, { clock: world.clock, print }).listen(() => undefined);
  send(traced, b.mac, 1);
  world.advance(2);
  expect(lines).toEqual([
    "0.000000 link-a > 02:00:00:00:00:01 → 02:00:00:00:00:02 ethertype 0x88b5, 86 bytes",
    "0.001500 link-b < 02:00:00:00:00:01 → 02:00:00:00:00:02 ethertype 0x88b5, 86 bytes",
  ]);
});
