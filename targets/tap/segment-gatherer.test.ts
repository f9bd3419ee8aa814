import { checksum, fold, pseudoHeaderSum4 } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SegmentGatherer } from "./segment-gatherer.ts";
import { virtioNetHeaderSize } from "./virtio-net-header.ts";

interface Segment {
  readonly port: number;
  readonly sequence: number;
  readonly flags: number;
  readonly window: number;
  readonly options: number;
  readonly stamp: number;
  readonly payload: number;
  readonly tos: number;
}

/** A frame with right checksums, as our stack makes them: the identification is 0, as with DF (RFC 6864 §4.1). */
function frame({ port, sequence, flags, window, options, stamp, payload, tos }: Segment): Uint8Array {
  const header = 54 + options;
  const bytes = new Uint8Array(header + payload);
  const view = new DataView(bytes.buffer);
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, tos], 0);
  view.setUint16(16, header + payload - 14);
  view.setUint16(20, 0x4000);
  bytes.set([64, 6], 22);
  bytes.set([10, 0, 0, 2, 10, 0, 0, 1], 26);
  view.setUint16(34, 80);
  view.setUint16(36, port);
  view.setUint32(38, sequence);
  view.setUint32(42, 77);
  bytes[46] = (20 + options) << 2;
  bytes[47] = flags;
  view.setUint16(48, window);
  for (let index = 0; index < options; index++) bytes[54 + index] = stamp + index;
  for (let index = 0; index < payload; index++) bytes[header + index] = (sequence + index) * 7;
  return completed(bytes);
}

function completed(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(24, 0);
  view.setUint16(24, checksum(bytes, 14, 20));
  view.setUint16(50, 0);
  const length = bytes.length - 34;
  const pseudo = pseudoHeaderSum4(view.getInt32(26), view.getInt32(30), 6, length);
  view.setUint16(50, checksum(bytes, 34, length, pseudo));
  return bytes;
}

/** What a device makes of a long frame (virtio 1.2 §5.1.6.2). */
function cut(whole: Uint8Array, header: number, size: number): Uint8Array[] {
  const view = new DataView(whole.buffer, whole.byteOffset);
  expect(checksum(whole, 14, 20)).toBe(0);
  const pseudo = pseudoHeaderSum4(view.getInt32(26), view.getInt32(30), 6, whole.length - 34);
  expect(view.getUint16(50)).toBe(fold(pseudo));
  const frames: Uint8Array[] = [];
  for (let at = header; at < whole.length; at += size) {
    const last = at + size >= whole.length;
    const bytes = new Uint8Array([...whole.subarray(0, header), ...whole.subarray(at, at + size)]);
    const part = new DataView(bytes.buffer);
    part.setUint16(16, bytes.length - 14);
    part.setUint32(38, view.getUint32(38) + at - header);
    if (!last) bytes[47] = bytes[47]! & ~0x08;
    frames.push(completed(bytes));
  }
  return frames;
}

/** Sends frames as the device does, and gives the long frames and what they are on the wire. */
function gathered(frames: readonly Uint8Array[]): { readonly writes: number; readonly wire: Uint8Array[] } {
  const gatherer = new SegmentGatherer();
  const wire: Uint8Array[] = [];
  let writes = 0;
  const flush = (): void => {
    if (gatherer.count === 0) return;
    const length = gatherer.finish();
    const whole = gatherer.bytes.slice(virtioNetHeaderSize, virtioNetHeaderSize + length);
    if (gatherer.count === 1) wire.push(whole);
    else {
      const parts = cut(whole, gatherer.headerLength, gatherer.segmentSize);
      expect(parts.length).toBe(gatherer.count);
      wire.push(...parts);
    }
    writes++;
    gatherer.clear();
  };
  for (const bytes of frames) {
    // At an offset, as in a page.
    const page = new Uint8Array(bytes.length + 20);
    page.set(bytes, 7);
    const added = gatherer.count > 0 ? gatherer.add(page, 7, bytes.length) : 0;
    if (added === 2) flush();
    if (added > 0) continue;
    flush();
    if (SegmentGatherer.begins(page, 7, bytes.length)) gatherer.begin(page, 7, bytes.length);
    else {
      writes++;
      wire.push(bytes);
    }
  }
  flush();
  return { writes, wire };
}

const base = { port: 5000, flags: 0x10, window: 500, options: 12, stamp: 3, payload: 1448, tos: 0 };

function burst(count: number, last: Partial<Segment> = {}): Uint8Array[] {
  return Array.from({ length: count }, (_, index) =>
    frame({ ...base, sequence: 1000 + index * 1448, ...(index === count - 1 ? last : {}) }),
  );
}

test("a burst becomes one frame, with its short end and its PSH", () => {
  const frames = burst(40, { payload: 100, flags: 0x18 });
  expect(gathered(frames)).toEqual({ writes: 1, wire: frames });
});

test("a long burst becomes frames of at most 64 KiB", () => {
  const frames = burst(100);
  expect(gathered(frames)).toEqual({ writes: 3, wire: frames });
});

test.each([
  ["SYN", { flags: 0x12 }],
  ["FIN", { flags: 0x11 }],
  ["RST", { flags: 0x14 }],
  ["CWR", { flags: 0x90 }],
  ["another window", { window: 501 }],
  ["another time stamp", { stamp: 4 }],
  ["other options", { options: 0 }],
  ["another port", { port: 5001 }],
  ["a gap", { sequence: 1 }],
  ["another ECN mark", { tos: 2 }],
  ["a longer segment", { payload: 1449 }],
  ["an acknowledgement alone", { payload: 0 }],
] as const)("%s is not joined", (_name, other) => {
  const frames = [...burst(2), frame({ ...base, sequence: 1000 + 2896, ...other })];
  expect(gathered(frames)).toEqual({ writes: 2, wire: frames });
});

test("the sequence number may wrap", () => {
  const frames = [0, 1, 2].map((index) => frame({ ...base, sequence: (2 ** 32 - 2000 + index * 1448) >>> 0 }));
  expect(gathered(frames)).toEqual({ writes: 1, wire: frames });
});

test("whatever is sent is on the wire as it was, in order", () => {
  const segment = fc.record({
    port: fc.constantFrom(5000, 5001),
    step: fc.constantFrom(0, 0, 0, 0, 1),
    flags: fc.constantFrom(0x10, 0x10, 0x10, 0x18, 0x11),
    window: fc.constantFrom(500, 500, 500, 501),
    options: fc.constantFrom(12, 12, 0),
    stamp: fc.constantFrom(3, 3, 3, 4),
    payload: fc.constantFrom(1448, 1448, 1448, 1448, 700, 1, 0),
    tos: fc.constantFrom(0, 0, 0, 2),
  });
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 30 }), (segments) => {
      let sequence = 1;
      const frames = segments.map(({ step, ...rest }) => {
        sequence += step;
        const made = frame({ ...rest, sequence });
        sequence += rest.payload;
        return made;
      });
      expect(gathered(frames).wire).toEqual(frames);
    }),
    { numRuns: 200 },
  );
});

test("arbitrary bytes are left alone", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 5 }), (frames) => {
      expect(gathered(frames).wire).toEqual(frames);
    }),
  );
});
