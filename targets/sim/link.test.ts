import { IpAddress, MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { headroom } from "@tesserae/device/page";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FrameEvent } from "./event.ts";
import type { Host } from "./host.ts";
import type { LinkSettings } from "./link-settings.ts";
import type { QueueSettings } from "./queue.ts";
import { createWorld, type World } from "./world.ts";

const bare = { stack: false };

/** Two hosts without stacks: all frames are the test's. */
function pair(settings: LinkSettings, seed = "link") {
  const world = createWorld({ seed });
  const a = world.host("a", bare);
  const b = world.host("b", bare);
  const link = world.link(a, b, settings);
  const got: { readonly time: number; readonly bytes: number[] }[] = [];
  const listen = () => {
    b.netif.listen((page, offset, length) => {
      got.push({ time: world.now, bytes: Array.from(page.bytes.subarray(offset, offset + length)) });
    });
  };
  return { world, a, b, link, got, listen };
}

function send(netif: Netif, to: MacAddress, marker: number, length = 60): boolean {
  const page = netif.allocate()!;
  page.bytes.fill(marker, headroom, headroom + length);
  to.write(page.bytes, headroom);
  netif.mac.write(page.bytes, headroom + 6);
  page.bytes[headroom + 12] = 0x88;
  page.bytes[headroom + 13] = 0xb5;
  return netif.transmit(page, headroom, length);
}

async function burst(settings: LinkSettings, count: number, seed?: string, length?: number) {
  const setup = pair(settings, seed);
  const { world, a, b, got, listen } = setup;
  const accepted: boolean[] = [];
  a.run(async () => {
    await b.ready;
    listen();
    for (let index = 0; index < count; index++) accepted.push(send(a.netif, b.mac, index & 0xff, length));
  });
  await world.run({ idle: true });
  return { ...setup, accepted, markers: got.map((each) => each.bytes[20]) };
}

describe("a link", () => {
  test("delays by its delay, in order, and changes nothing", async () => {
    const { got, markers } = await burst({ delay: 50 }, 100);
    expect(markers).toEqual(Array.from({ length: 100 }, (_, index) => index));
    expect(got.every((each) => each.time === 50)).toBe(true);
    expect(got[7]!.bytes).toHaveLength(60);
  });

  test("takes its time with a bandwidth, and drops what its queue has no room for", async () => {
    // 1 Mbit/s and 1000-byte frames: 8 ms each. One is being sent, and a little above 4000 bytes may wait.
    const { got, accepted } = await burst({ delay: 1, bandwidth: 1_000_000, queue: 4000 }, 10, "q", 1000);
    expect(got.map((each) => each.time)).toEqual([9, 17, 25, 33, 41]);
    expect(accepted).toEqual([true, true, true, true, true, false, false, false, false, false]);
  });

  test("jitter spreads arrivals and keeps their order", async () => {
    const { got, markers } = await burst({ delay: 10, jitter: 5 }, 200);
    expect(markers).toEqual(Array.from({ length: 200 }, (_, index) => index));
    expect(got[0]!.time).toBeGreaterThanOrEqual(10);
    expect(got.at(-1)!.time).toBeGreaterThan(14);
    expect(got.at(-1)!.time).toBeLessThan(15);
  });

  test("loses, doubles, reorders and corrupts about as many as it is told to", async () => {
    const lossy = await burst({ loss: 0.25 }, 2000);
    expect(Math.abs(lossy.got.length - 1500)).toBeLessThan(80);
    expect(lossy.link.forward.dropped).toBe(2000 - lossy.got.length);
    const doubling = await burst({ duplicate: 0.1 }, 2000);
    expect(Math.abs(doubling.got.length - 2200)).toBeLessThan(60);
    const reordering = await burst({ reorder: 0.1, delay: 10, reorderDelay: 3 }, 1000);
    expect(reordering.got).toHaveLength(1000);
    const late = reordering.got.filter((each) => each.time === 13);
    expect(Math.abs(late.length - 100)).toBeLessThan(40);
    const corrupting = await burst({ corrupt: 0.1 }, 200);
    const wrong = corrupting.got.filter(({ bytes }, index) => bytes.slice(14).some((byte) => byte !== (index & 0xff)));
    expect(Math.abs(wrong.length - 20)).toBeLessThan(15);
  });

  test("flips one bit of a frame at most, however many wires it crosses", async () => {
    const world = createWorld({ seed: "two wires" });
    world.lan("lan", { corrupt: 1, backward: { corrupt: 1 } });
    const a = world.host("a", { ...bare, lan: "lan" });
    const b = world.host("b", { ...bare, lan: "lan" });
    const flipped: number[] = [];
    let corrupted = 0;
    world.observe({
      frame: ({ kind }: FrameEvent) => {
        if (kind === "corrupted") corrupted++;
      },
    });
    a.run(async () => {
      await b.ready;
      b.netif.listen((page, offset, length) => {
        const marker = flipped.length;
        let bits = 0;
        // Behind the EtherType, all are the marker's.
        for (const byte of page.bytes.subarray(offset + 14, offset + length)) {
          for (let left = byte ^ marker; left > 0; left &= left - 1) bits++;
        }
        flipped.push(bits);
      });
      for (let index = 0; index < 50; index++) send(a.netif, b.mac, index);
    });
    await world.run({ idle: true });
    expect(flipped).toEqual(Array.from({ length: 50 }, () => 1));
    expect(corrupted).toBe(50);
    await world.close();
  });

  test("takes settings for each direction", async () => {
    const world = createWorld();
    const a = world.host("a");
    const b = world.host("b");
    const link = world.link(a, b, { delay: 10, forward: { delay: 30 }, backward: { bandwidth: 1_000_000 } });
    a.run(async () => {
      await b.ready;
      await a.ownStack.icmp.ping(b.address);
      // 98 bytes of a ping at 1 Mbit/s are 0.784 ms on the way back.
      expect(await a.ownStack.icmp.ping(b.address, { size: 56 })).toBeCloseTo(40.784, 9);
      link.configure({ delay: 1, backward: { bandwidth: Infinity } });
      expect(await a.ownStack.icmp.ping(b.address)).toBeCloseTo(2, 9);
    });
    await world.run();
    await world.close();
  });

  test("frames in its queue leave at the rate that it has then", async () => {
    const { world, a, b, link, got, listen } = pair({ delay: 1, bandwidth: 1_000_000 });
    a.run(async () => {
      await b.ready;
      listen();
      for (let index = 0; index < 4; index++) send(a.netif, b.mac, index, 1000);
      link.schedule([
        { at: 9, bandwidth: 2_000_000 },
        { at: 21, bandwidth: Infinity },
      ]);
    });
    await world.run({ idle: true });
    expect(got.map((each) => each.time)).toEqual([9, 17, 21, 25]);
    expect(() => link.schedule([{ at: 1, loss: 0 }])).toThrow("at 1 has passed");
    expect(() => link.schedule([{ at: 100, loss: 2 }])).toThrow("loss 2");
  });

  test("a queue that is replaced hands its frames over", async () => {
    const { world, a, b, link, markers } = await (async () => {
      const setup = pair({ delay: 1, bandwidth: 1_000_000 });
      setup.a.run(async () => {
        await setup.b.ready;
        setup.listen();
        for (let index = 0; index < 10; index++) send(setup.a.netif, setup.b.mac, index, 1000);
        setup.link.configure({ queue: { kind: "fq-codel", packets: 5 } });
      });
      await setup.world.run({ idle: true });
      return { ...setup, markers: setup.got.map((each) => each.bytes[20]) };
    })();
    expect(a.name + b.name + world.seed).toBe("ablink");
    expect(markers).toHaveLength(6);
    expect(link.forward.dropped).toBe(4);
    expect(link.forward.inFlight).toBe(0);
  });

  test("jitter of a distribution keeps order unless frames may overtake", async () => {
    const jitter = { kind: "pareto", minimum: 1, shape: 1.5 } as const;
    const ordered = await burst({ delay: 10, jitter }, 200);
    expect(ordered.markers).toEqual(Array.from({ length: 200 }, (_, index) => index));
    const free = await burst({ delay: 10, jitter, overtake: true }, 200);
    expect(free.markers).not.toEqual(ordered.markers);
    expect([...free.markers].sort((x, y) => x! - y!)).toEqual(ordered.markers);
    expect(free.got[0]!.time).toBeGreaterThanOrEqual(11);
  });

  test("loses what a model says", async () => {
    const { markers } = await burst({ loss: { kind: "every", every: 4 } }, 10);
    expect(markers).toEqual([0, 1, 2, 4, 5, 6, 8, 9]);
  });

  test("is a black hole for packets above its MTU: nobody is told", async () => {
    const world = createWorld();
    const a = world.host("a");
    const b = world.host("b");
    const link = world.link(a, b, { mtu: 1000, delay: 1 });
    const got: number[] = [];
    a.run(async ({ stack, timers }) => {
      await b.ready;
      await b.stack.udp.bind({ port: 9 }, ({ length }) => got.push(length));
      const socket = await stack.udp.bind({}, () => undefined);
      await a.ownStack.icmp.ping(b.address);
      for (const length of [972, 973, 1200]) socket.send(new Uint8Array(length), 0, length, b.address, 9);
      await new Promise<void>((done) => timers.timer(done).set(100));
    });
    await world.run();
    await world.close();
    expect(got).toEqual([972]);
    expect(link.forward.dropped).toBe(2);
  });

  test("flaps as often as it is told to", async () => {
    const { world, link } = pair({});
    const seen: string[] = [];
    world.observe({ condition: (time, text, on) => seen.push(`${time} ${text} ${on}`) });
    link.flap({ up: 100, down: 20, times: 2 });
    await world.run({ idle: true });
    expect(seen).toEqual([
      "100 a-b is cut true",
      "120 a-b is cut false",
      "220 a-b is cut true",
      "240 a-b is cut false",
    ]);
    expect(link.forward.up).toBe(true);
    const spread = pair({}, "spread");
    const times: number[] = [];
    spread.world.observe({ condition: (time) => times.push(time) });
    spread.link.flap({ up: 100, down: 20, times: 50, spread: 0.5 });
    await spread.world.run({ idle: true });
    expect(times).toHaveLength(100);
    expect(times[0]).toBeGreaterThan(50);
    expect(times.at(-1)! / 6000).toBeCloseTo(1, 1);
    expect(() => link.flap({ up: 0, down: 1, times: 1 })).toThrow("up 0");
  });

  test("cut, it lets nothing through; mended, everything", async () => {
    const { world, a, b, link, got, listen } = pair({});
    a.run(async () => {
      await b.ready;
      listen();
      link.cut();
      expect(send(a.netif, b.mac, 1)).toBe(false);
      link.mend();
      expect(send(a.netif, b.mac, 2)).toBe(true);
      link.configure({ loss: 1 });
      send(a.netif, b.mac, 3);
    });
    await world.run({ idle: true });
    expect(got.map((each) => each.bytes[20])).toEqual([2]);
  });

  test("the same seed treats the same frames alike, another seed does not", async () => {
    const settings = { loss: 0.3, jitter: 3, duplicate: 0.1, reorder: 0.1 };
    const one = await burst(settings, 300, "x");
    const same = await burst(settings, 300, "x");
    const other = await burst(settings, 300, "y");
    expect(same.got).toEqual(one.got);
    expect(same.world.summary()).toEqual(one.world.summary());
    expect(other.got).not.toEqual(one.got);
    expect(other.world.summary().hash).not.toBe(one.world.summary().hash);
  });

  test("the seed fixes the same run on every machine and every version of Node.js", async () => {
    const world = createWorld({ seed: "exact" });
    const a = world.host("a", bare);
    const b = world.host("b", bare);
    const link = world.link(a, b, {
      bandwidth: 3_000_000,
      jitter: { kind: "normal", mean: 2, deviation: 1 },
      loss: { kind: "bursts", enter: 0.02, leave: 0.3 },
      queue: { kind: "red", minimum: 3000, maximum: 9000, weight: 0.05 },
      duplicate: 0.01,
      corrupt: 0.01,
    });
    link.flap({ up: 50, down: 7, times: 5, spread: 0.3 });
    link.schedule([
      { at: 100, queue: { kind: "codel" }, jitter: { kind: "pareto", minimum: 1, shape: 1.7 }, overtake: true },
      { at: 200, queue: { kind: "fq-codel" }, jitter: { kind: "exponential", mean: 3 } },
    ]);
    a.run(async ({ timers }) => {
      for (let index = 0; index < 300; index++) {
        for (let count = 0; count < 1 + (index % 2); count++) send(a.netif, b.mac, index & 0xff, 300 + index * 2);
        await new Promise<void>((done) => timers.timer(done).set(timers.now() + 1));
      }
    });
    const { events, time, hash } = await world.run({ idle: true });
    expect({ events, time, hash, dropped: link.forward.dropped }).toMatchInlineSnapshot(`
      {
        "dropped": 74,
        "events": 1079,
        "hash": "9453960d0fdaa041",
        "time": 619.3253512305466,
      }
    `);
  });

  test("every frame sent is delivered, dropped or on its way, whatever the settings", async () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const queue = fc.constantFrom<number | QueueSettings>(
      2000,
      { kind: "codel", target: 0.1, interval: 1 },
      { kind: "fq-codel", packets: 10 },
      { kind: "red", minimum: 500, maximum: 1500, weight: 0.5 },
    );
    const rate = fc.constantFrom(Infinity, 1e5, 1e6);
    const settings = fc.record({
      loss: share,
      duplicate: share,
      reorder: share,
      corrupt: share,
      queue,
      bandwidth: rate,
    });
    await fc.assert(
      fc.asyncProperty(settings, fc.integer({ min: 0, max: 100 }), async (faults, count) => {
        const world = createWorld({ seed: "p" });
        const a = world.host("a", bare);
        const b = world.host("b", bare);
        const link = world.link(a, b, faults);
        let duplicated = 0;
        world.observe({
          frame: (event: FrameEvent) => {
            if (event.kind === "duplicated") duplicated++;
          },
        });
        a.run(async () => {
          await b.ready;
          for (let index = 0; index < count; index++) send(a.netif, b.mac, index);
        });
        await world.run({ until: 20 });
        const conserved = (): void => {
          const { sent, dropped, delivered, inFlight } = link.forward;
          expect(delivered + dropped + inFlight).toBe(sent + duplicated);
        };
        conserved();
        await world.run({ idle: true });
        conserved();
        expect(link.forward.inFlight).toBe(0);
        expect(link.forward.sent).toBe(count);
      }),
      { numRuns: 30 },
    );
  });

  test.each([
    [{ loss: 1.5 }, "loss 1.5"],
    [{ corrupt: NaN }, "corrupt NaN"],
    [{ delay: -1 }, "delay -1"],
    [{ bandwidth: 0 }, "bandwidth 0"],
    [{ queue: -5 }, "queue -5"],
  ])("refuses %o", (settings: LinkSettings, message) => {
    expect(() => createWorld({ link: settings })).toThrow(message);
  });
});

describe("a switch", () => {
  async function lan(count: number, body: (world: World, hosts: Host[], seen: string[]) => Promise<void>) {
    const world = createWorld();
    const hosts = Array.from({ length: count }, (_, index) => world.host(`h${index}`, bare));
    const seen: string[] = [];
    world.task("test", async () => {
      await Promise.all(hosts.map((host) => host.ready));
      for (const host of hosts) {
        host.netif.listen((page, offset) => seen.push(`${host.name}:${page.bytes[offset + 20]}`));
      }
      await body(world, hosts, seen);
    });
    await world.run();
    return world;
  }

  const settle = (world: World) => new Promise<void>((done) => world.timers.timer(done).set(world.now + 10));

  test("floods what it does not know, learns, and forwards to one port", async () => {
    const world = await lan(4, async (running, [a, b], seen) => {
      send(a!.netif, b!.mac, 1);
      await settle(running);
      expect(seen.splice(0)).toEqual(["h1:1", "h2:1", "h3:1"]);
      send(b!.netif, a!.mac, 2);
      await settle(running);
      expect(seen.splice(0)).toEqual(["h0:2"]);
      send(a!.netif, b!.mac, 3);
      send(a!.netif, MacAddress.broadcast, 4);
      await settle(running);
      expect(seen.splice(0)).toEqual(["h1:3", "h1:4", "h2:4", "h3:4"]);
    });
    expect(world.lan().switch.addresses).toBe(2);
  });

  test("a frame for another's address is not for a host that has a stack", async () => {
    const world = createWorld();
    const a = world.host("a", bare);
    const b = world.host("b");
    const c = world.host("c", { promiscuous: true });
    world.task("test", async () => {
      await Promise.all([a, b, c].map((host) => host.ready));
      await settle(world);
      const before = [b, c].map((host) => host.netif.statistics.receivedFrames);
      send(a.netif, new MacAddress(0x0600, 1), 1);
      await settle(world);
      expect([b, c].map((host) => host.netif.statistics.receivedFrames)).toEqual([before[0]!, before[1]! + 1]);
    });
    await world.run();
    await world.close();
  });

  test("several are joined, and no loop comes of it", async () => {
    const world = createWorld({ link: { delay: 1 } });
    const [one, two, three] = ["one", "two", "three"].map((name) => world.lan(name));
    world.join(one!, two!, { delay: 10 });
    const cable = world.join(two!, three!, { delay: 10, forward: { delay: 100 } });
    expect(() => world.join(three!, one!)).toThrow(`LANs "three" and "one" are joined already`);
    expect(() => world.join(one!, one!)).toThrow("that would be a loop");
    const a = world.host("a", { lan: "one" });
    const b = world.host("b", { lan: "three" });
    world.task("test", async () => {
      await Promise.all([a.ready, b.ready]);
      await a.ownStack.icmp.ping(b.address);
      expect(await a.ownStack.icmp.ping(b.address)).toBe(132);
      cable.cut();
      await expect(a.ownStack.icmp.ping(b.address, { timeout: 1000 })).rejects.toThrow();
    });
    await world.run();
    await world.close();
    expect(two!.switch.addresses).toBe(2);
  });

  test("snooping ARP, it asks only whom a question can concern", async () => {
    const world = createWorld({ link: { delay: 1 } });
    world.lan("big", { arp: "snoop" });
    const hosts = Array.from({ length: 50 }, (_, index) => world.host(`h${index}`, { lan: "big" }));
    const [a, b] = hosts as [Host, Host];
    const heard = () => hosts.reduce((sum, host) => sum + host.netif.statistics.receivedFrames, 0);
    world.task("test", async () => {
      await Promise.all(hosts.map((host) => host.ready));
      await settle(world);
      // Announcements concern nobody yet, and reports no host.
      expect(heard()).toBe(0);
      expect(await a.ownStack.icmp.ping(b.address)).toBe(4);
      await settle(world);
      // A question, its answer and the ping, each with its way back; then b asks for a in turn.
      expect(heard()).toBe(6);
      // What nobody has claimed is asked of everybody.
      await a.ownStack.icmp.ping(IpAddress.parse("10.0.7.7"), { timeout: 100 }).catch(() => undefined);
      expect(heard()).toBe(6 + 49);
      // A host that comes back with another MAC address is announced to those who have heard of it.
      const late = world.host("late", { lan: "big", ipv4: "10.0.0.2/16" });
      await late.ready;
      await settle(world);
      expect(late.netif.statistics.receivedFrames + b.ownStack.statistics.arp.conflicts).toBeGreaterThan(0);
      expect(a.netif.statistics.receivedFrames).toBeGreaterThan(2);
    });
    await world.run();
    await world.close();
  });

  test("a host that makes up addresses evicts only its own", async () => {
    const world = await lan(3, async (running, [a, b, c], seen) => {
      send(b!.netif, a!.mac, 1);
      for (let index = 0; index < 1000; index++) {
        const page = a!.netif.allocate()!;
        MacAddress.broadcast.write(page.bytes, headroom);
        new MacAddress(0x0600, index).write(page.bytes, headroom + 6);
        a!.netif.transmit(page, headroom, 60);
      }
      await settle(running);
      seen.length = 0;
      send(c!.netif, b!.mac, 9);
      await settle(running);
      expect(seen).toEqual(["h1:9"]);
    });
    expect(world.lan().switch.addresses).toBeLessThanOrEqual(3 * 64);
  });

  test("forgets after five minutes, and learns where a host has moved to", async () => {
    await lan(3, async (running, [a, b, c], seen) => {
      send(b!.netif, a!.mac, 1);
      await settle(running);
      // The same address, now heard at c's port.
      const page = c!.netif.allocate()!;
      a!.mac.write(page.bytes, headroom);
      b!.mac.write(page.bytes, headroom + 6);
      c!.netif.transmit(page, headroom, 60);
      await settle(running);
      seen.length = 0;
      send(a!.netif, b!.mac, 2);
      await settle(running);
      expect(seen.splice(0)).toEqual(["h2:2"]);
      await new Promise<void>((done) => running.timers.timer(done).set(running.now + 300_001));
      send(a!.netif, b!.mac, 3);
      await settle(running);
      expect(seen).toEqual(["h1:3", "h2:3"]);
    });
  });
});
