import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fallbackSize, PathSearch, searchPause } from "./path-search.ts";

const overhead = 52;

/** Probes a path of `mtu` until nothing is left to try; returns the probes. */
function explore(search: PathSearch, mtu: number, most: number, start = 0): number[] {
  const probes: number[] = [];
  for (let now = start; now < start + 60_000; now += 100) {
    const size = search.wanted(most, now);
    if (size === 0) continue;
    probes.push(size);
    search.sent(size);
    if (size + overhead <= mtu) search.arrived();
    else search.failed(now, 10);
  }
  return probes;
}

describe("RFC 4821 §7: the search", () => {
  test("after a black hole it halves what is left, each size tried twice, and ends at the largest common size", () => {
    const search = new PathSearch(1448, overhead, 0);
    search.narrowed(1024);
    const probes = explore(search, 1400, 1448);
    expect(search.low).toBe(1400 - overhead);
    expect(probes.length).toBeLessThan(12);
    expect(probes.slice(0, 3)).toEqual([1448, 1448, 1368]);
  });

  test("what a router said is tried again after ten minutes, the largest first (RFC 1191 §6.3)", () => {
    const search = new PathSearch(1348, overhead, 0);
    expect(search.wanted(1448, searchPause - 1)).toBe(0);
    expect(explore(search, 1500, 1448, searchPause)).toEqual([1448]);
    expect(search.low).toBe(1448);
    expect(search.wanted(1448, 3 * searchPause)).toBe(0);
  });

  test("nothing beyond what link and peer allow is tried, and nothing while a probe is out", () => {
    const search = new PathSearch(536, overhead, 0);
    search.narrowed(512);
    expect(search.wanted(512, 0)).toBe(0);
    search.narrowed(512);
    expect(search.wanted(1300, 0)).toBe(1300);
    search.sent(1300);
    expect(search.wanted(1300, 1e9)).toBe(0);
  });

  test("one lost probe is no proof, and the next waits", () => {
    const search = new PathSearch(1448, overhead, 0);
    search.narrowed(1024);
    const first = search.wanted(1448, 0);
    search.sent(first);
    search.failed(0, 30);
    expect(search.wanted(1448, 59)).toBe(0);
    expect(search.wanted(1448, 60)).toBe(first);
    search.sent(first);
    search.failed(60, 30);
    expect(search.wanted(1448, 300)).toBeLessThan(first);
  });

  test("any path is used up to the next common size below it, with few losses", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1100, max: 9000 }), fc.integer({ min: 1100, max: 9000 }), (mtu, link) => {
        const search = new PathSearch(link - overhead, overhead, 0);
        search.narrowed(1024);
        const probes = explore(search, mtu, link - overhead);
        expect(search.low + overhead).toBeLessThanOrEqual(Math.max(mtu, 1024 + overhead));
        if (mtu >= 1280 && link > mtu) expect(search.low + overhead).toBeGreaterThanOrEqual(1280);
        expect(probes.filter((size) => size + overhead > mtu).length).toBeLessThanOrEqual(14);
      }),
    );
  });
});

test("RFC 4821 §7.7: full segments that time out again and again are made smaller, in steps, to a least size", () => {
  expect(fallbackSize(4, 1448, 0, 1)).toBe(1448);
  expect(fallbackSize(4, 1448, 0, 2)).toBe(1024);
  expect(fallbackSize(4, 1448, 1448, 2)).toBe(1448);
  expect(fallbackSize(4, 1448, 1448, 3)).toBe(1024);
  expect(fallbackSize(4, 1024, 0, 4)).toBe(512);
  expect(fallbackSize(4, 512, 0, 9)).toBe(512);
  expect(fallbackSize(6, 8928, 0, 2)).toBe(1220);
  expect(fallbackSize(6, 1220, 0, 9)).toBe(1220);
});
