/** ARP for IPv4 over Ethernet (RFC 826). */

import { ipv4, layout, mac, u16, u8 } from "@tesserae/wire/layout";

export const arpRequest = 1;
export const arpReply = 2;

export const arp = layout("arp", {
  hardwareType: u16({ expect: 1, names: { 1: "ethernet" } }),
  protocolType: u16({ expect: 0x0800, hex: true }),
  hardwareSize: u8({ expect: 6 }),
  protocolSize: u8({ expect: 4 }),
  operation: u16({ names: { 1: "request", 2: "reply" } }),
  senderMac: mac(),
  senderIp: ipv4(),
  targetMac: mac(),
  targetIp: ipv4(),
});

/** Whether `bytes[offset … offset + length)` begins with an ARP message that we understand. Padding may follow. */
export function isArp(bytes: Uint8Array, offset: number, length: number): boolean {
  const field = arp.field;
  return (
    length >= arp.size &&
    field.hardwareType.get(bytes, offset) === 1 &&
    field.protocolType.get(bytes, offset) === 0x0800 &&
    field.hardwareSize.get(bytes, offset) === 6 &&
    field.protocolSize.get(bytes, offset) === 4 &&
    // A group address is no host's: an answer with one is a mistake or an attack.
    ((bytes[offset + field.senderMac.offset] ?? 0) & 1) === 0
  );
}
