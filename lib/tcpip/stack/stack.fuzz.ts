import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { FramePeer } from "@tesserae/conformance/frame-peer";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum, pseudoHeaderSum4 } from "@tesserae/wire/checksum";
import { ipv4 } from "../ipv4/wire.ts";
import { createStack } from "./stack.ts";

const us = [10, 0, 0, 1];
const peer = [10, 0, 0, 2];

/** The frame behind its two bytes of length and one of flags. */
function chunk(frame: readonly number[]): number[] {
  return [frame.length >>> 8, frame.length & 255, 1, ...frame];
}

function packet(protocol: number, payload: readonly number[], fragment = 0): number[] {
  const header = [0x45, 0, 0, 20 + payload.length, 0, 1, fragment >>> 8, fragment & 255, 64, protocol, 0, 0];
  return chunk([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, ...header, ...peer, ...us, ...payload]);
}

const echo = [8, 0, 0, 0, 0, 1, 0, 1, 97, 98, 99, 100];
const udp = [0, 9, 0, 7, 0, 12, 0, 0, 1, 2, 3, 4];
const syn = [0x30, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0];
const arpRequest = [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2, ...peer, 0, 0, 0, 0, 0, 0, ...us];
const unreachable = [
  3,
  4,
  0,
  0,
  0,
  0,
  2,
  0,
  0x45,
  0,
  0,
  28,
  0,
  1,
  0x40,
  0,
  64,
  17,
  0,
  0,
  ...us,
  ...peer,
  0,
  7,
  0,
  9,
  0,
  8,
  0,
  0,
];

/** Completes the checksums that the flags ask for, as an attacker would. */
function sign(frame: Uint8Array): void {
  if (frame.length < 34 || frame[12] !== 8 || frame[13] !== 0) return;
  const header = (frame[14]! & 15) * 4;
  if (header < 20 || frame.length < 14 + header) return;
  ipv4.field.totalLength.set(frame, 14, frame.length - 14);
  ipv4.field.checksum.set(frame, 14, 0);
  ipv4.field.checksum.set(frame, 14, checksum(frame, 14, header));
  const protocol = ipv4.field.protocol.get(frame, 14);
  const start = 14 + header;
  const length = frame.length - start;
  const at = start + (protocol === 1 ? 2 : protocol === 6 ? 16 : 6);
  if (at + 2 > frame.length) return;
  frame[at] = frame[at + 1] = 0;
  const source = ipv4.field.source.word(frame, 14);
  const pseudo =
    protocol === 1 ? 0 : pseudoHeaderSum4(source, ipv4.field.destination.word(frame, 14), protocol, length);
  const value = checksum(frame, start, length, pseudo);
  frame[at] = value >>> 8;
  frame[at + 1] = value;
}

/** Whole frames into a host with a UDP and a TCP port open. What it sends must be well-formed, and it must go on. */
export const fuzz: FuzzTarget = {
  name: "stack",
  seeds: [
    packet(1, echo),
    packet(17, udp),
    packet(6, syn),
    packet(1, unreachable),
    [...packet(17, udp.slice(0, 8), 0x2000), ...packet(17, udp.slice(8), 1)],
    [...packet(17, udp, 0x2000), ...packet(17, udp.slice(4), 1)],
    chunk([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6, ...arpRequest]),
  ].map((bytes) => Uint8Array.from(bytes)),
  async run(input) {
    const clock = new VirtualClock();
    const errors: unknown[] = [];
    const onError = (error: unknown): void => void errors.push(error);
    const timers = new Scheduler(clock, { onError });
    const link = createLink({ timers, queue: 64 });
    const other = new FramePeer(link.b);
    const address = Prefix.parse("10.0.0.1/24");
    const stack = await createStack({
      netif: link.a,
      timers,
      random: new SeededRandom(1),
      ipv4: { kind: "static", address, gateway: IpAddress.parse("10.0.0.2") },
      reassembly: { capacity: 4 },
      onError,
    });
    let echoes = 0;
    const socket = await stack.udp.bind({ port: 7 }, ({ bytes, offset, length, source, sourcePort }) => {
      echoes++;
      if (sourcePort !== 0) socket.send(bytes, offset, length, source, sourcePort);
    });
    await stack.tcp.listen({ port: 80 }, (flow) => flow.close());
    const step = (ms: number): void => {
      clock.advanceTo(clock.now() + ms);
      for (let turn = 0; turn < 4; turn++) timers.run();
      for (const frame of other.take()) checkSent(frame);
    };
    step(0);
    for (let at = 0, frames = 0; at + 3 <= input.length && frames < 100; frames++) {
      const length = Math.min(((input[at]! << 8) | input[at + 1]!) % 1515, input.length - at - 3);
      const frame = input.slice(at + 3, at + 3 + length);
      const flags = input[at + 2]!;
      at += 3 + length;
      if (frame.length < 14) continue;
      if ((flags & 1) !== 0) sign(frame);
      other.send(frame);
      step((flags & 0xf0) === 0xf0 ? 1000 : 0);
    }
    // A minute of silence, then it still serves. A neighbour that lied about its address may have to be found again.
    for (let second = 0; second < 61; second++) step(1000);
    const hello = Uint8Array.from(packet(17, [0, 9, 0, 7, 0, 8, 0, 0]).slice(3));
    sign(hello);
    const before = echoes;
    other.send(hello);
    step(0);
    if (echoes !== before + 1) throw new Error("the host does not take datagrams any more");
    if (errors.length > 0) throw new Error("a callback threw", { cause: errors[0] });
    if (stack.ip.reassembly.pending > 0) throw new Error("fragments are kept for longer than their time");
    await stack.close();
    step(0);
    let pages = 0;
    while (link.a.allocate() !== undefined) pages++;
    if (pages !== 128) throw new Error(`${128 - pages} pages were lost`);
  },
};

/** What we send has right lengths and checksums, whatever came. */
function checkSent(frame: Uint8Array): void {
  if (frame[12] !== 8 || frame[13] !== 0) return;
  const length = ipv4.field.totalLength.get(frame, 14);
  if (checksum(frame, 14, 20) !== 0 || length !== frame.length - 14) throw new Error("a bad IPv4 header was sent");
  if (ipv4.field.moreFragments.get(frame, 14) || ipv4.field.fragmentOffset.get(frame, 14) > 0) return;
  const protocol = ipv4.field.protocol.get(frame, 14);
  if (ipv4.field.source.word(frame, 14) !== 0x0a000001) throw new Error("sent from an address that is not ours");
  const ends = [ipv4.field.source.word(frame, 14), ipv4.field.destination.word(frame, 14)] as const;
  const pseudo = protocol === 1 ? 0 : pseudoHeaderSum4(...ends, protocol, length - 20);
  if (checksum(frame, 34, length - 20, pseudo) !== 0) throw new Error(`a bad checksum was sent, protocol ${protocol}`);
}
