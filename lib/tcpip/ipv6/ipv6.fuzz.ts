import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { checksum, pseudoHeaderSum6 } from "@tesserae/wire/checksum";
import { isCompleteChain } from "./extension-headers.ts";
import { advertisement, bytesOf, describeFrame, icmp6Message, LinkPeer, peer, prefixOption } from "./link-peer.ts";
import { ipv6 } from "./wire.ts";

const own = "fd00::1";
const other = "fd00::2";

/** A packet behind its two bytes of length and one of flags. */
function chunk(
  source: string,
  destination: string,
  next: number,
  payload: ArrayLike<number>,
  hopLimit = 255,
): number[] {
  const packet = [
    ...[0x60, 0, 0, 0, payload.length >>> 8, payload.length & 255, next, hopLimit],
    ...bytesOf(source),
    ...bytesOf(destination),
    ...Array.from(payload),
  ];
  return [packet.length >>> 8, packet.length & 255, 1, ...packet];
}

const echo = Array.from(icmp6Message(other, own, 128, 0, [0, 1, 0, 1, 97, 98, 99, 100, 101, 102, 103, 104]));
const options = [60, 0, 5, 2, 0, 0, 1, 0, 58, 0, 1, 4, 0, 0, 0, 0];
const alert = [58, 0, 5, 2, 0, 0, 1, 0];
const query = icmp6Message(peer, "ff02::1", 130, 0, [0, 1, 0, 0, ...bytesOf("::"), 2, 125, 0, 0]);

/** Whole packets to a host that listens to routers. What it sends must be well-formed, and it must go on. */
export const fuzz: FuzzTarget = {
  name: "ipv6",
  seeds: [
    chunk(other, own, 58, echo),
    chunk(other, own, 0, [...options, ...echo]),
    [
      ...chunk(other, own, 44, [58, 0, 0, 1, 0, 0, 0, 1, ...echo.slice(0, 8)]),
      ...chunk(other, own, 44, [58, 0, 0, 8, 0, 0, 0, 1, ...echo.slice(8)]),
    ],
    [
      ...chunk(other, own, 44, [58, 0, 0, 1, 0, 0, 0, 1, ...echo.slice(0, 16)]),
      ...chunk(other, own, 44, [58, 0, 0, 8, 0, 0, 0, 1, ...echo.slice(8)]),
    ],
    chunk(other, own, 43, [58, 0, 0, 1, 0, 0, 0, 0, ...echo]),
    chunk(other, own, 17, [0, 9, 0, 7, 0, 12, 0, 0, 1, 2, 3, 4]),
    chunk(other, own, 58, icmp6Message(other, own, 2, 0, [0, 0, 5, 0, 0x60, ...new Array<number>(60).fill(0)])),
    chunk(peer, "ff02::1", 0, [...alert, ...query], 1),
    chunk(other, "ff02::1:ff00:1", 58, icmp6Message(other, own, 135, 0, [0, 0, 0, 0, ...bytesOf(own)])),
    chunk(
      peer,
      "ff02::1",
      58,
      icmp6Message(peer, "ff02::1", 134, 0, advertisement(60, prefixOption("fd01::/64", "LA", 60, 30))),
    ),
  ].map((bytes) => Uint8Array.from(bytes)),
  async run(input) {
    const link = new LinkPeer({ identifiers: "eui64", redirects: true });
    await link.on.add(Prefix.parse(`${own}/64`));
    link.on.autoconfigure({ temporary: true });
    link.pass(1);
    link.ip.listen(17, (packet) => {
      if (packet.offset + packet.length > packet.page.bytes.length || packet.length < 0) {
        throw new Error("a payload that is not there");
      }
      link.ip.undeliverable(packet, "port");
    });
    link.ip.listenErrors(17, ({ bytes, offset, length }) => {
      if (length < 8 || offset + length > bytes.length) throw new Error("a transport header that is not there");
    });
    for (let at = 0, packets = 0; at + 3 <= input.length && packets < 50; packets++) {
      const length = Math.min(((input[at]! << 8) | input[at + 1]!) % 1501, input.length - at - 3);
      const flags = input[at + 2]!;
      const frame = new Uint8Array(14 + length);
      const packet = input.subarray(at + 3, at + 3 + length);
      at += 3 + length;
      frame.set((flags & 2) === 0 ? [2, 0, 0, 0, 0, 1] : [0x33, 0x33, 0, 0, 0, 1]);
      if (packet[24] === 0xff) frame.set([0x33, 0x33, 0, 0, 0, 1]);
      frame.set([2, 0, 0, 0, 0, 0x99, 0x86, 0xdd], 6);
      frame.set(packet, 14);
      if ((flags & 1) !== 0) sign(frame);
      link.frame(frame);
      link.pass((flags & 0xf0) === 0xf0 ? 1000 : 1);
      check(link);
    }
    // A minute of silence and more, then it still answers.
    link.pass(70_000);
    check(link);
    if (link.ip.reassembly.pending > 0) throw new Error("fragments are kept for longer than their time");
    if (link.on.neighbours.cache.size > 512 || link.on.book.entries.length > 16)
      throw new Error("a table has no bound");
    link.icmp6(other, own, 128, 0, [0, 9, 0, 9, 1]);
    link.advertise(other, own, other, "SO");
    if (
      link.on.book.get(IpAddress.parse(own)) !== undefined &&
      !link.heard().some((line) => line.includes("echo-reply 1"))
    ) {
      throw new Error("the host does not answer any more");
    }
    if (link.errors.length > 0) throw new Error("a callback threw", { cause: link.errors[0] });
    link.ip.close();
    link.icmp.close();
    if (link.pagesOut !== 0) throw new Error(`${link.pagesOut} pages were lost`);
    if (link.timers.pending !== 0) throw new Error("a closed host holds a timer");
  },
};

/** Completes lengths and checksums where an attacker would. */
function sign(frame: Uint8Array): void {
  if (frame.length < 54) return;
  frame[14] = 0x60 | (frame[14]! & 15);
  ipv6.field.payloadLength.set(frame, 14, frame.length - 54);
  const next = frame[20]!;
  const start = next === 0 && frame.length > 62 && frame[54] === 58 ? 62 : 54;
  if ((next !== 58 && start === 54) || frame.length < start + 4) return;
  frame[start + 2] = frame[start + 3] = 0;
  const pseudo = pseudoHeaderSum6(
    ipv6.field.source.get(frame, 14),
    ipv6.field.destination.get(frame, 14),
    58,
    frame.length - start,
  );
  const value = checksum(frame, start, frame.length - start, pseudo);
  frame[start + 2] = value >>> 8;
  frame[start + 3] = value;
}

function check(link: LinkPeer): void {
  for (const frame of link.frames()) {
    const line = describeFrame(frame);
    if (/a bad|not IPv6|bad options/.test(line)) throw new Error(`sent: ${line}`);
    if (ipv6.field.source.get(frame, 14).isMulticast) throw new Error("sent from a group");
    if (frame[20] === 44 && frame[56] === 0 && !isCompleteChain(frame, 62, frame.length, frame[54]!)) {
      throw new Error("sent a first fragment without its header");
    }
  }
}
