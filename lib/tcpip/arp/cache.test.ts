import { MacAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NeighbourCache } from "./cache.ts";

const mac = new MacAddress(0x0200, 9);
const nothing = (): void => undefined;

describe("the neighbour table", () => {
  test("is bounded whatever happens, keeps each kind to its share, and says who made room", () => {
    const step = fc.record({
      ip: fc.nat(60),
      learned: fc.boolean(),
      then: fc.constantFrom("answer", "fail", "nothing"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const cache = new NeighbourCache(16);
        const present = new Set<number>();
        for (const [used, { ip, learned, then }] of steps.entries()) {
          if (cache.get(ip) !== undefined) continue;
          const made = cache.create(ip, learned, used, (victim) => present.delete(victim.ip));
          if (made === undefined) continue;
          present.add(ip);
          if (learned) {
            made.mac = mac;
            made.state = "learned";
          } else if (then === "answer") {
            made.mac = mac;
            made.state = "reachable";
          } else if (then === "fail") made.state = "failed";
        }
        expect(cache.size).toBe(present.size);
        expect(cache.size).toBeLessThanOrEqual(16);
        const entries = [...cache.entries()];
        expect(entries.filter((each) => each.state === "learned").length).toBeLessThanOrEqual(4);
        expect(entries.filter((each) => each.mac === undefined).length).toBeLessThanOrEqual(4);
      }),
    );
  });

  test("questions push out questions, those that failed first, then the one unused for longest", () => {
    const cache = new NeighbourCache(16);
    for (let ip = 1; ip <= 4; ip++) cache.create(ip, false, ip, nothing);
    cache.get(3)!.state = "failed";
    const victims: number[] = [];
    for (let ip = 5; ip <= 7; ip++) cache.create(ip, false, ip, (victim) => victims.push(victim.ip));
    expect(victims).toEqual([3, 1, 2]);
  });

  test("a full table gives up the confirmed neighbour unused for longest, for a question", () => {
    const cache = new NeighbourCache(16);
    for (let ip = 1; ip <= 16; ip++) {
      const made = cache.create(ip, false, ip, nothing)!;
      made.mac = mac;
      made.state = "reachable";
    }
    cache.get(1)!.used = 100;
    const victims: number[] = [];
    cache.create(17, false, 101, (victim) => victims.push(victim.ip));
    expect(victims).toEqual([2]);
  });

  test("refuses to be too small", () => {
    expect(() => new NeighbourCache(7)).toThrow("capacity 7");
  });
});
