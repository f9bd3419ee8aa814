import { IpAddress } from "@tesserae/device/address";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum, pseudoHeaderSum4 } from "@tesserae/wire/checksum";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { loneInterface } from "./lone-interface.ts";
import { createNat, natEstablishedTimeout, type NatOptions, natTimeouts } from "./nat.ts";
import { SessionTable } from "./session-table.ts";

const outsideAddress = IpAddress.parse("198.51.100.1");
const client = IpAddress.parse("10.0.0.2");
const server = IpAddress.parse("203.0.113.5");
const sumAt: Record<number, number> = { 1: 2, 6: 16, 17: 6 };

interface Packet {
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly flags?: number;
  readonly body?: Uint8Array;
  /** ICMP: the message's type. */
  readonly type?: number;
}

function packet(of: Packet): Uint8Array {
  const header = of.protocol === 6 ? 20 : 8;
  const body = of.body ?? new Uint8Array(0);
  const bytes = new Uint8Array(20 + header + body.length);
  bytes.set([0x45, 0, bytes.length >>> 8, bytes.length, 0, 1, 0, 0, 64, of.protocol]);
  write32(bytes, 12, of.source.w3);
  write32(bytes, 16, of.destination.w3);
  write16(bytes, 10, checksum(bytes, 0, 20));
  if (of.protocol === 1) {
    bytes[20] = of.type ?? 8;
    write16(bytes, 24, of.sourcePort);
  } else {
    write16(bytes, 20, of.sourcePort);
    write16(bytes, 22, of.destinationPort);
  }
  if (of.protocol === 6) bytes.set([0x50, of.flags ?? 16], 32);
  if (of.protocol === 17) write16(bytes, 24, bytes.length - 20);
  bytes.set(body, 20 + header);
  write16(bytes, 20 + sumAt[of.protocol]!, transportSum(bytes) || (of.protocol === 17 ? 0xffff : 0));
  return bytes;
}

/** 0 when the checksum in the packet is right. */
function transportSum(bytes: Uint8Array): number {
  const protocol = bytes[9]!;
  const length = bytes.length - 20;
  const pseudo = protocol === 1 ? 0 : pseudoHeaderSum4(read32(bytes, 12), read32(bytes, 16), protocol, length);
  return checksum(bytes, 20, length, pseudo);
}

const read16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;
const read32 = (bytes: Uint8Array, at: number): number => (read16(bytes, at) << 16) | read16(bytes, at + 2);
function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
function write32(bytes: Uint8Array, at: number, value: number): void {
  write16(bytes, at, value >>> 16);
  write16(bytes, at + 2, value & 0xffff);
}

function setup(options: Partial<NatOptions> = {}) {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const link = createLink({ timers });
  const outside = loneInterface(link.a, 1, outsideAddress);
  const inside = loneInterface(link.b, 2, IpAddress.parse("10.0.0.1"));
  const nat = createNat({ outside, timers, random: new SeededRandom(1), ...options });
  const advance = (ms: number): void => {
    const end = clock.now() + ms;
    for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(end);
  };
  /** The packet as it leaves, or `undefined`. */
  const out = (of: Packet): Uint8Array | undefined => {
    const bytes = packet(of);
    if (!nat.outbound(bytes, 0, bytes.length, inside, outside)) return undefined;
    nat.rewrite(bytes, 0, bytes.length, false);
    return bytes;
  };
  /** What becomes of a packet from outside. */
  const back = (bytes: Uint8Array): "ours" | "dropped" | Uint8Array => {
    const to = nat.inbound(bytes, 0, bytes.length, outside);
    if (to === 0) return "ours";
    if (to === -1) return "dropped";
    nat.rewrite(bytes, 0, bytes.length, false);
    expect(read32(bytes, 16)).toBe(to);
    return bytes;
  };
  return { nat, advance, out, back, outside };
}

describe("translation", () => {
  const port = fc.integer({ min: 1, max: 65_535 });
  const address = fc.integer({ min: 1, max: 250 });
  const arbitrary = fc.record({
    protocol: fc.constantFrom(1, 6, 17),
    host: address,
    far: address,
    sourcePort: port,
    destinationPort: port,
    body: fc.uint8Array({ maxLength: 60 }),
  });

  test("RFC 1624: every checksum stays right, and the answer comes back to who asked", () => {
    fc.assert(
      fc.property(fc.array(arbitrary, { minLength: 1, maxLength: 30 }), (all) => {
        const { out, back } = setup();
        const taken = new Map<string, string>();
        for (const { protocol, host, far, sourcePort, destinationPort, body } of all) {
          const source = IpAddress.v4(0x0a000000 + host);
          const destination = IpAddress.v4(0xcb007100 + far);
          const left = out({ protocol, source, destination, sourcePort, destinationPort, body })!;
          expect([checksum(left, 0, 20), transportSum(left)]).toEqual([0, 0]);
          expect(read32(left, 12)).toBe(outsideAddress.w3);
          const mapped = read16(left, protocol === 1 ? 24 : 20);
          // One endpoint inside, one port outside, for ever.
          const key = `${protocol} ${mapped}`;
          const endpoint = `${source.toString()}:${sourcePort}`;
          expect(taken.get(key) ?? endpoint).toBe(endpoint);
          taken.set(key, endpoint);
          const answer = packet({
            ...{ protocol, source: destination, destination: outsideAddress, body, type: 0 },
            ...{ sourcePort: protocol === 1 ? mapped : destinationPort, destinationPort: mapped },
          });
          const came = back(answer);
          if (typeof came === "string") throw new Error(came);
          expect([checksum(came, 0, 20), transportSum(came)]).toEqual([0, 0]);
          expect(read32(came, 16)).toBe(source.w3);
          expect(read16(came, protocol === 1 ? 24 : 22)).toBe(sourcePort);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("a UDP datagram without a checksum keeps none", () => {
    const { nat, outside } = setup();
    const bytes = packet({ protocol: 17, source: client, destination: server, sourcePort: 7, destinationPort: 9 });
    write16(bytes, 26, 0);
    const inside = outside;
    // From an interface that is not the outside one: a second of the same shape.
    const { outside: other } = setup();
    expect(nat.outbound(bytes, 0, bytes.length, other, inside)).toBe(true);
    nat.rewrite(bytes, 0, bytes.length, false);
    expect(read16(bytes, 26)).toBe(0);
    expect(checksum(bytes, 0, 20)).toBe(0);
  });

  test("what has no ports is refused, and what is too short for its header", () => {
    const { nat, out } = setup();
    expect(out({ protocol: 1, type: 13, source: client, destination: server, sourcePort: 1, destinationPort: 0 })).toBe(
      undefined,
    );
    expect(nat.statistics.unsupported).toBe(1);
  });

  test("another outside address ends the sessions of the one before", () => {
    const { nat, out, outside } = setup();
    const syn = { protocol: 6, source: client, destination: server, sourcePort: 7, destinationPort: 80, flags: 2 };
    out(syn);
    expect(nat.size.sessions).toBe(1);
    outside.own = IpAddress.parse("198.51.100.9").w3;
    expect(read32(out(syn)!, 12)).toBe(outside.own);
    expect(nat.size.sessions).toBe(1);
    outside.own = 0;
    expect(out(syn)).toBe(undefined);
    expect(nat.size.sessions).toBe(0);
  });
});

describe("time", () => {
  const tcp = { protocol: 6, source: client, destination: server, sourcePort: 7000, destinationPort: 80 };
  const fromServer = (mapped: number, flags: number): Uint8Array =>
    packet({
      ...{ protocol: 6, source: server, destination: outsideAddress, sourcePort: 80, destinationPort: mapped },
      flags,
    });

  test("RFC 5382 §5: a connection half made goes after 240 s, an established one after 7440 s of silence", () => {
    const { nat, out, back, advance } = setup();
    const mapped = read16(out({ ...tcp, flags: 2 })!, 20);
    advance(natTimeouts.tcpTransitory - 1);
    expect(nat.size.sessions).toBe(1);
    advance(1);
    expect(nat.size.sessions).toBe(0);
    expect(back(fromServer(mapped, 18))).toBe("ours");
    // The same endpoint gets the same port again.
    expect(read16(out({ ...tcp, flags: 2 })!, 20)).toBe(mapped);
    expect(back(fromServer(mapped, 18))).toBeInstanceOf(Uint8Array);
    advance(natEstablishedTimeout - 1);
    expect(nat.size.sessions).toBe(1);
    advance(1);
    expect(nat.size.sessions).toBe(0);
  });

  test("FIN both ways, or a reset, makes it short; RFC 7857 §2.2: unless it goes on", () => {
    for (const ending of [
      [17, 17],
      [4, undefined],
    ] as const) {
      const { nat, out, back, advance } = setup();
      const mapped = read16(out({ ...tcp, flags: 2 })!, 20);
      back(fromServer(mapped, 18));
      back(fromServer(mapped, ending[0]));
      if (ending[1] !== undefined) out({ ...tcp, flags: ending[1] });
      advance(natTimeouts.tcpTransitory);
      expect(nat.size.sessions).toBe(0);
    }
    const { nat, out, back, advance } = setup();
    const mapped = read16(out({ ...tcp, flags: 2 })!, 20);
    back(fromServer(mapped, 18));
    back(fromServer(mapped, 4));
    out({ ...tcp, flags: 16 });
    advance(natTimeouts.tcpTransitory * 2);
    expect(nat.size.sessions).toBe(1);
  });

  test("RFC 4787 §4.3, RFC 5508 §3.2: 120 s for a question by UDP, 300 s for a talk, 60 s for an echo", () => {
    const { nat, out, back, advance } = setup();
    const udp = { protocol: 17, source: client, destination: server, sourcePort: 7000, destinationPort: 53 };
    const mapped = read16(out(udp)!, 20);
    out({ protocol: 1, source: client, destination: server, sourcePort: 3, destinationPort: 0 });
    advance(natTimeouts.icmp);
    expect(nat.size.sessions).toBe(1);
    back(packet({ ...udp, source: server, destination: outsideAddress, sourcePort: 53, destinationPort: mapped }));
    advance(natTimeouts.udpTwoWay - 1);
    expect(nat.size.sessions).toBe(1);
    advance(1);
    expect(nat.size.sessions).toBe(0);
    out(udp);
    advance(natTimeouts.udpOneWay);
    expect(nat.size.sessions).toBe(0);
  });
});

describe("the table", () => {
  test("agrees with a plain map, whatever happens, and is bounded", () => {
    const step = fc.record({
      host: fc.integer({ min: 1, max: 4 }),
      port: fc.integer({ min: 1, max: 6 }),
      remote: fc.integer({ min: 1, max: 6 }),
      wait: fc.integer({ min: 0, max: 40 }),
      kind: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const, 4 as const),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.boolean(), (steps, byAddress) => {
        const timeouts = [60, 120, 240, 300, 700];
        const table = new SessionTable(16, 8, timeouts, byAddress, new SeededRandom(1));
        let now = 0;
        for (const { host, port, remote, wait, kind } of steps) {
          now += wait;
          table.expire(now);
          expect(table.nextDeadline()).toBeGreaterThan(now);
          let mapping = table.findInside(17, host, port);
          if (mapping < 0) {
            if (!table.makeRoom(host)) continue;
            mapping = table.addMapping(17, host, port, host * 100 + port);
          }
          let session = table.findSession(mapping, remote, 9);
          if (session < 0) {
            table.hold(mapping);
            const room = table.makeRoom(host);
            if (room) session = table.addSession(mapping, remote, 9, 0, now);
            table.release(mapping);
            if (!room) {
              table.dropUnused(mapping);
              continue;
            }
          }
          table.touch(session, kind, now);
          expect(table.findSession(mapping, remote, 9)).toBe(session);
          expect(table.findOutside(17, host * 100 + port)).toBe(mapping);
          if (byAddress) expect(table.knowsAddress(mapping, remote)).toBe(true);
          expect(table.sessions).toBeLessThanOrEqual(16);
          expect(table.ofHost(host)).toBeLessThanOrEqual(8);
          expect(table.mappings).toBeLessThanOrEqual(table.sessions);
        }
        table.clear();
        expect([table.sessions, table.mappings, table.nextDeadline()]).toEqual([0, 0, Infinity]);
      }),
    );
  });

  test("with no port left, a new endpoint is refused, and the others go on", () => {
    const { nat, out } = setup({ ports: { first: 1000, last: 1007 } });
    const udp = { protocol: 17, source: client, destination: server, destinationPort: 53 };
    for (let port = 2; port <= 10; port += 2) {
      expect(out({ ...udp, sourcePort: port }) === undefined).toBe(port > 8);
    }
    expect(out({ ...udp, sourcePort: 2 })).toBeDefined();
    expect(nat.statistics.refused).toBe(1);
  });

  test.each<[string, Partial<NatOptions>]>([
    ["capacity 3", { capacity: 3 }],
    ["ports 5–4", { ports: { first: 5, last: 4 } }],
    [
      "tcp port 80 is forwarded twice",
      {
        forwards: [
          { protocol: "tcp", port: 80, to: { address: client, port: 80 } },
          { protocol: "tcp", port: 80, to: { address: client, port: 81 } },
        ],
      },
    ],
  ])("%s is refused", (words, options) => {
    expect(() => setup(options)).toThrow(words);
  });
});
