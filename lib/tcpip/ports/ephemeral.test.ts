import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { describe, expect, test } from "vitest";
import { ephemeralPort, firstEphemeralPort, lastEphemeralPort } from "./ephemeral.ts";

describe("RFC 6056: ephemeral ports", () => {
  test("are random, in range, and found when only one is left", () => {
    const random = new SeededRandom(3);
    const ports = Array.from({ length: 200 }, () => ephemeralPort(random, () => false));
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(firstEphemeralPort);
    expect(Math.max(...ports)).toBeLessThanOrEqual(lastEphemeralPort);
    expect(new Set(ports).size).toBeGreaterThan(190);
    expect(ephemeralPort(random, (port) => port !== 50_000)).toBe(50_000);
    expect(ephemeralPort(random, () => true)).toBe(0);
  });

  test.each([1, 2, 3, 5, 64])("shared by %i, each is somebody's and nobody has another's", (count) => {
    const random = new SeededRandom(4);
    let all = 0;
    for (let index = 0; index < count; index++) {
      const taken = new Set<number>();
      for (;;) {
        const port = ephemeralPort(random, (each) => taken.has(each), { index, count });
        if (port === 0) break;
        taken.add(port);
        // Every port at every start would be a billion steps.
        if (count < 64 && taken.size >= 100) break;
      }
      const ports = [...taken];
      expect(ports.filter((port) => port % count !== index)).toEqual([]);
      expect(Math.min(...ports)).toBeGreaterThanOrEqual(firstEphemeralPort);
      expect(Math.max(...ports)).toBeLessThanOrEqual(lastEphemeralPort);
      all += taken.size;
    }
    expect(all).toBe(count < 64 ? 100 * count : lastEphemeralPort - firstEphemeralPort + 1);
  });
});
