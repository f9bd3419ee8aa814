import { type Endpoint, IpAddress } from "@tesserae/device/address";
import type { AddressOut } from "./bindings.ts";

/** Reads an address as Node passes it on: no zone, and an IPv4-mapped one (RFC 4291 §2.5.5.2) is IPv4. */
export function readAddress(text: string): IpAddress | undefined {
  const zone = text.indexOf("%");
  const address = IpAddress.tryParse(zone < 0 ? text : text.slice(0, zone));
  if (address?.family === 6 && address.w0 === 0 && address.w1 === 0 && address.w2 === 0xffff) {
    return IpAddress.v4(address.w3);
  }
  return address;
}

export function fillAddress(out: AddressOut, { address, port }: Endpoint): void {
  out.address = address.toString();
  out.family = address.family === 4 ? "IPv4" : "IPv6";
  out.port = port;
}
