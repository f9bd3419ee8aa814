import { IpAddress } from "@tesserae/device/address";
import type { Timers } from "@tesserae/device/clock";
import { type Ip, type IpError, type IpSendOptions, protocolIcmp } from "@tesserae/device/ip";
import { checksumVerified, headroom, needsChecksum } from "@tesserae/device/page";
import { ensure, ensureEqual, ensureThrows } from "./assert.ts";
import { headerSize, icmpError, ipv4Packet, onesComplementSum, pseudoHeaderSum, writeHalf } from "./ipv4-packet.ts";
import { countSettledPages, ensurePagesAreSound, ensurePagesBack, takePage } from "./page-count.ts";
import { pattern, pause, settleTime, until } from "./pause.ts";
import { defineCase, Skipped, type Suite } from "./suite.ts";

/**
 * Two hosts on one link that loses nothing and takes less than 50 ms, each with an IPv4 or an IPv6 address first. ICMP runs on both;
 * nobody uses the protocols 253 and 254. They have not met: neither knows the other's MAC address.
 */
export interface IpPair {
  readonly a: Ip;
  readonly b: Ip;
  readonly timers: Timers;
  /** An address on the link that nobody has. */
  readonly silent: IpAddress;
  /** An address to which A has no route; without it one case is skipped. */
  readonly unroutable?: IpAddress;
  /** Hands A an IP packet from the link, in a frame for A alone; without it some cases are skipped. */
  inject?(packet: Uint8Array): void;
  /** Takes A's addresses away; without it one case is skipped. */
  unconfigure?(): void;
}

/** RFC 3692 §2.1: for experimentation and testing. */
const protocolOne = 253;
const protocolTwo = 254;
const headerSize6 = 40;
/** The longest packet that a total length can say. */
const mostBytes = 65_535;

interface Received {
  readonly payload: Uint8Array;
  readonly header: Uint8Array;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly hopLimit: number;
  readonly ecn: number;
  readonly flags: number;
}

/** Keeps copies of the packets, and of the errors, that come with one protocol number. */
class Listener {
  readonly received: Received[] = [];
  readonly errors: (Omit<IpError, "bytes" | "offset"> & { readonly quoted: Uint8Array })[] = [];
  /** Set while nothing may be delivered. */
  forbidden = false;
  violated = false;

  constructor(ip: Ip, protocol: number = protocolOne) {
    ip.listen(protocol, (packet) => {
      const { page, offset, length, headerOffset, source, destination, hopLimit, ecn } = packet;
      this.violated ||= this.forbidden;
      this.received.push({
        payload: page.bytes.slice(offset, offset + length),
        header: page.bytes.slice(headerOffset, offset),
        source: source.toString(),
        destination: destination.toString(),
        protocol: packet.protocol,
        hopLimit,
        ecn,
        flags: page.flags,
      });
    });
    ip.listenErrors(protocol, ({ bytes, offset, ...error }) => {
      this.violated ||= this.forbidden;
      this.errors.push({ ...error, quoted: bytes.slice(offset, offset + error.length) });
    });
  }
}

function send(from: Ip, to: IpAddress, payload: Uint8Array, options?: IpSendOptions, protocol = protocolOne): boolean {
  const page = takePage(from);
  page.bytes.set(payload, headroom);
  return from.send(to, protocol, page, headroom, payload.length, options);
}

function addressOf(ip: Ip): IpAddress {
  const first = ip.addresses[0];
  ensure(first !== undefined, "a host has no address");
  return first;
}

/** Bytes of a header without options, or extension headers, in the family of the host's first address. */
function headerOf(ip: Ip): number {
  return addressOf(ip).family === 4 ? headerSize : headerSize6;
}

function loopbackOf(ip: Ip): IpAddress {
  return addressOf(ip).family === 4 ? IpAddress.loopback4 : IpAddress.loopback6;
}

function anyOf(ip: Ip): IpAddress {
  return addressOf(ip).family === 4 ? IpAddress.any4 : IpAddress.any6;
}

/** Cases that look at the bytes of headers, or make packets, do so for IPv4. */
function needIpv4(ip: Ip): void {
  if (addressOf(ip).family !== 4) throw new Skipped("this case is for IPv4");
}

/** Sends one packet and gives what arrived. */
async function deliver(
  timers: Timers,
  from: Ip,
  to: IpAddress,
  at: Listener,
  payload: Uint8Array,
  options?: IpSendOptions,
): Promise<Received> {
  const what = `a payload of ${String(payload.length)} bytes to ${to.toString()}`;
  const before = at.received.length;
  ensureEqual(send(from, to, payload, options), true, `send of ${what}`);
  await until(timers, () => at.received.length > before, what);
  const got = at.received[before];
  ensure(got !== undefined, what);
  ensureEqual(got.payload, payload, what);
  return got;
}

/** The most that a page of `ip` holds behind its headroom: more than the MTU leaves to a payload. */
function overlong(ip: Ip, mtu: number): number {
  const page = takePage(ip);
  const room = Math.min(page.bytes.length - headroom, mostBytes - headerOf(ip));
  ip.release(page);
  if (room + headerOf(ip) <= mtu) throw new Skipped("a page holds no payload longer than the MTU");
  return room;
}

/** Sends `payload` from A, and gives the packet as B has it. */
async function quote({ a, b, timers }: IpPair, payload: Uint8Array, options?: IpSendOptions): Promise<Uint8Array> {
  const { header } = await deliver(timers, a, addressOf(b), new Listener(b), payload, options);
  ensureEqual(header.length, headerSize, "bytes of header");
  const packet = new Uint8Array(headerSize + payload.length);
  packet.set(header);
  packet.set(payload, headerSize);
  return packet;
}

/** B sends A an ICMP error about `packet`. */
async function complain(pair: IpPair, type: number, code: number, rest: number, packet: Uint8Array): Promise<void> {
  const { a, b, timers } = pair;
  const message = icmpError(type, code, rest, packet.subarray(0, headerSize + 8));
  ensureEqual(send(b, addressOf(a), message, undefined, protocolIcmp), true, "send of an ICMP message");
  await pause(timers, settleTime);
}

/** The contract of `Ip`. Some cases are for IPv4 alone. */
export const ipSuite: Suite<IpPair> = [
  defineCase("a host's addresses are distinct and local, and so is loopback", ({ a, b, silent }) => {
    for (const [ip, other] of [
      [a, b],
      [b, a],
    ] as const) {
      ensure(ip.addresses.length > 0, "no address");
      ensureEqual(new Set(ip.addresses.map(String)).size, ip.addresses.length, "distinct addresses");
      for (const address of ip.addresses) {
        ensure(!address.isUnspecified && !address.isMulticast, `${address.toString()} is no host's address`);
        ensure(ip.isLocal(address), `${address.toString()} is not local`);
      }
      ensure(ip.isLocal(loopbackOf(ip)), "loopback is not local");
      for (const address of [...other.addresses, silent, anyOf(ip), IpAddress.broadcast4]) {
        ensure(!ip.isLocal(address), `${address.toString()} is local`);
      }
    }
  }),

  defineCase("source gives an address of ours, or undefined where there is no route", ({ a, b, unroutable }) => {
    for (const destination of [addressOf(b), addressOf(a), loopbackOf(a)]) {
      const source = a.source(destination);
      ensure(source !== undefined && a.isLocal(source), `source for ${destination.toString()}`);
      ensure(destination.isLoopback || !source.isLoopback, `a loopback source for ${destination.toString()}`);
    }
    for (const nowhere of [anyOf(a), ...(unroutable === undefined ? [] : [unroutable])]) {
      ensureEqual(a.source(nowhere), undefined, `source for ${nowhere.toString()}`);
    }
  }),

  defineCase("a packet arrives with its addresses, protocol and the defaults", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    const got = await deliver(timers, a, addressOf(b), atB, pattern(100, 1));
    ensureEqual(got.source, a.source(addressOf(b))?.toString(), "source");
    ensureEqual(got.destination, addressOf(b).toString(), "destination");
    ensureEqual([got.protocol, got.hopLimit, got.ecn], [protocolOne, 64, 0], "protocol, hop limit, ECN");
  }),

  defineCase("headerOffset is where the IP header starts", async ({ a, b, timers }) => {
    needIpv4(a);
    const { header } = await deliver(timers, a, addressOf(b), new Listener(b), pattern(100, 1));
    ensure(header.length >= headerSize, `${String(header.length)} bytes of header`);
    const [version, protocol] = [(header[0] ?? 0) >>> 4, header[9]];
    ensureEqual([version, protocol], [4, protocolOne], "version and protocol");
    ensureEqual(header.subarray(12, 16).join("."), addressOf(a).toString(), "the header's source");
    ensureEqual(header.subarray(16, 20).join("."), addressOf(b).toString(), "the header's destination");
    ensureEqual(onesComplementSum(header), 0xffff, "the header's sum");
  }),

  defineCase("hop limit, ECN, source and DF are as the sender chose", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    const from = addressOf(a);
    for (const options of [
      { hopLimit: 1 },
      { hopLimit: 255, ecn: 1 },
      { ecn: 2, source: from },
      { ecn: 3, dontFragment: true },
      { source: from, dontFragment: false },
    ] as const satisfies readonly IpSendOptions[]) {
      const wanted: IpSendOptions = options;
      const got = await deliver(timers, a, addressOf(b), atB, pattern(64, 3), options);
      ensureEqual([got.hopLimit, got.ecn], [wanted.hopLimit ?? 64, wanted.ecn ?? 0], "hop limit and ECN");
      ensureEqual(got.source, from.toString(), "source");
      if (from.family === 6) continue;
      ensureEqual(((got.header[6] ?? 0) & 0x40) !== 0, wanted.dontFragment ?? false, "DF");
    }
  }),

  defineCase("payloads of all sizes up to the MTU arrive whole, both ways", async ({ a, b, timers }) => {
    const atA = new Listener(a);
    const atB = new Listener(b);
    const most = Math.min(a.mtu(addressOf(b)), b.mtu(addressOf(a))) - headerOf(a);
    for (const length of [0, 1, 7, 8, 25, 26, 27, 500, most - 1, most]) {
      await deliver(timers, a, addressOf(b), atB, pattern(length, length), { dontFragment: true });
      await deliver(timers, b, addressOf(a), atA, pattern(length, length + 1), { dontFragment: true });
    }
  }),

  defineCase("a packet longer than the MTU arrives whole, unless DF forbids", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    const most = a.mtu(addressOf(b)) - headerOf(a);
    const longest = overlong(a, most + headerOf(a));
    for (const length of new Set([most + 1, Math.min(most + 8, longest), longest])) {
      const got = await deliver(timers, a, addressOf(b), atB, pattern(length, length), { hopLimit: 9, ecn: 1 });
      ensureEqual([got.source, got.destination], [addressOf(a).toString(), addressOf(b).toString()], "addresses");
      ensureEqual([got.protocol, got.hopLimit, got.ecn], [protocolOne, 9, 1], "protocol, hop limit, ECN");
      const before = atB.received.length;
      ensureEqual(send(a, addressOf(b), pattern(length, 1), { dontFragment: true }), false, "send with DF");
      await pause(timers, settleTime);
      ensureEqual(atB.received.length, before, "packets after a send that was refused");
    }
  }),

  defineCase("a packet longer than any can be is refused", async (pair) => {
    const { a, b, timers } = pair;
    const page = takePage(a);
    const length = page.bytes.length - headroom;
    a.release(page);
    if (length + (addressOf(a).family === 4 ? headerSize : 0) <= mostBytes)
      throw new Skipped("no page has room for one");
    const atB = new Listener(b);
    ensureEqual(send(a, addressOf(b), new Uint8Array(length)), false, "send");
    ensureEqual(send(a, addressOf(a), new Uint8Array(length)), false, "send to itself");
    await deliver(timers, a, addressOf(b), atB, pattern(60, 1));
    ensureEqual(atB.received.length, 1, "packets");
  }),

  defineCase("packets reach the handler of their protocol, and no other; listen replaces it", async (pair) => {
    const { a, b, timers } = pair;
    const first = new Listener(b);
    const one = new Listener(b);
    send(a, addressOf(b), pattern(40, 1), undefined, protocolTwo);
    await pause(timers, settleTime);
    const two = new Listener(b, protocolTwo);
    for (let round = 0; round < 4; round++) {
      send(a, addressOf(b), pattern(40, round), undefined, round % 2 === 0 ? protocolOne : protocolTwo);
    }
    await until(timers, () => one.received.length + two.received.length >= 4, "four packets");
    const protocols = [first, one, two].map((each) => each.received.map(({ protocol }) => protocol));
    ensureEqual(protocols, [[], [protocolOne, protocolOne], [protocolTwo, protocolTwo]], "protocols at each handler");
  }),

  defineCase("a protocol number that is none throws RangeError", ({ a }) => {
    for (const protocol of [-1, 256, 1.5, Number.NaN]) {
      ensureThrows(() => a.listen(protocol, () => undefined), RangeError, `listen(${String(protocol)})`);
      ensureThrows(() => a.listenErrors(protocol, () => undefined), RangeError, `listenErrors(${String(protocol)})`);
    }
  }),

  defineCase("packets wait while the next hop is being resolved; options are not kept", async ({ a, b, timers }) => {
    const atB = new Listener(b);
    const options = { hopLimit: 9, ecn: 1 };
    for (let round = 0; round < 3; round++) {
      ensureEqual(send(a, addressOf(b), pattern(50, round), options), true, "send to a neighbour not met yet");
    }
    options.hopLimit = 33;
    options.ecn = 2;
    await until(timers, () => atB.received.length >= 3, "three packets");
    for (const [round, got] of atB.received.entries()) {
      ensureEqual(got.payload, pattern(50, round), `payload ${String(round)}`);
      ensureEqual([got.hopLimit, got.ecn], [9, 1], "hop limit and ECN");
    }
  }),

  defineCase("a host reaches itself, under its own address and loopback", async ({ a, timers }) => {
    const atA = new Listener(a);
    const mtu = a.mtu(addressOf(a));
    for (const to of [addressOf(a), loopbackOf(a)]) {
      for (const length of [0, 100, mtu - headerOf(a)]) {
        const got = await deliver(timers, a, to, atA, pattern(length, length));
        ensureEqual(got.destination, to.toString(), "destination");
        ensureEqual(got.source, a.source(to)?.toString(), "source");
      }
    }
    if (mtu < mostBytes) await deliver(timers, a, addressOf(a), atA, pattern(overlong(a, mtu), 5));
  }),

  defineCase("nothing is delivered inside send", async (pair) => {
    const { a, b, silent, timers } = pair;
    const [atA, atB] = [new Listener(a), new Listener(b)];
    const quietly = (from: Ip, to: IpAddress): void => {
      atA.forbidden = atB.forbidden = true;
      send(from, to, pattern(60, 1));
      atA.forbidden = atB.forbidden = false;
    };
    // Long enough for the silent neighbour to be given up, and to be asked for again.
    for (let round = 0; round < 40; round++) {
      for (const to of [addressOf(a), loopbackOf(a), addressOf(b), silent]) quietly(a, to);
      quietly(b, addressOf(a));
      await pause(timers, 200);
    }
    ensureEqual(atB.received.length, 40, "packets at B");
    ensureEqual(atA.received.length, 120, "packets at A");
    ensure(!atA.violated && !atB.violated, "a packet or an error was delivered inside send");
  }),

  defineCase("a handler may send from inside", async ({ a, b, timers }) => {
    const atA = new Listener(a);
    b.listen(protocolOne, ({ page, offset, length, source }) => {
      const answer = b.allocate();
      if (answer === undefined) return;
      answer.bytes.set(page.bytes.subarray(offset, offset + length), headroom);
      b.send(source, protocolOne, answer, headroom, length);
    });
    for (let round = 0; round < 10; round++) {
      send(a, addressOf(b), pattern(80, round));
      await until(timers, () => atA.received.length > round, "the reply");
      ensureEqual(atA.received[round]?.payload, pattern(80, round), "the reply");
    }
  }),

  defineCase("pages have headroom and room for an MTU, and come back by release", ({ a, b }) => {
    ensurePagesAreSound(a, headroom + a.mtu(addressOf(b)) - headerOf(a));
  }),

  defineCase("send takes the page, whatever the outcome", async (pair) => {
    const { a, b, silent, unroutable, timers } = pair;
    const atB = new Listener(b);
    const before = await countSettledPages(timers, a);
    const mtu = a.mtu(addressOf(b));
    for (let round = 0; round < 30; round++) {
      send(a, silent, pattern(60, round));
      send(a, addressOf(b), pattern(mtu - headerOf(a), round));
      send(a, addressOf(b), pattern(mtu - headerOf(a) + 1, round));
      send(a, addressOf(b), pattern(mtu - headerOf(a) + 1, round), { dontFragment: true });
      send(a, addressOf(a), pattern(60, round));
      send(a, IpAddress.any4, pattern(60, round));
      send(a, IpAddress.any6, pattern(60, round));
      if (unroutable !== undefined) send(a, unroutable, pattern(60, round));
      await pause(timers, 10);
    }
    await until(timers, () => atB.received.length > 0, "some packets");
    await ensurePagesBack(timers, a, before);
  }),

  defineCase("packets for a neighbour that does not answer wait in a bounded queue", async (pair) => {
    const { a, b, silent, timers } = pair;
    const before = await countSettledPages(timers, a);
    let most = 0;
    for (let index = 0; index < 20_000; index++) {
      const page = a.allocate();
      if (page === undefined) break;
      a.send(silent, protocolOne, page, headroom, 100);
      most = index;
    }
    ensure(most > 0, "there is no page");
    await ensurePagesBack(timers, a, before);
    await deliver(timers, a, addressOf(b), new Listener(b), pattern(60, 1));
  }),

  defineCase("where there is no route, send returns false", async ({ a, b, unroutable, timers }) => {
    if (unroutable === undefined) throw new Skipped("the subject has a route to everywhere");
    for (const to of [unroutable, IpAddress.any4, IpAddress.any6]) {
      ensureEqual(send(a, to, pattern(60, 1)), false, `send to ${to.toString()}`);
    }
    await deliver(timers, a, addressOf(b), new Listener(b), pattern(60, 1));
  }),

  defineCase("without an address, send returns false", (pair) => {
    const { a, b } = pair;
    if (pair.unconfigure === undefined) throw new Skipped("the subject keeps its address");
    const own = addressOf(a);
    pair.unconfigure();
    ensureEqual(a.addresses.length, 0, "addresses");
    ensureEqual(a.isLocal(own), false, "isLocal of the address that went");
    ensureEqual(a.source(addressOf(b)), undefined, "source");
    ensureEqual(send(a, addressOf(b), pattern(60, 1)), false, "send");
  }),

  defineCase("a transport checksum left open is completed", async ({ a, b, timers }) => {
    needIpv4(a);
    const [source, destination] = [addressOf(a), addressOf(b)];
    const atB = new Listener(b);
    const mtu = a.mtu(destination);
    for (const length of [18, 19, 100, 333, mtu - headerSize, mtu - headerSize + 1]) {
      if (length + headerSize > mostBytes) continue;
      const pseudo = pseudoHeaderSum(source, destination, protocolOne, length);
      const page = takePage(a);
      page.bytes.set(pattern(length, length), headroom);
      writeHalf(page.bytes, headroom + 16, pseudo);
      page.flags = needsChecksum;
      page.checksumOffset = 16;
      const before = atB.received.length;
      ensureEqual(a.send(destination, protocolOne, page, headroom, length), true, "send");
      await until(timers, () => atB.received.length > before, `a payload of ${String(length)} bytes`);
      const got = atB.received[before];
      ensure(got !== undefined, "a packet");
      ensureEqual(got.payload.subarray(0, 16), pattern(length, length).subarray(0, 16), "the bytes before the sum");
      // Across memory a sum need not be made: the receiver's page says so.
      if ((got.flags & (needsChecksum | checksumVerified)) !== 0) continue;
      ensureEqual(onesComplementSum(got.payload, pseudo), 0xffff, `the sum of ${String(length)} bytes`);
    }
  }),

  defineCase("a packet for another host is not taken", async (pair) => {
    needIpv4(pair.a);
    const { a, b, silent, timers } = pair;
    if (pair.inject === undefined) throw new Skipped("the subject has no way to inject packets");
    const atA = new Listener(a);
    const packet = { source: addressOf(b), protocol: protocolOne, payload: pattern(40, 1) };
    for (const destination of [silent, addressOf(b), IpAddress.parse("203.0.113.77")]) {
      pair.inject(ipv4Packet({ ...packet, destination }));
    }
    await pause(timers, settleTime);
    ensureEqual(atA.received.length, 0, "packets for others");
    pair.inject(ipv4Packet({ ...packet, destination: addressOf(a) }));
    await until(timers, () => atA.received.length > 0, "the packet for A");
  }),

  defineCase("fragments are joined in any order, each packet's own", async (pair) => {
    needIpv4(pair.a);
    const { a, b, timers } = pair;
    if (pair.inject === undefined) throw new Skipped("the subject has no way to inject packets");
    const atA = new Listener(a);
    const [one, two] = [pattern(3000, 1), pattern(3000, 2)];
    for (const at of [2400, 800, 0, 1600]) {
      for (const [identification, whole] of [one, two].entries()) {
        const payload = whole.slice(at, at + 800);
        const moreFragments = at + 800 < whole.length;
        const rest = { identification, payload, moreFragments, fragmentOffset: at, protocol: protocolOne };
        pair.inject(ipv4Packet({ source: addressOf(b), destination: addressOf(a), ...rest }));
      }
    }
    await until(timers, () => atA.received.length >= 2, "two packets");
    ensureEqual(
      atA.received.map(({ payload }) => payload),
      [one, two],
      "payloads",
    );
    ensureEqual(
      atA.received.map(({ source, protocol }) => `${source} ${String(protocol)}`),
      Array<string>(2).fill(`${addressOf(b).toString()} ${String(protocolOne)}`),
      "sources and protocols",
    );
  }),

  defineCase("ICMP errors reach the handler of the protocol they are about", async (pair) => {
    needIpv4(pair.a);
    const { a, b } = pair;
    const payload = pattern(64, 7);
    const packet = await quote(pair, payload);
    const [one, two] = [new Listener(a), new Listener(a, protocolTwo)];
    const kinds: [number, number, IpError["kind"]][] = [
      [3, 0, "unreachable-network"],
      [3, 1, "unreachable-host"],
      [3, 3, "unreachable-port"],
      [3, 13, "prohibited"],
      [11, 0, "time-exceeded"],
      [12, 0, "parameter-problem"],
    ];
    for (const [type, code, kind] of kinds) {
      const before = one.errors.length;
      await complain(pair, type, code, 0, packet);
      const error = one.errors[before];
      ensure(error !== undefined && one.errors.length === before + 1, `one error for ${kind}`);
      ensureEqual(error.kind, kind, "kind");
      ensureEqual(error.reporter.toString(), addressOf(b).toString(), "reporter");
      ensureEqual(error.source.toString(), addressOf(a).toString(), "the quoted source");
      ensureEqual(error.destination.toString(), addressOf(b).toString(), "the quoted destination");
      ensure(error.length >= 8, `${String(error.length)} bytes of transport header`);
      ensureEqual(error.quoted.subarray(0, 8), payload.subarray(0, 8), "the quoted transport header");
    }
    ensureEqual(two.errors.length, 0, "errors at another protocol's handler");
  }),

  defineCase("ICMP errors about packets that are not ours reach nobody", async (pair) => {
    needIpv4(pair.a);
    const { a, b } = pair;
    const packet = await quote(pair, pattern(64, 7));
    const atA = new Listener(a);
    const forged = ipv4Packet({
      source: pair.silent,
      destination: addressOf(b),
      protocol: protocolOne,
      payload: pattern(64, 7),
    });
    await complain(pair, 3, 3, 0, forged);
    // Too short to show eight bytes of a transport header.
    await complain(pair, 3, 3, 0, packet.subarray(0, headerSize + 7));
    ensureEqual(atA.errors.length, 0, "errors");
    await complain(pair, 3, 3, 0, packet);
    ensureEqual(atA.errors.length, 1, "errors about a packet of ours");
  }),

  defineCase("a packet too big for the path lowers the path's MTU, and no other's", async (pair) => {
    needIpv4(pair.a);
    const { a, b, silent, timers } = pair;
    const link = a.mtu(addressOf(b));
    const packet = await quote(pair, pattern(link - headerSize, 7), { dontFragment: true });
    const [atA, atB] = [new Listener(a), new Listener(b)];
    const narrow = 1000;
    await complain(pair, 3, 4, narrow, packet);
    ensureEqual(
      atA.errors.map(({ kind, mtu }) => `${kind} ${String(mtu)}`),
      [`packet-too-big ${String(narrow)}`],
      "errors",
    );
    ensureEqual(a.mtu(addressOf(b)), narrow, "the path's MTU");
    ensureEqual(a.mtu(silent), link, "the MTU of another path");
    const most = narrow - headerSize;
    const fits = await deliver(timers, a, addressOf(b), atB, pattern(most, 1), { dontFragment: true });
    ensureEqual(fits.payload.length, most, "bytes of what fits");
    ensureEqual(send(a, addressOf(b), pattern(most + 1, 1), { dontFragment: true }), false, "send with DF");
    await deliver(timers, a, addressOf(b), atB, pattern(most + 1, 2));
    await deliver(timers, a, addressOf(b), atB, pattern(link - headerSize, 3));
  }),
];
