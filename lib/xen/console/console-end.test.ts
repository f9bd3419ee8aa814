import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pageSize } from "../grant.ts";
import { ConsoleEnd } from "./console-end.ts";

function pair(capacity?: number) {
  const page = new Uint8Array(pageSize);
  const got = { guest: [] as number[], host: [] as number[] };
  let signals: ConsoleEnd[] = [];
  const make = (isGuest: boolean): ConsoleEnd =>
    new ConsoleEnd({
      page,
      isGuest,
      signal: () => signals.push(isGuest ? host : guest),
      received: (bytes, length) => (isGuest ? got.guest : got.host).push(...bytes.subarray(0, length)),
      ...(capacity !== undefined && { capacity }),
    });
  const guest = make(true);
  const host = make(false);
  const deliver = (): void => {
    for (let round = 0; signals.length > 0; round++) {
      expect(round).toBeLessThan(10_000);
      const now = new Set(signals);
      signals = [];
      for (const end of now) end.signalled();
    }
  };
  return { page, guest, host, got, deliver };
}

describe("the console's page", () => {
  test("has output behind input, and the indices behind both", () => {
    const { page, guest, host } = pair();
    guest.write(new Uint8Array([1, 2, 3]));
    host.write(new Uint8Array([9]));
    expect([...page.subarray(1024, 1028)]).toEqual([1, 2, 3, 0]);
    expect([...page.subarray(0, 2)]).toEqual([9, 0]);
    expect([...new Uint32Array(page.buffer, 3072, 4)]).toEqual([0, 1, 0, 3]);
  });

  test("whose indices make no sense ends the console, and throws nothing", () => {
    const { page, guest, host, got } = pair();
    const words = new Uint32Array(page.buffer);
    words[771] = 3000;
    host.signalled();
    expect(host.error?.message).toContain("make no sense");
    words[769] = 1025;
    guest.signalled();
    guest.write(new Uint8Array(10));
    expect(guest.error?.kind).toBe("protocol");
    expect(got).toEqual({ guest: [], host: [] });
  });
});

test("what waits is bounded: the rest is dropped and counted", () => {
  const { guest, got, deliver } = pair(100);
  guest.write(new Uint8Array(5000));
  expect([guest.queued, guest.dropped]).toEqual([100, 5000 - 2048 - 100]);
  deliver();
  expect(got.host).toHaveLength(2148);
});

test("property: bytes arrive both ways in order, in whatever pieces", () => {
  const step = fc.record({ who: fc.constantFrom("guest", "host", "deliver"), length: fc.nat(5000) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const { guest, host, got, deliver } = pair(1_000_000);
      const sent = { guest: 0, host: 0 };
      for (const { who, length } of steps) {
        if (who === "deliver") deliver();
        else if (who === "guest") guest.write(Uint8Array.from({ length }, () => sent.guest++ & 255));
        else host.write(Uint8Array.from({ length }, () => sent.host++ & 255));
      }
      deliver();
      expect([got.host.length, got.guest.length]).toEqual([sent.guest, sent.host]);
      expect(got.host.every((byte, index) => byte === (index & 255))).toBe(true);
      expect(got.guest.every((byte, index) => byte === (index & 255))).toBe(true);
    }),
    { numRuns: 50 },
  );
});
