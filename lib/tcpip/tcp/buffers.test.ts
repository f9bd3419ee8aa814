import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BufferPool } from "./buffer-pool.ts";
import { maxRanges, OutOfOrder } from "./out-of-order.ts";
import { ReceiveBuffer } from "./receive-buffer.ts";
import { SendBuffer } from "./send-buffer.ts";

describe("OutOfOrder", () => {
  test("is the set of the ranges added, whatever their order, as it moves on", () => {
    const range = fc.tuple(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 20 }));
    const step = fc.oneof(
      range.map(([start, length]) => ({ start, end: start + length })),
      fc.integer({ min: 1, max: 30 }).map((by) => ({ by })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const early = new OutOfOrder();
        let model = new Set<number>();
        for (const each of steps) {
          if ("by" in each) {
            let next = each.by;
            while (model.has(next)) next++;
            expect(early.advance(each.by)).toBe(next - each.by);
            model = new Set([...model].filter((at) => at > next).map((at) => at - next));
          } else {
            expect(early.add(each.start, each.end)).toBe(true);
            for (let at = each.start; at < each.end; at++) model.add(at);
          }
          const held = new Set<number>();
          for (let index = 0; index < early.count; index++) {
            if (index > 0) expect(early.left(index)).toBeGreaterThan(early.right(index - 1));
            for (let at = early.left(index); at < early.right(index); at++) held.add(at);
          }
          expect(held).toEqual(model);
          expect(early.bytes).toBe(model.size);
          expect(early.extent).toBe(model.size === 0 ? 0 : Math.max(...model) + 1);
        }
      }),
    );
  });

  test("refuses one range too many, unless it closes a hole", () => {
    const early = new OutOfOrder();
    for (let index = 0; index < maxRanges; index++) expect(early.add(10 * index + 5, 10 * index + 8)).toBe(true);
    expect(early.add(10_000, 10_001)).toBe(false);
    expect(early.count).toBe(maxRanges);
    expect(early.add(8, 15)).toBe(true);
    expect(early.count).toBe(maxRanges - 1);
  });
});

describe("SendBuffer", () => {
  test("gives back what was appended, at any offset, within its limit", () => {
    const step = fc.oneof(
      fc.integer({ min: 1, max: 9000 }).map((append) => ({ append })),
      fc.integer({ min: 1, max: 9000 }).map((acknowledge) => ({ acknowledge })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pool = new BufferPool(1_000_000);
        const buffer = new SendBuffer(pool, 20_000, 40_000);
        let model = new Uint8Array(0);
        let next = 0;
        for (const each of steps) {
          if ("append" in each) {
            const bytes = Uint8Array.from({ length: each.append }, () => next++ % 251);
            const taken = buffer.append(bytes, 0);
            expect(taken).toBe(Math.min(each.append, 20_000 - model.length));
            model = Uint8Array.from(Buffer.concat([model, bytes.subarray(0, taken)]));
          } else {
            const length = Math.min(each.acknowledge, model.length);
            buffer.acknowledged(length);
            model = model.slice(length);
          }
          expect(buffer.length).toBe(model.length);
          const from = Math.floor(model.length / 3);
          const out = new Uint8Array(model.length - from + 2);
          buffer.copyTo(from, model.length - from, out, 1);
          expect(Buffer.compare(out.subarray(1, -1), Uint8Array.from(model.slice(from)))).toBe(0);
        }
        buffer.clear();
        expect(pool.used).toBe(0);
      }),
    );
  });

  test("grows with the congestion window and not beyond its bound", () => {
    const buffer = new SendBuffer(new BufferPool(0), 1000, 5000);
    buffer.fit(1000);
    expect(buffer.limit).toBe(2000);
    buffer.fit(1_000_000);
    expect(buffer.limit).toBe(5000);
    buffer.fit(10);
    expect(buffer.limit).toBe(5000);
  });
});

describe("ReceiveBuffer", () => {
  test("holds no memory once everything is read", () => {
    const pool = new BufferPool(0);
    const buffer = new ReceiveBuffer(pool, 100_000, 100_000);
    expect(buffer.insert(500, new Uint8Array(500), 0, 500)).toBe(0);
    expect(pool.used).toBe(4096);
    expect(buffer.insert(0, new Uint8Array(500), 0, 500)).toBe(1000);
    buffer.read(new Uint8Array(1000));
    expect(buffer.finishRead()).toBe(1000);
    expect(pool.used).toBe(0);
  });
});

describe("BufferPool", () => {
  test("keeps what it may and hands it out again", () => {
    const pool = new BufferPool(8192);
    const one = pool.take(5000);
    expect(one.length).toBe(8192);
    const two = pool.take(8192);
    pool.give(one);
    pool.give(two);
    expect(pool.take(8000)).toBe(one);
    expect(pool.take(8000)).not.toBe(two);
    expect(pool.used).toBe(16_384);
  });
});

describe("memory that is tight", () => {
  const block = (length: number): Uint8Array => new Uint8Array(length).fill(7);

  test("a writer gets what is guaranteed, and more once others have given back", () => {
    const pool = new BufferPool(0, 65_536);
    const one = new SendBuffer(pool, 262_144, 262_144);
    const two = new SendBuffer(pool, 262_144, 262_144);
    expect(one.append(block(100_000), 0)).toBe(8192);
    expect(one.append(block(50_000), 0)).toBe(50_000);
    expect(pool.used).toBe(65_536);
    expect(two.append(block(50_000), 0)).toBe(8192);
    expect(two.append(block(50_000), 8192)).toBe(0);
    one.acknowledged(58_192);
    expect(two.append(block(50_000), 8192)).toBe(41_808);
  });

  test("data out of order gives way to data in order", () => {
    const pool = new BufferPool(0, 65_536);
    const buffer = new ReceiveBuffer(pool, 262_144, 262_144);
    expect(buffer.insert(20_000, block(1000), 0, 1000)).toBe(0);
    expect(buffer.insert(90_000, block(1000), 0, 1000)).toBe(-1);
    const other = new SendBuffer(pool, 262_144, 262_144);
    expect(other.append(block(16_384), 0)).toBe(16_384);
    // What is held serves as far as it goes; beyond it, what came early is forgotten, and then the segment is dropped.
    expect(buffer.insert(0, block(1000), 0, 1000)).toBe(1000);
    expect(buffer.early.count).toBe(1);
    expect(buffer.insert(0, block(40_000), 0, 40_000)).toBe(-1);
    expect(buffer.early.count).toBe(0);
    expect(buffer.length).toBe(1000);
  });

  test("windows shrink, and those of new connections begin small; a waiting reader needs no memory", () => {
    const pool = new BufferPool(0, 65_536);
    const buffer = new ReceiveBuffer(pool, 65_536, 262_144);
    expect(buffer.insert(0, block(60_000), 0, 60_000)).toBe(60_000);
    expect(pool.isTight).toBe(true);
    expect(new ReceiveBuffer(pool, 262_144, 262_144).limit).toBe(16_384);
    buffer.fit(0, 10);
    expect(buffer.limit).toBe(32_768);
    buffer.fit(1, 10);
    buffer.fit(2, 10);
    expect(buffer.limit).toBe(16_384);
    const small = new ReceiveBuffer(pool, 16_384, 16_384);
    const into = new Uint8Array(10_000);
    small.read(into);
    expect(small.insert(0, block(10_000), 0, 10_000)).toBe(10_000);
    expect([small.finishRead(), small.capacity]).toEqual([10_000, 0]);
  });
});
