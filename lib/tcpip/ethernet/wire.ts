/** Ethernet II frames (RFC 894, IEEE 802.3 §3.2.6). */

import { layout, mac, u16 } from "@tesserae/wire/layout";

export const etherTypeIpv4 = 0x0800;
export const etherTypeArp = 0x0806;
export const etherTypeIpv6 = 0x86dd;

/** The header. A type below 0x0600 is a length: an IEEE 802.3 frame, which carries nothing of ours. */
export const ethernet = layout("ethernet", {
  destination: mac(),
  source: mac(),
  etherType: u16({ hex: true, names: { 0x0800: "ipv4", 0x0806: "arp", 0x8100: "vlan", 0x86dd: "ipv6" } }),
});
