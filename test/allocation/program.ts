// Counts the bytes that a packet costs of the engine's heap, from the ring to a socket and back: with a young generation
// that has room for all of it nothing is collected meanwhile, so that what is used more was allocated.
import { IpAddress, Prefix } from "@tesserae/device/address";
import type { Flow } from "@tesserae/device/flow";
import { createRandom } from "@tesserae/node/random";
import { createTimers } from "@tesserae/node/timers";
import { createStack, type IpStack } from "@tesserae/tcpip/stack/stack";
import { checksum } from "@tesserae/wire/checksum";
import { ownMac, peerMac, ScriptedTap } from "./scripted-tap.ts";

const own = IpAddress.parse("10.0.0.2");
const peer = IpAddress.parse("10.0.0.1");
const port = 5300;

/** An IPv4 header behind an Ethernet header, for a packet of `length` bytes. */
function writeHeaders(bytes: Uint8Array, at: number, protocol: number, length: number): void {
  ownMac.write(bytes, at);
  peerMac.write(bytes, at + 6);
  bytes[at + 12] = 8;
  bytes[at + 13] = 0;
  const ip = at + 14;
  bytes.fill(0, ip, ip + 20);
  bytes[ip] = 0x45;
  bytes[ip + 2] = length >>> 8;
  bytes[ip + 3] = length;
  bytes[ip + 8] = 64;
  bytes[ip + 9] = protocol;
  put32(bytes, ip + 12, peer.w3);
  put32(bytes, ip + 16, own.w3);
  const sum = checksum(bytes, ip, 20, 0);
  bytes[ip + 10] = sum >>> 8;
  bytes[ip + 11] = sum;
}

function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function get32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Where the checksum is left out: `virtio_net_hdr` in front of the frame. */
function markPartial(bytes: Uint8Array, at: number, offset: number): void {
  bytes[at - 4] = 34;
  bytes[at - 2] = offset;
}

/** An ARP request of the peer's: the stack learns its address. */
function arp(bytes: Uint8Array, at: number): number {
  bytes.fill(0, at - 10, at + 42);
  bytes.fill(0xff, at, at + 6);
  peerMac.write(bytes, at + 6);
  bytes.set([8, 6, 0, 1, 8, 0, 6, 4, 0, 1], at + 12);
  peerMac.write(bytes, at + 22);
  put32(bytes, at + 28, peer.w3);
  put32(bytes, at + 38, own.w3);
  return 42;
}

async function prepared(): Promise<{ tap: ScriptedTap; stack: IpStack }> {
  const tap = new ScriptedTap();
  const ipv4 = { kind: "static", address: Prefix.parse("10.0.0.2/24") } as const;
  const stack = await createStack({ netif: tap.netif, timers: createTimers(), random: createRandom(), ipv4 });
  tap.make = arp;
  tap.receive(1);
  return { tap, stack };
}

interface Cost {
  readonly packets: number;
  readonly answered: number;
  /** Of the heap, for each packet. */
  readonly bytes: number;
}

/** The heap that `act` allocates, for each of so many packets. */
async function cost(tap: ScriptedTap, packets: number, act: () => Promise<void> | void): Promise<Cost> {
  const sentBefore = tap.sent;
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  await act();
  const bytes = (process.memoryUsage().heapUsed - before) / packets;
  return { packets, answered: tap.sent - sentBefore, bytes };
}

/** Datagrams that are answered with their own bytes. */
async function udpEcho(packets: number): Promise<Cost> {
  const { tap, stack } = await prepared();
  const socket = await stack.udp.bind({ port }, ({ bytes, offset, length, source, sourcePort }) => {
    socket.send(bytes, offset, length, source, sourcePort);
  });
  let number = 0;
  tap.make = (bytes, at) => {
    writeHeaders(bytes, at, 17, 20 + 8 + 40);
    const udp = at + 34;
    const from = 1024 + (number++ & 1023);
    put32(bytes, udp, (from << 16) | port);
    put32(bytes, udp + 4, 48 << 16);
    markPartial(bytes, at, 6);
    return 14 + 20 + 8 + 40;
  };
  tap.receive(200_000);
  return cost(tap, packets, () => tap.receive(packets));
}

/** Frames of 16 datagrams each, all of which are answered with one frame. */
async function udpMany(packets: number): Promise<Cost> {
  const { tap, stack } = await prepared();
  const many = 16;
  const size = 40;
  let got = 0;
  const answer = new Uint8Array(many * size);
  const socket = await stack.udp.bind({ port }, ({ length, source, sourcePort }) => {
    if (length === size && ++got % many === 0) socket.sendMany(answer, 0, answer.length, size, source, sourcePort);
  });
  tap.make = (bytes, at) => {
    const total = 8 + many * size;
    writeHeaders(bytes, at, 17, 20 + total);
    const udp = at + 34;
    put32(bytes, udp, (7000 << 16) | port);
    put32(bytes, udp + 4, total << 16);
    markPartial(bytes, at, 6);
    bytes[at - 9] = 5;
    bytes[at - 8] = 42;
    bytes[at - 6] = size;
    return 14 + 20 + total;
  };
  tap.receive(20_000);
  return cost(tap, packets, () => tap.receive(packets / many));
}

/** A peer that has connected: what it sends next, and what it was sent. */
interface Peer {
  readonly tap: ScriptedTap;
  readonly flow: Flow;
  /** Of its next segments, bytes. */
  payload: number;
  sequence: number;
  /** The end of what it was sent, and of what it may send. */
  acknowledged: number;
  granted: number;
}

/** @param scales whether it lets windows be scaled, its own by 2⁷: then what it is sent is not held up */
async function connected(scales: boolean): Promise<Peer> {
  const { tap, stack } = await prepared();
  const flows: Flow[] = [];
  await stack.tcp.listen({ port }, (accepted) => void flows.push(accepted));
  const peer = { payload: 0, sequence: 1000, acknowledged: 0, granted: 0 };
  let flags = 2;
  tap.read = (bytes, at, length) => {
    if (length < 54 || bytes[at + 23] !== 6) return;
    const tcp = at + 34;
    const header = (bytes[tcp + 12]! >>> 4) * 4;
    const syn = (bytes[tcp + 13]! & 2) >>> 1;
    peer.acknowledged = (get32(bytes, tcp + 4) + length - 34 - header + syn) >>> 0;
    peer.granted = get32(bytes, tcp + 8) + ((bytes[tcp + 14]! << 8) | bytes[tcp + 15]!);
  };
  tap.make = (bytes, at) => {
    const { payload } = peer;
    const options = scales && flags === 2 ? 4 : 0;
    writeHeaders(bytes, at, 6, 40 + options + payload);
    const tcp = at + 34;
    bytes[tcp] = 7;
    bytes[tcp + 1] = 7;
    bytes[tcp + 2] = port >>> 8;
    bytes[tcp + 3] = port & 255;
    put32(bytes, tcp + 4, peer.sequence);
    put32(bytes, tcp + 8, peer.acknowledged);
    bytes[tcp + 12] = 0x50 + 4 * options;
    bytes[tcp + 13] = flags;
    bytes[tcp + 14] = 0xff;
    bytes[tcp + 15] = 0xff;
    bytes.fill(0, tcp + 16, tcp + 20);
    if (options > 0) put32(bytes, tcp + 20, 0x0303_0701);
    markPartial(bytes, at, 16);
    peer.sequence = (peer.sequence + payload + (flags === 2 ? 1 : 0)) >>> 0;
    return 54 + options + payload;
  };
  tap.receive(1);
  await new Promise((resolve) => void setImmediate(resolve));
  flags = 16;
  tap.receive(1);
  await new Promise((resolve) => void setImmediate(resolve));
  const [flow] = flows;
  if (flow === undefined) throw new Error("the connection was not accepted");
  return Object.assign(peer, { tap, flow });
}

/** Segments of a connection, 1448 bytes each, which the application reads in pieces of 64 KiB. */
async function tcpReceive(packets: number): Promise<Cost> {
  const peer = await connected(false);
  const { tap, flow: opened } = peer;
  const payload = 1448;
  peer.payload = payload;
  const into = new Uint8Array(65_536);
  let count = 0;
  const transfer = async (segments: number): Promise<void> => {
    const until = count + segments * payload;
    for (let sent = 0; sent < segments;) {
      // As many as the window lets, without the scale that was not asked for.
      const some = Math.min(32, segments - sent, Math.floor((peer.granted - peer.sequence) / payload));
      if (some <= 0) throw new Error("the window is closed");
      tap.receive(some);
      sent += some;
      while (count < until - (segments - sent) * payload) count += await opened.read(into);
    }
  };
  await transfer(100_000);
  return cost(tap, packets, () => transfer(packets));
}

/** As many bytes as so many segments have, written in pieces of 64 KiB; the device cuts them. */
async function tcpSend(packets: number): Promise<Cost> {
  const peer = await connected(true);
  const { tap, flow } = peer;
  const from = new Uint8Array(65_536);
  const settled = Promise.resolve();
  let turns = 0;
  // TCP answers in a microtask, and the interface sends in another.
  const pass = async (count: number): Promise<void> => {
    for (; count > 0; count--) {
      turns++;
      await settled;
    }
  };
  let acknowledged = peer.acknowledged;
  const transfer = async (segments: number): Promise<void> => {
    for (let left = segments * 1448; left > 0; left -= from.length) {
      const written = flow.write(from);
      await pass(4);
      // As long as there is more, and the tail that Nagle held back.
      while (peer.acknowledged !== acknowledged) {
        ({ acknowledged } = peer);
        tap.receive(1);
        await pass(4);
      }
      await written;
    }
  };
  await transfer(100_000);
  turns = 0;
  const all = await cost(tap, packets, () => transfer(packets));
  // What this script allocates to wait is not what it waits for.
  const passed = turns;
  const waiting = await cost(tap, packets, async () => {
    for (let turn = 0; turn < passed; turn += 4) await pass(4);
  });
  return { ...all, bytes: all.bytes - waiting.bytes };
}

const packets = Number(process.argv[2]);
const half = packets / 2;
const udp = await udpEcho(packets);
const received = await tcpReceive(half);
const sent = await tcpSend(half);
const many = await udpMany(packets);
console.log(JSON.stringify({ udp, many, received, sent }));
process.exit();
