import { IpAddress } from "@tesserae/device/address";
import { checksum } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fragmentCount, fragmentSize } from "./fragmentation.ts";
import { Reassembler, type ReassembledDatagram } from "./reassembly.ts";
import { checkHeader, ipv4 } from "./wire.ts";

interface Piece {
  readonly start: number;
  readonly payload: Uint8Array;
  readonly more: boolean;
  readonly id?: number;
  readonly source?: number;
  readonly protocol?: number;
  readonly ecn?: number;
  readonly options?: Uint8Array;
}

function packet(piece: Piece): Uint8Array {
  const { start, payload, more, id = 7, source = 0x0a000001, protocol = 17, ecn = 0 } = piece;
  const options = piece.options ?? new Uint8Array(0);
  const header = ipv4.size + options.length;
  const bytes = new Uint8Array(header + payload.length);
  ipv4.emit(
    {
      version: 4,
      headerLength: header / 4,
      dscp: 0,
      ecn,
      totalLength: bytes.length,
      identification: id,
      reserved: false,
      dontFragment: false,
      moreFragments: more,
      fragmentOffset: start / 8,
      timeToLive: 64,
      protocol,
      checksum: 0,
      source: IpAddress.v4(source),
      destination: IpAddress.v4(0x0a000002),
    },
    bytes,
  );
  bytes.set(options, ipv4.size);
  ipv4.field.checksum.set(bytes, 0, checksum(bytes, 0, header));
  bytes.set(payload, header);
  return bytes;
}

function add(reassembler: Reassembler, piece: Piece, now = 0): ReassembledDatagram | undefined {
  return reassembler.add(packet(piece), 0, now);
}

function payloadOf(whole: ReassembledDatagram): Uint8Array {
  return whole.page.bytes.slice(whole.offset, whole.offset + whole.length);
}

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + (index >>> 8)) & 255);
}

/** A payload cut at some multiples of 8, in some order, with some pieces sent twice. */
const cut = fc
  .record({
    units: fc.array(fc.integer({ min: 1, max: 180 }), { minLength: 2, maxLength: 30 }),
    tail: fc.integer({ min: 1, max: 1000 }),
    seed: fc.infiniteStream(fc.nat()),
    duplicates: fc.nat({ max: 5 }),
  })
  .map(({ units, tail, seed, duplicates }) => {
    const length = units.reduce((total, unit) => total + unit * 8, 0) + tail;
    const whole = pattern(length);
    const pieces: Piece[] = [];
    let at = 0;
    for (const unit of units) {
      pieces.push({ start: at, payload: whole.subarray(at, at + unit * 8), more: true });
      at += unit * 8;
    }
    pieces.push({ start: at, payload: whole.subarray(at), more: false });
    const order = pieces.map((piece) => ({ piece, key: Number(seed.next().value) })).sort((a, b) => a.key - b.key);
    const shuffled = order.map(({ piece }) => piece);
    // Duplicates of what comes early, so that the datagram is not complete before them.
    for (let index = 0; index < duplicates; index++) shuffled.splice(index + 1, 0, shuffled[0]!);
    return { whole, pieces: shuffled, duplicates };
  });

describe("RFC 791 §3.2: reassembly", () => {
  test("any fragments in any order, some of them twice, are the datagram", () => {
    fc.assert(
      fc.property(cut, ({ whole, pieces, duplicates }) => {
        const reassembler = new Reassembler({ capacity: 1 });
        for (const [index, piece] of pieces.entries()) {
          const result = add(reassembler, piece);
          if (index < pieces.length - 1) expect(result).toBeUndefined();
          else expect(Buffer.compare(payloadOf(result!), whole)).toBe(0);
        }
        expect(reassembler.statistics.duplicates).toBe(duplicates);
        expect(reassembler.pending).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test("what fragmentation cuts, reassembly joins, for every MTU and length", () => {
    fc.assert(
      fc.property(fc.integer({ min: 68, max: 9000 }), fc.integer({ min: 1, max: 65_515 }), (mtu, length) => {
        const size = fragmentSize(mtu);
        expect(size % 8).toBe(0);
        expect(size + ipv4.size).toBeLessThanOrEqual(mtu);
        const count = fragmentCount(length, mtu);
        fc.pre(count > 1);
        const reassembler = new Reassembler({ mostFragments: 2000 });
        const whole = pattern(length);
        let result: ReassembledDatagram | undefined;
        for (let index = 0; index < count; index++) {
          const start = index * size;
          result = add(reassembler, { start, payload: whole.subarray(start, start + size), more: index < count - 1 });
        }
        expect(Buffer.compare(payloadOf(result!), whole)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  test("the header that comes out is that of a whole packet, with the first fragment's options", () => {
    const reassembler = new Reassembler();
    const options = Uint8Array.of(1, 1, 1, 0);
    add(reassembler, { start: 8, payload: pattern(5), more: false });
    const whole = add(reassembler, { start: 0, payload: pattern(8), more: true, options })!;
    const { page, headerOffset, offset, length } = whole;
    expect(checkHeader(page.bytes, headerOffset, offset - headerOffset + length)).toBe("none");
    const header = ipv4.parse(page.bytes, headerOffset);
    expect(header).toMatchObject({
      ok: true,
      value: { headerLength: 6, totalLength: 37, moreFragments: false, fragmentOffset: 0 },
    });
  });

  test("datagrams that differ in source, identification or protocol do not mix", () => {
    const reassembler = new Reassembler();
    const variants = [{}, { id: 8 }, { source: 0x0a000003 }, { protocol: 1 }];
    for (const variant of variants) {
      expect(add(reassembler, { start: 0, payload: pattern(8), more: true, ...variant })).toBeUndefined();
    }
    for (const variant of variants) {
      expect(add(reassembler, { start: 8, payload: pattern(3), more: false, ...variant })?.length).toBe(11);
    }
  });

  test("RFC 3168 §5.3: a congestion mark survives, and contradicting marks drop the datagram", () => {
    const reassembler = new Reassembler();
    add(reassembler, { start: 0, payload: pattern(8), more: true, ecn: 2 });
    const marked = add(reassembler, { start: 8, payload: pattern(8), more: false, ecn: 3 })!;
    expect(ipv4.field.ecn.get(marked.page.bytes, marked.headerOffset)).toBe(3);
    add(reassembler, { start: 0, payload: pattern(8), more: true, ecn: 0 });
    expect(add(reassembler, { start: 8, payload: pattern(8), more: false, ecn: 3 })).toBeUndefined();
  });
});

describe("hostile fragments", () => {
  test.each<[string, Piece, Piece]>([
    ["before", { start: 16, payload: pattern(16), more: true }, { start: 8, payload: pattern(16), more: true }],
    ["behind", { start: 16, payload: pattern(16), more: true }, { start: 24, payload: pattern(16), more: true }],
    ["around", { start: 16, payload: pattern(16), more: true }, { start: 8, payload: pattern(32), more: true }],
    [
      "inside with other bytes",
      { start: 16, payload: pattern(16), more: true },
      { start: 16, payload: new Uint8Array(8), more: true },
    ],
    ["beyond the end", { start: 16, payload: pattern(9), more: false }, { start: 32, payload: pattern(8), more: true }],
    ["a second end", { start: 16, payload: pattern(9), more: false }, { start: 16, payload: pattern(4), more: false }],
    [
      "an end before what is there",
      { start: 16, payload: pattern(16), more: true },
      { start: 8, payload: pattern(8), more: false },
    ],
  ])("RFC 5722: an overlap %s condemns the datagram, which swallows the rest", (_, first, second) => {
    const reassembler = new Reassembler();
    add(reassembler, first);
    expect(add(reassembler, second)).toBeUndefined();
    expect(reassembler.statistics.overlaps).toBe(1);
    expect(add(reassembler, { start: 0, payload: pattern(8), more: true })).toBeUndefined();
    expect(add(reassembler, { start: 8, payload: pattern(8), more: false })).toBeUndefined();
    expect(reassembler.pending).toBe(1);
    expect(reassembler.statistics.reassembled).toBe(0);
  });

  test.each<[string, Piece]>([
    [
      "RFC 1858: a first TCP fragment without the whole header",
      { start: 0, payload: pattern(16), more: true, protocol: 6 },
    ],
    ["RFC 3128: a fragment over the TCP header", { start: 8, payload: pattern(16), more: true, protocol: 6 }],
    ["a first UDP fragment without the whole header", { start: 0, payload: new Uint8Array(0), more: true }],
    ["a length that is no multiple of 8", { start: 0, payload: pattern(15), more: true }],
    ["no payload at all", { start: 800, payload: new Uint8Array(0), more: false }],
    ["an end beyond 65,535", { start: 65_528, payload: pattern(100), more: false }],
  ])("refused: %s", (_, piece) => {
    const reassembler = new Reassembler();
    add(reassembler, piece);
    expect(reassembler.statistics.refused).toBe(1);
    expect(reassembler.pending).toBe(0);
  });

  test("a datagram in too many pieces is condemned", () => {
    const reassembler = new Reassembler({ mostFragments: 4 });
    for (let index = 0; index < 5; index++) {
      add(reassembler, { start: index * 16, payload: pattern(8), more: true });
    }
    expect(reassembler.statistics.refused).toBe(1);
    for (let index = 0; index < 5; index++)
      add(reassembler, { start: index * 16 + 8, payload: pattern(8), more: true });
    expect(add(reassembler, { start: 80, payload: pattern(8), more: false })).toBeUndefined();
  });

  test("a source that floods pushes out its own datagrams, not another's", () => {
    const reassembler = new Reassembler({ capacity: 8 });
    add(reassembler, { start: 0, payload: pattern(8), more: true, source: 0x0a0000fe });
    for (let id = 0; id < 1000; id++) {
      add(reassembler, { start: 0, payload: pattern(8), more: true, id, source: 0x0a000066 });
    }
    expect(reassembler.pending).toBe(3);
    expect(reassembler.statistics.evicted).toBe(998);
    const whole = add(reassembler, { start: 8, payload: pattern(1), more: false, source: 0x0a0000fe });
    expect(whole?.length).toBe(9);
  });

  test("memory is bounded however many sources there are", () => {
    const reassembler = new Reassembler({ capacity: 8 });
    for (let source = 1; source < 500; source++) {
      add(reassembler, { start: 0, payload: pattern(8), more: true, source });
    }
    expect(reassembler.pending).toBe(8);
  });

  test("RFC 1122 §3.3.2: what stays incomplete is given up, once, when its time is over", () => {
    const reassembler = new Reassembler({ lifetime: 1000 });
    expect(reassembler.nextDeadline()).toBe(Infinity);
    add(reassembler, { start: 0, payload: pattern(8), more: true }, 500);
    add(reassembler, { start: 8, payload: pattern(8), more: true }, 900);
    expect(reassembler.nextDeadline()).toBe(1500);
    expect(reassembler.expire(1499)).toBeUndefined();
    expect(reassembler.expire(1500)).toMatchObject({ hasFirst: true, condemned: false });
    expect(reassembler.expire(1500)).toBeUndefined();
    expect(add(reassembler, { start: 16, payload: pattern(8), more: false }, 1600)).toBeUndefined();
    expect(reassembler.statistics.timeouts).toBe(1);
  });
});
