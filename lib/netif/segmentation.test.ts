import { MacAddress } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { needsChecksum, Page } from "@tesserae/device/page";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum, fold, pseudoHeaderSum4, sum } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
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

/** The sum of a segment with its pseudo header: 0xffff when its checksum is right. */
function tcpSum(view: DataView, ip: number): number {
  const bytes = bytesOf(view);
  const at = 14 + ip;
  const length = bytes.length - at;
  const pseudo =
    ip === 20 ? pseudoHeaderSum4(view.getInt32(26), view.getInt32(30), 6, length) : sum(bytes, 22, 32, 6 + length);
  return fold(sum(bytes, at, length, pseudo));
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
