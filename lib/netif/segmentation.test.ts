import { cuttingLink, cutsAll, LongFrame } from "@tesserae/conformance/cutting-netif";
import { MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { needsChecksum, Page } from "@tesserae/device/page";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum, fold, pseudoHeaderSum4, sum } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Bridge } from "./bridge.ts";
import { createLink } from "./link.ts";
import { NetifMiddleware } from "./middleware.ts";
import { relay } from "./relay.ts";
import { transmitSegments } from "./segmentation.ts";

const finPshAck = 0x19;
const cwr = 0x80;

interface Shape {
  readonly version: 4 | 6;
  readonly options: number;
  readonly payload: number;
  readonly segmentSize: number;
}

function longFrame({ version, options, payload, segmentSize }: Shape, offset = 20): { page: Page; length: number } {
  const ip = version === 4 ? 20 : 40;
  const tcp = 20 + options * 4;
  const length = 14 + ip + tcp + payload;
  const page = new Page(new Uint8Array(offset + length + 10), 0);
  const view = new DataView(page.bytes.buffer, offset);
  MacAddress.parse("02:00:00:00:00:02").write(page.bytes, offset);
  MacAddress.parse("02:00:00:00:00:01").write(page.bytes, offset + 6);
  if (version === 4) {
    view.setUint16(12, 0x0800);
    view.setUint8(14, 0x45);
    view.setUint16(16, ip + tcp + payload);
    view.setUint16(18, 0xffff);
    view.setUint16(20, 0x4000);
    view.setUint8(23, 6);
    view.setUint32(26, 0x0a000001);
    view.setUint32(30, 0x0a000002);
  } else {
    view.setUint16(12, 0x86dd);
    view.setUint8(14, 0x60);
    view.setUint16(18, tcp + payload);
    view.setUint8(20, 6);
    view.setUint32(22, 0xfd000000);
    view.setUint32(50, 2);
  }
  const at = 14 + ip;
  view.setUint32(at + 4, 0xfffffe00);
  view.setUint8(at + 12, (tcp / 4) << 4);
  view.setUint8(at + 13, finPshAck | cwr);
  for (let index = 0; index < payload; index++) view.setUint8(at + tcp + index, index * 7 + (index >>> 8));
  page.flags = needsChecksum;
  page.checksumStart = at;
  page.checksumOffset = 16;
  page.segmentSize = segmentSize;
  page.headerLength = at + tcp;
  return { page, length };
}

function setup(mtu = 1500) {
  const clock = new VirtualClock({ origin: 0 });
  const timers = new Scheduler(clock);
  const { a, b } = createLink({ timers, mtu });
  const frames: { bytes: DataView; flags: number; start: number }[] = [];
  b.listen((page, offset, length) => {
    const bytes = new DataView(page.bytes.slice(offset, offset + length).buffer);
    frames.push({ bytes, flags: page.flags, start: page.checksumStart });
  });
  return { a, timers, frames };
}

/** An interface that completes checksums, or says so. */
class Able extends NetifMiddleware {
  override get features() {
    return { transmitChecksum: true, maxSegmentation: 0 };
  }
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}

function tcpSum(view: DataView, ip: number): number {
  return transportSum(view, ip, 6);
}

/** The sum of a segment with its pseudo header: 0xffff when its checksum is right. */
function transportSum(view: DataView, ip: number, protocol: number): number {
  const bytes = bytesOf(view);
  const at = 14 + ip;
  const length = bytes.length - at;
  const pseudo =
    ip === 20
      ? pseudoHeaderSum4(view.getInt32(26), view.getInt32(30), protocol, length)
      : sum(bytes, 22, 32, protocol + length);
  return fold(sum(bytes, at, length, pseudo));
}

/** The same with datagrams in it. */
function longUdp(shape: Omit<Shape, "options">): { page: Page; length: number } {
  // The header is 12 bytes shorter.
  const { page, length: long } = longFrame({ ...shape, options: 0 });
  const length = long - 12;
  const view = new DataView(page.bytes.buffer, 20);
  const ip = shape.version === 4 ? 20 : 40;
  const udp = 14 + ip;
  page.bytes.copyWithin(20 + udp + 8, 20 + udp + 20, 20 + long);
  if (shape.version === 4) {
    view.setUint16(16, length - 14);
    view.setUint8(23, 17);
  } else {
    view.setUint16(18, length - 54);
    view.setUint8(20, 17);
  }
  view.setUint16(udp, 4000);
  view.setUint16(udp + 2, 5000);
  view.setUint16(udp + 4, length - udp);
  const pseudo =
    ip === 20
      ? pseudoHeaderSum4(0x0a000001, 0x0a000002, 17, length - udp)
      : sum(page.bytes, 20 + 22, 32, 17 + length - udp);
  view.setUint16(udp + 6, fold(pseudo));
  page.checksumOffset = 6;
  page.headerLength = udp + 8;
  return { page, length };
}

const shapes = fc.record({
  version: fc.constantFrom<4 | 6>(4, 6),
  options: fc.integer({ min: 0, max: 10 }),
  payload: fc.integer({ min: 1, max: 9000 }),
  segmentSize: fc.integer({ min: 100, max: 1400 }),
});

describe("transmitSegments", () => {
  test("the segments are whole packets that carry the payload in order", () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), (shape, able) => {
        const { a, timers, frames } = setup();
        const { page, length } = longFrame(shape);
        const to: Netif = able ? new Able(a) : a;
        expect(transmitSegments(to, page, 20, length)).toBe(true);
        timers.run();
        const ip = shape.version === 4 ? 20 : 40;
        const header = 14 + ip + 20 + shape.options * 4;
        const count = Math.ceil(shape.payload / shape.segmentSize);
        expect(frames).toHaveLength(count);
        const joined: number[] = [];
        for (const [index, { bytes, flags, start }] of frames.entries()) {
          if (ip === 20) {
            expect(bytes.getUint16(16)).toBe(bytes.byteLength - 14);
            expect(bytes.getUint16(18)).toBe((0xffff + index) & 0xffff);
            expect(checksum(bytesOf(bytes), 14, 20)).toBe(0);
          } else expect(bytes.getUint16(18)).toBe(bytes.byteLength - 54);
          const tcp = 14 + ip;
          expect(bytes.getUint32(tcp + 4)).toBe((0xfffffe00 + index * shape.segmentSize) >>> 0);
          const isLast = index === count - 1;
          expect(bytes.getUint8(tcp + 13)).toBe((isLast ? finPshAck : 0x10) | (index === 0 ? cwr : 0));
          if (able) {
            expect([flags, start]).toEqual([needsChecksum, tcp]);
            bytes.setUint16(tcp + 16, checksum(bytesOf(bytes), tcp, bytes.byteLength - tcp));
          } else expect(flags).toBe(0);
          expect(tcpSum(bytes, ip)).toBe(0xffff);
          joined.push(...bytesOf(bytes).subarray(header));
        }
        expect(joined).toEqual([...page.bytes.subarray(20 + header, 20 + length)]);
      }),
      { numRuns: 30 },
    );
  });

  test("datagrams have lengths, identifications and checksums of their own", () => {
    const udpShapes = fc.record({
      version: fc.constantFrom<4 | 6>(4, 6),
      payload: fc.integer({ min: 1, max: 9000 }),
      segmentSize: fc.integer({ min: 100, max: 1452 }),
    });
    fc.assert(
      fc.property(udpShapes, fc.boolean(), (shape, able) => {
        const { a, timers, frames } = setup();
        const { page, length } = longUdp(shape);
        expect(transmitSegments(able ? new Able(a) : a, page, 20, length)).toBe(true);
        timers.run();
        const ip = shape.version === 4 ? 20 : 40;
        const udp = 14 + ip;
        const joined: number[] = [];
        for (const [index, { bytes, flags, start }] of frames.entries()) {
          if (ip === 20) {
            expect(bytes.getUint16(16)).toBe(bytes.byteLength - 14);
            expect(bytes.getUint16(18)).toBe((0xffff + index) & 0xffff);
            expect(checksum(bytesOf(bytes), 14, 20)).toBe(0);
          } else expect(bytes.getUint16(18)).toBe(bytes.byteLength - 54);
          expect([bytes.getUint16(udp), bytes.getUint16(udp + 2)]).toEqual([4000, 5000]);
          expect(bytes.getUint16(udp + 4)).toBe(bytes.byteLength - udp);
          if (able) {
            expect([flags, start]).toEqual([needsChecksum, udp]);
            bytes.setUint16(udp + 6, checksum(bytesOf(bytes), udp, bytes.byteLength - udp));
          } else expect(flags).toBe(0);
          expect(transportSum(bytes, ip, 17)).toBe(0xffff);
          joined.push(...bytesOf(bytes).subarray(udp + 8));
        }
        expect(frames).toHaveLength(Math.ceil(shape.payload / shape.segmentSize));
        expect(joined).toEqual([...page.bytes.subarray(20 + udp + 8, 20 + length)]);
      }),
      { numRuns: 30 },
    );
  });

  test("a datagram whose sum comes out as 0 has 0xffff for it", () => {
    const { a, timers, frames } = setup();
    const { page, length } = longUdp({ version: 4, payload: 2000, segmentSize: 1000 });
    const view = new DataView(page.bytes.buffer, 20);
    // The word that makes the sum of the first datagram what a sum of zero comes from.
    view.setUint16(42, 0);
    expect(transmitSegments(a, page, 20, length)).toBe(true);
    timers.run();
    view.setUint16(42, frames[0]!.bytes.getUint16(40));
    expect(transmitSegments(a, page, 20, length)).toBe(true);
    timers.run();
    expect(frames[2]!.bytes.getUint16(40)).toBe(0xffff);
  });

  test("what is no frame with UDP datagrams is refused", () => {
    const { a } = setup();
    const long = (): { page: Page; length: number } => longUdp({ version: 4, payload: 3000, segmentSize: 1000 });
    const refused = (what: string, change: (page: Page) => unknown): void => {
      const { page, length } = long();
      change(page);
      expect(transmitSegments(a, page, 20, length), what).toBe(false);
    };
    refused("a length of UDP's that is not IP's", ({ bytes }) => bytes[20 + 39]!++);
    refused("too many", (page) => (page.segmentSize = 10));
    refused("longer than the MTU", (page) => (page.segmentSize = 1473));
    refused("another protocol", ({ bytes }) => (bytes[20 + 23] = 47));
    refused("another EtherType", ({ bytes }) => (bytes[20 + 12] = 0x86));
    const { page, length } = long();
    expect(transmitSegments(a, page, 20, length)).toBe(true);
  });

  test("what is no frame with TCP segments is refused, and throws nothing", () => {
    const { a } = setup();
    fc.assert(
      fc.property(
        shapes,
        fc.array(fc.tuple(fc.integer({ min: 12, max: 90 }), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.integer({ min: 0, max: 120 }),
        (shape, changes, cut) => {
          const { page, length } = longFrame(shape);
          for (const [at, value] of changes) page.bytes[20 + at] = value;
          transmitSegments(a, page, 20, Math.max(14, length - cut));
        },
      ),
    );
    const { page, length } = longFrame({ version: 4, options: 0, payload: 3000, segmentSize: 1000 });
    page.bytes[20 + 21] = 1;
    expect(transmitSegments(a, page, 20, length), "a fragment").toBe(false);
    page.bytes[20 + 21] = 0;
    expect(transmitSegments(a, page, 20, length - 1), "cut short").toBe(false);
    page.segmentSize = 1461;
    expect(transmitSegments(a, page, 20, length), "segments longer than the MTU").toBe(false);
    page.segmentSize = 0;
    expect(transmitSegments(a, page, 20, length), "no segment size").toBe(false);
  });
});

describe("relay", () => {
  test("completes a checksum for an interface that does not, and leaves it to one that does", () => {
    const { a, timers, frames } = setup();
    const { page, length } = longFrame({ version: 4, options: 3, payload: 700, segmentSize: 0 });
    const view = new DataView(page.bytes.buffer, 20);
    view.setUint16(34 + 16, fold(pseudoHeaderSum4(0x0a000001, 0x0a000002, 6, length - 34)));
    expect(relay(a, page, 20, length)).toBe(true);
    expect(relay(new Able(a), page, 20, length)).toBe(true);
    timers.run();
    expect(frames.map(({ flags }) => flags)).toEqual([0, needsChecksum]);
    expect(tcpSum(frames[0]!.bytes, 20)).toBe(0xffff);
    expect(bytesOf(frames[1]!.bytes)).toEqual(page.bytes.subarray(20, 20 + length));
  });

  test.each([
    ["cuts all", cutsAll, 4, 1],
    ["cuts all", cutsAll, 6, 1],
    ["cuts only TCP, as in the vm target and on Xen", { ...cutsAll, segmentsUdp: false }, 4, 3],
    ["cuts only TCP, as in the vm target and on Xen", { ...cutsAll, segmentsUdp: false }, 6, 3],
    ["cuts only over IPv4", { ...cutsAll, segmentsIpv6: false }, 6, 3],
    ["cuts nothing", { transmitChecksum: true, maxSegmentation: 0 }, 4, 3],
    ["does nothing", { transmitChecksum: false, maxSegmentation: 0 }, 6, 3],
  ] as const)("a bridge gives datagrams to an interface that %s (%#)", (_what, features, version, frames) => {
    const timers = new Scheduler(new VirtualClock({ origin: 0 }));
    const near = cuttingLink(timers);
    const far = cuttingLink(timers, { b: features });
    const bridge = new Bridge({ clock: timers });
    bridge.attach(near.b);
    bridge.attach(far.b);
    const { page, length } = longUdp({ version, payload: 3000, segmentSize: 1100 });
    near.b.deliver(new LongFrame(page, 20, length));
    // What says that it is TCP is not.
    page.checksumOffset = 16;
    near.b.deliver(new LongFrame(page, 20, length));
    const sent = far.b.sent;
    expect(sent.slice(0, frames).map((each) => each.page.segmentSize)).toEqual(frames === 1 ? [1100] : [0, 0, 0]);
    expect(sent.slice(0, frames).map(({ bytes }) => bytes.length - (version === 4 ? 42 : 62))).toEqual(
      frames === 1 ? [3000] : [1100, 1100, 800],
    );
    // A device that cuts UDP was given the second one as it is, and did not like it.
    expect([sent.length, far.b.misfits]).toEqual(frames === 1 ? [1, 1] : [6, 0]);
    expect(far.b.pagesOut).toBe(0);
  });

  test("cuts what the interface does not, and refuses what is too long for it", () => {
    const { a, timers, frames } = setup();
    const { page, length } = longFrame({ version: 6, options: 0, payload: 5000, segmentSize: 1428 });
    expect(relay(a, page, 20, length)).toBe(true);
    timers.run();
    expect(frames.map(({ bytes }) => bytes.byteLength - 74)).toEqual([1428, 1428, 1428, 716]);
    page.segmentSize = 0;
    expect(relay(a, page, 20, length)).toBe(false);
  });
});
