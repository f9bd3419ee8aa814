import fc from "fast-check";
import { checksum } from "@tesserae/wire/checksum";
import { describe, expect, test } from "vitest";
import { flowHash, markCongestion } from "./packet.ts";

function frame4(tos: number, fields: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(60);
  bytes.set(
    [0x08, 0x00, 0x45, tos, 0, 46, 1, 2, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x1f, 0x90, 0, 80],
    12,
  );
  bytes.set(fields, 26);
  const sum = checksum(bytes, 14, 20);
  bytes[24] = sum >>> 8;
  bytes[25] = sum & 0xff;
  return bytes;
}

function frame6(trafficClass: number): Uint8Array {
  const bytes = new Uint8Array(80);
  bytes.set([0x86, 0xdd, 0x60 | (trafficClass >>> 4), (trafficClass & 15) << 4], 12);
  bytes[20] = 6;
  return bytes;
}

describe("the mark of congestion (RFC 3168 §5)", () => {
  test("goes on packets of senders that understand it, and keeps IPv4's checksum right", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ minLength: 8, maxLength: 8 }), (tos, addresses) => {
        const bytes = frame4(tos, [...addresses]);
        expect(markCongestion(bytes, 0, 60)).toBe((tos & 3) !== 0);
        expect(bytes[15]).toBe((tos & 3) === 0 ? tos : tos | 3);
        expect(checksum(bytes, 14, 20)).toBe(0);
      }),
    );
  });

  test("lies in IPv6's traffic class", () => {
    for (const [before, after] of [
      [0xb8, undefined],
      [0xb9, 0xbb],
      [0xba, 0xbb],
      [0xbb, 0xbb],
    ] as const) {
      const bytes = frame6(before);
      expect(markCongestion(bytes, 0, 80)).toBe(after !== undefined);
      expect(((bytes[14]! & 15) << 4) | (bytes[15]! >>> 4)).toBe(after ?? before);
    }
  });

  test("is on nothing else, and on nothing cut short", () => {
    expect(markCongestion(new Uint8Array(60).fill(0xff), 0, 60)).toBe(false);
    expect(markCongestion(frame4(2), 0, 33)).toBe(false);
    expect(markCongestion(frame6(2), 0, 53)).toBe(false);
    expect(markCongestion(frame4(2), 0, 3)).toBe(false);
  });
});

describe("the hash of a flow", () => {
  test("is the same for its packets and differs between flows", () => {
    const one = frame4(0);
    const same = frame4(2);
    same.set([9, 9, 9, 9], 40);
    const other = frame4(0);
    other[37] = 81;
    expect(flowHash(same, 0, 60, 7)).toBe(flowHash(one, 0, 60, 7));
    expect(flowHash(other, 0, 60, 7)).not.toBe(flowHash(one, 0, 60, 7));
    expect(flowHash(one, 0, 60, 8)).not.toBe(flowHash(one, 0, 60, 7));
  });

  test("spreads flows evenly", () => {
    const counts = new Array<number>(16).fill(0);
    const bytes = frame4(0);
    for (let port = 0; port < 1600; port++) {
      bytes[34] = port >>> 8;
      bytes[35] = port & 0xff;
      counts[flowHash(bytes, 0, 60, 1) % 16]!++;
    }
    expect(Math.min(...counts)).toBeGreaterThan(60);
    expect(Math.max(...counts)).toBeLessThan(150);
  });
});
