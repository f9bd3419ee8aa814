import { type IpAddress, Prefix } from "@tesserae/device/address";
import type { Netif } from "@tesserae/device/netif";
import { createEthernet } from "../ethernet/ethernet.ts";
import { Link } from "../ip/link.ts";
import { Ipv4Interface } from "../ipv4/interface.ts";

/** For tests: an interface with an address and no stack above or below it. */
export function loneInterface(netif: Netif, index: number, address: IpAddress): Ipv4Interface {
  const arp = {
    sendIpv4: () => false,
    configureLink: () => undefined,
    listenUnreachable: () => undefined,
  };
  const made = new Ipv4Interface(new Link(index, netif.name, createEthernet({ netif })), arp, () => undefined);
  made.configure({ address: new Prefix(address, 24) });
  return made;
}
