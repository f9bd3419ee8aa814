import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { checksum } from "@tesserae/wire/checksum";
import { Reassembler } from "./reassembly.ts";
import { checkHeader, ipv4 } from "./wire.ts";

/**
 * Fragments in five bytes each: source and identification, protocol and ECN, flag and offset (two), length. Their
 * payload follows from where it lies, unless a bit says that it is forged.
 *
 * What comes out must be exactly what was sent, whole, and memory must stay bounded.
 */
export const fuzz: FuzzTarget = {
  name: "ipv4-reassembly",
  seeds: [
    Uint8Array.of(0, 0, 0x80, 0, 16, 0, 0, 0, 2, 9),
    Uint8Array.of(0, 0, 0, 2, 9, 0, 0, 0x80, 0, 16),
    Uint8Array.of(0, 0, 0x80, 0, 16, 0, 0, 0x80, 1, 16, 0, 0, 0, 3, 1),
    Uint8Array.of(0, 0, 0x80, 0, 24, 0, 0x80, 0, 2, 8, 0, 0, 0, 3, 8),
  ],
  run(input) {
    const capacity = 6;
    const reassembler = new Reassembler({ capacity, mostFragments: 12, lifetime: 50 });
    const packet = new Uint8Array(20 + 255);
    for (let at = 0, now = 0; at + 5 <= input.length && at < 5000; at += 5, now++) {
      const [who, kind, flags, low, length] = [
        input[at]!,
        input[at + 1]!,
        input[at + 2]!,
        input[at + 3]!,
        input[at + 4]!,
      ];
      const start = (((flags & 0x1f) << 8) | low) * 8;
      const forged = (kind & 0x80) !== 0;
      packet.fill(0);
      packet[0] = 0x45;
      packet[1] = kind & 3;
      ipv4.field.totalLength.set(packet, 0, 20 + length);
      ipv4.field.identification.set(packet, 0, who & 7);
      ipv4.field.moreFragments.set(packet, 0, (flags & 0x80) !== 0);
      ipv4.field.fragmentOffset.set(packet, 0, start / 8);
      ipv4.field.protocol.set(packet, 0, (kind & 4) === 0 ? 17 : 6);
      ipv4.field.source.setWord(packet, 0, 0x0a000000 | (who >>> 3));
      ipv4.field.checksum.set(packet, 0, checksum(packet, 0, 20));
      for (let index = 0; index < length; index++) packet[20 + index] = forged ? 0xee : (start + index) * 31;
      const whole = reassembler.add(packet, 0, now);
      if (whole !== undefined) {
        const { page, headerOffset, offset, length: total } = whole;
        if (checkHeader(page.bytes, headerOffset, offset - headerOffset + total) !== "none") {
          throw new Error("the header of what was joined is bad");
        }
        for (let index = 0; index < total; index++) {
          const byte = page.bytes[offset + index];
          if (byte !== ((index * 31) & 255) && byte !== 0xee) throw new Error(`byte ${index} is none that was sent`);
        }
      }
      while (reassembler.expire(now) !== undefined);
      if (reassembler.pending > capacity) throw new Error(`${reassembler.pending} datagrams in a table of ${capacity}`);
      if (reassembler.nextDeadline() <= now) throw new Error("a datagram outlived its time");
    }
  },
};
