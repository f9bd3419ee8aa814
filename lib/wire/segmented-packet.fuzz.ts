import type { FuzzTarget } from "@tesserae/conformance/fuzz";
import { checksum, pseudoHeaderSum4, sum } from "./checksum.ts";
import { SegmentedPacket } from "./segmented-packet.ts";

function packet4(protocol: number, transport: readonly number[], length: number): number[] {
  const total = 20 + transport.length + length;
  const header = [0x45, 0, total >>> 8, total & 255, 0xff, 0xff, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
  return [...header, ...transport, ...Array.from({ length }, (_, index) => index & 255)];
}

function packet6(protocol: number, transport: readonly number[], length: number): number[] {
  const own = transport.length + length;
  const address = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
  const header = [0x60, 0, 0, 0, own >>> 8, own & 255, protocol, 64, ...address, 1, ...address, 2];
  return [...header, ...transport, ...Array.from({ length }, (_, index) => index & 255)];
}

const udp = (length: number): number[] => [0, 9, 0, 7, (8 + length) >>> 8, (8 + length) & 255, 0, 0];
const tcp = [0, 9, 0, 7, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0x60, 0x99, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0];

/**
 * A size of two bytes, and a packet. What it is cut into are whole packets with good checksums, in which its payload lies
 * in order.
 */
export const fuzz: FuzzTarget = {
  name: "segmented packet",
  seeds: [
    [0, 100, ...packet4(17, udp(250), 250)],
    [0, 100, ...packet6(17, udp(250), 250)],
    [0, 100, ...packet4(6, tcp, 250)],
    [0, 100, ...packet6(6, tcp, 250)],
    [0, 1, ...packet4(17, udp(200), 200)],
    [0, 0, ...packet4(17, udp(20), 20)],
  ].map((bytes) => Uint8Array.from(bytes)),
  run(input) {
    const size = ((input[0] ?? 0) << 8) | (input[1] ?? 0);
    const packet = new SegmentedPacket();
    if (!packet.read(input, 2, input.length)) return;
    const count = packet.count(size);
    if (packet.isUdp && count > 128) throw new Error(`${count} datagrams`);
    const { headers, ipHeader, payload } = packet;
    if (2 + headers + payload > input.length) throw new Error("longer than the input");
    const to = new Uint8Array(66_000);
    let at = 0;
    for (let index = 0; index < count; index++) {
      const length = packet.write(input, to, 0, index, size, false);
      if (length !== packet.lengthOf(index, size)) throw new Error("another length than it told");
      const version = to[0]! >>> 4;
      const transport = length - ipHeader;
      const said = ((to[version === 4 ? 2 : 4] ?? 0) << 8) | (to[version === 4 ? 3 : 5] ?? 0);
      if (said !== (version === 4 ? length : transport)) throw new Error(`a packet of ${length} bytes says ${said}`);
      if (version === 4 && checksum(to, 0, ipHeader) !== 0) throw new Error("a wrong checksum of the header");
      const protocol = packet.isUdp ? 17 : 6;
      const view = new DataView(to.buffer);
      const pseudo =
        version === 4
          ? pseudoHeaderSum4(view.getInt32(12), view.getInt32(16), protocol, transport)
          : sum(to, 8, 32, protocol + transport);
      if (checksum(to, ipHeader, transport, pseudo) !== 0) throw new Error("a wrong checksum");
      if (packet.isUdp && view.getUint16(ipHeader + 6) === 0) throw new Error("no checksum");
      for (let byte = headers; byte < length; byte++, at++) {
        if (to[byte] !== input[2 + headers + at]) throw new Error(`another byte at ${at}`);
      }
    }
    if (count > 0 && at !== payload) throw new Error(`${at} bytes of ${payload}`);
  },
};
