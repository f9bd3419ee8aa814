import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { announce, forAll, forNone, steer } from "./steering.ts";

const count = 3;

function ipv4(protocol: number, payload: readonly number[], fragment = 0, options = 0): Uint8Array {
  const header = 20 + options;
  const bytes = new Uint8Array(14 + header + payload.length);
  bytes.set([8, 0, 0x40 | (header / 4)], 12);
  bytes.set([fragment >>> 8, fragment & 255, 64, protocol], 14 + 6);
  bytes.set(payload, 14 + header);
  return bytes;
}

function ipv6(next: number, payload: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(54 + payload.length);
  bytes.set([0x86, 0xdd, 0x60], 12);
  bytes[20] = next;
  bytes.set(payload, 54);
  return bytes;
}

/** The first bytes of a segment or datagram. */
const ports = (to: number): number[] => [0x30, 0x39, to >>> 8, to & 255, 0, 0, 0, 0];
const own = 1;
const steered = (bytes: Uint8Array): number => steer(bytes, 0, bytes.length, own, count);

describe("which queue's stack a frame is for", () => {
  test.each([6, 17])("protocol %i: an ephemeral port's own queue, else where it came", (protocol) => {
    for (const [port, queue] of [
      [53, own],
      [49_151, own],
      [49_152, 49_152 % count],
      [50_000, 50_000 % count],
      [65_535, 65_535 % count],
    ] as const) {
      expect(steered(ipv4(protocol, ports(port)))).toBe(queue);
      expect(steered(ipv4(protocol, ports(port), 0x4000, 8))).toBe(queue);
      expect(steered(ipv6(protocol, ports(port)))).toBe(queue);
      // Behind hop-by-hop options of 16 bytes and destination options.
      expect(
        steered(ipv6(0, [60, 1, ...new Array<number>(14).fill(0), protocol, 0, 0, 0, 0, 0, 0, 0, ...ports(port)])),
      ).toBe(queue);
    }
  });

  test("fragments meet on queue 0, but for TCP's", () => {
    for (const fragment of [0x2000, 0x2001, 185]) {
      expect(steered(ipv4(17, ports(50_000), fragment))).toBe(0);
      expect(steered(ipv4(6, ports(50_000), fragment))).toBe(forNone);
    }
    expect(steered(ipv6(44, [17, 0, 0, 1, 0, 0, 0, 0, ...ports(53)]))).toBe(0);
    expect(steered(ipv6(44, [6, 0, 0, 1, 0, 0, 0, 0, ...ports(53)]))).toBe(forNone);
  });

  test("what tells of hosts and paths is for all; what asks is answered where it came", () => {
    const arp = new Uint8Array(42);
    arp.set([8, 6], 12);
    expect(steered(arp)).toBe(forAll);
    expect(steered(ipv4(1, [8, 0, 0, 0]))).toBe(own);
    for (const type of [0, 3, 11]) expect(steered(ipv4(1, [type, 4, 0, 0]))).toBe(forAll);
    expect(steered(ipv4(2, [0x11, 0, 0, 0]))).toBe(forAll);
    for (const type of [128, 135]) expect(steered(ipv6(58, [type, 0, 0, 0]))).toBe(own);
    for (const type of [1, 2, 3, 4, 129, 134, 136]) expect(steered(ipv6(58, [type, 0, 0, 0]))).toBe(forAll);
    // Queries for groups come behind a router alert.
    expect(steered(ipv6(0, [58, 0, 5, 2, 0, 0, 1, 0, 130, 0, 0, 0]))).toBe(forAll);
    expect(steered(ipv4(47, [0, 0, 0, 0]))).toBe(0);
  });

  test("whatever the bytes are, there is an answer", () => {
    const any = fc.uint8Array({ maxLength: 120 });
    const kind = fc.constantFrom([8, 0], [0x86, 0xdd], [8, 6], [0, 0]);
    fc.assert(
      fc.property(any, kind, fc.nat(3), (rest, etherType, queue) => {
        const bytes = Uint8Array.from([...new Array<number>(12).fill(0), ...etherType, ...rest]);
        const said = steer(bytes, 0, bytes.length, queue, 4);
        expect(said === forAll || said === forNone || (said >= 0 && said < 4)).toBe(true);
      }),
    );
  });
});

test("a request for an address becomes an announcement of the sender's, an answer stays as it is", () => {
  const request = new Uint8Array(50);
  // At an odd place: the frame is in the middle of a ring.
  request.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2], 12 + 5);
  const answer = request.slice();
  answer[12 + 5 + 9] = 2;
  const before = answer.slice();
  announce(request, 5, 42);
  announce(answer, 5, 42);
  expect([...request.subarray(5 + 28, 5 + 42)]).toEqual([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]);
  expect(answer).toEqual(before);
});
