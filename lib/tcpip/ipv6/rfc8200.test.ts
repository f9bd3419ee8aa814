import { IpAddress, MacAddress, Prefix } from "@tesserae/device/address";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChainReader, mostChainBytes, mostHeaders } from "./extension-headers.ts";
import { bytesOf, icmp6Message, LinkPeer, peer, word } from "./link-peer.ts";

const own = "fd00::1";
const other = "fd00::2";

interface Host extends LinkPeer {
  readonly got: string[];
}

/** fd00::1, which writes down what comes with protocol 253, and knows the MAC address of fd00::2. */
async function host(options: ConstructorParameters<typeof LinkPeer>[0] = {}): Promise<Host> {
  const link = new LinkPeer({ identifiers: "eui64", ...options });
  await link.on.add(Prefix.parse(`${own}/64`));
  link.pass(10_000);
  link.solicit(other, "ff02::1:ff00:1", own);
  link.heard();
  const got: string[] = [];
  link.ip.listen(253, ({ page, offset, length }) =>
    got.push(Array.from(page.bytes.slice(offset, offset + length)).join(" ")),
  );
  return Object.assign(link, { got });
}

/** A header of options, padded to a multiple of eight bytes. */
function options(next: number, ...bytes: number[]): number[] {
  const room = (8 - ((bytes.length + 2) % 8)) % 8;
  const padding = room === 0 ? [] : room === 1 ? [0] : [1, room - 2, ...new Array<number>(room - 2).fill(0)];
  const all = [...bytes, ...padding];
  return [next, (all.length + 2) / 8 - 1, ...all];
}

function fragmentHeader(next: number, at: number, more: boolean, id = 7): number[] {
  return [next, 0, at >>> 8, (at & 0xf8) | (more ? 1 : 0), ...word(id)];
}

describe("RFC 8200 §4: extension headers", () => {
  test("§4.1: hop-by-hop and destination options, routing with nothing left, atomic fragment: passed over", async () => {
    const link = await host();
    const chain = [
      ...options(60, 5, 2, 0, 0),
      ...options(43),
      ...[44, 0, 77, 0, 0, 0, 0, 0],
      ...fragmentHeader(60, 0, false),
      ...options(253, 0x1e, 1, 9),
    ];
    link.say(other, own, [...chain, 1, 2, 3], { next: 0 });
    expect(link.got).toEqual(["1 2 3"]);
    expect(link.heard()).toEqual([]);
  });

  test.each<[string, number, number[], string[]]>([
    ["§4.2: an option to pass over", 60, options(253, 0x1e, 0), ["taken"]],
    ["§4.2: an option to drop for", 60, options(253, 0x5e, 0), []],
    ["§4.2: an option to tell of", 60, options(253, 0x9e, 0), ["parameter-problem 2 at 42"]],
    ["§4.2: an option to tell of, but not to groups", 60, options(253, 0xde, 0), ["parameter-problem 2 at 42"]],
    ["§4.2: a jumbo payload", 0, options(253, 0xc2, 4, 0, 1, 0, 0), ["parameter-problem 2 at 42"]],
    [
      "§4: hop-by-hop options that do not come first",
      60,
      [...options(0), ...options(253)],
      ["parameter-problem 1 at 40"],
    ],
    ["§4: a header nobody knows", 60, options(200), ["parameter-problem 1 at 40"]],
    ["§4.4: a routing header with segments left", 43, [253, 0, 4, 1, 0, 0, 0, 0], ["parameter-problem 0 at 42"]],
    [
      "RFC 5095: a routing header of type 0",
      43,
      [253, 2, 0, 1, 0, 0, 0, 0, ...bytesOf(other)],
      ["parameter-problem 0 at 42"],
    ],
    ["§4.7: no next header", 59, [1, 2, 3], []],
    ["a header cut off", 60, [253, 9, 1, 4], ["parameter-problem 0 at 40"]],
    ["an option longer than its header", 60, [253, 0, 0x1e, 9, 0, 0, 0, 0], ["parameter-problem 0 at 42"]],
    [
      "RFC 8504 §5.3: nine options",
      60,
      options(253, ...new Array<number[]>(9).fill([0x1e, 0]).flat()),
      ["parameter-problem 9 at 58"],
    ],
    ["RFC 8504 §5.3: padding after padding", 60, [253, 1, 1, 4, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0], []],
    [
      "RFC 8504 §5.3: nine headers",
      60,
      [...new Array<number[]>(8).fill(options(60)).flat(), ...options(253)],
      ["parameter-problem 8 at 96"],
    ],
    [
      "RFC 8504 §5.3: a header of 520 bytes",
      60,
      [253, 64, ...new Array<number>(518).fill(0x1e)],
      ["parameter-problem 6 at 40"],
    ],
  ])("%s", async (_, next, chain, expected) => {
    const link = await host();
    link.say(other, own, [...chain, 1, 2, 3], { next });
    const heard = link.heard().map((line) => line.replace(`${own} > ${other} `, "").replace(" hop-limit=64", ""));
    expect(link.got.length > 0 ? ["taken"] : heard).toEqual(expected);
  });

  test("RFC 4443 §2.4 e: to a group, only what §3.4 code 2 says with the action 10 is answered", async () => {
    const link = await host();
    link.say(other, "ff02::1", [...options(253, 0xde, 0), 1], { next: 60 });
    expect(link.heard()).toEqual([]);
    link.say(other, "ff02::1", [...options(253, 0x9e, 0), 1], { next: 60 });
    expect(link.heard()).toEqual([`${own} > ${other} parameter-problem 2 at 42 hop-limit=64`]);
  });

  test("a chain of any bytes ends, within its bounds", () => {
    const reader = new ChainReader();
    const next = fc.constantFrom(0, 43, 44, 59, 60, 6, 17, 58, 253);
    const piece = fc
      .tuple(next, fc.nat(3), fc.uint8Array({ maxLength: 40 }))
      .map(([type, size, rest]) => [type, size, ...rest]);
    fc.assert(
      fc.property(next, fc.array(piece, { maxLength: 20 }), (first, pieces) => {
        const bytes = Uint8Array.from([
          0x60,
          0,
          0,
          0,
          0,
          0,
          first,
          64,
          ...new Array<number>(32).fill(1),
          ...pieces.flat(),
        ]);
        const verdict = reader.read(bytes, 0, bytes.length, false);
        if (verdict === "drop") return;
        if (verdict === "problem") expect(reader.pointer).toBeLessThan(bytes.length + 8);
        else {
          expect(reader.offset - 40).toBeLessThanOrEqual(mostChainBytes + 8 * mostHeaders);
          expect(reader.offset).toBeLessThanOrEqual(bytes.length);
          expect(reader.namedAt).toBeLessThan(reader.offset);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("RFC 8200 §4.5: fragments", () => {
  const whole = Array.from({ length: 40 }, (_, index) => index);
  const part = (from: number, to: number, id?: number): number[] => [
    ...fragmentHeader(253, from, to < whole.length, id),
    ...whole.slice(from, to),
  ];

  test("in any order, with what was in front of them", async () => {
    const link = await host();
    for (const piece of [part(32, 40), part(0, 16), part(16, 32)]) link.say(other, own, piece, { next: 44 });
    expect(link.got).toEqual([whole.join(" ")]);
    for (const piece of [part(16, 40, 8), part(0, 16, 8)]) {
      link.say(other, own, [...options(44, 0x1e, 0), ...piece], { next: 60 });
    }
    expect(link.got).toHaveLength(2);
    expect(link.ip.reassembly.pending).toBe(0);
  });

  test("the same fragment again is passed over", async () => {
    const link = await host();
    for (const piece of [part(0, 16), part(0, 16), part(16, 40)]) link.say(other, own, piece, { next: 44 });
    expect(link.got).toEqual([whole.join(" ")]);
    expect(link.ip.reassembly.statistics.duplicates).toBe(1);
  });

  test("RFC 5722: an overlap condemns the packet, whatever comes after", async () => {
    const link = await host();
    const lie = [...fragmentHeader(253, 8, true), ...new Array<number>(16).fill(99)];
    for (const piece of [part(0, 16), lie, part(16, 40), part(0, 16), part(16, 40)]) {
      link.say(other, own, piece, { next: 44 });
    }
    expect(link.got).toEqual([]);
    expect(link.ip.reassembly.statistics.overlaps).toBe(1);
    link.pass(60_000);
    expect(link.heard()).toEqual([]);
  });

  test("RFC 6946: an atomic fragment is taken at once, whatever has its identification", async () => {
    const link = await host();
    link.say(other, own, part(0, 16), { next: 44 });
    link.say(other, own, [...fragmentHeader(253, 0, false), 5], { next: 44 });
    expect(link.got).toEqual(["5"]);
    expect(link.ip.reassembly.pending).toBe(1);
  });

  test("after a minute the sender is told, if the first fragment came", async () => {
    const link = await host();
    link.say(other, own, part(16, 40, 1), { next: 44 });
    link.say(other, own, part(0, 16, 2), { next: 44 });
    link.pass(59_999);
    link.heard();
    link.pass(1);
    expect(link.heard()).toEqual([`${own} > ${other} time-exceeded 1 hop-limit=64`]);
  });

  test.each<[string, number[], string]>([
    [
      "a length that is no multiple of eight",
      [...fragmentHeader(253, 0, true), ...whole.slice(0, 15)],
      "parameter-problem 0 at 4",
    ],
    [
      "beyond the longest packet",
      [...fragmentHeader(253, 65_528, false), ...whole.slice(0, 16)],
      "parameter-problem 0 at 42",
    ],
    [
      "RFC 7112: a first fragment without its transport header",
      [...fragmentHeader(6, 0, true), ...whole.slice(0, 16)],
      "parameter-problem 3 at 0",
    ],
    [
      "RFC 7112: or with half a chain",
      [...fragmentHeader(60, 0, true), 6, 9, ...whole.slice(0, 14)],
      "parameter-problem 3 at 0",
    ],
  ])("%s", async (_, piece, problem) => {
    const link = await host();
    link.say(other, own, piece, { next: 44 });
    expect(link.heard()).toEqual([`${own} > ${other} ${problem} hop-limit=64`]);
    expect(link.ip.reassembly.pending).toBe(0);
  });

  test("RFC 6980: Neighbour Discovery does not come in fragments", async () => {
    const link = await host();
    const question = Array.from(icmp6Message(other, own, 135, 0, [0, 0, 0, 0, ...bytesOf(own)]));
    link.say(other, own, [...fragmentHeader(58, 0, false), ...question], { next: 44 });
    link.say(other, own, [...fragmentHeader(58, 0, true, 9), ...question.slice(0, 16)], { next: 44 });
    link.say(other, own, [...fragmentHeader(58, 16, false, 9), ...question.slice(16)], { next: 44 });
    expect(link.heard()).toEqual([]);
    expect(link.icmp.statistics.ignored).toBe(2);
  });

  test("a flood of fragments of one source leaves room for another's", async () => {
    const link = await host();
    for (let id = 0; id < 2000; id++) link.say("fd00::bad", own, part(0, 16, id), { next: 44 });
    link.say(other, own, part(0, 16, 1), { next: 44 });
    for (let id = 0; id < 2000; id++) link.say("fd00::bad", own, part(0, 16, id), { next: 44 });
    link.say(other, own, part(16, 40, 1), { next: 44 });
    expect(link.got).toEqual([whole.join(" ")]);
    expect(link.ip.reassembly.pending).toBeLessThanOrEqual(16);
  });

  test("what we cut comes together again: any length, any MTU", async () => {
    for (const mtu of [1280, 1281, 1500]) {
      const link = await host({ mtu });
      for (const length of [1, mtu - 40, mtu - 39, 5000, 65_000]) {
        const bytes = new Uint8Array(length).map((_, index) => index);
        expect(link.ip.sendBytes(IpAddress.parse(other), 253, bytes, 0, length)).toBe(true);
        link.pass(0);
        const frames = link.frames();
        const count = link.got.length;
        for (const frame of frames) {
          expect(frame.length).toBeLessThanOrEqual(mtu + 14);
          link.say(other, own, frame.slice(54), { next: frame[20]! });
        }
        expect(link.got).toHaveLength(count + 1);
        expect(link.got.at(-1)).toBe(Array.from(bytes).join(" "));
      }
    }
  });
});

describe("RFC 4443", () => {
  test("§4.2: an echo is answered from the address that was asked, but not to groups", async () => {
    const link = await host();
    link.icmp6(other, own, 128, 0, [0, 1, 0, 1, 9, 9]);
    link.icmp6(peer, "fe80::ff:fe00:1", 128, 0, [0, 1, 0, 1]);
    link.icmp6(other, "ff02::1", 128, 0, [0, 1, 0, 1]);
    const answers = link.heard().filter((line) => line.includes("echo"));
    expect(answers).toEqual([`${own} > ${other} echo-reply 2 bytes hop-limit=64`]);
    expect(link.icmp.statistics.echoIgnored).toBe(1);
  });

  test("§2.3: a bad checksum is dropped", async () => {
    const link = await host();
    link.say(other, own, [128, 0, 1, 2, 0, 1, 0, 1]);
    expect(link.heard()).toEqual([]);
    expect(link.icmp.statistics.badChecksum).toBe(1);
  });

  test("§2.4 f: errors are limited in number, and §2.4 c in size", async () => {
    const link = await host();
    for (let round = 0; round < 500; round++) link.say(other, own, new Uint8Array(1400), { next: 200 });
    const frames = link.frames();
    expect(frames.length).toBeLessThan(100);
    for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(1280 + 14);
    expect(link.icmp.statistics.errorsSuppressed).toBeGreaterThan(390);
  });

  test.each<[string, (link: LinkPeer) => void]>([
    ["errors", (link) => link.icmp6(other, own, 1, 4, [0, 0, 0, 0, ...new Array<number>(60).fill(0)])],
    ["errors of kinds that nobody knows", (link) => link.icmp6(other, own, 99, 0, [0, 0, 0, 0])],
    ["packets from nobody", (link) => link.say("::", own, [1], { next: 200 })],
    ["packets to groups", (link) => link.say(other, "ff02::1", [1], { next: 200 })],
    ["frames to many", (link) => link.say(other, own, [1], { next: 200, mac: MacAddress.parse("33:33:00:00:00:01") })],
    ["packets from groups", (link) => link.say("ff02::1", own, [1], { next: 200 })],
    ["packets from ourselves", (link) => link.say(own, own, [1], { next: 200 })],
    ["packets from loopback", (link) => link.say("::1", own, [1], { next: 200 })],
    ["IPv4 in the clothes of IPv6", (link) => link.say("::ffff:10.0.0.1", own, [1], { next: 200 })],
    ["packets for others", (link) => link.say(other, "fd00::77", [1], { next: 200 })],
  ])("§2.4 e: no error about %s", async (_, act) => {
    const link = await host();
    act(link);
    expect(link.heard()).toEqual([]);
  });
});

describe("RFC 8201: path MTU", () => {
  /** Sends 1500 bytes to a far host, and gives the packet. */
  async function sent(): Promise<{ link: LinkPeer; packet: Uint8Array; errors: string[] }> {
    const link = await host();
    link.on.addRoute(new Prefix(IpAddress.any6, 0), IpAddress.parse(other));
    const errors: string[] = [];
    link.ip.listenErrors(253, ({ kind, mtu }) => errors.push(`${kind} ${String(mtu)}`));
    link.ip.sendBytes(IpAddress.parse("2001:db8::1"), 253, new Uint8Array(1460), 0, 1460);
    link.pass(0);
    const packet = link.frames()[0]!.slice(14);
    return { link, packet, errors };
  }
  const far = IpAddress.parse("2001:db8::1");
  const tooBig = (link: LinkPeer, mtu: number, packet: Uint8Array): void =>
    link.icmp6("2001:db8:ffff::1", own, 2, 0, [...word(mtu), ...packet.slice(0, 1200)]);

  test("§4: a router's word lowers it, for that destination, and for ten minutes", async () => {
    const { link, packet, errors } = await sent();
    tooBig(link, 1400, packet);
    expect(errors).toEqual(["packet-too-big 1400"]);
    expect([link.ip.mtu(far), link.ip.mtu(IpAddress.parse("2001:db8::2"))]).toEqual([1400, 1500]);
    expect(link.ip.sendBytes(far, 253, new Uint8Array(1460), 0, 1460, { dontFragment: true })).toBe(false);
    link.pass(600_000);
    expect(link.ip.mtu(far)).toBe(1500);
  });

  test.each<[string, number, (packet: Uint8Array) => void]>([
    ["below the smallest MTU", 1279, () => undefined],
    ["no smaller than the packet", 1500, () => undefined],
    ["about a packet with another flow label", 1400, (packet) => void (packet[3]! ^= 1)],
    ["about a packet of somebody else", 1400, (packet) => void (packet[23]! ^= 1)],
    ["about a packet longer than we send", 1400, (packet) => void (packet[4]! += 1)],
    ["about a later fragment", 1400, (packet) => packet.set([44, 64], 6)],
  ])("§4: one is not believed that is %s", async (_, mtu, change) => {
    const { link, packet } = await sent();
    change(packet);
    tooBig(link, mtu, packet);
    expect(link.ip.mtu(far)).toBe(1500);
  });

  test("the table of estimates is bounded", async () => {
    const { link } = await sent();
    for (let index = 0; index < 1000; index++) {
      const to = IpAddress.parse(`2001:db8::${(index + 16).toString(16)}`);
      link.ip.sendBytes(to, 253, new Uint8Array(1460), 0, 1460);
      link.pass(0);
      tooBig(link, 1400, link.frames()[0]!.slice(14));
    }
    expect(link.ip.statistics.pathMtuLowered).toBe(1000);
    expect(link.ip.mtu(IpAddress.parse("2001:db8::10"))).toBe(1500);
    expect(link.ip.mtu(IpAddress.parse("2001:db8::3f7"))).toBe(1400);
  });
});

describe("RFC 6437", () => {
  test("§3: packets of one flow carry one label, which is not 0; flows differ", async () => {
    const link = await host();
    const label = (source: number, bytes = 20): number => {
      const payload = new Uint8Array(bytes);
      payload.set([source >>> 8, source & 255, 0, 80]);
      link.ip.sendBytes(IpAddress.parse(other), 17, payload, 0, bytes);
      link.pass(0);
      const frame = link.frames()[0]!;
      return ((frame[15]! & 15) << 16) | (frame[16]! << 8) | frame[17]!;
    };
    expect(label(1000)).toBe(label(1000, 400));
    const labels = new Set(Array.from({ length: 100 }, (_, index) => label(2000 + index)));
    expect(labels.has(0)).toBe(false);
    expect(labels.size).toBeGreaterThan(98);
  });
});
