import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { SeededRandom } from "@tesserae/conformance/seeded-random";
import { IpAddress } from "@tesserae/device/address";
import { createLink } from "@tesserae/netif/link";
import { Scheduler } from "@tesserae/time/scheduler";
import { VirtualClock } from "@tesserae/time/virtual-clock";
import { checksum } from "@tesserae/wire/checksum";
import { checkHeader, ipv4 } from "../ipv4/wire.ts";
import { loneInterface } from "./lone-interface.ts";
import { createNat } from "./nat.ts";

const outsideAddress = IpAddress.parse("198.51.100.1");
const quote = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 1, 203, 0, 113, 5, 0x40, 0, 0, 53, 0, 8, 0, 0];

/** Packets, each with its length in front, from inside (even) and outside (odd) in turn, with their headers mended. */
export const fuzz: FuzzTarget = {
  name: "nat",
  seeds: [
    Uint8Array.of(28, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 203, 0, 113, 5, 7, 7, 0, 53, 0, 8, 0, 0),
    Uint8Array.of(28, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 203, 0, 113, 5, 8, 0, 0, 0, 0, 1, 0, 0),
    Uint8Array.of(
      ...[0, 56, 0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 203, 0, 113, 5, 198, 51, 100, 1, 3, 3, 0, 0, 0, 0, 0, 0],
      ...quote,
    ),
  ],
  run(input) {
    const timers = new Scheduler(new VirtualClock());
    const link = createLink({ timers });
    const outside = loneInterface(link.a, 1, outsideAddress);
    const inside = loneInterface(link.b, 2, IpAddress.parse("10.0.0.1"));
    const nat = createNat({ outside, timers, random: new SeededRandom(1), capacity: 16, mostOfHost: 8 });
    let fromInside = true;
    for (let at = 0; at < input.length; fromInside = !fromInside) {
      const length = input[at] ?? 0;
      const bytes = input.slice(at + 1, at + 1 + length);
      at += 1 + length;
      if (bytes.length >= ipv4.size) {
        bytes[0] = 0x40 | Math.max(5, Math.min((bytes[0] ?? 0) & 15, bytes.length >>> 2));
        ipv4.field.totalLength.set(bytes, 0, bytes.length);
        ipv4.field.checksum.set(bytes, 0, 0);
        ipv4.field.checksum.set(bytes, 0, checksum(bytes, 0, ipv4.field.headerLength.get(bytes, 0) * 4));
      }
      if (checkHeader(bytes, 0, bytes.length) !== "none") continue;
      const total = bytes.length;
      const from = fromInside ? inside : outside;
      const to = nat.inbound(bytes, 0, total, from);
      if (to === -1 || (to === 0 && !nat.outbound(bytes, 0, total, from, fromInside ? outside : inside))) continue;
      nat.rewrite(bytes, 0, total, false);
      if (bytes.length !== total) throw new Error("the packet has another length");
      if (checkHeader(bytes, 0, total) !== "none") throw new Error("the header is broken");
      if (fromInside && ipv4.field.source.word(bytes, 0) !== outsideAddress.w3 && to === 0) {
        throw new Error("a packet left with an inside address");
      }
      const { sessions, mappings } = nat.size;
      if (sessions > 16 || mappings > sessions) throw new Error(`${sessions} sessions, ${mappings} mappings`);
    }
    nat.close();
    if (nat.size.sessions + nat.size.mappings > 0 || timers.pending > 0) throw new Error("something is left");
  },
};
