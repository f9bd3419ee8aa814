import type { CuttingNetif } from "@tesserae/conformance/cutting-netif";
import { cuttingLink, cutsAll, LongFrame } from "@tesserae/conformance/cutting-netif";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { NetifFeatures } from "@tesserae/device/netif";
import type { Datagram, UdpSocket } from "@tesserae/device/udp";
import { transmitSegments } from "@tesserae/netif/segmentation";
import { headroom, needsChecksum, Page } from "@tesserae/device/page";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createStack } from "../stack/stack.ts";

const checksumOnly: NetifFeatures = { transmitChecksum: true, maxSegmentation: 0 };
const tcpOnly: NetifFeatures = { transmitChecksum: true, maxSegmentation: 65_455, segmentsIpv6: true };
const nothing: NetifFeatures = { transmitChecksum: false, maxSegmentation: 0 };
const addresses = { 4: ["10.0.0.1", "10.0.0.2"], 6: ["fd00::1", "fd00::2"] } as const;

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 7 + (index >>> 8));
}

/** Two hosts on one link. */
async function setup(features: { a?: NetifFeatures; b?: NetifFeatures; mtu?: number } = {}) {
  const timers = new Scheduler(new VirtualClock());
  const link = cuttingLink(timers, features);
  const run = (): void => {
    for (let turn = 0; turn < 20; turn++) timers.run();
  };
  const stack = (netif: CuttingNetif, place: 0 | 1) =>
    createStack({
      netif,
      timers,
      random: new SeededRandom(place + 1),
      ipv4: { kind: "static", address: Prefix.parse(`${addresses[4][place]}/24`) },
      ipv6: { kind: "static", address: Prefix.parse(`${addresses[6][place]}/64`) },
    });
  const near = await stack(link.a, 0);
  const far = await stack(link.b, 1);
  run();
  return { ...link, near, far, run, timers };
}

type Setup = Awaited<ReturnType<typeof setup>>;

/** What one of the hosts hears on a port, as copies. */
function hear(stack: Setup["far"], port: number): { payloads: Uint8Array[]; socket: UdpSocket } {
  const payloads: Uint8Array[] = [];
  const socket = stack.udp.open({ port }, ({ bytes, offset, length }: Datagram) => {
    payloads.push(bytes.slice(offset, offset + length));
  });
  return { payloads, socket };
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

/** Frames with UDP in them. */
function udpFrames(netif: CuttingNetif): LongFrame[] {
  return netif.sent.filter(({ bytes }) => bytes[bytes[12] === 0x86 ? 20 : 23] === 17);
}

describe("sendMany", () => {
  test.each([
    ["in one frame, where the device cuts them", cutsAll, 4, 1],
    ["in one frame, where the device cuts them", cutsAll, 6, 1],
    ["one by one, where it cuts only TCP", tcpOnly, 4, 4],
    ["one by one, where it cuts only TCP", tcpOnly, 6, 4],
    ["one by one, where it cuts nothing", checksumOnly, 4, 4],
    ["one by one, where it does nothing", nothing, 6, 4],
  ] as const)("sends datagrams %s (%#)", async (_how, features, family, frames) => {
    const { near, far, a, run } = await setup({ a: features });
    const { payloads } = hear(far, 7);
    const socket = near.udp.open({ port: 9 }, () => undefined);
    const bytes = pattern(4500);
    const target = IpAddress.parse(addresses[family][1]);
    socket.send(bytes, 0, 1, target, 7);
    run();
    a.sent.length = 0;
    payloads.length = 0;
    expect(socket.sendMany(bytes, 100, 4300, 1400, target, 7)).toBe(4);
    run();
    expect(udpFrames(a)).toHaveLength(frames);
    expectSame(payloads, cut(bytes.slice(100, 4400), 1400));
    expect(near.statistics.udp).toMatchObject({ sent: 5, sendFailed: 0 });
    expect(far.statistics.udp).toMatchObject({ received: 5, delivered: 5, badChecksum: 0, malformed: 0 });
    expect([a.misfits, a.pagesOut]).toEqual([0, 0]);
  });

  test("fills several frames when there is more than one may carry, each a whole number of datagrams", async () => {
    const { near, far, a, run } = await setup({ mtu: 9000 });
    const { payloads } = hear(far, 7);
    const socket = near.udp.open({ port: 9 }, () => undefined);
    const bytes = pattern(65_507);
    const target = IpAddress.parse(addresses[4][1]);
    socket.send(bytes, 0, 0, target, 7);
    run();
    payloads.length = 0;
    expect(socket.sendMany(bytes, 0, bytes.length, 8000, target, 7)).toBe(9);
    run();
    expectSame(payloads, cut(bytes, 8000));
    expect(udpFrames(a).map(({ page }) => page.segmentSize)).toEqual([0, 8000, 0]);
    // The device counts on from the identification of the first: the next one is behind all of them.
    const [, long, next] = udpFrames(a).map(({ bytes: frame }) => new DataView(frame.buffer).getUint16(18));
    expect((next! - long!) & 0xffff).toBeGreaterThanOrEqual(8);
  });

  test("waits for the neighbour in one piece", async () => {
    const { near, far, run } = await setup();
    const { payloads } = hear(far, 7);
    const socket = near.udp.open({ port: 9 }, () => undefined);
    const bytes = pattern(64 * 1000);
    expect(socket.sendMany(bytes, 0, bytes.length, 1000, IpAddress.parse(addresses[4][1]), 7)).toBe(64);
    bytes.fill(0);
    run();
    expectSame(payloads, cut(pattern(64 * 1000), 1000));
  });

  test("cuts here what stays on this host or goes to many", async () => {
    const { near, far, a, run } = await setup();
    const own = hear(near, 7);
    const there = hear(far, 7);
    const group = IpAddress.parse("224.0.0.251");
    own.socket.join(group);
    there.socket.join(group);
    const bytes = pattern(3000);
    const socket = near.udp.open({ port: 9 }, () => undefined);
    for (const to of [addresses[4][0], addresses[6][0], "10.0.0.255", group.toString()]) {
      expect(socket.sendMany(bytes, 0, 3000, 1000, IpAddress.parse(to), 7), to).toBe(3);
      run();
    }
    expectSame(
      own.payloads,
      [1, 2, 3].flatMap(() => cut(bytes, 1000)),
    );
    expectSame(
      there.payloads,
      [1, 2].flatMap(() => cut(bytes, 1000)),
    );
    expect(udpFrames(a).every(({ page }) => page.segmentSize === 0)).toBe(true);
  });

  test("sends nothing that would go in fragments, and what it has no pages for later", async () => {
    const { near, a, run } = await setup();
    const socket = near.udp.open({ port: 9 }, () => undefined);
    const target = IpAddress.parse(addresses[4][1]);
    const bytes = pattern(10_000);
    expect(socket.sendMany(bytes, 0, 10_000, 1473, target, 7)).toBe(0);
    expect(socket.sendMany(bytes, 0, 10_000, 1472, target, 7)).toBe(7);
    expect(socket.sendMany(bytes, 0, 10_000, 1453, IpAddress.parse(addresses[6][1]), 7)).toBe(0);
    expect(socket.sendMany(bytes, 0, 10_000, 1452, IpAddress.parse(addresses[6][1]), 7)).toBe(7);
    expect(socket.sendMany(bytes, 0, 0, 100, target, 7)).toBe(0);
    expect(socket.sendMany(bytes, 0, 1000, 5000, target, 7), "one alone, shorter than a datagram may be").toBe(1);
    expect(near.statistics.udp).toMatchObject({ sent: 15, sendFailed: 14 });
    run();
    const held: Page[] = [];
    for (let page = a.allocate(); page !== undefined; page = a.allocate()) held.push(page);
    expect(socket.sendMany(bytes, 0, 10_000, 1000, target, 7)).toBe(0);
    for (const page of held) a.release(page);
    await socket.close();
    expect(socket.sendMany(bytes, 0, 10_000, 1000, target, 7)).toBe(0);
  });

  test("is told what it cannot do", async () => {
    const { near } = await setup();
    const socket = near.udp.open({ port: 9 }, () => undefined);
    const target = IpAddress.parse(addresses[4][1]);
    const bytes = new Uint8Array(70_000);
    const many =
      (length: number, size: number, port = 7) =>
      (): number =>
        socket.sendMany(bytes, 0, length, size, target, port);
    expect(many(65_508, 1400)).toThrow(RangeError);
    expect(many(6401, 100)).toThrow(RangeError);
    for (const size of [0, -1, 1.5, Number.NaN]) expect(many(100, size), String(size)).toThrow(RangeError);
    expect(many(100, 10, 0)).toThrow(RangeError);
    expect(() => socket.sendMany(bytes, 69_999, 2, 1, target, 7)).toThrow(RangeError);
  });
});

/** A long frame as the sender's stack makes it. */
async function longFrame(payload: Uint8Array, size: number, family: 4 | 6): Promise<LongFrame> {
  const { near, a, run } = await setup();
  const socket = near.udp.open({ port: 9 }, () => undefined);
  const target = IpAddress.parse(addresses[family][1]);
  socket.send(payload, 0, 0, target, 7);
  run();
  socket.sendMany(payload, 0, payload.length, size, target, 7);
  const frame = udpFrames(a).at(-1);
  if (frame === undefined) throw new Error("nothing was sent");
  return frame;
}

describe("a received frame with several datagrams", () => {
  test("gives what the frames give that it would be cut into", async () => {
    const receiver = await setup();
    const { payloads } = hear(receiver.far, 7);
    const sizes = fc.tuple(fc.integer({ min: 1, max: 1452 }), fc.integer({ min: 1, max: 64 * 1452 }));
    await fc.assert(
      fc.asyncProperty(sizes, fc.constantFrom<4 | 6>(4, 6), fc.boolean(), async ([size, most], family, sums) => {
        // What one frame holds.
        const payload = pattern(Math.min(most, size * 64, Math.floor(65_455 / size) * size));
        const frame = await longFrame(payload, size, family);
        receiver.b.deliver(frame);
        expectSame(payloads.splice(0), cut(payload, size));
        const { a } = cuttingLink(receiver.timers, { a: sums ? checksumOnly : nothing });
        const page = new Page(frame.bytes.slice(), 0);
        page.copyMetadata(frame.page);
        if (payload.length <= size) page.segmentSize = size;
        expect(transmitSegments(a, page, 0, frame.bytes.length)).toBe(true);
        for (const each of a.sent) receiver.b.deliver(each);
        expectSame(payloads.splice(0), cut(payload, size));
        expect(receiver.far.statistics.udp).toMatchObject({ badChecksum: 0, malformed: 0 });
      }),
      { numRuns: 25 },
    );
  });

  test("a handler that closes its socket in the middle stops the rest", async () => {
    const frame = await longFrame(pattern(5000), 1000, 4);
    const { far, b } = await setup();
    let calls = 0;
    const socket = far.udp.open({ port: 7 }, () => {
      if (++calls === 2) void socket.close();
    });
    b.deliver(frame);
    expect(calls).toBe(2);
    expect(far.statistics.udp).toMatchObject({ received: 5, delivered: 2 });
  });

  test("a closed port is told of once", async () => {
    const frame = await longFrame(pattern(5000), 1000, 6);
    const { far, b, run } = await setup();
    b.deliver(frame);
    run();
    expect(far.statistics.udp).toMatchObject({ noPort: 1, delivered: 0 });
  });

  test.each<[string, (frame: LongFrame) => void, object]>([
    ["a size of 0 makes one of it", ({ page }) => (page.segmentSize = 0), { delivered: 1, malformed: 0 }],
    ["a size above the length makes one of it", ({ page }) => (page.segmentSize = 60_000), { delivered: 1 }],
    ["a size of 1 makes too many", ({ page }) => (page.segmentSize = 1), { delivered: 0, malformed: 1 }],
    ["TCP's checksum is no datagrams'", ({ page }) => (page.checksumOffset = 16), { delivered: 0, malformed: 1 }],
    ["a length below the packet's is malformed", ({ bytes }) => (bytes[38] = 10), { delivered: 0, malformed: 1 }],
    ["a length above the packet's is malformed", ({ bytes }) => (bytes[38] = 80), { delivered: 0, malformed: 1 }],
    ["a summed one is checked as a whole", ({ page }) => (page.flags = 0), { delivered: 0, badChecksum: 1 }],
  ])("%s", async (_what, change, counters) => {
    const frame = await longFrame(pattern(5000), 1000, 4);
    const { far, b } = await setup();
    hear(far, 7);
    change(frame);
    b.deliver(frame);
    expect(far.statistics.udp).toMatchObject(counters);
  });

  test("what is hostile throws nothing, and is handed on only as it lies in the frame", async () => {
    const frame = await longFrame(pattern(5000), 1000, 4);
    const { far, b } = await setup();
    let handed = 0;
    far.udp.open({ port: 7 }, ({ bytes, offset, length }) => {
      handed++;
      expect(offset >= headroom && length >= 0 && offset + length <= bytes.length).toBe(true);
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 14, max: 45 }), fc.integer({ min: 0, max: 255 })), { maxLength: 3 }),
        fc.integer({ min: 0, max: 65_535 }),
        fc.integer({ min: 42, max: frame.bytes.length }),
        fc.constantFrom(0, needsChecksum),
        (changes, size, length, flags) => {
          const page = new Page(frame.bytes.slice(), 0);
          page.copyMetadata(frame.page);
          for (const [at, value] of changes) page.bytes[at] = value;
          page.flags = flags;
          page.segmentSize = size;
          handed = 0;
          b.deliver(new LongFrame(page, 0, length));
          expect(handed).toBeLessThanOrEqual(128);
        },
      ),
    );
  });
});
