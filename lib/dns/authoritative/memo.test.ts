import { IpAddress } from "@tesserae/device/address";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nameFromText } from "../name-bytes.ts";
import { createAuthoritative } from "./authoritative.ts";
import { Cookies } from "./cookie.ts";
import type { Transport } from "./extension.ts";
import { Memo } from "./memo.ts";
import { loadZone } from "./zone-file.ts";
import { Zones } from "./zones.ts";

const apex = nameFromText("example.");
const clients = [IpAddress.parse("192.0.2.99"), IpAddress.parse("2001:db8::1")];

function versionOf(serial: number): string {
  return `@ SOA ns admin ${serial} 2 3 4 ${serial}
@ NS ns
ns A 192.0.2.1
host A 10.0.0.${serial % 250}
alias CNAME host
*.wild TXT "${"x".repeat(serial % 200)}"
sub NS ns.sub
ns.sub A 10.0.0.2
big TXT ${`"${"y".repeat(250)}" `.repeat(1 + (serial % 6))}
`;
}

const questions = ["host", "HOST", "hosT", "alias", "none", "a.wild", "b.wild", "x.sub", "big", "ns"];
/** EDNS: none, plain, DO, NSID, another size, a client cookie, one with a server's, padding, a version we do not know. */
const extensions: readonly (readonly number[])[] = [
  [],
  [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
  [0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0],
  [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 3, 0, 0],
  [0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0],
  [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
  [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 20, 0, 10, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 0, 1, 2, 3, 4],
  [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 12, 0, 2, 0, 0],
  [0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0],
];

function query(id: number, name: string, type: number, flags: number, extension: readonly number[]): Uint8Array {
  const header = [id >>> 8, id, flags >>> 8, flags, 0, 1, 0, 0, 0, 0, 0, extension.length === 0 ? 0 : 1];
  return Uint8Array.of(...header, ...nameFromText(`${name}.example.`), 0, type, 0, 1, ...extension);
}

const step = fc.record({
  id: fc.nat(0xffff),
  name: fc.constantFrom(...questions),
  type: fc.constantFrom(1, 16, 28, 255, 6),
  flags: fc.constantFrom(0, 0x0100, 0x0110, 0x2000, 0x0010),
  extension: fc.constantFrom(...extensions),
  transport: fc.constantFrom<Transport>("udp", "udp", "udp", "tcp", "tls"),
  limit: fc.constantFrom(65_535, 65_535, 65_535, 512, 700),
  client: fc.nat(1),
  offset: fc.nat(3),
  change: fc.integer({ min: 0, max: 30 }),
});

function load(zones: Zones, serial: number): void {
  const loaded = loadZone(apex, versionOf(serial), { ttl: 300 });
  if (!loaded.ok) throw new Error(loaded.errors.join());
  zones.replace(loaded.zone);
}

test("what is remembered is what would be answered, whatever is asked and however the zones change", () => {
  const clock = { now: () => 0, wall: () => 1e12 };
  let hits = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 120 }), (steps) => {
      const zones = new Zones();
      load(zones, 1);
      const make = (memory: number) => {
        const cookies = new Cookies(clock, [new Uint8Array(16)]);
        return createAuthoritative({ zones, memory, cookies, nsid: Uint8Array.of(1, 2, 3), version: "1" });
      };
      const small = make(4096);
      const large = make(2 ** 20);
      const none = make(0);
      let serial = 1;
      for (const { change, id, name, type, flags, extension, transport, limit, client, offset } of steps) {
        if (change === 0) load(zones, ++serial);
        else if (change === 1) zones.suspend(apex);
        else if (change === 2) zones.refresh();
        const from = clients[client]!;
        // Twice at least, so that something is remembered; at any alignment.
        for (const asked of [id, id ^ 0x5555, id]) {
          const message = query(asked, name, type, flags, extension);
          const bytes = new Uint8Array(offset + message.length + 2);
          bytes.set(message, offset);
          const [expected, ...others] = [none, small, large].map((server) => {
            const out = new Uint8Array(4096 + offset);
            const size = server.answer(bytes, offset, message.length, out, offset, limit, transport, from);
            expect(server.special).toBe(none.special);
            expect(server.trusted).toBe(none.trusted);
            return Buffer.from(out.subarray(offset, offset + size)).toString("hex");
          });
          for (const other of others) expect(other).toBe(expected);
        }
      }
      expect([...small.counts.rcodes]).toEqual([...none.counts.rcodes]);
      expect(none.memoised).toBe(0);
      hits += small.memoised + large.memoised;
    }),
    { numRuns: 20 },
  );
  expect(hits).toBeGreaterThan(1000);
});

test("queries that differ in one bit anywhere are different ones", () => {
  const memo = new Memo(4096);
  const asked = query(7, "host", 1, 0x0100, extensions[1]!);
  const response = new Uint8Array(100).fill(9);
  response.set(asked.subarray(0, asked.length - 11));
  response.fill(9, 0, 12);
  for (let round = 0; round < 2; round++) {
    expect(memo.recall(asked, 0, asked.length, 0, 512, 1)).toBe(0);
    memo.remember(asked, 0, asked.length, 0, 512, 1, response, 0, response.length);
  }
  expect(memo.recall(asked, 0, asked.length, 0, 512, 1)).toBe(100);
  expect([...memo.bytes.subarray(memo.at, memo.at + 4)]).toEqual([0, 7, 9, 9]);
  for (let bit = 16; bit < asked.length * 8; bit++) {
    const other = asked.slice();
    other[bit >>> 3]! ^= 0x80 >>> (bit & 7);
    expect(memo.recall(other, 0, other.length, 0, 512, 1)).toBe(0);
  }
  for (const length of [asked.length - 1, asked.length + 1]) {
    const other = new Uint8Array(length);
    other.set(asked.subarray(0, length));
    expect(memo.recall(other, 0, length, 0, 512, 1)).toBe(0);
  }
  expect(memo.recall(asked, 0, asked.length, 1, 512, 1)).toBe(0);
  expect(memo.recall(asked, 0, asked.length, 0, 513, 1)).toBe(0);
  expect(memo.recall(asked, 0, asked.length, 0, 512, 2)).toBe(0);
  // Another generation, of which 32 bits are kept, is another one.
  expect(memo.recall(asked, 0, asked.length, 0, 512, 2 ** 31 + 1)).toBe(0);
  expect(memo.recall(asked, 0, asked.length, 0, 512, 1)).toBe(100);
});

test("what was overwritten is not recalled", () => {
  const memo = new Memo(4096);
  const response = new Uint8Array(600);
  const ask = (index: number): number => {
    const asked = query(1, `host${index}`, 1, 0, []);
    const known = memo.recall(asked, 0, asked.length, 0, 512, 1);
    if (known === 0) {
      response.fill(index);
      response.set(asked.subarray(12), 12);
      memo.remember(asked, 0, asked.length, 0, 512, 1, response, 0, response.length);
    } else {
      const rest = memo.bytes.subarray(memo.at + asked.length, memo.at + known);
      expect([...rest]).toEqual(new Array(600 - asked.length).fill(index));
    }
    return known;
  };
  let known = 0;
  for (let round = 0; round < 300; round++) for (let back = 0; back < 6; back++) known += ask((round + back) % 251);
  expect(known).toBeGreaterThan(0);
  expect(memo.hits).toBe(known / 600);
});
