import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import type { IpError } from "@tesserae/device/ip";
import { headroom } from "@tesserae/device/page";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { describe, expect, test } from "vitest";
import { arp } from "../arp/wire.ts";
import { icmp } from "../icmp/wire.ts";
import { createStack } from "../stack/stack.ts";
import { ipv4 } from "./wire.ts";

const us = IpAddress.parse("10.0.0.1");
const peerIp = IpAddress.parse("10.0.0.2");
const ourMac = MacAddress.parse("02:00:00:00:00:01");
const peerMac = MacAddress.parse("02:00:00:00:00:02");
const testProtocol = 253;

interface Header {
  readonly source?: string;
  readonly destination?: string;
  readonly protocol?: number;
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  readonly identification?: number;
  readonly timeToLive?: number;
  readonly to?: MacAddress;
}

/** A frame with an IPv4 packet in it. */
function frame(payload: Uint8Array, header: Header = {}): Uint8Array {
  const bytes = new Uint8Array(34 + payload.length);
  (header.to ?? ourMac).write(bytes, 0);
  peerMac.write(bytes, 6);
  bytes.set([0x08, 0x00], 12);
  ipv4.emit(
    {
      version: 4,
      headerLength: 5,
      dscp: 0,
      ecn: 1,
      totalLength: 20 + payload.length,
      identification: header.identification ?? 77,
      reserved: false,
      dontFragment: false,
      moreFragments: header.moreFragments ?? false,
      fragmentOffset: (header.fragmentOffset ?? 0) / 8,
      timeToLive: header.timeToLive ?? 9,
      protocol: header.protocol ?? testProtocol,
      checksum: 0,
      source: IpAddress.parse(header.source ?? "10.0.0.2"),
      destination: IpAddress.parse(header.destination ?? "10.0.0.1"),
    },
    bytes,
    14,
  );
  ipv4.field.checksum.set(bytes, 14, checksum(bytes, 14, 20));
  bytes.set(payload, 34);
  return bytes;
}

function icmpMessage(type: number, code: number, identifier: number, sequence: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + body.length);
  icmp.emit({ type, code, checksum: 0, identifier, sequence }, bytes);
  bytes.set(body, 8);
  icmp.field.checksum.set(bytes, 0, checksum(bytes, 0, bytes.length));
  return bytes;
}

function record(bytes: Uint8Array) {
  const parsed = ipv4.parse(bytes, 14);
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

async function setup() {
  const clock = new VirtualClock();
  const timers = new Scheduler(clock);
  const link = createLink({ timers });
  const peer = new FramePeer(link.b);
  const stack = await createStack({
    netif: link.a,
    timers,
    random: new SeededRandom(1),
    ipv4: { kind: "static", address: Prefix.parse("10.0.0.1/24"), gateway: peerIp },
  });
  const { ip } = stack;
  const got: { source: string; destination: string; payload: Uint8Array; ecn: number; hopLimit: number }[] = [];
  ip.listen(testProtocol, ({ page, offset, length, source, destination, ecn, hopLimit }) => {
    const payload = page.bytes.slice(offset, offset + length);
    got.push({ source: source.toString(), destination: destination.toString(), payload, ecn, hopLimit });
  });
  const advance = (ms: number): void => {
    const end = clock.now() + ms;
    for (let next = timers.nextDeadline(); next <= end; next = timers.nextDeadline()) {
      clock.advanceTo(Math.max(next, clock.now()));
      timers.run();
    }
    clock.advanceTo(end);
  };
  /** The IPv4 packets that the peer has got; it answers ARP. */
  const heard = (): Uint8Array[] => {
    const packets: Uint8Array[] = [];
    for (let round = 0; round < 3; round++) {
      advance(0);
      for (const each of peer.take()) {
        if (each[13] === 0) packets.push(each);
        else if (arp.field.operation.get(each, 14) === 1 && arp.field.targetIp.equals(each, 14, peerIp)) {
          const answer = new Uint8Array(42);
          ourMac.write(answer, 0);
          peerMac.write(answer, 6);
          answer.set([0x08, 0x06], 12);
          const fixed = { hardwareType: 1, protocolType: 0x0800, hardwareSize: 6, protocolSize: 4, operation: 2 };
          const ends = { senderMac: peerMac, senderIp: peerIp, targetMac: ourMac, targetIp: us };
          arp.emit({ ...fixed, ...ends }, answer, 14);
          peer.send(answer);
        }
      }
    }
    return packets;
  };
  const receive = (bytes: Uint8Array): void => {
    peer.send(bytes);
    advance(0);
  };
  const send = (length: number, options: Parameters<typeof ip.send>[5] = {}, to = peerIp): boolean => {
    const page = ip.allocate()!;
    for (let index = 0; index < length; index++) page.bytes[headroom + index] = index * 3;
    return ip.send(to, testProtocol, page, headroom, length, options);
  };
  // The peer's address is known from here on.
  void stack.icmp.ping(peerIp).catch(() => undefined);
  heard();
  return { clock, stack, ip, peer, advance, heard, receive, send, got };
}

const payload = Uint8Array.from({ length: 24 }, (_, index) => index);

describe("RFC 1122 §3.2.1: receiving", () => {
  test("a packet for us comes up with what its header says", async () => {
    const { receive, got } = await setup();
    receive(frame(payload));
    expect(got).toEqual([{ source: "10.0.0.2", destination: "10.0.0.1", payload, ecn: 1, hopLimit: 9 }]);
  });

  test("Ethernet's padding is cut off", async () => {
    const { receive, got } = await setup();
    const padded = new Uint8Array(60);
    padded.set(frame(payload.slice(0, 3)));
    receive(padded);
    expect(got[0]?.payload).toEqual(payload.slice(0, 3));
  });

  test.each<[string, Header, string]>([
    ["to somebody else", { destination: "10.0.0.9" }, "notForUs"],
    ["to a multicast group", { destination: "224.0.0.251", to: MacAddress.parse("01:00:5e:00:00:fb") }, "notForUs"],
    ["from the loopback net", { source: "127.0.0.1" }, "martian"],
    ["to the loopback net", { destination: "127.0.0.1" }, "martian"],
    ["from ourselves", { source: "10.0.0.1" }, "martian"],
    ["from a multicast group", { source: "224.0.0.1" }, "martian"],
    ["from a broadcast address", { source: "10.0.0.255" }, "martian"],
    ["from 255.255.255.255", { source: "255.255.255.255" }, "martian"],
    ["from nowhere", { source: "0.0.0.0" }, "martian"],
    ["to us, in a frame for all", { to: MacAddress.broadcast }, "linkBroadcast"],
    [
      "to all, of a protocol that is between two",
      { destination: "10.0.0.255", to: MacAddress.broadcast },
      "unknownProtocol",
    ],
  ])("a packet %s is dropped and counted", async (_, header, counter) => {
    const { receive, got, stack, heard } = await setup();
    receive(frame(payload, header));
    expect(got).toEqual([]);
    expect(stack.statistics.ipv4).toMatchObject({ [counter]: 1, delivered: 0 });
    expect(heard()).toEqual([]);
  });

  test("fragments are joined, and their incompleteness reported when time is up", async () => {
    const { receive, got, advance, heard, clock } = await setup();
    receive(frame(payload.slice(16), { fragmentOffset: 16 }));
    receive(frame(payload.slice(0, 16), { moreFragments: true }));
    expect(got[0]?.payload).toEqual(payload);
    receive(frame(payload.slice(0, 16), { moreFragments: true, identification: 78 }));
    const start = clock.now();
    advance(29_999);
    expect(heard()).toEqual([]);
    advance(1);
    const [error] = heard();
    expect(clock.now() - start).toBe(30_000);
    // RFC 792: time exceeded, fragment reassembly, with the first fragment quoted.
    expect([...error!.slice(34, 36)]).toEqual([11, 1]);
    expect(error!.slice(42)).toEqual(
      frame(payload.slice(0, 16), { moreFragments: true, identification: 78 }).slice(14),
    );
  });

  test("without the first fragment nothing is reported", async () => {
    const { receive, advance, heard } = await setup();
    receive(frame(payload, { fragmentOffset: 16 }));
    advance(40_000);
    expect(heard()).toEqual([]);
  });
});

describe("sending", () => {
  test("the header is right, and different packets have different identifications", async () => {
    const { send, heard } = await setup();
    expect(send(10, { hopLimit: 3, ecn: 2 })).toBe(true);
    expect(send(10)).toBe(true);
    const packets = heard();
    expect(packets.map((each) => checksum(each, 14, 20))).toEqual([0, 0]);
    const [first, second] = packets.map(record);
    expect(first).toMatchObject({
      totalLength: 30,
      timeToLive: 3,
      ecn: 2,
      dontFragment: false,
      protocol: testProtocol,
    });
    expect([first?.source.toString(), first?.destination.toString()]).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(second).toMatchObject({ timeToLive: 64, ecn: 0 });
    expect(second?.identification).not.toBe(first?.identification);
  });

  test("a packet to a stranger goes to the router, one to all and one to a group without ARP", async () => {
    const { send, heard } = await setup();
    for (const to of ["192.0.2.1", "255.255.255.255", "10.0.0.255", "239.129.2.3"]) send(8, {}, IpAddress.parse(to));
    expect(heard().map((each) => MacAddress.read(each, 0).toString())).toEqual([
      "02:00:00:00:00:02",
      "ff:ff:ff:ff:ff:ff",
      "ff:ff:ff:ff:ff:ff",
      "01:00:5e:01:02:03",
    ]);
  });

  test("loopback and foreign addresses never leave as a source", async () => {
    const { send, heard, stack, ip } = await setup();
    for (const source of ["127.0.0.1", "10.0.0.9"]) expect(send(8, { source: IpAddress.parse(source) })).toBe(false);
    expect(send(8, {}, IpAddress.parse("fd00::1"))).toBe(false);
    expect(send(8, {}, IpAddress.any4)).toBe(false);
    expect(ip.source(IpAddress.any4)).toBeUndefined();
    expect(heard()).toEqual([]);
    expect(stack.statistics.ipv4.noRoute).toBe(4);
  });

  test("what we send to ourselves comes back, but not from inside send", async () => {
    const { send, got, advance } = await setup();
    for (const to of ["10.0.0.1", "127.0.0.1", "127.1.2.3"]) {
      expect(send(24, {}, IpAddress.parse(to))).toBe(true);
      expect(got).toEqual([]);
      advance(0);
      expect(got.splice(0)).toMatchObject([{ destination: to }]);
    }
  });

  test("a failure of ARP is reported to the protocol", async () => {
    const { send, ip, advance } = await setup();
    const errors: string[] = [];
    ip.listenErrors(testProtocol, (error) => errors.push(`${error.kind} ${error.destination.toString()}`));
    send(24, {}, IpAddress.parse("10.0.0.77"));
    advance(3000);
    expect(errors).toEqual(["unreachable-host 10.0.0.77"]);
    // While the failure is fresh a packet is refused, and the protocol told, but not from inside send.
    expect(send(24, {}, IpAddress.parse("10.0.0.77"))).toBe(false);
    expect(errors).toHaveLength(1);
    advance(0);
    expect(errors).toHaveLength(2);
  });
});

describe("RFC 1191, RFC 5927: path MTU", () => {
  async function narrowed() {
    const world = await setup();
    const errors: IpError[] = [];
    world.ip.listenErrors(testProtocol, (error) => errors.push({ ...error }));
    const stranger = IpAddress.parse("192.0.2.1");
    const tooBig = (quoted: Uint8Array, mtu: number): void => {
      world.receive(frame(icmpMessage(3, 4, 0, mtu, quoted.slice(14, 14 + 28)), { source: "10.0.0.254", protocol: 1 }));
    };
    return { ...world, errors, stranger, tooBig };
  }

  test("a report about a packet of ours lowers it, and later packets are cut or refused", async () => {
    const { send, heard, tooBig, errors, ip, stranger, advance } = await narrowed();
    expect(send(1480, { dontFragment: true }, stranger)).toBe(true);
    const [sent] = heard();
    expect(record(sent!).dontFragment).toBe(true);
    tooBig(sent!, 1000);
    expect(ip.mtu(stranger)).toBe(1000);
    expect(ip.mtu(peerIp)).toBe(1500);
    expect(errors).toMatchObject([{ kind: "packet-too-big", mtu: 1000, length: 8 }]);
    expect(send(1480, { dontFragment: true }, stranger)).toBe(false);
    expect(send(1480, {}, stranger)).toBe(true);
    const fragments = heard();
    expect(fragments.map(record)).toMatchObject([
      { totalLength: 996, moreFragments: true, fragmentOffset: 0, dontFragment: false },
      { totalLength: 524, moreFragments: false, fragmentOffset: 122 },
    ]);
    advance(600_000);
    expect(ip.mtu(stranger)).toBe(1500);
  });

  test("a forged report, without the identification that our packets carry, changes nothing", async () => {
    const { send, heard, tooBig, stack, ip, stranger } = await narrowed();
    send(1480, { dontFragment: true }, stranger);
    const [sent] = heard();
    const forged = sent!.slice();
    ipv4.field.identification.set(forged, 14, record(forged).identification ^ 1);
    tooBig(forged, 600);
    const elsewhere = sent!.slice();
    ipv4.field.destination.set(elsewhere, 14, IpAddress.parse("192.0.2.2"));
    tooBig(elsewhere, 600);
    const notOurs = sent!.slice();
    ipv4.field.source.set(notOurs, 14, IpAddress.parse("10.0.0.9"));
    tooBig(notOurs, 600);
    expect(ip.mtu(stranger)).toBe(1500);
    expect(stack.statistics.ipv4).toMatchObject({ implausibleErrors: 3, pathMtuLowered: 0 });
  });

  test("below the floor, packets may be fragmented again", async () => {
    const { send, heard, tooBig, ip, stranger } = await narrowed();
    send(1480, { dontFragment: true }, stranger);
    tooBig(heard()[0]!, 296);
    expect(ip.mtu(stranger)).toBe(576);
    send(556, { dontFragment: true }, stranger);
    expect(heard().map(record)).toMatchObject([{ totalLength: 576, dontFragment: false }]);
  });
});

describe("RFC 1122 §3.2.2: ICMP", () => {
  const echo = icmpMessage(8, 0, 0x1234, 7, payload);

  test("an echo request is answered from the address asked, with its payload", async () => {
    const { receive, heard } = await setup();
    receive(frame(echo, { protocol: 1 }));
    const [answer] = heard();
    expect(checksum(answer!, 34, answer!.length - 34)).toBe(0);
    expect(answer!.slice(34)).toEqual(icmpMessage(0, 0, 0x1234, 7, payload));
    expect(record(answer!)).toMatchObject({ protocol: 1 });
  });

  test.each<[string, Uint8Array, Header]>([
    ["to a broadcast address", echo, { destination: "10.0.0.255", to: MacAddress.broadcast }],
    ["to 255.255.255.255", echo, { destination: "255.255.255.255", to: MacAddress.broadcast }],
    ["with a bad checksum", echo.slice(0, 31), {}],
    ["cut short", echo.slice(0, 7), {}],
    ["from nowhere", echo, { source: "0.0.0.0", destination: "255.255.255.255", to: MacAddress.broadcast }],
  ])("an echo request %s is not", async (_, message, header) => {
    const { receive, heard } = await setup();
    receive(frame(message, { protocol: 1, ...header }));
    expect(heard()).toEqual([]);
  });

  test("a flood of echo requests gets a bounded number of answers", async () => {
    const { receive, heard, stack, advance } = await setup();
    let answers = 0;
    for (let index = 0; index < 600; index++) {
      receive(frame(echo, { protocol: 1 }));
      answers += heard().length;
    }
    expect(answers).toBe(250);
    expect(stack.statistics.icmp.echoSuppressed).toBe(350);
    advance(1000);
    receive(frame(echo, { protocol: 1 }));
    expect(heard()).toHaveLength(1);
  });

  test("a protocol and a port that nobody has are unreachable", async () => {
    const { receive, heard } = await setup();
    receive(frame(payload, { protocol: 200 }));
    receive(frame(Uint8Array.of(0, 9, 0, 10, 0, 12, 0, 0, 1, 2, 3, 4), { protocol: 17 }));
    const errors = heard();
    expect(errors.map((each) => [...each.slice(34, 36)])).toEqual([
      [3, 2],
      [3, 3],
    ]);
    expect(errors[0]!.slice(42)).toEqual(frame(payload, { protocol: 200 }).slice(14));
    for (const each of errors) expect(checksum(each, 34, each.length - 34)).toBe(0);
  });

  test("a long packet is quoted up to 576 bytes in all", async () => {
    const { receive, heard } = await setup();
    receive(frame(new Uint8Array(1400), { protocol: 200 }));
    expect(heard().map((each) => each.length)).toEqual([14 + 576]);
  });

  test.each<[string, Uint8Array, Header]>([
    ["an ICMP error", icmpMessage(3, 1, 0, 0, frame(payload, { source: "10.0.0.9" }).slice(14)), { protocol: 1 }],
    ["an unknown ICMP message", icmpMessage(99, 0, 0, 0, payload), { protocol: 1 }],
    [
      "a datagram to all",
      Uint8Array.of(0, 9, 0, 10, 0, 8, 0, 0),
      { protocol: 17, destination: "10.0.0.255", to: MacAddress.broadcast },
    ],
    ["a later fragment", payload, { protocol: 200, fragmentOffset: 800 }],
  ])("no error is sent about %s", async (_, message, header) => {
    const { receive, heard, advance } = await setup();
    receive(frame(message, header));
    advance(60_000);
    expect(heard()).toEqual([]);
  });

  test("errors are sent at a bounded rate", async () => {
    const { receive, heard, stack } = await setup();
    let errors = 0;
    for (let index = 0; index < 300; index++) {
      receive(frame(payload, { protocol: 200 }));
      errors += heard().length;
    }
    expect(errors).toBeLessThanOrEqual(41);
    expect(errors).toBeGreaterThanOrEqual(25);
    expect(stack.statistics.icmp.errorsSuppressed).toBe(300 - errors);
  });

  test.each<[number, number, string]>([
    [3, 0, "unreachable-network"],
    [3, 1, "unreachable-host"],
    [3, 3, "unreachable-port"],
    [3, 13, "prohibited"],
    [11, 0, "time-exceeded"],
    [12, 0, "parameter-problem"],
  ])("type %i code %i reaches the protocol as %s", async (type, code, kind) => {
    const { send, heard, receive, ip } = await setup();
    const errors: string[] = [];
    ip.listenErrors(testProtocol, (error) => errors.push(`${error.kind} from ${error.reporter.toString()}`));
    send(24);
    const [sent] = heard();
    receive(frame(icmpMessage(type, code, 0, 0, sent!.slice(14, 42)), { source: "10.0.0.254", protocol: 1 }));
    // Too short to show eight bytes of the transport header.
    receive(frame(icmpMessage(type, code, 0, 0, sent!.slice(14, 41)), { source: "10.0.0.254", protocol: 1 }));
    expect(errors).toEqual([`${kind} from 10.0.0.254`]);
  });

  test("redirects and source quench change nothing", async () => {
    const { send, heard, receive, stack } = await setup();
    send(24, {}, IpAddress.parse("192.0.2.1"));
    const [sent] = heard();
    for (const type of [4, 5]) {
      receive(frame(icmpMessage(type, 1, 0x0a00, 0x0063, sent!.slice(14, 42)), { source: "10.0.0.2", protocol: 1 }));
    }
    expect(stack.statistics.icmp.ignored).toBe(1);
    expect(stack.statistics.ipv4.redirectsIgnored).toBe(1);
    send(24, {}, IpAddress.parse("192.0.2.1"));
    expect(MacAddress.read(heard()[0]!, 0).equals(peerMac)).toBe(true);
  });

  test("a reply from somebody else, or with another number, does not end a ping", async () => {
    const { stack, heard, receive, advance } = await setup();
    const result = stack.icmp.ping(peerIp, { timeout: 1000, size: 4 }).catch((error: unknown) => error);
    const [request] = heard();
    const reply = request!.slice(34);
    icmp.field.type.set(reply, 0, 0);
    const sign = (bytes: Uint8Array): Uint8Array => {
      icmp.field.checksum.set(bytes, 0, 0);
      icmp.field.checksum.set(bytes, 0, checksum(bytes, 0, bytes.length));
      return bytes;
    };
    receive(frame(sign(reply.slice()), { protocol: 1, source: "10.0.0.3" }));
    const other = reply.slice();
    icmp.field.sequence.set(other, 0, icmp.field.sequence.get(other, 0) ^ 1);
    receive(frame(sign(other), { protocol: 1 }));
    advance(999);
    receive(frame(sign(reply), { protocol: 1 }));
    expect(await result).toBe(999);
  });
});
