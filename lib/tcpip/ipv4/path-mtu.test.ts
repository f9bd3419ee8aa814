import { describe, expect, test } from "vitest";
import { leastPathMtu, PathMtu, pathMtuLifetime } from "./path-mtu.ts";

const peer = 0x0a000002;

describe("RFC 1191: path MTU discovery", () => {
  test("goes down to what a router reports, and up again after ten minutes", () => {
    const mtus = new PathMtu();
    expect(mtus.get(peer, 1500, 0)).toBe(1500);
    expect(mtus.lower(peer, 1400, 1500, 1500, 0)).toBe(true);
    expect(mtus.get(peer, 1500, 1)).toBe(1400);
    expect(mtus.get(peer + 1, 1500, 1)).toBe(1500);
    expect(mtus.lower(peer, 1300, 1400, 1400, 1000)).toBe(true);
    expect(mtus.get(peer, 1500, 1000 + pathMtuLifetime - 1)).toBe(1300);
    expect(mtus.get(peer, 1500, 1000 + pathMtuLifetime)).toBe(1500);
    expect(mtus.size).toBe(0);
  });

  test("§7.1: an old router that reports 0 is answered with the next plateau", () => {
    const mtus = new PathMtu();
    const steps: number[] = [];
    for (let mtu = 1500; mtu > leastPathMtu && mtus.lower(peer, 0, mtu, mtu, 0); steps.push(mtu)) {
      mtu = mtus.get(peer, 1500, 0);
    }
    expect(steps).toEqual([1492, 1400, 1280, 1006, 576]);
    expect(mtus.mustFragment(peer)).toBe(false);
    // Below the floor there is nothing to try but fragments.
    expect(mtus.lower(peer, 0, 576, 576, 0)).toBe(true);
    expect(mtus.mustFragment(peer)).toBe(true);
    expect(mtus.lower(peer, 0, 576, 576, 0)).toBe(false);
  });
});

describe("RFC 5927 §7: lies are bounded", () => {
  test("no report makes packets smaller than 576, but it may allow fragmentation", () => {
    const mtus = new PathMtu();
    expect(mtus.lower(peer, 68, 1500, 1500, 0)).toBe(true);
    expect(mtus.get(peer, 1500, 0)).toBe(leastPathMtu);
    expect(mtus.mustFragment(peer)).toBe(true);
    expect(mtus.mustFragment(peer + 1)).toBe(false);
  });

  test.each([
    ["a packet longer than we send", 1400, 9000],
    ["a packet that fitted", 1400, 1400],
    ["a packet shorter than the MTU reported", 1450, 1000],
  ])("%s says nothing", (_, reported, quoted) => {
    expect(new PathMtu().lower(peer, reported, quoted, 1500, 0)).toBe(false);
  });

  test("a report never raises the estimate", () => {
    const mtus = new PathMtu();
    mtus.lower(peer, 1000, 1500, 1500, 0);
    expect(mtus.lower(peer, 1200, 1500, 1000, 0)).toBe(false);
    expect(mtus.get(peer, 1500, 0)).toBe(1000);
  });

  test("the table is bounded, and the oldest estimate makes room", () => {
    const mtus = new PathMtu(4);
    for (let index = 0; index < 10; index++) mtus.lower(peer + index, 1000, 1500, 1500, 0);
    expect(mtus.size).toBe(4);
    expect(mtus.get(peer + 5, 1500, 0)).toBe(1500);
    expect(mtus.get(peer + 9, 1500, 0)).toBe(1000);
  });
});
