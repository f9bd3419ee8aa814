import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fuzz } from "./segment.fuzz.ts";
import { emitOptions, header, parseSegment, printSegment, readOptions, SegmentOptions } from "./wire.ts";

const word = fc.integer({ min: 0, max: 0xffffffff });
const options = fc.oneof(
  fc.record(
    {
      mss: fc.integer({ min: 0, max: 65_535 }),
      windowShift: fc.integer({ min: 0, max: 14 }),
      sackPermitted: fc.constant(true),
      timestamp: fc.record({ value: word, echo: word }),
    },
    { requiredKeys: [] },
  ),
  fc.record(
    {
      sack: fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 3 }),
      timestamp: fc.record({ value: word, echo: word }),
    },
    { requiredKeys: [] },
  ),
);

function segment(tail: Uint8Array, payload = 0): Uint8Array {
  const bytes = new Uint8Array(header.size + tail.length + payload);
  bytes[12] = (header.size + tail.length) << 2;
  bytes.set(tail, header.size);
  return bytes;
}

function read(...bytes: number[]): { into: SegmentOptions; ok: boolean } {
  const into = new SegmentOptions();
  return { into, ok: readOptions(Uint8Array.from(bytes), 0, bytes.length, into) };
}

describe("options (RFC 9293 §3.2, RFC 7323, RFC 2018)", () => {
  test("what is emitted is parsed again", () => {
    fc.assert(
      fc.property(options, fc.nat(20), (record, payload) => {
        const parsed = parseSegment(segment(emitOptions(record), payload));
        expect(parsed.ok && parsed.value.options).toEqual(record);
        expect(parsed.ok && parsed.value.payload.length).toBe(payload);
      }),
    );
  });

  test("unknown options and known ones of a wrong length are skipped", () => {
    const { into, ok } = read(254, 4, 9, 9, 2, 3, 1, 3, 4, 0, 0, 2, 4, 5, 180, 0);
    expect(ok).toBe(true);
    expect(into).toMatchObject({ mss: 1460, windowShift: -1 });
  });

  test("nothing is read behind the end of the list", () => {
    expect(read(0, 2, 4, 5, 180).into.mss).toBe(-1);
  });

  test.each([
    ["a length of 0", [2, 0, 0, 0]],
    ["a length of 1", [1, 2, 1, 0]],
    ["a length beyond the end", [2, 5, 5, 180]],
    ["no length", [1, 1, 1, 2]],
  ])("%s stops the reading", (_, bytes) => {
    expect(read(...bytes)).toMatchObject({ ok: false, into: { mss: -1 } });
  });

  test("RFC 7323 §2.3: a shift above 14 counts as 14", () => {
    expect(read(3, 3, 200, 0).into.windowShift).toBe(14);
  });

  test("errors name field and offset", () => {
    const short = parseSegment(new Uint8Array(10));
    expect(short.ok ? undefined : short.error).toMatchObject({ kind: "truncated", layer: "tcp" });
    const offset = segment(new Uint8Array(0));
    offset[12] = 0x40;
    const small = parseSegment(offset);
    expect(small.ok ? undefined : small.error).toMatchObject({ kind: "value", field: "dataOffset", offset: 12 });
    offset[12] = 0xf0;
    const large = parseSegment(offset);
    expect(large.ok ? undefined : large.error).toMatchObject({ kind: "length", field: "dataOffset", offset: 12 });
    const bad = parseSegment(segment(Uint8Array.of(2, 9, 0, 0)));
    expect(bad.ok ? undefined : bad.error).toMatchObject({ kind: "length", field: "options", offset: 20 });
  });

  test("prints in one line", () => {
    const bytes = segment(
      emitOptions({ mss: 1460, windowShift: 7, sackPermitted: true, timestamp: { value: 5, echo: 6 } }),
      3,
    );
    bytes[1] = 80;
    bytes[3] = 99;
    bytes[13] = 0x12;
    const parsed = parseSegment(bytes);
    expect(parsed.ok && printSegment(parsed.value)).toBe(
      "tcp 80 > 99 SA seq=0 ack=0 win=0 len=3 mss=1460 wscale=7 sackOK ts=5/6",
    );
  });

  test("the two readers agree about arbitrary bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void fuzz.run(bytes)));
    for (const seed of fuzz.seeds) {
      const change = fc.tuple(fc.nat(seed.length - 1), fc.nat(255));
      fc.assert(
        fc.property(fc.array(change, { maxLength: 4 }), (changes) => {
          const bytes = seed.slice();
          for (const [at, value] of changes) bytes[at] = value;
          void fuzz.run(bytes);
        }),
      );
    }
  });
});
