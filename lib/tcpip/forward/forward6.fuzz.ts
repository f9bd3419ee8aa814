import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { IpAddress, Prefix } from "@tesserae/device/address";
import { bytesOf, LinkPeer } from "../ipv6/link-peer.ts";
import { isLinkLocal } from "../ipv6/scope.ts";
import { ipv6, leastMtu } from "../ipv6/wire.ts";
import { createForwarding6 } from "./forward6.ts";

const own = "fd00::1";
const next = "fd00::2";

/** A packet behind its two bytes of length. */
function chunk(
  source: string,
  destination: string,
  hopLimit: number,
  header: number,
  payload: readonly number[],
): number[] {
  const packet = [
    ...[0x60, 0, 0, 0, payload.length >>> 8, payload.length & 255, header, hopLimit],
    ...[...bytesOf(source), ...bytesOf(destination), ...payload],
  ];
  return [packet.length >>> 8, packet.length & 255, ...packet];
}

const nine = [1, 2, 3, 4, 5, 6, 7, 8, 9];

/**
 * Whole packets to a router with one link, out of which it passes them on again. What it passes on has one hop less to
 * live and is else as it came; what it says by itself fits any path; and nothing is lost of its own.
 */
export const fuzz: FuzzTarget = {
  name: "forward6",
  seeds: [
    chunk("fd00::5", "fd01::1", 64, 17, nine),
    chunk("fd00::5", "fd01::1", 1, 17, nine),
    chunk("fd00::5", "fd02::1", 64, 6, nine),
    chunk("fe80::5", "fd01::1", 64, 6, nine),
    chunk("fd00::5", "fe80::1", 64, 6, nine),
    chunk("fd00::5", "fd01::1", 64, 58, [1, 0, 0, 0, ...nine]),
    chunk("fd00::5", "fd01::1", 1, 44, [58, 0, 0, 8, ...nine]),
    chunk("fd00::5", "fd01::1", 1, 0, [58, 0, 5, 2, 0, 0, 1, 0, ...nine]),
    [...chunk("fd00::5", "fd00::77", 9, 17, nine), ...chunk("fd03::5", "fd01::1", 9, 17, nine)],
  ].map((bytes) => Uint8Array.from(bytes)),
  async run(input) {
    const link = new LinkPeer({ identifiers: "eui64" });
    await link.on.add(Prefix.parse(`${own}/64`));
    link.on.addRoute(Prefix.parse("fd01::/16"), IpAddress.parse(next));
    const forwarding = createForwarding6({ ip: link.ip, reversePath: (input[0] ?? 0) > 127 ? "off" : "strict" });
    link.on.ndp.advertise({});
    link.pass(1);
    for (let at = 0, packets = 0; at + 2 <= input.length && packets < 50; packets++) {
      const length = Math.min(((input[at]! << 8) | input[at + 1]!) % 1501, input.length - at - 2);
      const frame = new Uint8Array(14 + length);
      frame.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 0x86, 0xdd]);
      frame.set(input.subarray(at + 2, at + 2 + length), 14);
      if (length >= ipv6.size) ipv6.field.payloadLength.set(frame, 14, length - ipv6.size);
      at += 2 + length;
      link.frames();
      link.frame(frame);
      // Whoever is asked for answers, or not.
      if (packets % 2 === 0) link.advertise(next, own, next, "SO");
      link.pass(packets % 7 === 0 ? 4000 : 1);
      for (const sent of link.frames()) check(link, sent);
    }
    forwarding.close();
    link.pass(10_000);
    if (link.errors.length > 0) throw new Error("a callback threw", { cause: link.errors[0] });
    link.ip.close();
    link.icmp.close();
    if (link.pagesOut !== 0) throw new Error(`${link.pagesOut} pages were lost`);
    if (link.timers.pending !== 0) throw new Error("a closed router holds a timer");
  },
};

function check(link: LinkPeer, sent: Uint8Array): void {
  const source = ipv6.field.source.get(sent, 14);
  const destination = ipv6.field.destination.get(sent, 14);
  if (source.isUnspecified || link.ip.isLocal(source)) {
    if (sent.length > 14 + leastMtu) throw new Error(`said ${sent.length} bytes at once`);
    return;
  }
  if (ipv6.field.hopLimit.get(sent, 14) === 0) throw new Error("passed on what had no hop left");
  if (isLinkLocal(source) || isLinkLocal(destination) || source.isMulticast || destination.isMulticast) {
    throw new Error(`passed on from ${source.toString()} to ${destination.toString()}`);
  }
}
