import { describe, expect, test } from "vitest";
import { headroom, needsChecksum, PagePool } from "./page.ts";

describe("PagePool", () => {
  test("lends each page once, and undefined when all are out", () => {
    const pool = new PagePool(3, 2048);
    const taken = [pool.take(), pool.take(), pool.take()];
    expect(new Set(taken).size).toBe(3);
    expect(pool.take()).toBeUndefined();
    expect(pool.available).toBe(0);
    pool.release(taken[1]!);
    expect(pool.take()).toBe(taken[1]);
  });

  test("pages do not overlap", () => {
    const pool = new PagePool(2, 256);
    const first = pool.take()!;
    const second = pool.take()!;
    first.bytes.fill(1);
    second.bytes.fill(2);
    expect(first.bytes.every((value) => value === 1)).toBe(true);
    expect(first.bytes.length).toBe(256);
  });

  test("a page comes back with its offload metadata cleared", () => {
    const pool = new PagePool(1, 256);
    const page = pool.take()!;
    page.flags = needsChecksum;
    page.segmentSize = 1460;
    pool.release(page);
    expect(pool.take()).toMatchObject({ flags: 0, segmentSize: 0 });
  });

  test("refuses a page twice, and a page of another pool", () => {
    const pool = new PagePool(1, 256);
    const page = pool.take()!;
    pool.release(page);
    expect(() => pool.release(page)).toThrow("page 0 is not out of this pool");
    expect(() => pool.release(new PagePool(1, 256).take()!)).toThrow(RangeError);
  });

  test("names the argument that is out of range", () => {
    expect(() => new PagePool(0, 256)).toThrow("capacity 0");
    expect(() => new PagePool(1, headroom)).toThrow("pageSize 128");
  });
});
