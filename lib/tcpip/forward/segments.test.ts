import { type CuttingNetif, cuttingLink, cutsAll } from "@tesserae/conformance/cutting-netif";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { NetifFeatures } from "@tesserae/device/netif";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { runVirtual } from "@tesserae/time/virtual-run";
import { describe, expect, test } from "vitest";
import { createRouter, type RouterOptions } from "../stack/router.ts";
import { createStack, type IpStack } from "../stack/stack.ts";

const tcpOnly: NetifFeatures = { transmitChecksum: true, maxSegmentation: 65_455, segmentsIpv6: true };
const checksumOnly: NetifFeatures = { transmitChecksum: true, maxSegmentation: 0 };
const nothing: NetifFeatures = { transmitChecksum: false, maxSegmentation: 0 };
const farAddress = { 4: IpAddress.parse("198.51.100.2"), 6: IpAddress.parse("fd02::2") } as const;

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 7 + (index >>> 8));
}

/** A host on either side of a router whose outer interface has these features. */
async function setup(features: NetifFeatures, options: Partial<RouterOptions> = {}, mtu = 1500) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const drive = <T>(promise: Promise<T>): Promise<T> => runVirtual({ clock, schedulers: [timers], turn }, promise);
  const inner = cuttingLink(timers);
  const outer = cuttingLink(timers, { a: features, mtu });
  const fixed = (v4: string, v6: string, gateway = false) => ({
    ipv4: {
      kind: "static" as const,
      address: Prefix.parse(`${v4}/24`),
      ...(gateway ? { gateway: IpAddress.parse(v4.replace(/\d+$/, "1")) } : {}),
    },
    ipv6: {
      kind: "static" as const,
      address: Prefix.parse(`${v6}/64`),
      ...(gateway ? { gateway: IpAddress.parse(v6.replace(/\d+$/, "1")) } : {}),
    },
  });
  const router = await drive(
    createRouter({
      interfaces: [
        { netif: outer.a, name: "outside", ...fixed("198.51.100.1", "fd02::1") },
        { netif: inner.b, name: "inside", ...fixed("10.0.0.1", "fd01::1") },
      ],
      timers,
      random: new SeededRandom(9),
      ...options,
    }),
  );
  const host = (netif: CuttingNetif, seed: number, v4: string, v6: string): Promise<IpStack> =>
    drive(createStack({ netif, timers, random: new SeededRandom(seed), ...fixed(v4, v6, true) }));
  const near = await host(inner.a, 1, "10.0.0.2", "fd01::2");
  const far = await host(outer.b, 2, "198.51.100.2", "fd02::2");
  const run = (): void => {
    for (let round = 0; round < 30; round++) timers.run();
  };
  return { drive, router, near, far, run, inner, outer };
}

/** Sends `length` bytes as datagrams of `size` from one host to the other, and gives what arrives. */
async function passed(
  world: Awaited<ReturnType<typeof setup>>,
  family: 4 | 6,
  length: number,
  size: number,
): Promise<{ payloads: Uint8Array[]; sources: Set<string>; frames: number }> {
  const { near, far, run, outer, inner } = world;
  const payloads: Uint8Array[] = [];
  const sources = new Set<string>();
  const there = far.udp.open({ port: 7 }, (datagram) => {
    payloads.push(datagram.bytes.slice(datagram.offset, datagram.offset + datagram.length));
    sources.add(datagram.source.toString());
  });
  const here = near.udp.open({ port: 9 }, () => undefined);
  // All know their neighbours then.
  here.send(new Uint8Array(1), 0, 1, farAddress[family], 7);
  run();
  payloads.length = 0;
  outer.a.sent.length = 0;
  inner.a.sent.length = 0;
  expect(here.sendMany(pattern(length), 0, length, size, farAddress[family], 7)).toBe(Math.ceil(length / size));
  expect(inner.a.sent.map(({ page }) => page.segmentSize)).toEqual([size]);
  run();
  await here.close();
  await there.close();
  return { payloads, sources, frames: outer.a.sent.length };
}

/** Of datagrams by the dozen, only what is needed to tell is shown. */
function expectSame(got: readonly Uint8Array[], wanted: readonly Uint8Array[]): void {
  expect(got.map(({ length }) => length)).toEqual(wanted.map(({ length }) => length));
  expect(Buffer.concat(got).equals(Buffer.concat(wanted)), "the bytes are the same").toBe(true);
}

function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    bytes.slice(index * size, (index + 1) * size),
  );
}

describe.each([
  ["cuts datagrams", cutsAll, 1],
  ["cuts only TCP", tcpOnly, 4],
  ["cuts nothing", checksumOnly, 4],
  ["does nothing", nothing, 4],
] as const)("a packet of several datagrams on its way out of a device that %s", (_what, features, frames) => {
  test.each([4, 6] as const)("arrives as its datagrams, over IPv%i", async (family) => {
    const world = await setup(features);
    const came = await passed(world, family, 5000, 1400);
    expectSame(came.payloads, cut(pattern(5000), 1400));
    expect(came.frames).toBe(frames);
    const { router, far, outer, inner } = world;
    const { statistics } = (family === 4 ? router.forwarding : router.forwarding6)!;
    expect(statistics).toMatchObject({ forwarded: frames + 1, dropped: 0, segmented: 0, tooBig: 0 });
    expect(far.statistics.udp).toMatchObject({ badChecksum: 0, malformed: 0 });
    expect([outer.a.misfits, outer.a.pagesOut, inner.b.pagesOut]).toEqual([0, 0, 0]);
  });

  test("is translated, all of them alike", async () => {
    const world = await setup(features, { nat: { outside: 1 } });
    const came = await passed(world, 4, 5000, 1400);
    expectSame(came.payloads, cut(pattern(5000), 1400));
    expect([...came.sources]).toEqual(["198.51.100.1"]);
    expect(came.frames).toBe(frames);
    expect(world.far.statistics.udp).toMatchObject({ badChecksum: 0, malformed: 0 });
    expect(world.outer.a.misfits).toBe(0);
  });

  test("goes in fragments, each datagram by itself, where those are too long for the link", async () => {
    const world = await setup(features, {}, 800);
    const came = await passed(world, 4, 5000, 1400);
    expectSame(came.payloads, cut(pattern(5000), 1400));
    expect(came.frames).toBe(8);
    expect(world.far.statistics.udp).toMatchObject({ badChecksum: 0, malformed: 0 });
    expect(world.outer.a.misfits).toBe(0);
  });

  test("over IPv6 its sender is told that the path is narrow, and believes it", async () => {
    const world = await setup(features, {}, 1400);
    const came = await passed(world, 6, 5000, 1400);
    expect(came.payloads).toEqual([]);
    expect(world.router.forwarding6!.statistics.tooBig).toBe(1);
    expect(world.near.ipv6!.mtu(farAddress[6])).toBe(1400);
  });
});

describe("a TCP packet of several segments", () => {
  test.each([
    [4, nothing],
    [6, checksumOnly],
    [4, cutsAll],
  ] as const)("is cut on the way where the next device does not, over IPv%i (%#)", async (family, features) => {
    const { drive, near, far, outer, inner, router } = await setup(features);
    const sent = pattern(200_000);
    const got: number[] = [];
    let ended: () => void;
    const end = new Promise<void>((resolve) => (ended = resolve));
    await far.tcp.listen({ port: 7 }, async (flow) => {
      const into = new Uint8Array(65_536);
      for (let count = await flow.read(into); count > 0; count = await flow.read(into))
        got.push(...into.subarray(0, count));
      await flow.close();
      ended();
    });
    const flow = await drive(near.tcp.connect({ address: farAddress[family], port: 7 }));
    await drive(flow.write(sent));
    await drive(flow.end());
    await drive(end);
    expect(Uint8Array.from(got)).toEqual(sent);
    expect(inner.a.sent.some(({ page }) => page.segmentSize > 0)).toBe(true);
    expect(outer.a.sent.some(({ page }) => page.segmentSize > 0)).toBe(features === cutsAll);
    expect(outer.a.misfits).toBe(0);
    expect((family === 4 ? router.forwarding : router.forwarding6)!.statistics.segmented).toBe(0);
  });
});
